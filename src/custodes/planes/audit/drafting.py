"""From what a caller says to what is recorded: references read, secrets masked, sizes bounded.

An audit event is never lost because it is too large or odd: texts and structures are cut and the cut is marked. Only
what would make the entry unfindable (no action, a malformed tenant) or unbounded (thousands of targets) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypedDict, cast

from custodes.errors import InvalidInput
from custodes.kernel.clock import MINUTE
from custodes.kernel.redact import MASK, Json, Limits, redact, redact_text, sensitive_path
from custodes.kernel.tenant import valid_tenant
from custodes.planes.audit.model import Change, Context, Kind, Outcome, Reference
from custodes.runtime.current import serving

#: Longest action name, characters.
MAX_ACTION = 100

#: Longest id, and name, of a reference; longest idempotency key and observer, characters.
MAX_NAME = 200

#: Longest reason and user agent, characters; longer ones are cut.
MAX_REASON = 2_000
MAX_USER_AGENT = 256

#: Longest address and trace id, characters.
MAX_ADDRESS = 64

#: Most targets of one event: each is a row of the index by target.
MAX_TARGETS = 200

#: Most changed fields, and labels, of one event.
MAX_CHANGES = 200
MAX_LABELS = 50

#: Characters of all changes of one event; with the context below an entry stays beneath 64 KiB.
CHANGE_LIMITS = Limits(chars=24_000)
CONTEXT_LIMITS = Limits(chars=12_000)
LABEL_LIMITS = Limits(depth=1, nodes=MAX_LABELS, chars=8_000, text=500, key=40)

#: How far in the future an event's time may lie (clocks of other machines), microseconds.
MAX_SKEW = 5 * MINUTE

_ACTION = re.compile(r"[a-z0-9]+(?:[._:-][a-z0-9]+)*")
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Addresses, trace ids, UUIDs, numbers and short words: no format of a secret looks like these.
_NO_SECRET = re.compile(r"[0-9a-f.:-]{0,64}|[A-Za-z0-9_.:-]{0,7}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

#: What may name somebody or something: a reference, ``"user:42"``, ``{"type": …, "id": …, "name": …}``, or an object of
#: the host with an ``id``.
Referable = Reference | str | Mapping[str, object] | object

#: What may name a change: a :class:`Change`, ``{"path": …, "old": …, "new": …}`` or ``(path, old, new)``.
Changeable = Change | Mapping[str, object] | tuple[str, object, object]


@dataclass(slots=True, kw_only=True)  # not frozen: it is made for each event, and that would take three times as long
class Draft:
    """An event as it will be recorded, before it has an id, a moment and a score."""

    #: See :class:`~custodes.planes.audit.model.AuditEntry` for the fields of the same names.
    tenant: str
    time: int
    kind: Kind
    action: str
    outcome: Outcome
    actor: Reference
    impersonator: Reference | None
    effective: Reference | None
    targets: tuple[Reference, ...]
    changes: tuple[Change, ...]
    context: Context
    reason: str
    observer: str
    labels: Mapping[str, str]
    idempotency_key: str


class EventFields(TypedDict, total=False):
    """What a caller may say of an event, beside its action and actor; the arguments of ``log_audit_event``."""

    targets: Iterable[Referable]
    """What it was done to, each like the actor; at most 200."""
    target: Referable | None
    """The same for a single one."""
    outcome: str
    """``success`` (default), ``failure`` or ``denied``."""
    impersonator: Referable | None
    """Who acted in the actor's name."""
    effective: Referable | None
    """Whose rights were used."""
    changes: Iterable[Changeable]
    """Fields changed, ``(path, old, new)`` each, at most 200; secrets are masked by name and by look."""
    context: Context | Mapping[str, object] | None
    """Where it came from: fields of :class:`~custodes.planes.audit.model.Context`, and anything else.

    What it does not tell of address, user agent and trace is that of the request that is being served; a user agent is
    taken with the address only."""
    reason: str
    """Why; cut to 2,000 characters."""
    trace_id: str
    """W3C trace id; that of the request that is being served when it is left out. An empty one: none."""
    tenant: str | None
    """Whose trail; None: the default tenant."""
    ip: str
    """Client address; that of the request that is being served when it is left out. An empty one: none."""
    observer: str
    """Service that recorded it."""
    labels: Mapping[str, str] | None
    """Names and values to find it by, at most 50."""
    idempotency_key: str
    """An event with a key that the tenant's trail already holds is not written again."""
    time: int | None
    """When it happened, microseconds; None: now."""


_FIELDS = frozenset(EventFields.__annotations__)


