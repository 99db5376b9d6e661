"""docs/planes/outbound-conformance.md: every clause has a test, and every test that it names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "planes" / "outbound-conformance.md").read_text()
HERE = ROOT / "tests" / "integration" / "outbound"

NAMED = sorted(set(re.findall(r"`([\w./]+\.py)::(\w+)`", PAGE)))
CLAUSES = [line for line in PAGE.partition("## The libraries")[0].splitlines() if line.startswith("| ")]


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_every_test_it_names_exists(path: str, test: str):
    file = ROOT / path if path.startswith("tests/") else HERE / path
    assert re.search(rf"^ *(async )?def {test}\(", file.read_text(), re.MULTILINE)


def test_every_clause_names_one():
    rows = [line for line in CLAUSES if not line.startswith(("| clause", "| ---"))]
    assert len(rows) > 25
    assert not [row for row in rows if "::test_" not in row and "since no library verifies it yet" not in row]
