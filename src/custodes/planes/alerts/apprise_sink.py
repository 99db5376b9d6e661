"""Alerts through apprise: Slack, Teams, e-mail, PagerDuty, Discord and a hundred more (extra ``alerts``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from typing import Any

from custodes.errors import ConfigurationError
from custodes.planes.alerts.model import Notification
from custodes.planes.alerts.sinks import SinkFailed, sink_name

#: Longest that a service may take, seconds; apprise's own socket limits are 4 s each.
TIMEOUT_SECONDS = 30.0

#: apprise's word for each severity, and for the end.
_TYPES = {"critical": "failure", "warning": "warning", "info": "info"}


#: What a title begins with, where that is not the severity.
_HEADS = {"resolved": "Resolved", "test": "Test"}


class AppriseSink:
    """Sends each message to one apprise URL, in a thread of its own.

    Args:
        url: for example ``slack://…`` or ``mailto://…`` (https://github.com/caronc/apprise/wiki).
        timeout_seconds: longest that the service may take; a slower one is left to end by itself, and gets nothing
            more before it has.

    Raises:
        ConfigurationError: apprise is not installed, or does not know the URL.
    """

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.name = sink_name("apprise", url)
        self._timeout_seconds = timeout_seconds
        self._apprise = _load().Apprise()
        if not _added(self._apprise, url):
            msg = f"{self.name!r} is not a URL that apprise knows"
            raise ConfigurationError(msg, remedy="See the apprise documentation for the URLs of each service")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="custodes-apprise")
        self._sending: Future[bool] | None = None

    async def send(self, notification: Notification) -> None:
        """Send one message."""
        if self._sending is not None and not self._sending.done():
            msg = "It is still busy with the message before"
            raise SinkFailed(msg)
        title, body, kind = _text(notification.payload)
        self._sending = self._thread.submit(self._apprise.notify, title=title, body=body, notify_type=kind)
        done, _ = await asyncio.wait([asyncio.wrap_future(self._sending)], timeout=self._timeout_seconds)
        if not done:
            msg = f"It did not take it within {self._timeout_seconds:g} s"
            raise SinkFailed(msg)
        if not self._taken(self._sending):
            msg = "The service did not take it"
            raise SinkFailed(msg)

    async def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _taken(self, sending: Future[bool]) -> bool:
        try:
            return sending.result()
        except Exception as error:  # noqa: BLE001 - a plugin of apprise may raise anything, and its text may hold the URL
            msg = f"apprise could not send it: {type(error).__name__}"
            raise SinkFailed(msg) from None


def _added(apprise: Any, url: str) -> bool:
    """Add a URL, with apprise's log off for the moment: it would show a URL that it does not know."""
    log = logging.getLogger("apprise")
    before, log.disabled = log.disabled, True
    try:
        return bool(apprise.add(url))
    finally:
        log.disabled = before


def _load() -> Any:
    try:
        return import_module("apprise")
    except ImportError:
        msg = "Alert URLs other than https:// need apprise, which is not installed"
        raise ConfigurationError(msg, remedy="pip install 'custodes[alerts]'") from None


def _text(payload: Mapping[str, object]) -> tuple[str, str, str]:
    news = str(payload.get("news"))
    head = _HEADS.get(news) or str(payload.get("severity", "")).capitalize()
    kind = "success" if news == "resolved" else _TYPES.get(str(payload.get("severity")), "warning")
    return f"[{head}] {payload.get('name')}", str(payload.get("summary") or payload.get("name")), kind
