"""``custodes doctor``: what is configured, what is reachable, what is unsafe."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer
from rich.markup import escape

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, JsonOption, out, write_json
from custodes.cli.findings import Finding, Verdict
from custodes.cli.rotation import secrets_in_rotation
from custodes.errors import CustodesError, InvalidInput
from custodes.kernel.clock import SECOND
from custodes.kernel.compiled import SWITCH, TWINS, compiled_twins
from custodes.kernel.health import Health
from custodes.kernel.sealing import NoSealer
from custodes.kernel.spelling import nearest
from custodes.planes.alerts.model import Origin
from custodes.planes.alerts.sinks import sink_name, without_user
from custodes.planes.outbound.sender import FORWARD_SCHEMES
from custodes.planes.ratelimit.language import parse_limits
from custodes.runtime.outgoing.failure import OutgoingFailed
from custodes.settings import Settings
from custodes.settings_sources import CONFIG_VARIABLE, environment_names

if TYPE_CHECKING:
    from custodes.storage.sql.postgresql_notices import PostgresNotices

#: Below so much free space the disk is a warning, bytes.
LOW_DISK = 1 << 30

#: Clocks that differ by less are as good as kept, seconds.
CLOCK_OFF_SECONDS = 2.0

#: Longest that a system may take to say how it is, seconds: here each is asked for the first time, by one who can wait.
PATIENCE_SECONDS = 15.0

#: A proxy block wider than this many bits of prefix trusts strangers.
WIDEST_IPV4_PREFIX = 8
WIDEST_IPV6_PREFIX = 16


_MARKS = {
    Verdict.OK: "[green]✓ ok     [/]",
    Verdict.WARNING: "[yellow]! warning[/]",
    Verdict.FAILURE: "[red]✗ failure[/]",
}


def doctor(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Tell what is configured, what is reachable and what is unsafe; exit with 1 when something does not work."""
    findings = asyncio.run(examine(database))
    if as_json:
        write_json(findings)
    else:
        for finding in findings:
            out.print(f"{_MARKS[finding.verdict]} [bold]{finding.area}[/]: {escape(finding.text)}", soft_wrap=True)
            if finding.remedy:
                out.print(f"          → {escape(finding.remedy)}", soft_wrap=True)
    if any(finding.verdict is Verdict.FAILURE for finding in findings):
        raise typer.Exit(1)


#: Areas, and the health that says how the same thing is doing.
_HEALTH_OF = {"limits": "health of rate_limits", "alerts": "health of alerts"}


async def examine(database: str | None) -> list[Finding]:
    """Look at everything; a check that fails does not stop the others."""
    custodes = Custodes(database)
    findings: list[Finding] = []
    try:
        for check in _CHECKS:
            told = [finding.text for finding in findings if finding.verdict is Verdict.FAILURE]
            found: list[Finding] = []
            try:
                async for finding in check(custodes):
                    found.append(finding)  # noqa: PERF401 - what was found before an error is told, too
            except CustodesError as error:
                area = check.__name__.strip("_").replace("_", " ")
                found.append(Finding(area, Verdict.FAILURE, error.message, error.remedy))
            # A wrong setting keeps several parts from being made; each of them would say the same.
            findings += [finding for finding in found if not any(text in finding.text for text in told)]
        # Health is what this process has seen, which is nothing yet of what a check has found not to work.
        failed = {_HEALTH_OF.get(finding.area) for finding in findings if finding.verdict is Verdict.FAILURE}
        findings = [one for one in findings if one.verdict is not Verdict.OK or one.area not in failed]
    finally:
        await custodes.close()
    return findings


