"""The log: one line an event, parseable, without local variables."""

import contextlib
import json
import logging
import re
from collections.abc import Iterator

import pytest

from custodes.planes.alerts.model import News, Notification
from custodes.planes.alerts.sinks import LogSink
from custodes.runtime.log import ROOT, get_logger, log_to_stderr

HOSTILE = ["line\r\nbreak", "\u2028", "\x00", "\x1b[31mred", '{"', "\udcff"]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, logger="custodes")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_logged_it_is_one_line_that_can_be_parsed(text: str, lines):
    get_logger("custodes.test").warning("refused", path=text)

    (line,) = lines()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {"event": "refused", "path": text}


def test_a_traceback_shows_no_local_variables(lines):
    def fails() -> None:
        api_key = "canary-of-a-secret"
        raise ValueError(len(api_key))

    try:
        fails()
    except ValueError:
        get_logger("custodes.test").exception("crashed")

    (line,) = lines()
    assert "ValueError" in json.loads(line)["exception"]
    assert "canary-of-a-secret" not in line


def test_the_host_decides_what_is_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.ERROR, logger="custodes")

    get_logger("custodes.test").warning("not wanted")

    assert caplog.records == []


def test_the_levels_and_names_are_those_of_the_standard_library(caplog: pytest.LogCaptureFixture):
    get_logger("custodes.audit").error("write_failed")

    assert [(record.name, record.levelname) for record in caplog.records] == [("custodes.audit", "ERROR")]


@contextlib.contextmanager
def unconfigured(*handlers: logging.Handler) -> Iterator[logging.Logger]:
    """Our loggers as in a process whose root has these handlers only; pytest's own are put back at the end."""
    ours = logging.getLogger(ROOT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger(), "handlers", list(handlers))
        for name, value in (("handlers", []), ("level", logging.NOTSET), ("propagate", True)):
            patch.setattr(ours, name, value)
        yield ours
    ours.setLevel(ours.level)  # has all loggers forget what is enabled


async def test_a_server_of_our_own_tells_when_and_how_bad_also_what_is_over(capsys: pytest.CaptureFixture[str]):
    payload = {"incident_id": "i1", "name": "health", "state": "resolved"}
    resolved = Notification(
        id="n1",
        tenant="acme",
        incident_id="i1",
        sink="log",
        news=News.RESOLVED,
        payload=payload,
        created_at=0,
        due_at=0,
    )

    with unconfigured():
        log_to_stderr()
        await LogSink().send(resolved)

    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    custodes\.alerts (\{.*\})\n"
    told = re.fullmatch(line, capsys.readouterr().err)
    assert told is not None
    assert json.loads(told[1]) == {"event": "alert", "news": "resolved", **payload}


def test_an_app_that_says_where_logs_go_is_not_overruled():
    with unconfigured(logging.NullHandler()) as ours:
        log_to_stderr()

        assert (ours.handlers, ours.propagate) == ([], True)
