"""The compiled twins, beside what is meant."""

from __future__ import annotations

from typing import Any

import pytest
from scripts import twins
from tests.servers.programs import NotFound, required

from custodes.kernel.compiled import SWITCH, TWINS, twin


def compiled(name: str) -> Any:
    """Import a twin; skip the test visibly where there is none, which is a failure in CI."""

    def find() -> Any:
        found = twin(name)
        if found is not None and not twins.is_current():
            pytest.fail("What is compiled is not what the sources say: make twins")
        if found is None:
            msg = f"{name} is not compiled: make twins, without {SWITCH}"
            raise NotFound(msg)
        return found

    return required(find)


@pytest.fixture
def log_twin() -> Any:
    return compiled(TWINS[0])


@pytest.fixture
def fast_path_twin() -> Any:
    return compiled(TWINS[1])


@pytest.fixture
def folding_twin() -> Any:
    return compiled(TWINS[2])


@pytest.fixture
def passage_twin() -> Any:
    return compiled(TWINS[3])
