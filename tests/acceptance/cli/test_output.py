"""Where what commands write goes: a locale without UTF-8, a full disk, a reader that has gone."""

import io
import json
import locale
import sys
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
