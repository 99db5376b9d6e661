"""ARCHITECTURE.md names, for each invariant, the test that holds it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
NAMED = re.findall(r"`(tests/[\w./-]+\.py)(?:::(\w+))?`", PAGE)


def test_the_invariants_name_tests():
    assert len(NAMED) >= 10


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists(path: str, name: str):
    text = (ROOT / path).read_text()

    assert not name or re.search(rf"(def|class) {name}\b", text)
