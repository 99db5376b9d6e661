"""The twins that were compiled are in use, and without them Python does it all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from custodes.kernel import compiled
from custodes.kernel.compiled import SWITCH, TWINS, compiled_twins, twin

ROOT = Path(__file__).parents[3]

#: What says most about the request path: with a host, with everything of ours failing, against brute force.
TELLING = (
    "tests/integration/asgi/test_transparency.py",
    "tests/integration/asgi/test_fail_open.py",
    "tests/integration/asgi/test_trace_context.py",
    "tests/integration/asgi/test_weighing.py",
    "tests/integration/asgi/test_refusal.py",
    "tests/property/ratelimit/test_hot_path.py",
    "tests/property/traffic/test_rollups.py",
    "tests/unit/ratelimit/test_memory.py",
    "tests/unit/traffic/test_recorder.py",
)

WHAT_IS_USED = """
from custodes.asgi.passages import EachDoor, EachPassage
from custodes.kernel.compiled import compiled_twins
from custodes.kernel.window import SlidingLog
from custodes.planes.ratelimit import judge
from custodes.planes.traffic import consumers, recorder
print(len(compiled_twins()), EachDoor.__name__, EachPassage.__name__, SlidingLog.__module__, judge._twin is not None)
print(recorder.folding.__name__, consumers.Tally.__module__)
"""


def used(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", WHAT_IS_USED],
        env={**os.environ, **environment},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_what_was_compiled_is_used(passage_twin: Any, folding_twin: Any, log_twin: Any, fast_path_twin: Any):
    assert [module.__name__ for module in compiled_twins()] == list(TWINS)
    window, traffic = "custodes.kernel.window._log", "custodes.planes.traffic._folding"
    assert used() == [str(len(TWINS)), "CompiledDoor", "CompiledPassage", window, "True", traffic, traffic]


def test_every_twin_is_named_and_has_somebody_to_stand_behind():
    """Given the sources; then each twin is in the list, and its Python beside it (``_fast_path``: in ``judge``)."""
    src = ROOT / "src"
    found = {".".join(path.relative_to(src).with_suffix("").parts) for path in src.rglob("_*.pyx")}
    assert found == set(TWINS)
    for name in found - {"custodes.planes.ratelimit._fast_path"}:
        package, _, module = name.rpartition(".")
        assert (src / package.replace(".", "/") / f"{module.removeprefix('_')}.py").is_file()


def test_the_switch_leaves_them_alone():
    window, traffic = "custodes.kernel.window.log", "custodes.planes.traffic"
    assert used(**{SWITCH: "1"}) == [
        "0", "SlottedDoor", "SlottedPassage", window, "False", f"{traffic}.folding", f"{traffic}.consumers",
    ]  # fmt: skip


def test_one_that_cannot_be_loaded_is_none(monkeypatch: pytest.MonkeyPatch):
    """Given a file that another Python was compiled for, or a broken one; then Python does it, and nothing breaks."""

    def broken(name: str) -> Any:
        msg = f"{name}: undefined symbol"
        raise ImportError(msg)

    monkeypatch.setattr(compiled, "import_module", broken)
    assert twin(TWINS[0]) is None
    assert compiled_twins() == []


@pytest.mark.timeout(300)
def test_python_alone_passes_what_says_most_about_the_request_path():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *TELLING],
        env={**os.environ, SWITCH: "1"},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4_000:]


def test_the_doctor_says_which_it_is(passage_twin: Any, tmp_path: Path):
    """Given an install; then the doctor says that the request path is compiled, or why it is Python."""

    def told(**environment: str) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("custodes")), "doctor", "--database", f"sqlite:///{tmp_path}/none.db"],
            env={**os.environ, **environment},
            check=False,
            capture_output=True,
            text=True,
        )
        assert "is no setting" not in done.stdout
        return next(line for line in done.stdout.splitlines() if "request path" in line)

    assert told().endswith("request path: is compiled")
    assert told(**{SWITCH: "1"}).endswith(f"request path: is Python ({SWITCH})")
