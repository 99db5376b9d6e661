"""Origins: where a sender lists what it has sent, and gives it once more.

What it gives is the sender's own word: it comes over TLS from the sender's API, asked with our key. Keys are sent in a
header and never shown.

Sources: docs.stripe.com/api/events/list; docs.github.com/rest/repos/webhooks (deliveries).
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar, TypeVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import msgspec

from custodes.errors import ConfigurationError, CustodesError, MalformedPayload, SignatureRefused
from custodes.kernel.clock import SECOND, from_iso
from custodes.kernel.several import several
from custodes.planes.inbound.forms import MEDIA_TYPE, forms_of
from custodes.planes.inbound.sources.base import (
    MAX_NAME,
    Headers,
    Source,
    Verified,
    WebhookRequest,
    id_key,
    is_name,
)
from custodes.runtime.outgoing.client import Answer, Limits, OutgoingClient
from custodes.version import __version__

T = TypeVar("T")

#: Bytes of an answer that are taken: a page of a hundred events, or one delivery of GitHub's largest (25 MB).
ANSWER_BYTES = 32 * 1024 * 1024

#: Events of a page, the most that Stripe and GitHub give; fewer when a page is too large.
_PAGE_SIZES = (100, 10, 1)

#: A repository's or an organisation's hook.
_HOOK = re.compile(
    r"(?:repos/)?[\w.-]{1,100}/[\w.-]{1,100}/hooks/[0-9]{1,20}|orgs/[\w.-]{1,100}/hooks/[0-9]{1,20}|app/hook"
)

_LIMITS = Limits(total_seconds=30.0, answer_bytes=ANSWER_BYTES)


class OriginFailed(CustodesError):
    """A sender's API did not answer as it should."""

    code = "origin-failed"
    status = 502
    title = "Origin failed"


class Gone(CustodesError):
    """The sender lists an event and cannot give it any more."""

    code = "origin-gone"
    status = 410
    title = "Gone"


@dataclass(frozen=True, slots=True)
class Listed:
    """An event in the list of a sender."""

    #: The sender's id, as the events of the source carry it.
    event_id: str
    #: When it happened, or was sent, microseconds since the epoch.
    at: int
    #: Where the sender has it, when the list has not all of it.
    place: str = ""
    #: The event as it was listed, when the list has all of it.
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of such a list, newest first."""

    #: Events between the moments asked for.
    items: Sequence[Listed]
    #: How the next page is asked for; empty: this was the last.
    next_cursor: str


class Origin(ABC):
    """A sender's own list of what it has sent."""

    #: The kind of source whose events it lists.
    kind: ClassVar[str]

    @abstractmethod
    async def page(self, client: OutgoingClient, since: int, until: int, cursor: str) -> ListedPage:
        """List what was sent between two moments, both included, newest first.

        Raises:
            OriginFailed: the sender did not give it.
            OutgoingFailed: there was no answer.
        """

    @abstractmethod
    async def fetch(
        self, client: OutgoingClient, source: Source, listed: Listed, now: int
    ) -> tuple[Verified, WebhookRequest]:
        """Get one event as it would have come.

        Raises:
            Gone: it is listed, and not to be had any more.
            OriginFailed: the sender did not give it.
            OutgoingFailed: there was no answer.
        """


