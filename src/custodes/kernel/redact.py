"""Redaction: what must never be stored is masked before it is, by the name it goes under and by how it looks.

:func:`redact` also makes any value storable: JSON types only, bounded in depth, count and size, each cut marked.
Masking by name is certain for the names below; masking by look knows the formats below and no others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import cast

from custodes.kernel.canonical import MAX_EXACT

#: What stands where a secret stood.
MASK = "[redacted]"

#: What a JSON value is in Python.
Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a value is kept."""

    #: Levels of nesting.
    depth: int = 8
    #: Members and items, all levels together.
    nodes: int = 1_000
    #: Characters of all texts and names together.
    chars: int = 24_000
    #: Characters of one text.
    text: int = 4_096
    #: Characters of one member name.
    key: int = 200


LIMITS = Limits()


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


#: A member whose name has one of these words holds a secret.
_SECRET_WORDS = _words(
    "password passwords passwd pwd passphrase passcode secret secrets token tokens jwt bearer apikey apikeys",
    "authorization authentication cookie cookies credential credentials cvv cvc cvv2 otp totp pin ssn privatekey",
    "accesskey secretkey sessionid sessionkey csrf xsrf mnemonic pan iban",
)

#: A member whose name has two of these words side by side holds a secret; joined by a hyphen here.
_SECRET_PAIRS = _words(
    "api-key api-keys private-key access-key secret-key signing-key encryption-key master-key service-key ssh-key",
    "auth-key license-key session-id session-key card-number card-no account-number routing-number security-code",
    "verification-code recovery-code recovery-codes backup-code backup-codes auth-code mfa-code pass-word",
    "pass-phrase security-answer social-security",
)

#: Names that speak *about* a secret: first words and last words. ``password_changed_at`` holds a date.
_ABOUT_FIRST = _words("has is had was max min num total count n use uses needs requires allow")
_ABOUT_LAST = _words(
    "count counts at on type types policy length len expires expiry expired ttl used usage limit limits enabled",
    "disabled required consent version algorithm alg status state age name names id ids url uri endpoint changed set",
    "created updated rotated strength issuer audience scope scopes attempts",
)
#: Of those, pairs that are secrets all the same.
_STILL_SECRET = _words("session-id")

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATOR = re.compile(r"[^A-Za-z0-9]+")

#: Shorter texts than this hold none of the formats below, characters.
_SHORTEST_SECRET = 8

#: Formats of secrets, each with the name shown in the mask. Sources: the vendors' own token documentation; RFC 7519,
#: RFC 7617, RFC 6750, RFC 7468, RFC 3986 §3.2.1.
_LOOKS = re.compile(
    # Strangers may write what is looked at, so no part is looked at from every place in it: the header of a JWT is
    # bounded, since ``eyJ`` may begin anywhere in a long run of its characters.
    r"""
    (?P<private_key>-----BEGIN\ [A-Z ]*PRIVATE\ KEY-----(?:(?!-----END)[\s\S])*(?:-----END\ [A-Z ]*PRIVATE\ KEY-----)?)
  | (?P<jwt>\beyJ[\w-]{8,4096}+\.[\w-]{4,}(?:\.[\w-]*){1,3})
  | (?P<credentials>(?i:\b(?:bearer|basic|digest|negotiate))\ +(?=\S*[0-9=+/]|\S{20})[\w+/=.~-]{8,})
  | (?P<stripe>\b(?:sk|rk)_(?:live|test)_\w{8,})
  | (?P<webhook_secret>\bwh(?:sec|sk)_[\w+/=-]{8,})
  | (?P<github>\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}))
  | (?P<gitlab>\bgl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{16,})
  | (?P<slack>\bxox[abeoprs]-[\w-]{10,}|\bxapp-[\w-]{10,}|https://hooks\.slack\.com/services/[\w/]+)
  | (?P<aws>\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b)
  | (?P<google>\bAIza[\w-]{35}|\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{20,})
  | (?P<package_index>\bnpm_\w{30,}|\bpypi-[\w-]{20,})
  | (?P<sendgrid>\bSG\.[\w-]{16,}\.[\w-]{16,})
  | (?P<api_key>\bsk-(?:ant-|proj-|svcacct-|or-)?[\w-]{20,}|\bhf_\w{20,}|\bdop_v1_\w{20,}|\bshp(?:at|ca|pa|ss)_\w{20,})
  | (?P<twilio>\bSK[0-9a-f]{32}\b)
  | (?P<argon2>\$(?:argon2(?:id|i|d)|2[aby]|scrypt|pbkdf2-sha(?:256|512))\$[\w$./+,=-]{16,})
  | (?P<userinfo>(?<=://)[^\s/?\#@:]*:[^\s/?\#@]+(?=@))
  | (?P<assigned>(?i:(?<![a-z])(?:password|passwd|pwd|secret|client_secret|token|access_token|refresh_token|id_token
        |api[_-]?key))["']?\s{0,3}[=:]\s{0,3}["']?(?!\[redacted)(?P<assigned_value>[^\s"'&,;<>(){}]{4,}))
    """,
    re.VERBOSE,
)