def draft(
    action: str, actor: Referable, fields: EventFields, *, now: int, default_tenant: str, kind: Kind = Kind.EVENT
) -> Draft:
    """Read what the caller says.

    Raises:
        InvalidInput: the action, outcome, tenant or time is not acceptable, there are too many parts, or one where a
            list belongs, or a field that there is not, which would be missing from the trail.
    """
    unknown = fields.keys() - _FIELDS
    if unknown:
        msg = f"An event has no field {_cut(min(unknown), 40)!r}"
        remedy = f"Use {', '.join(sorted(_FIELDS))}; what else belongs to it goes into context or labels"
        raise InvalidInput(msg, remedy=remedy)
    targets = tuple(reference(target) for target in _at_most(fields.get("targets", ()), MAX_TARGETS, "targets"))
    target = fields.get("target")
    return Draft(
        tenant=_tenant(fields.get("tenant") or default_tenant),
        time=_time(fields.get("time"), now),
        kind=kind,
        action=_action(action),
        outcome=_outcome(fields.get("outcome", Outcome.SUCCESS)),
        actor=reference(actor),
        impersonator=_maybe(fields.get("impersonator")),
        effective=_maybe(fields.get("effective")),
        targets=targets if target is None else (reference(target), *targets),
        changes=_changes(fields.get("changes", ())),
        context=_context(fields),
        reason=_plain(fields.get("reason", ""), MAX_REASON, cards=True),
        observer=_plain(fields.get("observer", ""), MAX_NAME),
        labels=_labels(fields.get("labels") or {}),
        idempotency_key=_key(fields.get("idempotency_key", "")),
    )


def reference(value: Referable) -> Reference:
    """Read who or what is meant; see :data:`Referable`.

    A text without a type is a ``user``; an empty one is ``anonymous``.

    Raises:
        InvalidInput: an object without an id.
    """
    match value:
        case Reference():
            return _reference(value.type, value.id, value.name)
        case str():
            kind, colon, identifier = value.partition(":")
            if colon and _TYPE.fullmatch(kind):
                return Reference(kind, _plain(identifier, MAX_NAME))
            return _reference("user" if value else "anonymous", value, "")
        case Mapping():
            given = cast("Mapping[str, object]", value)
            return _reference(_said(given.get("type") or "user"), _said(given.get("id")), _said(given.get("name")))
        case _:
            return _reference_to_object(value)


def _reference_to_object(value: Any) -> Reference:
    identifier = getattr(value, "id", None)
    if identifier is None:
        msg = f"A {type(value).__name__} without an id is neither an actor nor a target"
        raise InvalidInput(
            msg, remedy='Pass "type:id", a Reference, a mapping with type and id, or an object with an id'
        )
    kind = _CAMEL.sub("_", type(value).__name__).lower().strip("_")
    return _reference(kind, str(identifier), _said(getattr(value, "name", None)))


def _reference(kind: str, identifier: str, name: str) -> Reference:
    if not _TYPE.fullmatch(kind):
        msg = f"{_cut(kind, 40)!r} is not a type of actor or target"
        raise InvalidInput(msg, remedy="Use lower-case letters, digits and _, at most 40: user, api_key, invoice")
    return Reference(kind, _plain(identifier, MAX_NAME), _plain(name, MAX_NAME))


def _maybe(value: Referable | None) -> Reference | None:
    return None if value is None or value == "" else reference(value)


def _action(action: str) -> str:
    if len(action) > MAX_ACTION or not _ACTION.fullmatch(action):
        msg = f"{_cut(action, MAX_ACTION)!r} is not an action name"
        remedy = f"Write noun.verb in lower case, a–z 0–9 . _ : -, at most {MAX_ACTION} characters: member.removed"
        raise InvalidInput(msg, remedy=remedy)
    return action


def _outcome(outcome: str) -> Outcome:
    try:
        return Outcome(outcome)
    except ValueError:
        msg = f"{_cut(str(outcome), 40)!r} is not an outcome"
        raise InvalidInput(msg, remedy="Use success, failure or denied") from None


def _tenant(tenant: str) -> str:
    if not valid_tenant(tenant):
        msg = "The tenant is not acceptable"
        raise InvalidInput(msg, remedy="Use 1–64 of A–Z a–z 0–9 . _ : @ -, starting with a letter or digit")
    return tenant


def _time(time: int | None, now: int) -> int:
    if time is None:
        return now
    if not isinstance(cast("object", time), int) or time < 0 or time > now + MAX_SKEW:
        msg = "The event's time lies in the future, or before 1970, or is no whole number"
        raise InvalidInput(msg, remedy="Give microseconds since the epoch, or leave it out for now")
    return time


def _changes(changes: Iterable[Changeable]) -> tuple[Change, ...]:
    given = [_change(change) for change in _at_most(changes, MAX_CHANGES, "changes")]
    if not given:
        return ()
    # All values in one walk, so that they share one budget.
    values = [None if sensitive_path(path) else [old, new] for path, old, new in given]
    kept = cast("list[Json]", redact(values, CHANGE_LIMITS))
    return tuple([_redacted(*change, value) for change, value in zip(given, _padded(kept, len(given)), strict=True)])


