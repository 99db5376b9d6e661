"""Sinks from the URLs of the settings."""

from __future__ import annotations

from collections.abc import Iterable

from custodes.kernel.clock import Clock
from custodes.planes.alerts.apprise_sink import AppriseSink
from custodes.planes.alerts.sinks import LogSink, Sink, WebhookSink, signing_key
from custodes.runtime.outgoing.client import OutgoingClient


def sinks_of(urls: Iterable[str], secret: str, clock: Clock, client: OutgoingClient) -> list[Sink]:
    """Make the sinks: the log always, ``http(s)://`` a signed webhook, any other scheme an apprise URL.

    Raises:
        ConfigurationError: a URL or the secret is not usable, or apprise is needed and not installed.
    """
    signing_key(secret)  # also where no webhook is to be signed yet: who sets it should hear of it now
    sinks: list[Sink] = [LogSink()]
    for url in urls:
        is_webhook = url.lower().startswith(("http://", "https://"))
        sinks.append(WebhookSink(url, secret, client=client, clock=clock) if is_webhook else AppriseSink(url))
    return sinks