#: Something like a payment card number: 13–19 digits, alone or in groups (ISO/IEC 7812), issuer digits 2–6.
_CARD = re.compile(r"(?<![\w.+-])(?:2[2-7]|3[04-9]|4|5[0-9]|6)(?:[ -]?\d){11,18}(?![\w-]|\.\d)")


def redact(value: object, limits: Limits = LIMITS) -> Json:
    """Make a value storable: secrets masked, JSON types only, within the limits; never raises.

    Everything below a sensitive name is masked, whatever its type; ``None``, ``True`` and ``False`` stay, since "it was
    not set" is worth knowing and no secret. What is cut away leaves a mark with its count.
    """
    return _Walk(limits).take(value, limits.depth)


def redact_text(text: str, *, cards: bool = True) -> str:
    """Mask every part of a text that looks like a secret.

    Args:
        text: any text.
        cards: whether to look for payment cards; not in identifiers, since one long number in ten passes the check.
    """
    if len(text) < _SHORTEST_SECRET:
        return text
    masked = _LOOKS.sub(_mask_look, text)
    return _CARD.sub(_mask_card, masked) if cards else masked


def storable(text: str) -> str:
    """Replace what a store may refuse: NUL (PostgreSQL) and halves of surrogate pairs (every driver)."""
    return _whole(text).replace("\0", "\ufffd")


