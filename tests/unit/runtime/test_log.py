"""The log: one line an event, parseable, without local variables."""

import json
import logging

import pytest

from custodes.runtime.log import get_logger

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
