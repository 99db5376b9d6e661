"""The identity plane over a real store, with cheap password hashes and a clock that stands still."""

from __future__ import annotations

import random

import pytest
from argon2 import PasswordHasher

from custodes.kernel.address import Addresses
from custodes.kernel.signals import SecuritySignal
from custodes.planes.identity.directory import Identity
from custodes.runtime.bus import Bus
from custodes.storage.sql.database import Database
from custodes.storage.sql.identity import SqlIdentityStore
from custodes.testing.clock import FakeClock


@pytest.fixture
def signals() -> list[SecuritySignal]:
    return []


@pytest.fixture
def store(database: Database) -> SqlIdentityStore:
    return SqlIdentityStore(database)


@pytest.fixture
def identity(store: SqlIdentityStore, clock: FakeClock, signals: list[SecuritySignal]) -> Identity:
    bus = Bus()
    bus.subscribe(SecuritySignal, signals.append)
    return Identity(
        store,
        clock=clock,
        random_bits=random.Random(1).getrandbits,
        bus=bus,
        hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
        client_of=Addresses().limit_key,
    )