def visible(text: str) -> str:
    r"""Write what cannot be printed (controls, line ends, marks of direction) as Python does: ``\x1b``, ``\n``."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


#: Longest name of which the answer is remembered, characters: strangers may send names of any length.
_MAX_REMEMBERED = 200


def sensitive_path(path: str) -> bool:
    """Tell whether a dotted path (``user.profile.api_key``) leads into something secret."""
    return any(sensitive_name(part) for part in path.replace("/", ".").split("."))


def sensitive_name(name: str) -> bool:
    """Tell whether a member of this name holds a secret: ``api_key``, ``clientSecret``, ``X-Auth-Token``."""
    return _sensitive(name) if len(name) <= _MAX_REMEMBERED else _sensitive.__wrapped__(name)


@lru_cache(maxsize=4_096)
def _sensitive(name: str) -> bool:
    words = [word.lower() for part in _SEPARATOR.split(name) for word in _CAMEL.split(part) if word]
    if not words:
        return False
    pairs = {f"{first}-{second}" for first, second in pairwise(words)}
    if pairs & _STILL_SECRET:
        return True
    if len(words) > 1 and (words[0] in _ABOUT_FIRST or words[-1] in _ABOUT_LAST):
        return False
    return bool(_SECRET_WORDS.intersection(words) or pairs & _SECRET_PAIRS)


class _Walk:
    """One pass over a value with what is left of its limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._nodes = limits.nodes
        self._chars = limits.chars

    def take(self, value: object, depth: int) -> Json:
        # Exact types first: they are nearly all there is, and to tell a mapping from a list takes longer than all else.
        kind = type(value)
        if kind is str:
            return self._text(cast("str", value))
        if kind is list:
            return self._items(cast("list[object]", value), len(cast("list[object]", value)), depth)
        if isinstance(value, Enum):
            value = cast("object", value.value)
        match value:
            case None | bool():
                return value
            case str():
                return self._text(value)
            case int():
                return value if -MAX_EXACT <= value <= MAX_EXACT else self._text(_big(value))
            case float():
                return value if math.isfinite(value) else str(value)
            case bytes() | bytearray():
                return f"[{len(value)} bytes]"
            case datetime() | date():
                return value.isoformat()
            case Mapping():
                return self._members(cast("Mapping[object, object]", value), depth)
            case list() | tuple() | set() | frozenset():
                return self._items(cast("Iterable[object]", value), len(cast("list[object]", value)), depth)
            case _:
                return self._text(_shown(value))

    def _members(self, value: Mapping[object, object], depth: int) -> Json:
        if depth == 0:
            return f"[{len(value)} members, too deep]"
        kept: dict[str, Json] = {}
        for key, item in value.items():
            if self._nodes <= 0 or self._chars <= 0:
                kept["…"] = f"[{len(value) - len(kept)} more members]"
                break
            self._nodes -= 1
            name = _shown(key)
            shown = self._spend(redact_text(_whole(name[: self._limits.key])))
            kept[shown] = _masked(item) if sensitive_name(name[: self._limits.key]) else self.take(item, depth - 1)
        return kept

    def _items(self, value: Iterable[object], count: int, depth: int) -> Json:
        if depth == 0:
            return f"[{count} items, too deep]"
        kept: list[Json] = []
        for item in value:
            if self._nodes <= 0 or self._chars <= 0:
                kept.append(f"[{count - len(kept)} more items]")
                break
            self._nodes -= 1
            kept.append(self.take(item, depth - 1))
        return kept

    def _text(self, text: str) -> str:
        room = min(self._limits.text, max(self._chars, 0))
        # Masked first and cut then, so that no half of a secret slips through; both on a bounded text.
        masked = redact_text(_whole(text[: self._limits.text * 2]))
        if len(masked) <= room and len(text) <= self._limits.text * 2:
            return self._spend(masked)
        return self._spend(f"{masked[:room]}… [{len(text)} characters]")

    def _spend(self, text: str) -> str:
        self._chars -= len(text)
        return text


def _masked(value: object) -> Json:
    return value if value is None or isinstance(value, bool) else MASK


def _mask_look(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    if kind == "assigned_value" or match["assigned"] is not None:
        return match[0][: match.start("assigned_value") - match.start()] + MASK
    return f"[redacted {kind.replace('_', ' ')}]"


def _mask_card(match: re.Match[str]) -> str:
    digits = [int(character) for character in match[0] if character.isdigit()]
    return "[redacted card]" if len(digits) <= 19 and luhn(digits) else match[0]


def luhn(digits: list[int]) -> bool:
    """Check the last digit against the others (ISO/IEC 7812-1, Annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _whole(text: str) -> str:
    """Replace halves of surrogate pairs, which no store takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _big(value: int) -> str:
    # Beyond this many bits the decimal conversion itself is refused by Python (CVE-2020-10735).
    return str(value) if value.bit_length() < 4_096 else f"[integer of {value.bit_length()} bits]"


def _shown(value: object) -> str:
    try:
        return value if isinstance(value, str) else str(value)
    except Exception:  # noqa: BLE001 - a foreign __str__ must not keep an event from being recorded
        return f"[{type(value).__name__}]"