async def _database(custodes: Custodes) -> AsyncIterator[Finding]:
    from custodes.storage.databases import hindrance_of, is_missing, place_of

    place = place_of(custodes.database)
    if is_missing(custodes.database):
        if hindrance := hindrance_of(custodes.database):
            text = f"there is none at {place}, and none can be made: {hindrance}"
            yield Finding("database", Verdict.FAILURE, text, "Name a file with --database or CUSTODES_DATABASE_URL")
            return
        remedy = "Name it with --database or CUSTODES_DATABASE_URL; custodes serve and custodes migrate make one"
        yield Finding("database", Verdict.WARNING, f"there is none at {place}", remedy)
        return
    pending = await custodes.pending_migrations()
    if pending:
        waiting = _counted(len(pending), "migration")
        yield Finding("database", Verdict.WARNING, f"{waiting} to apply", "Run custodes migrate")
    else:
        await custodes.database.open()
        yield Finding("database", Verdict.OK, f"{place} is reachable, schema up to date")
        if await custodes.is_moved_into():
            text = "a move from SQLite into it has not come to its end"
            remedy = "Run custodes migrate sqlite-to-postgres again: it goes on where it was"
            yield Finding("database", Verdict.FAILURE, text, remedy)
        await custodes.store_time.measure()
        off = (custodes.store_time.ahead or 0) / SECOND
        if abs(off) >= CLOCK_OFF_SECONDS:
            told = f"the clock of this host is {abs(off):,.1f} s {'ahead of' if off > 0 else 'behind'} the database's"
            yield Finding("clock", Verdict.WARNING, told, "Have both kept by NTP (chrony, systemd-timesyncd)")
    if custodes.database.dialect != "sqlite":
        async for finding in _notices(custodes):
            yield finding
        return
    path: Path | None = getattr(custodes.database, "path", None)
    if path is None:
        yield Finding(
            "database", Verdict.WARNING, "in memory: everything is lost at the end", "Set CUSTODES_DATABASE_URL"
        )
        return
    free = shutil.disk_usage(path.parent).free
    verdict = Verdict.WARNING if free < LOW_DISK else Verdict.OK
    yield Finding(
        "disk", verdict, f"{free / 1e9:.1f} GB free", "Make room, or shorten retention" if free < LOW_DISK else ""
    )
    if _readable_by_all(path):
        yield Finding(
            "database", Verdict.WARNING, f"{path} can be read by every user of this machine", f"chmod o-rwx {path}"
        )


async def _notices(custodes: Custodes) -> AsyncIterator[Finding]:
    if await cast("PostgresNotices", custodes.notices).meets_a_pooler():
        text = "a pooler answers, through which nobody hears of what others do: each looks once a second"
        if not custodes.settings.redis_url:
            text += ", and the live view of a process shows what that process does alone"
        yield Finding("notices", Verdict.WARNING, text, "Set CUSTODES_DATABASE_LISTEN_URL to the server itself")


def _readable_by_all(path: Path) -> bool:
    return path.exists() and bool(stat.S_IMODE(path.stat().st_mode) & stat.S_IROTH)


async def _sign_in(custodes: Custodes) -> AsyncIterator[Finding]:
    if await custodes.pending_migrations():
        return
    status = await custodes.identity.get_health_status()
    if not status.figures.get("owners"):
        yield Finding(
            "sign-in", Verdict.WARNING, "there is no owner yet", "Run custodes serve, or custodes user add --role owner"
        )
    else:
        yield Finding("sign-in", Verdict.OK, _counted(int(status.figures["owners"]), "owner"))


async def _proxies(custodes: Custodes) -> AsyncIterator[Finding]:
    _ = custodes.addresses  # says what is none
    blocks = custodes.settings.trusted_proxies
    if not blocks:
        yield Finding("proxies", Verdict.OK, "none trusted: the client is whoever connects")
    for text in blocks:
        block = ipaddress.ip_network(text, strict=False)
        widest = WIDEST_IPV4_PREFIX if block.version == 4 else WIDEST_IPV6_PREFIX
        if block.prefixlen < widest:
            yield Finding(
                "proxies", Verdict.FAILURE, f"{text} trusts strangers to say who they are", "Name your own proxies only"
            )
        else:
            yield Finding("proxies", Verdict.OK, f"{text} may say who the client is")


#: Where limits count, by engine.
_COUNTED_IN = {
    "memory": "in memory: each worker counts for itself",
    "sqlite": "in a file, for all workers of this host together",
    "postgresql": "in PostgreSQL, for all instances together",
    "redis": "in Redis, for all instances together",
}


async def _limits(custodes: Custodes) -> AsyncIterator[Finding]:
    if custodes.settings.webhook_ip_limit:
        try:
            parse_limits(custodes.settings.webhook_ip_limit)
        except InvalidInput as error:
            text = f"CUSTODES_WEBHOOK_IP_LIMIT cannot be read: {error.message}"
            yield Finding("limits", Verdict.FAILURE, text, error.remedy)
    if not custodes.settings.rate_limiting_enabled:
        yield Finding("limits", Verdict.OK, "are switched off (RATE_LIMITING_ENABLED)")
        return
    engine = custodes.ratelimit.engine().name
    if engine == "redis":
        from custodes.storage.redis.windows import why_undecided

        why = await why_undecided(custodes.settings.redis_url.get_secret_value())
        if why:
            remedy = (
                "Look at Redis and CUSTODES_REDIS_URL; until then CUSTODES_RATE_LIMIT_FAILURE_MODE says what happens"
            )
            yield Finding("limits", Verdict.FAILURE, f"count in Redis, which cannot: {why}", remedy)
            return
    yield Finding("limits", Verdict.OK, f"count {_COUNTED_IN[engine]}")


