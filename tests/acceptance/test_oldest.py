"""The oldest versions of what Custodes stands on, as it says that they will do.

The suite runs on the newest, which are locked. ``tests/oldest.txt`` holds what a resolver finds that looks for the
oldest of what is asked for directly; after a change of a minimum::

    uv pip compile --resolution lowest-direct --extra server --extra alerts --extra postgres --extra redis \\
        --no-header --no-annotate --python-version 3.11 pyproject.toml -o tests/oldest.txt

Without ``mcp``, which asks for newer ones of the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from tests.servers.programs import NotFound, required

ROOT = Path(__file__).parents[2]
UV = ROOT / ".cache/uv/bin/uv"
OLDEST = ROOT / "tests/oldest.txt"

#: What the tests below need beside Custodes, as the suite has it.
TOOLS = ("aiosqlite", "dnslib", "httpx2", "hypothesis", "pytest", "pytest-asyncio", "pytest-timeout", "trustme")

#: Of each part that stands on another library: the admin API and its login, the command line, what goes out, both
#: stores, Redis and its Cluster.
TESTS = (
    "tests/integration/admin/test_session.py",
    "tests/integration/admin/test_shell.py",
    "tests/integration/admin/test_summaries.py",
    "tests/acceptance/cli/test_looking.py",
    "tests/contract/leases",
    "tests/integration/ratelimit/test_fanout.py",
)

#: Others warn of themselves where the newest no longer do.
QUIET = ("-W", "ignore::DeprecationWarning", "-W", "ignore::PendingDeprecationWarning")


def asked_for() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [
        *project["dependencies"],
        *(line for name in ("server", "alerts", "postgres", "redis") for line in extras[name]),
    ]
    return {found.name: found for found in map(Requirement, lines)}


def oldest() -> dict[str, Version]:
    lines = (line.partition(";")[0].strip().partition("==") for line in OLDEST.read_text().splitlines())
    return {name.partition("[")[0]: Version(found) for name, _, found in lines}


def test_the_list_of_the_oldest_is_what_is_asked_for() -> None:
    listed = oldest()

    for name, asked in asked_for().items():
        (least,) = (Version(one.version) for one in asked.specifier if one.operator == ">=")
        assert listed[name] == least, f"{name}: see above how tests/oldest.txt is made"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the oldest versions of everything; nothing of it is built."""
    folder = tmp_path_factory.mktemp("oldest") / "venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    tools = [f"{name}=={version(name)}" for name in TOOLS]
    install = ["pip", "install", "--python", str(python), "--only-binary", ":all:", "-r", str(OLDEST), *tools]

    def make() -> Path:
        for arguments in (["venv", "--python", sys.executable, str(folder)], install):
            try:
                subprocess.run([UV, *arguments], check=True, capture_output=True, text=True, env=TRUSTING, timeout=300)
            except OSError as error:
                msg = f"uv was not found ({error}). scripts/setup puts it into .cache/uv"
                raise NotFound(msg) from error
            except subprocess.CalledProcessError as error:
                msg = f"The oldest versions were not to be had: {error.stderr.strip()}"
                raise NotFound(msg) from error
        return python

    made = required(make)
    assert isinstance(made, Path)
    return made


#: As in ``scripts/setup``: whom this machine trusts.
TRUSTING = {"UV_SYSTEM_CERTS": "true", **os.environ}


@pytest.mark.timeout(600)
def test_it_works_on_the_oldest_that_are_asked_for(python: Path) -> None:
    """Given the oldest version of each library, Then tests of each part that stands on one pass."""
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *QUIET, *TESTS]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    # What this run of the suite tells its own workers is not meant for the one within.
    env = {name: value for name, value in env.items() if not name.startswith(("PYTEST_", "COVERAGE_"))}

    done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=500)

    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]
