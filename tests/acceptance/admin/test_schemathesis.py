"""The whole OpenAPI document against a real server: no 5xx, no answer that is not in the document.

Good and bad values for every operation, as an owner and as nobody. Seeded, so a failure comes back.
"""

from __future__ import annotations

import asyncio
import copy
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import requests
import schemathesis
import uvicorn
from argon2 import PasswordHasher
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    FailureGroup,
    not_a_server_error,
)
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.counts import cases

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.planes.identity.directory import Identity
from custodes.planes.identity.model import Role
from custodes.storage.sql import schema as tables
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.identity import SqlIdentityStore
from custodes.testing.admin import key_for

pytestmark = pytest.mark.acceptance

#: Examples of each operation and kind of value.
EXAMPLES = cases(6, share=2)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

DOCUMENT = create_admin_app(Custodes("sqlite://")).openapi()
OPERATIONS = {
    operation["operationId"]: (method, path)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}


@dataclass
class Server:
    """A server of the admin app, in a thread with a loop of its own."""

    url: str
    owner: dict[str, str]
    member: dict[str, str]
    schema: Any
    session: requests.Session
    #: How often each status was answered.
    answers: Counter[int] = field(default_factory=Counter[int])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    install = Custodes(f"sqlite:///{tmp_path_factory.mktemp('schemathesis')}/custodes.db")
    install.identity = Identity(
        SqlIdentityStore(install.database),
        clock=install.clock,
        random_bits=install.random_bits,
        bus=install.bus,
        hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
    )
    listener = socket.create_server(("127.0.0.1", 0))
    ready = threading.Event()
    keys: dict[str, dict[str, str]] = {}
    uv = uvicorn.Server(uvicorn.Config(create_admin_app(install), log_config=None, lifespan="off"))

    async def serve() -> None:
        await install.database.open()
        await install.database.write(lambda tx: tables.metadata.create_all(connection_of(tx)))
        await install.audit.start()
        keys["owner"] = await key_for(install, Role.OWNER)
        keys["member"] = await key_for(install, Role.MEMBER)
        ready.set()
        await uv.serve(sockets=[listener])
        await install.audit.stop()
        await install.database.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with requests.Session() as session:
        yield Server(url, keys["owner"], keys["member"], schemathesis.openapi.from_dict(DOCUMENT), session)
    uv.should_exit = True
    thread.join(20)
    listener.close()
    assert not thread.is_alive()


def attack(server: Server, operation_id: str, mode: GenerationMode, headers: dict[str, str], examples: int) -> int:
    """Send generated requests to one operation and check every answer; returns how many were sent."""
    method, path = OPERATIONS[operation_id]
    operation = server.schema[path][method.upper()]
    sent = 0

    @seed(20261123)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        nonlocal sent
        sent += 1
        response = case.call_and_validate(base_url=server.url, session=server.session, headers=headers, checks=CHECKS)
        server.answers[response.status_code] += 1

    check()
    return sent


def has_input(operation_id: str) -> bool:
    """Tell whether an operation takes any value that could be wrong."""
    method, path = OPERATIONS[operation_id]
    operation = DOCUMENT["paths"][path][method]
    return bool(operation.get("parameters") or operation.get("requestBody"))


@pytest.mark.drill
@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_an_owner_gets_only_documented_answers_to_good_values(server: Server, operation_id: str) -> None:
    assert attack(server, operation_id, GenerationMode.POSITIVE, server.owner, EXAMPLES) > 0


@pytest.mark.drill
@pytest.mark.parametrize("operation_id", [name for name in OPERATIONS if has_input(name)])
def test_an_owner_gets_only_documented_answers_to_bad_values(server: Server, operation_id: str) -> None:
    assert attack(server, operation_id, GenerationMode.NEGATIVE, server.owner, EXAMPLES) > 0


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_others_get_only_documented_answers(server: Server, operation_id: str) -> None:
    for headers in ({}, server.member):
        assert attack(server, operation_id, GenerationMode.POSITIVE, headers, 1) > 0


def test_the_requests_reach_the_inside(server: Server) -> None:
    """The credentials are sent as they are, not generated over: the same request is served, forbidden, refused."""
    for headers, status in ((server.owner, 200), (server.member, 403), ({}, 401)):
        seen = replace(server, answers=Counter())
        attack(seen, "overview_overview", GenerationMode.POSITIVE, headers, 2)
        assert set(seen.answers) == {status}


def test_a_document_that_lies_is_found_out(server: Server) -> None:
    """The checks bite: take an answer out of the document, and its appearance is a failure."""
    document = copy.deepcopy(DOCUMENT)
    path = next(path for path in document["paths"] if path.endswith("/me"))
    del document["paths"][path]["get"]["responses"]["401"]
    liar = replace(server, schema=schemathesis.openapi.from_dict(document), answers=Counter())
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        attack(liar, "session_me", GenerationMode.POSITIVE, {}, 1)
