"""The page about sources names every kind, and says of each what the code says."""

import re
from pathlib import Path

import pytest

from custodes.planes.inbound.sources.registry import BUILT_IN

PAGE = (Path(__file__).parents[4] / "docs" / "planes" / "inbound-sources.md").read_text()
ROWS = {
    kind: line.split("|")[1:-1]
    for line in PAGE.splitlines()
    if line.startswith("| `")
    for kind in re.findall(r"`([a-z-]+)`", line.split("|")[1])
}


@pytest.mark.parametrize("kind", BUILT_IN)
def test_the_table_is_true(kind: str):
    *_, largest, again = ROWS[kind]

    assert largest.strip() == f"{BUILT_IN[kind].max_body // 1024**2} MiB"
    assert kind == "hmac" or again.strip().startswith("yes") == BUILT_IN[kind].retries


def test_no_other_kind_is_promised():
    assert set(ROWS) == set(BUILT_IN)
