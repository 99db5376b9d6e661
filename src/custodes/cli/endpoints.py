"""``custodes webhooks list | show | create | update | rotate-secret``: where webhooks go out to, and how."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, JsonOption, operator, out, plain, run, write_json, write_table
from custodes.cli.moments import span
from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR
from custodes.planes.outbound.analytics import Examined
from custodes.planes.outbound.changes import FieldChange
from custodes.planes.outbound.endpoints import Created
from custodes.planes.outbound.model import AuthKind, Endpoint, EndpointState, Options, RetryPolicy, Signature
from custodes.runtime.transactions import Work

#: Most rows that a list shows.
ROWS = 100

#: Longest file with credentials or headers, bytes: a chain of certificates and a key.
_MAX_SECRETS = 64 * 1024

EndpointId = Annotated[str, typer.Argument(help="Id of the endpoint.")]

_Events = Annotated[list[str] | None, typer.Option("--event", help="Event type; give it again for more. Default: all.")]
_Description = Annotated[str | None, typer.Option(help="What it is for.")]
_Match = Annotated[str | None, typer.Option(help="Only payloads that match, as JSON; {} for all.")]
_Channels = Annotated[
    list[str] | None, typer.Option("--channel", help="Only this channel; give it again for more; '' for all.")
]
_Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        help="Header to send, 'Name: value'; give it again for more, '' for none. A name alone keeps the value that it "
        "has. @FILE reads them, one a line, @- from standard input. Values are sealed, and never shown.",
    ),
]
_Signature = Annotated[Signature | None, typer.Option(help="How deliveries are signed. Default: v1.")]
_Rate = Annotated[float | None, typer.Option(help="Deliveries a second, at most; 0: as many as come.")]
_Concurrency = Annotated[int | None, typer.Option(help="Deliveries at the same time from each process. Default: 10.")]
_Ordered = Annotated[bool | None, typer.Option(help="Whether to keep the order of deliveries of one order key.")]
_Version = Annotated[str | None, typer.Option(help="Version of the payloads that it gets; '' for the newest.")]
_DisableAfter = Annotated[str | None, typer.Option(help="Disabled after failing for so long: 5d, 12h; 0s: never.")]
_Schedule = Annotated[str | None, typer.Option(help="Waits between attempts: '5s 5m 1h'. Default: ten attempts, 75 h.")]
_Timeout = Annotated[str | None, typer.Option(help="Longest an attempt may take: 1s to 60s. Default: 15s.")]
_Auth = Annotated[AuthKind | None, typer.Option(help="How to prove to it who we are, with --credentials.")]
_Credentials = Annotated[
    Path | None,
    typer.Option(help="File with what --auth takes, as JSON; - for standard input. It is sealed, and never shown."),
]


def list_endpoints(
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    state: Annotated[EndpointState | None, typer.Option(help="Only in this state.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List endpoints, newest first."""

    async def action(custodes: Custodes) -> list[Endpoint]:
        return list((await custodes.outbound.list_endpoints(tenant=tenant, state=state, limit=ROWS)).items)

    found = run(database, action)
    if as_json:
        write_json(found)
    else:
        rows = (
            (one.id, one.tenant, one.url, " ".join(one.event_types), str(one.state), one.state_reason) for one in found
        )
        write_table(("id", "tenant", "url", "events", "state", "why"), rows)


