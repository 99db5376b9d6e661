"""A real install around a host, and the gauntlet of hosts it has to leave unharmed."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.applications import Starlette

from custodes.admin.app import create_admin_app
from custodes.app import Custodes
from custodes.planes.traffic.model import CALL_FIELDS, Exchange

#: What an exchange tells, once it is settled.
FIELDS = [*CALL_FIELDS, "error"]


def _load(name: str) -> ModuleType:
    """Import a module that lies beside this one."""
    spec = importlib.util.spec_from_file_location(f"asgi_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES = _load("gauntlet").CASES
STARLETTE_CASES = [case for case in CASES if isinstance(case.host(), Starlette)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a ``case`` once for each of the gauntlet; ``starlette_case``: of Starlette's family."""
    for name, cases in (("case", CASES), ("starlette_case", STARLETTE_CASES)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, cases, ids=[case.name for case in cases])


@pytest.fixture(scope="session")
def cases() -> list[Any]:
    return CASES


@pytest.fixture(scope="session")
def admin_routes() -> None:
    """The routes of the admin API are there: making them takes seconds, the first time in a process."""
    create_admin_app(Custodes("sqlite://"))


@pytest.fixture
async def custodes_of(
    tmp_path: Path, started_before: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Callable[..., Custodes]]:
    """Make installs on a database of their own, which were started before; they are stopped at the end."""
    # One that a test has broken says so when it is stopped; it may also have been started by a host in the meantime.
    broken = "break_it" in getattr(getattr(request.node, "callspec", None), "params", {})
    made: list[Custodes] = []

    def make(**settings: Any) -> Custodes:
        if "database_url" not in settings:
            file = shutil.copyfile(started_before, tmp_path / f"custodes{len(made)}.db")
            settings["database_url"] = f"sqlite:///{file}"
        made.append(Custodes(**settings))
        return made[-1]

    yield make
    for custodes in made:
        with contextlib.suppress(*([ExceptionGroup] if broken else [])):
            await custodes.stop()


@pytest.fixture
def custodes(custodes_of: Callable[..., Custodes]) -> Custodes:
    return custodes_of()


@pytest.fixture
def recorded(custodes: Custodes, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the API monitor is told, beside what it makes of it."""
    seen: list[dict[str, Any]] = []
    record = custodes.traffic.record

    def overhear(exchange: Exchange) -> None:
        exchange.settle()
        trace_id, span_id, parent_id, _ = exchange.ids or exchange.read_ids()
        ids = {"trace_id": trace_id, "span_id": span_id, "parent_id": parent_id}
        seen.append({name: ids[name] if name in ids else getattr(exchange, name) for name in FIELDS})
        record(exchange)

    monkeypatch.setattr(custodes.traffic, "record", overhear)
    return seen