async def _secrets(custodes: Custodes) -> AsyncIterator[Finding]:
    if _makes_a_key_file(custodes) and await custodes.pending_migrations():
        yield Finding("secrets", Verdict.OK, "are sealed with a key file that is made beside the database")
    elif isinstance(custodes.sealer, NoSealer):
        yield Finding(
            "secrets",
            Verdict.WARNING,
            "outgoing webhooks cannot be set up: there is no key to seal their secrets with",
            "Set CUSTODES_SECRET_KEY, the same in every process",
        )
    else:
        yield Finding("secrets", Verdict.OK, f"sealed with key {custodes.sealer.key_id}")


async def _settings(custodes: Custodes) -> AsyncIterator[Finding]:
    if _makes_a_key_file(custodes) and await custodes.pending_migrations():
        return
    for error in custodes.unusable():
        yield Finding("settings", Verdict.FAILURE, error.message, error.remedy)


def _makes_a_key_file(custodes: Custodes) -> bool:
    return custodes.database.dialect == "sqlite" and not custodes.settings.secret_key.get_secret_value()


async def _sources(custodes: Custodes) -> AsyncIterator[Finding]:
    names = sorted(found.source.name for found in custodes.inbound.list_sources())
    if names:
        yield Finding("webhooks", Verdict.OK, f"sources: {', '.join(names)}")
    else:
        yield Finding(
            "webhooks", Verdict.OK, "no sources configured", "Set STRIPE_WEBHOOK_SECRET, or custodes.source(…)"
        )
    for source, url in custodes.forwarding.targets.items():
        refusal = await _refusal(custodes, url)
        if source not in names:
            yield Finding("forwarding", Verdict.FAILURE, f"there is no source {source}", "Give its signing secret")
        elif refusal:
            text = f"webhooks of {source} cannot go on: {refusal}"
            yield Finding("forwarding", Verdict.FAILURE, text, _LET_OUT)
        else:
            yield Finding("forwarding", Verdict.OK, f"webhooks of {source} go on to where they may")


async def _handled(custodes: Custodes) -> AsyncIterator[Finding]:
    if await custodes.pending_migrations():
        return
    handled = {offer.source for offer in await custodes.inbound.list_handlers()}
    if not handled:
        return  # nothing runs, or webhooks are only kept
    if "*" not in handled:
        for name in sorted(found.source.name for found in custodes.inbound.list_sources()):
            if name not in handled:
                text = f"no process has a handler for {name}: its webhooks are kept, and not handled"
                remedy = f'Give it one, @custodes.webhook("{name}"), in a process of this database'
                yield Finding("handlers", Verdict.WARNING, text, remedy)
    text = f"processes handle webhooks of {', '.join(sorted(handled - {'*'})) or 'all sources'}"
    yield Finding("handlers", Verdict.OK, text)


async def _forwarded(custodes: Custodes) -> AsyncIterator[Finding]:
    if await custodes.pending_migrations():
        return
    for endpoint in await custodes.forwarding.unknown_here():
        yield Finding(
            "forwarding",
            Verdict.WARNING,
            f"webhooks of {endpoint.source} are forwarded by another process, and no setting says so here: once that "
            "process has gone for good, one without it is done with them without forwarding them",
            "Set CUSTODES_FORWARD_TO, or forward_to in code, in every process; "
            f"when it is over, custodes webhooks delete {endpoint.id}",
        )


async def _own_news(custodes: Custodes) -> AsyncIterator[Finding]:
    if await custodes.pending_migrations():
        return
    for endpoint in await custodes.own_news.strays():
        yield Finding(
            "outgoing webhooks",
            Verdict.FAILURE,
            f"endpoint {endpoint.id}, set up through a portal link, hears of the endpoints of all tenants",
            f"Start Custodes again, which takes these events from it, or custodes webhooks delete {endpoint.id}",
        )


#: How requests are let out to where they may not go.
_LET_OUT = "Name a private network in CUSTODES_OUTGOING_ALLOW_NETWORKS, an odd port in CUSTODES_OUTGOING_PORTS"


async def _refusal(custodes: Custodes, url: str) -> str:
    """Tell why a URL may not be called; empty when it may, as far as the name server tells."""
    policy = custodes.outgoing_policy
    try:
        target = policy.target(url, FORWARD_SCHEMES)
        found = await asyncio.get_running_loop().getaddrinfo(target.raw_host, target.port, type=socket.SOCK_STREAM)
        policy.check(ipaddress.ip_address(address[0]) for *_, address in found)
    except OutgoingFailed as failure:
        return failure.message
    except (OSError, UnicodeError):  # the latter for a label that no name can have
        return "the name has no address"
    return ""