def show(endpoint: EndpointId, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show an endpoint: what it asks for, how it is, and what it has missed."""

    async def action(custodes: Custodes) -> tuple[Endpoint, Examined]:
        found = await custodes.outbound.get_endpoint(endpoint)
        return found, await custodes.outbound.examine_endpoint(endpoint)

    found, examined = run(database, action)
    if as_json:
        write_json({**plain(found), "health": examined})
        return
    rows = [
        ("url", found.url),
        ("state", f"{found.state}{f': {found.state_reason}' if found.state_reason else ''}"),
        ("health", "; ".join((str(examined.condition), *examined.reasons))),
        ("missed", examined.missed),
        ("tenant", found.tenant),
        ("events", " ".join(found.event_types)),
        ("description", found.description),
        ("retries after", " ".join(_told(wait) for wait in found.retry.schedule)),
        ("timeout", _told(found.retry.timeout)),
        *((name.replace("_", " "), value) for name, value in _options(found.options)),
    ]
    write_table(("", found.id), rows)


def create(
    url: Annotated[str, typer.Argument(help="Absolute https URL.")],
    event: _Events = None,
    tenant: Annotated[str | None, typer.Option(help="Whose it is.")] = None,
    description: _Description = None,
    match: _Match = None,
    channel: _Channels = None,
    header: _Headers = None,
    signature: _Signature = None,
    rate: _Rate = None,
    concurrency: _Concurrency = None,
    ordered: _Ordered = None,
    payload_version: _Version = None,
    disable_after: _DisableAfter = None,
    schedule: _Schedule = None,
    timeout: _Timeout = None,
    auth: _Auth = None,
    credentials: _Credentials = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an endpoint; its secret is shown once."""
    asked = _asked(
        match=match,
        channels=channel,
        headers=header,
        signature=signature,
        rate=rate,
        concurrency=concurrency,
        ordered=ordered,
        payload_version=payload_version,
        disable_after=disable_after,
        auth=auth,
    )
    retry = RetryPolicy(**_retry(schedule, timeout))
    given = _read(credentials)

    async def action(custodes: Custodes) -> Created:
        endpoint_id = custodes.new_id()
        return await custodes.outbound.create_endpoint(
            url,
            event_types=event or ("*",),
            description=description or "",
            retry=retry,
            options=Options(**asked),
            credentials=given,
            tenant=tenant,
            endpoint_id=endpoint_id,
            also=custodes.audit.admin_entry(
                "webhook_configuration.created",
                actor=operator(),
                target=f"webhook_configuration:{endpoint_id}",
                context={"url": url, "event_types": event or ["*"]},
                tenant=tenant,
            ),
        )

    _show_created(run(database, action), as_json=as_json)


def update(
    endpoint: EndpointId,
    url: Annotated[str | None, typer.Option(help="Absolute https URL.")] = None,
    event: _Events = None,
    description: _Description = None,
    match: _Match = None,
    channel: _Channels = None,
    header: _Headers = None,
    signature: _Signature = None,
    rate: _Rate = None,
    concurrency: _Concurrency = None,
    ordered: _Ordered = None,
    payload_version: _Version = None,
    disable_after: _DisableAfter = None,
    schedule: _Schedule = None,
    timeout: _Timeout = None,
    auth: _Auth = None,
    credentials: _Credentials = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change an endpoint; what is not given stays."""
    asked = _asked(
        match=match,
        channels=channel,
        headers=header,
        signature=signature,
        rate=rate,
        concurrency=concurrency,
        ordered=ordered,
        payload_version=payload_version,
        disable_after=disable_after,
        auth=auth,
    )
    given = _read(credentials)
    retry = _retry(schedule, timeout)
    if not asked and given is None and not retry and url is None and event is None and description is None:
        msg = "Nothing says what is to change"
        raise InvalidInput(msg, remedy="Give one of the options, such as --url or --event")

    async def action(custodes: Custodes) -> Endpoint:
        return await custodes.outbound.update_endpoint(
            endpoint,
            url=url,
            event_types=event,
            description=description,
            retry=retry,
            options=asked,
            credentials=given,
            told=lambda one, changes: entry_of(custodes, "updated", one, changes),
        )

    changed = run(database, action)
    if as_json:
        write_json(changed)
    else:
        out.print("Changed.")


def rotate_secret(
    endpoint: EndpointId,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=168, help="Hours that the secret before stays valid.")
    ] = 24,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new secret, shown once."""

    async def action(custodes: Custodes) -> Created:
        also = await entry(custodes, "secret_rotated", endpoint)
        return await custodes.outbound.rotate_secret(endpoint, overlap=int(overlap_hours * HOUR), also=also)

    _show_created(run(database, action), as_json=as_json)


async def entry(custodes: Custodes, what: str, endpoint_id: str, changes: Sequence[FieldChange] = ()) -> Work:
    """Make the audit entry of something done to an endpoint, in the trail of its tenant.

    Raises:
        NotFound: no such endpoint.
    """
    return entry_of(custodes, what, await custodes.outbound.get_endpoint(endpoint_id), changes)


def entry_of(
    custodes: Custodes,
    what: str,
    endpoint: Endpoint,
    changes: Sequence[FieldChange] = (),
    *,
    context: Mapping[str, Any] | None = None,
) -> Work:
    """Make such an entry of an endpoint that is known."""
    return custodes.audit.admin_entry(
        f"webhook_configuration.{what}",
        actor=operator(),
        target=f"webhook_configuration:{endpoint.id}",
        changes=changes,
        context=context,
        tenant=endpoint.tenant,
    )


def _asked(
    *,
    match: str | None,
    channels: list[str] | None,
    headers: list[str] | None,
    disable_after: str | None,
    **plainly: object,
) -> dict[str, Any]:
    """Gather the options that were given, and only those."""
    asked: dict[str, Any] = {name: value for name, value in plainly.items() if value is not None}
    if match is not None:
        asked["match"] = _json_object(match, "payload filter", '--match \'{"data.country": "DE"}\'')
    if channels is not None:
        asked["channels"] = tuple(one for one in channels if one)
    if headers is not None:
        lines = (line for one in headers for line in (_lines(one[1:]) if one.startswith("@") else [one]))
        asked["headers"] = dict(_header(line) for line in lines if line.strip())
    if disable_after is not None:
        asked["disable_after"] = span(disable_after)
    return asked


def _header(text: str) -> tuple[str, str | None]:
    name, colon, value = text.partition(":")
    return name.strip(), value.strip() if colon else None


def _lines(path: str) -> list[str]:
    """Read headers from where no list of processes shows them."""
    return _text(Path(path), "headers", "--header").decode("utf-8", "replace").splitlines()


def _retry(schedule: str | None, timeout: str | None) -> dict[str, Any]:
    """Gather what was given of a retry policy."""
    asked: dict[str, Any] = {}
    if schedule is not None:
        asked["schedule"] = tuple(span(wait) for wait in schedule.split())
    if timeout is not None:
        asked["timeout"] = span(timeout)
    return asked


def _read(path: Path | None) -> dict[str, str] | None:
    """Read credentials."""
    if path is None:
        return None
    text = _text(path, "credentials", "--credentials")
    values = _json_object(text, "credentials file", '{"token": "…"} into it; a certificate as one string with \\n')
    if not all(isinstance(value, str) for value in values.values()):
        msg = "The credentials are not all texts"
        raise InvalidInput(msg, remedy="Put each value in quotes")
    return values


def _text(path: Path, what: str, option: str) -> bytes:
    """Read secrets from a file or standard input: so they are in no list of processes and no history."""
    try:
        stream = sys.stdin.buffer if str(path) == "-" else path.open("rb")
        with stream:
            return stream.read(_MAX_SECRETS)
    except OSError as error:
        why = error.strerror
    except ValueError:
        why = "it was read already"  # standard input, for another option
    msg = f"The {what} cannot be read: {why}"
    raise InvalidInput(msg, remedy=f"Give {option} a file that can be read; one option only may read standard input")


def _json_object(text: str | bytes, what: str, remedy: str) -> dict[str, Any]:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        msg = f"The {what} is no JSON object"
        raise InvalidInput(msg, remedy=f"Write {remedy}")
    return cast("dict[str, Any]", value)


def _options(options: Options) -> list[tuple[str, str]]:
    """Tell the options that are set."""
    values: dict[str, Any] = plain(options)
    values["headers"] = sorted(options.headers)
    values["disable_after"] = _told(options.disable_after) if options.disable_after else "never"
    told = {name: value for name, value in values.items() if value not in ("", [], {}, 0)}
    return [(name, json.dumps(value) if isinstance(value, dict | list) else str(value)) for name, value in told.items()]


def _told(duration: int) -> str:
    """Write a duration as people type it."""
    seconds = duration // 1_000_000
    for unit, size in (("d", DAY), ("h", HOUR), ("m", 60_000_000)):
        if duration and duration % size == 0:
            return f"{duration // size}{unit}"
    return f"{seconds}s"


def _show_created(made: Created, *, as_json: bool) -> None:
    if as_json:
        write_json({"id": made.endpoint.id, "secret": made.secret, "public_key": made.public_key})
        return
    out.print(f"Endpoint {made.endpoint.id}")
    if made.secret:
        out.print(f"Secret (shown this once): {made.secret}", soft_wrap=True)
    if made.public_key:
        out.print(f"Public key: {made.public_key}", soft_wrap=True)
