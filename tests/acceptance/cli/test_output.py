"""Where what commands write goes: a locale without UTF-8, a full disk, a reader that has gone."""

import io
import json
import locale
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.acceptance.cli.test_commands import with_custodes

from custodes.cli.main import main

Written = Callable[..., tuple[int, str]]


@pytest.fixture
def written(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a command whose standard output is a file of a locale without UTF-8: its exit code, and what was written."""

    async def speak(custodes) -> None:
        await custodes.audit.log_audit_event("member.removed", actor="user:Zoë", reason="ünï ✓")

    with_custodes(sqlite_url, speak)
    monkeypatch.setenv("CUSTODES_DATABASE_URL", sqlite_url)

    def run(*words: str, to: Path | None = None) -> tuple[int, str]:
        place = to or tmp_path / "written"
        monkeypatch.setattr(sys, "argv", ["custodes", *words])
        with io.TextIOWrapper(place.open("wb"), encoding="ascii") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            with pytest.raises(SystemExit) as end:
                main()
        return int(end.value.code or 0), "" if to else place.read_text("utf-8")

    return run


class TestALocaleWithoutUtf8:
    """Given LANG=de_DE.ISO-8859-1, or none at all; when something is written to a file or a pipe; then it is UTF-8."""

    def test_rows_and_documents(self, written: Written):
        code, rows = written("export", "audit-logs")
        assert (code, json.loads(rows.splitlines()[1])["reason"]) == (0, "ünï ✓")

        code, document = written("audit", "list", "--json")
        assert (code, json.loads(document)[1]["actor"]["id"]) == (0, "Zoë")

    def test_what_people_read(self, written: Written):
        code, table = written("audit", "list")
        assert (code, "user:Zoë" in table) == (0, True)

        code, found = written("doctor")
        assert (code, "✓ ok" in found) == (0, True)

    def test_a_file_that_the_command_opens(self, written: Written, tmp_path: Path):
        place = tmp_path / "trail.csv"

        before = locale.setlocale(locale.LC_CTYPE)
        locale.setlocale(locale.LC_CTYPE, "C")
        try:
            code, _ = written("export", "audit-logs", "--format", "csv", "--output", str(place))
        finally:
            locale.setlocale(locale.LC_CTYPE, before)

        assert (code, "ünï ✓" in place.read_text("utf-8")) == (0, True)


@pytest.mark.parametrize(
    "words", [("export", "audit-logs"), ("audit", "list", "--json"), ("audit", "list")], ids=" ".join
)
def test_a_disk_that_is_full_is_said_in_a_sentence(
    written: Written, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
):
    code, _ = written(*words, to=Path("/dev/full"))

    said = capsys.readouterr().err
    assert code == 1
    assert "The output could not be written: No space left on device" in said
    assert "Traceback" not in said


def test_a_file_of_an_export_that_does_not_fit_is_said_in_a_sentence(
    written: Written, capsys: pytest.CaptureFixture[str]
):
    code, _ = written("export", "audit-logs", "--output", "/dev/full")

    assert (code, "could not be written" in capsys.readouterr().err) == (1, True)


@pytest.mark.parametrize(
    ("words", "said", "remedy"),
    [
        (("calls", "list", "--limit", "x", "--json"), "Invalid value for '--limit'", "custodes calls list -h"),
        (("events", "show", "--json"), "Missing argument 'event'", "custodes events show -h"),
        (("audit", "list", "--json", "--bogus"), "No such option: --bogus", "custodes audit list -h"),
        (("nosuch", "--json"), "No such command 'nosuch'", "custodes -h"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_programs_get_json_of_a_command_that_is_not_understood_too(
    written: Written, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str, remedy: str
):
    """Given --json, when an option is wrong, then there is one JSON document, no box, and exit code 2."""
    code, document = written(*words)

    told = json.loads(document)
    assert (code, told["error"], capsys.readouterr().err) == (2, "invalid-input", "")
    assert told["detail"].startswith(said)
    assert told["remedy"].startswith(remedy)


#: Presses Ctrl-C when a module is imported, as in a terminal: what runs in the background is deaf to it.
_PRESSED = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)

class Pressing:
    def find_spec(self, name, path=None, target=None):
        if name == pressed:
            os.kill(os.getpid(), signal.SIGINT)

pressed = sys.argv.pop()
sys.argv.append("status")
sys.meta_path.insert(0, Pressing())
from custodes.cli.entry import main
main()
"""


@pytest.mark.parametrize(
    ("module", "code"), [("typer", -signal.SIGINT), ("custodes.cli.status", 130), ("custodes.app", 130)]
)
def test_ctrl_c_shows_nothing_while_modules_are_imported(module: str, code: int):
    ended = subprocess.run(
        [sys.executable, "-c", _PRESSED, module], capture_output=True, text=True, check=False, timeout=60
    )

    assert (ended.stderr, ended.stdout) == ("", "")
    assert ended.returncode == code


def test_the_command_begins_where_ctrl_c_is_looked_after():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))

    assert project["project"]["scripts"]["custodes"] == "custodes.cli.entry:main"
