"""docs/features.md is true: every row of the specification is there, and whatever it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from custodes import Custodes
from custodes.storage.sql.tables import metadata

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

#: Each row of a table: its name, where it lives, what proves it. Those of later steps say their state instead.
LINES = re.findall(r"^\| ([A-Z]\d+[^|]*) \| ([^|]*) \| ([^|]*) \|$", FEATURES, re.MULTILINE)

NAMED_TESTS = sorted(set(re.findall(r"`(tests/[\w./-]+\.py)::([\w:]+)`", FEATURES)))

PATHS = sorted(set(re.findall(r"`((?:src|tests|docs|benchmarks|web|examples|deploy)/[\w./-]*)", FEATURES)))

#: What a row names beside files: a verb, a table, a part of an install, a route.
NAMES = sorted(
    {
        (row, where, name)
        for row, where, _ in LINES
        for name in re.findall(r"`([^`]+)`", where)
        if not name.startswith(("src/", "docs/", "web/", "benchmarks/", "deploy/"))
    }
)


@cache
def text_of(path: Path) -> str:
    """The text of a file, or of all Python in a folder."""
    return path.read_text() if path.is_file() else "\n".join(map(text_of, sorted(path.rglob("*.py"))))


def defines(text: str, name: str) -> bool:
    return re.search(rf"^\s*(async )?def {name}\(", text, re.MULTILINE) is not None


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_specification_is_answered(row: str):
    assert re.search(rf"^\| {row} \|", FEATURES, re.MULTILINE)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.startswith("F")])
def test_every_row_that_is_asked_for_names_code_and_a_test_that_proves_it(row: str):
    [(where, proof)] = [(where, proof) for name, where, proof in LINES if name == row]

    assert re.search(r"`(src|web)/", where)
    assert re.search(r"`tests/[\w./-]+\.py::[\w:]+`", proof), "a file alone does not say which promise is meant"


@pytest.mark.parametrize("path", PATHS)
def test_every_file_it_names_exists(path: str):
    assert (ROOT / path.rstrip("/")).exists()


@pytest.mark.parametrize(("path", "test"), NAMED_TESTS)
def test_every_test_it_names_can_be_run_by_that_name(path: str, test: str):
    found: ast.AST = ast.parse(text_of(ROOT / path))
    for name in test.split("::"):
        within = {getattr(one, "name", ""): one for one in ast.iter_child_nodes(found)}
        assert name in within, f"{path} has {test.rsplit('::', maxsplit=1)[-1]} elsewhere, or not at all"
        found = within[name]


@pytest.mark.parametrize(("row", "where", "name"), NAMES, ids=[f"{row} {name}" for row, _, name in NAMES])
def test_every_verb_table_part_and_route_it_names_is_where_it_says(row: str, where: str, name: str):
    source = "\n".join(text_of(ROOT / path.rstrip("/")) for path in re.findall(r"`(src/[\w./-]+)`", where))

    if name.startswith("custodes."):
        assert hasattr(Custodes, name.removeprefix("custodes."))
    elif name.startswith("GET "):
        method, path = name.split(" /api/admin/enterprise")
        assert f'@router.{method.lower()}("{path}")' in source
    else:
        assert name in metadata.tables or defines(source, name)
