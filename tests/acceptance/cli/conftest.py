"""Commands that run in this process."""

from functools import lru_cache

import pytest
from typer.main import get_command

#: Typer makes all commands anew whenever one is run through its runner: five times as long as running it.
made_once = lru_cache(maxsize=1)(get_command)


@pytest.fixture(autouse=True)
def _commands_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.testing._get_command", made_once)
