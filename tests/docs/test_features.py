"""docs/features.md is true: every row of the specification is there, and every file and test it names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEATURES = (ROOT / "docs" / "features.md").read_text()

ROWS = [
    *(f"T{number}" for number in range(1, 8)),
    *(f"S{number}" for number in range(1, 7)),
    *(f"H{number}" for number in range(1, 11)),
    *(f"A{number}" for number in range(1, 8)),
    *(f"D{number}" for number in range(1, 6)),
    *(f"P{number}" for number in range(1, 10)),
    *(f"Y{number}" for number in range(1, 5)),
    *(f"F{number}" for number in range(1, 13)),
]

NAMED_TESTS = sorted(set(re.findall(r"`(tests/[\w./-]+\.py)::(\w+)`", FEATURES)))

PATHS = sorted(set(re.findall(r"`((?:src|tests|docs|benchmarks|web|examples)/[\w./-]+)", FEATURES)))


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_specification_is_answered(row: str):
    assert re.search(rf"^\| {row} \|", FEATURES, re.MULTILINE)


@pytest.mark.parametrize("path", PATHS)
def test_every_file_it_names_exists(path: str):
    assert (ROOT / path.rstrip("/")).exists()


@pytest.mark.parametrize(("path", "test"), NAMED_TESTS)
def test_every_test_it_names_exists(path: str, test: str):
    assert re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE)