#: Variables of ours that are no settings: for the command line, for the server's workers.
_NO_SETTINGS = frozenset({"CUSTODES_API_KEY", "CUSTODES_APP", CONFIG_VARIABLE, SWITCH})


async def _environment(_custodes: Custodes) -> AsyncIterator[Finding]:
    known = {*environment_names(Settings).values(), *_NO_SETTINGS}
    for name in sorted(os.environ):
        if name.upper().startswith("CUSTODES_") and name.upper() not in known:
            text = f"{name} is no setting{nearest(name, known)}"
            yield Finding("environment", Verdict.WARNING, text, "See docs/reference/settings.md")


async def _switches(custodes: Custodes) -> AsyncIterator[Finding]:
    settings = custodes.settings
    switches = {
        "ENTERPRISE_MONITORING_ENABLED": settings.enterprise_monitoring_enabled,
        "RATE_LIMITING_ENABLED": settings.rate_limiting_enabled,
        "AUDIT_LOGGING_ENABLED": settings.audit_logging_enabled,
        "WEBHOOK_MONITORING_ENABLED": settings.webhook_monitoring_enabled,
    }
    off = [name for name, on in switches.items() if not on]
    if off:
        yield Finding("switches", Verdict.WARNING, f"switched off: {', '.join(off)}")
    else:
        yield Finding("switches", Verdict.OK, "everything is on")


async def _request_path(_custodes: Custodes) -> AsyncIterator[Finding]:
    missing = {*TWINS} - {module.__name__ for module in compiled_twins()}
    if not missing:
        yield Finding("request path", Verdict.OK, "is compiled")
    elif os.environ.get(SWITCH) == "1":
        yield Finding("request path", Verdict.OK, f"is Python ({SWITCH})")
    else:
        said = "all of it" if len(missing) == len(TWINS) else ", ".join(sorted(missing))
        text = f"is Python ({said}), which takes some ten microseconds of a request longer than what is compiled"
        yield Finding("request path", Verdict.OK, text)


async def _alerts(custodes: Custodes) -> AsyncIterator[Finding]:
    if not await custodes.pending_migrations():
        for rule in await custodes.alerts.rules.list():
            if rule.origin is not Origin.BUILT_IN and (why := await custodes.alerts.no_data(rule, ever=True)):
                yield Finding("alerts", Verdict.WARNING, f"the rule {rule.id} ({rule.name}) has no data: {why}")
    urls = custodes.settings.alert_urls
    if not urls:
        yield Finding("alerts", Verdict.WARNING, "they go to the log only", "Set CUSTODES_ALERT_URLS")
        return
    webhooks = [url for url in urls if url.lower().startswith(("https://", "http://"))]
    reached = len(urls)
    for url in webhooks:
        if refusal := await _refusal(custodes, without_user(url)[0]):
            reached -= 1
            text = f"{sink_name('webhook', url)} cannot be reached: {refusal}"
            yield Finding("alerts", Verdict.FAILURE, text, _LET_OUT)
    _ = custodes.alerts  # says which URL, or secret, is none, and that apprise is not installed
    if reached:
        yield Finding("alerts", Verdict.OK, f"they go to {_counted(reached, 'place')} and to the log")


async def _health(custodes: Custodes) -> AsyncIterator[Finding]:
    if await custodes.pending_migrations():
        return
    verdicts = {Health.HEALTHY: Verdict.OK, Health.DEGRADED: Verdict.WARNING, Health.UNHEALTHY: Verdict.FAILURE}
    for status in (await custodes.health.check(PATIENCE_SECONDS)).systems:
        yield Finding(
            f"health of {status.system}", verdicts[status.state], "; ".join(status.reasons) or str(status.state)
        )
    custodes.health.check_systems()
    for threshold in custodes.health.unknown_figures():
        remedy = "See the figures of GET /api/admin/enterprise/health"
        yield Finding("health thresholds", Verdict.WARNING, f"no system tells the figure {threshold}", remedy)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


_Check = Callable[[Custodes], AsyncIterator[Finding]]

_CHECKS: tuple[_Check, ...] = (
    _database,
    _environment,
    _switches,
    _request_path,
    _proxies,
    _sign_in,
    _limits,
    _secrets,
    _settings,
    _sources,
    _handled,
    secrets_in_rotation,
    _forwarded,
    _own_news,
    _alerts,
    _health,
)
