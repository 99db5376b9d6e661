"""How Custodes logs: structured events as one JSON line each, through the standard library's ``logging``.

The host decides where ``custodes.*`` loggers go, as it does for every other library. A line is one line whatever is in
it: control characters, U+2028 and the like are escaped (OWASP ASVS 5.0 V16.4.1). Tracebacks carry no local variables,
which could hold a secret.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import structlog

#: The loggers' common parent: ``logging.getLogger("custodes")`` sets the level of all of them.
ROOT = "custodes"


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a part: ``get_logger("custodes.audit").warning("write_failed", error=…)``."""
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=True, ensure_ascii=True, default=str),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send our log to standard error with time (UTC) and level, for servers of our own.

    Nothing where an app that is served has said where logs go: it configures ``logging`` as it likes.
    """
    logger = logging.getLogger(ROOT)
    if logger.hasHandlers():
        return
    handler: logging.StreamHandler[Any] = logging.StreamHandler()
    lines = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s %(message)s")
    lines.default_time_format = "%Y-%m-%dT%H:%M:%S"
    lines.default_msec_format = "%s.%03dZ"
    lines.converter = time.gmtime
    handler.setFormatter(lines)
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