class StripeEvents(Origin):
    """Stripe's list of events, which goes back 30 days.

    Args:
        api_key: a restricted key that may read events (``rk_live_…``).
        event_types: types that the endpoint is subscribed to, with ``*``: ``["invoice.*"]``. Others never arrive, so
            that they are not missing.
        api: base of the API.

    Raises:
        ConfigurationError: there is no key.
        InvalidInput: the types are one text.
    """

    kind = "stripe"

    def __init__(
        self, api_key: str, *, event_types: Sequence[str] = ("*",), api: str = "https://api.stripe.com"
    ) -> None:
        self._headers = _bearer("Stripe", api_key)
        self._types = several("event types", event_types) or ("*",)
        self._api = api.rstrip("/")

    async def page(self, client: OutgoingClient, since: int, until: int, cursor: str) -> ListedPage:
        """List events by the second that they were created in."""
        query = {"created[gte]": str(since // SECOND), "created[lte]": str(until // SECOND)}
        if cursor:
            query["starting_after"] = cursor
        page = _decoded(_STRIPE_PAGE, await self._list(client, query), "Stripe")
        read = [(_decoded_event(raw), bytes(raw)) for raw in page.data]
        items = [
            Listed(event.id, event.created * SECOND, body=body)
            for event, body in read
            # The answer is held to the question: a stand-in of Stripe may know no filter.
            if since // SECOND <= event.created <= until // SECOND and self._is_wanted(event.type)
        ]
        more = page.has_more and read and read[-1][0].created >= since // SECOND
        return ListedPage(items, read[-1][0].id if more else "")

    async def _list(self, client: OutgoingClient, query: Mapping[str, str]) -> Answer:
        """Ask for a page; for a shorter one when it is too large."""
        for size in _PAGE_SIZES[:-1]:
            answer = await self._ask(client, {**query, "limit": str(size)})
            if not answer.truncated:
                return answer
        return await self._ask(client, {**query, "limit": str(_PAGE_SIZES[-1])})

    async def _ask(self, client: OutgoingClient, query: Mapping[str, str]) -> Answer:
        return await _get(client, f"{self._api}/v1/events?{urlencode(query)}", self._headers)

    async def fetch(
        self, client: OutgoingClient, source: Source, listed: Listed, now: int
    ) -> tuple[Verified, WebhookRequest]:
        """Take the event out of the list: it is all there."""
        del client, source, now
        event = _decoded_event(msgspec.Raw(listed.body))
        verified = Verified(
            event_id=event.id,
            event_type=event.type,
            dedupe_key=id_key(event.id),
            occurred_at=event.created * SECOND,
            content_type="application/json",
        )
        return verified, WebhookRequest(Headers([(b"content-type", b"application/json")]), listed.body)

    def _is_wanted(self, event_type: str) -> bool:
        return any(fnmatchcase(event_type, pattern) for pattern in self._types)


class GitHubDeliveries(Origin):
    """GitHub's list of the deliveries of one webhook, which goes back some days.

    It gives the payload decoded. Encoded again as GitHub does, the signature that GitHub lists beside it mostly holds:
    then the bytes are the very ones that were sent.

    Args:
        token: may read the hook (``repo_hook`` or "Webhooks: read").
        hook: ``owner/repository/hooks/123``, ``orgs/name/hooks/123``, or ``app/hook`` for a GitHub App.
        api: base of the API; of GitHub Enterprise Server ``https://host/api/v3``.

    Raises:
        ConfigurationError: there is no token, or the hook is none.
    """

    kind = "github"

    def __init__(self, token: str, hook: str, *, api: str = "https://api.github.com") -> None:
        self._headers = {**_bearer("GitHub", token), "accept": "application/vnd.github+json"}
        hook = hook.strip("/")
        if not _HOOK.fullmatch(hook):
            msg = f"{hook[:100]!r} is not a webhook of GitHub"
            raise ConfigurationError(msg, remedy="Write owner/repository/hooks/123, orgs/name/hooks/123 or app/hook")
        if not hook.startswith(("repos/", "orgs/", "app/")):
            hook = f"repos/{hook}"
        self._base = f"{api.rstrip('/')}/{hook}/deliveries"

    async def page(self, client: OutgoingClient, since: int, until: int, cursor: str) -> ListedPage:
        """List deliveries; GitHub knows no filter by time: what is newer is passed over, what is older ends it."""
        query = {"per_page": "100", **({"cursor": cursor} if cursor else {})}
        answer = await _get(client, f"{self._base}?{urlencode(query)}", self._headers)
        rows = _decoded(_GITHUB_PAGE, answer, "GitHub")
        read = [(row, _moment(row.delivered_at)) for row in rows]
        items = [Listed(row.guid, at, str(row.id)) for row, at in read if since <= at <= until and is_name(row.guid)]
        older = any(at < since for _, at in read)
        return ListedPage(items, "" if older else _next_cursor(answer.headers.get("link", "")))

    async def fetch(
        self, client: OutgoingClient, source: Source, listed: Listed, now: int
    ) -> tuple[Verified, WebhookRequest]:
        """Get one delivery with what was sent."""
        answer = await _get(client, f"{self._base}/{quote(listed.place, safe='')}", self._headers, gone=True)
        sent = _decoded(_GITHUB_DELIVERY, answer, "GitHub").request
        if sent is None or sent.payload is None:
            msg = "GitHub lists the delivery and has its payload no more"
            raise Gone(msg)
        headers = Headers([(name.lower().encode(), value.encode()) for name, value in (sent.headers or {}).items()])
        bodies = _bodies(sent.payload, headers)
        for body in bodies:
            request = WebhookRequest(headers, body)
            try:
                return source.verify(request, now), request
            except (SignatureRefused, MalformedPayload):
                continue
        request = WebhookRequest(headers, bodies[0])
        event_type = (headers.get("x-github-event") or "")[:MAX_NAME]
        return Verified(listed.event_id, event_type, id_key(listed.event_id)), request


def origins_of(stripe_key: str, stripe_types: Sequence[str], github_token: str, github_hook: str) -> dict[str, Origin]:
    """Make the origins that the settings name, by source.

    Raises:
        ConfigurationError: a token of GitHub without a hook, or the hook is none.
    """
    origins: dict[str, Origin] = {}
    if stripe_key:
        origins["stripe"] = StripeEvents(stripe_key, event_types=stripe_types)
    if github_token or github_hook:
        origins["github"] = GitHubDeliveries(github_token, github_hook)
    return origins


# ── What is read of the answers ──────────────────────────────────────────────


class _StripeEvent(msgspec.Struct):
    id: str
    created: int
    type: str = ""


class _StripePage(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool = False


class _GitHubRow(msgspec.Struct):
    id: int
    guid: str
    delivered_at: str


class _GitHubRequest(msgspec.Struct):
    headers: dict[str, str] | None = None
    payload: dict[str, object] | None = None


class _GitHubDelivery(msgspec.Struct):
    request: _GitHubRequest | None = None


_STRIPE_EVENT = msgspec.json.Decoder(_StripeEvent)
_STRIPE_PAGE = msgspec.json.Decoder(_StripePage)
_GITHUB_PAGE = msgspec.json.Decoder(list[_GitHubRow])
_GITHUB_DELIVERY = msgspec.json.Decoder(_GitHubDelivery)


def _decoded(decoder: msgspec.json.Decoder[T], answer: Answer, whom: str) -> T:
    if answer.truncated:
        msg = f"An answer of {whom} has more than {ANSWER_BYTES} bytes"
        raise OriginFailed(msg)
    try:
        return decoder.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        msg = f"An answer of {whom} is not what its API is documented to give"
        raise OriginFailed(msg) from None


def _decoded_event(raw: msgspec.Raw) -> _StripeEvent:
    try:
        event = _STRIPE_EVENT.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        event = None
    if event is None or not is_name(event.id) or not (event.type == "" or is_name(event.type)):
        msg = "An event that Stripe lists has no id, type or moment"
        raise OriginFailed(msg)
    return event


async def _get(client: OutgoingClient, url: str, headers: Mapping[str, str], *, gone: bool = False) -> Answer:
    answer = await client.request("GET", url, headers=headers, limits=_LIMITS)
    if answer.status == 200:
        return answer
    if gone and answer.status in (404, 410):
        msg = "The sender has the event no more"
        raise Gone(msg)
    remedies = {401: "Check the key", 403: "Check what the key may read, and its rate limit", 404: "Check the hook"}
    msg = f"The sender's API answered {answer.status}"
    raise OriginFailed(msg, remedy=remedies.get(answer.status, ""))


def _bearer(whom: str, key: str) -> dict[str, str]:
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        msg = f"There is no key for the API of {whom}, or it is none"
        raise ConfigurationError(msg, remedy="Give one that may only read what is asked for")
    return {"authorization": f"Bearer {key}", "user-agent": f"Custodes/{__version__}"}


def _moment(text: str) -> int:
    try:
        return from_iso(text)
    except ValueError:
        msg = "A delivery that GitHub lists has no moment"
        raise OriginFailed(msg) from None


def _next_cursor(link: str) -> str:
    for part in link.split(","):
        url, _, relation = part.partition(";")
        if 'rel="next"' in relation:
            return parse_qs(urlsplit(url.strip(" <>")).query).get("cursor", [""])[0]
    return ""


def _bodies(payload: object, headers: Headers) -> list[bytes]:
    """Encode a payload in each of the ways that it may have been sent in, the likeliest first."""
    texts = [_compact(payload, ascii_only=False), _compact(payload, ascii_only=True)]
    if not headers.get("content-type", "").lower().startswith(MEDIA_TYPE):
        return texts
    return [form for text in texts for form in forms_of(text)]


def _compact(payload: object, *, ascii_only: bool) -> bytes:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=ascii_only).encode("utf-8", "replace")