def _change(change: Changeable) -> tuple[str, object, object]:
    match change:
        case Change():
            path, old, new = change.path, change.old, change.new
        case Mapping():
            path, old, new = change.get("path", ""), change.get("old"), change.get("new")
        case _:
            # Of other types, too, for not every caller looks at them.
            if not isinstance(cast("object", change), (tuple, list)) or len(change) != 3:
                msg = f"A change is a {type(change).__name__} that does not tell path, old and new"
                raise InvalidInput(msg, remedy='Write ("role", "member", "owner"), or a mapping with path, old and new')
            path, old, new = change
    return _plain(_said(path), MAX_NAME), old, new


def _redacted(path: str, old: object, new: object, kept: Json) -> Change:
    if isinstance(kept, list) and len(kept) == 2:
        return Change(path, kept[0], kept[1])
    if kept is None:
        return Change(path, _masked(old), _masked(new))
    return Change(path, "[cut]", "[cut]")  # the budget ended here; the path still tells what was changed


def _masked(value: object) -> Json:
    return value if value is None or isinstance(value, bool) else MASK


def _padded(kept: list[Json], count: int) -> list[Json]:
    return [*kept, *["[cut]"] * count][:count]


def _context(fields: EventFields) -> Context:
    given = fields.get("context")
    if isinstance(given, Context):
        said: Mapping[str, object] = {name: getattr(given, name) for name in _CONTEXT_FIELDS}
        extra: Mapping[str, object] = given.extra
    else:
        said = given or {}
        extra = {str(name): value for name, value in said.items() if name not in _CONTEXT_FIELDS}
    texts = {name: _part(name, _said(said[name])) for name in _CONTEXT_FIELDS if said.get(name)}
    for name in ("ip", "trace_id"):
        texts[name] = _plain(fields.get(name) or texts.get(name, ""), MAX_ADDRESS)
    request = serving.get()
    if request is not None and not texts["trace_id"] and "trace_id" not in fields:
        texts["trace_id"] = request.trace.trace_id
    if request is not None and not texts["ip"] and "ip" not in fields:
        texts["ip"] = request.client_ip
        texts.setdefault("user_agent", _shared(request.user_agent))
    return Context(**texts, extra=cast("dict[str, Json]", redact(extra, CONTEXT_LIMITS)) if extra else {})


_CONTEXT_FIELDS = ("ip", "user_agent", "session", "request_id", "trace_id", "auth_method")

#: Parts that many events share: what is kept of them is remembered, for to look for secrets takes longer than all else.
_SHARED = frozenset({"user_agent", "auth_method"})


def _part(name: str, text: str) -> str:
    return _shared(text) if name in _SHARED and len(text) <= MAX_USER_AGENT else _plain(text, MAX_USER_AGENT)


@lru_cache(maxsize=1_024)
def _shared(text: str) -> str:
    return _plain(text, MAX_USER_AGENT)


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    if not labels:
        return {}
    kept = redact(dict(_at_most(labels.items(), MAX_LABELS, "labels")), LABEL_LIMITS)
    return {name: str(value) for name, value in cast("dict[str, Json]", kept).items()}


def _key(key: str) -> str:
    if len(key) > MAX_NAME:
        msg = f"The idempotency key has {len(key)} characters"
        raise InvalidInput(msg, remedy=f"Use at most {MAX_NAME}; a UUID or a hash will do")
    # A key that looks like a secret is kept as its hash: masked, it would be equal to others.
    return key if _plain(key, MAX_NAME) == key else f"sha256:{sha256(key.encode('utf-8', 'replace')).hexdigest()}"


def _at_most(items: Iterable[Any], limit: int, what: str) -> list[Any]:
    # One of them can be gone through as well: a text by its letters, a mapping by its names.
    if isinstance(items, (str, Mapping)) or not hasattr(items, "__iter__"):
        msg = f"The {what} are one {type(cast('object', items)).__name__}"
        raise InvalidInput(msg, remedy="Give a list, also of one")
    kept: list[Any] = []
    for item in items:
        if len(kept) == limit:
            msg = f"More than {limit} {what} in one event"
            raise InvalidInput(msg, remedy="Split it into several events")
        kept.append(item)
    return kept


def _said(value: object) -> str:
    return "" if value is None else str(value)


def _plain(text: str, limit: int, *, cards: bool = False) -> str:
    """Cut a text, take out what no store takes, mask what looks like a secret."""
    if not text:
        return ""
    if not cards and len(text) <= limit and _NO_SECRET.fullmatch(text):
        return text
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return _cut(redact_text(text[: limit * 2], cards=cards).replace("\x00", "\ufffd"), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
