"""From a URL to a client: one server, a primary that Sentinels know, or a cluster."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from custodes.errors import ConfigurationError
from custodes.storage.redis.installed import check_installed

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

#: Longest that a connection may take to be made, seconds. Decisions have their own, shorter deadline.
_CONNECT_SECONDS = 1.0

#: How long a Sentinel may say nothing before the next one is asked, seconds.
_SILENCE_SECONDS = 5.0

#: Connections of a process at most.
_MAX_CONNECTIONS = 32

#: ``redis+sentinel://user:password@a:26379,b:26379/primary/0``
_SEVERAL = re.compile(
    r"redis(?P<secure>s?)\+(?P<kind>sentinel|cluster)://"
    r"(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?(?P<hosts>[^/?]+)(?:/(?P<service>[^/?]+))?(?:/(?P<db>[0-9]+))?"
)

_REMEDY = (
    "Use redis://host:6379/0, rediss:// for TLS, redis+cluster://host:6379,host:6379 or "
    "redis+sentinel://host:26379,host:26379/name-of-the-primary/0"
)


def is_cluster(url: str) -> bool:
    """Tell whether a URL names a cluster, in which keys of different slots cannot be in one call."""
    return url.partition("://")[0].endswith("+cluster")


def connect(url: str) -> Redis | RedisCluster:
    """Make a client, which connects when it is first used.

    Raises:
        ConfigurationError: the URL is none of those, or the ``redis`` extra is not installed. The URL is not repeated
            in the message, for it may hold a password.
    """
    check_installed()
    import redis.asyncio as client

    if "+" not in url.partition("://")[0]:
        try:
            return cast("Any", client.Redis).from_url(url, **_options())
        except ValueError:
            msg = "The Redis URL cannot be read"
            raise ConfigurationError(msg, remedy=_REMEDY) from None
    parts = _SEVERAL.fullmatch(url.partition("?")[0])
    if parts is None:
        msg = "The Redis URL cannot be read"
        raise ConfigurationError(msg, remedy=_REMEDY)
    hosts = [_host(text, 26379 if parts["kind"] == "sentinel" else 6379) for text in parts["hosts"].split(",")]
    options = _options() | {
        name: unquote(parts[group]) for name, group in (("username", "user"), ("password", "password")) if parts[group]
    }
    options["ssl"] = bool(parts["secure"])
    return _cluster(hosts, options) if parts["kind"] == "cluster" else _sentinel(hosts, parts, options)


async def disconnect(client: Any) -> None:
    """Close the connections of a client; the client's own ``aclose`` leaves those to the Sentinels open."""
    sentinels = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    await client.aclose()
    for sentinel in sentinels.sentinels if sentinels else ():
        await sentinel.aclose()


def _options() -> dict[str, Any]:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return {
        # Said outright: the default has changed between releases of the client.
        "protocol": 2,
        "socket_connect_timeout": _CONNECT_SECONDS,
        # Whoever asks has a deadline of his own. With one of the client's, too, each command would be a task and a
        # timer more; before Python 3.12, that swallowed a cancellation that came in the moment in which it was done.
        "socket_timeout": None,
        "max_connections": _MAX_CONNECTIONS,
        # A second try would come after the deadline; the breaker and the failure mode say what happens instead.
        "retry": Retry(NoBackoff(), 0),
        "client_name": "custodes",
    }


def _cluster(hosts: list[tuple[str, int]], options: dict[str, Any]) -> RedisCluster:
    from redis.asyncio.cluster import ClusterNode, RedisCluster

    return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in hosts], **options)


def _sentinel(hosts: list[tuple[str, int]], parts: re.Match[str], options: dict[str, Any]) -> Redis:
    from redis.asyncio.sentinel import Sentinel

    if not parts["service"]:
        msg = "The Redis URL does not name the primary that the Sentinels watch"
        raise ConfigurationError(msg, remedy=_REMEDY)
    asked = {name: options[name] for name in ("protocol", "socket_connect_timeout", "ssl")}
    asked["socket_timeout"] = _SILENCE_SECONDS
    sentinel = Sentinel(hosts, sentinel_kwargs=asked, db=int(parts["db"] or 0), **options)
    return cast("Any", sentinel).master_for(parts["service"])


def _host(text: str, default_port: int) -> tuple[str, int]:
    name, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        name, port = text, str(default_port)
    if not port.isdigit() or not name:
        msg = "The Redis URL names a host that cannot be read"
        raise ConfigurationError(msg, remedy=_REMEDY)
    return name.strip("[]"), int(port)
