"""Why did it not verify? Near misses of a refused delivery, tried offline.

Each finding says what was tried and held, so it is proven, or that it is only likely. For the operator alone: a sender
is never told. Secrets are used, and never shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from custodes.errors import ConfigurationError, MalformedPayload, SignatureRefused
from custodes.planes.inbound.forms import forms_of, json_text
from custodes.planes.inbound.receiver import Registration
from custodes.planes.inbound.sources.base import Source, Verified, WebhookRequest

#: Largest body whose near misses are tried, bytes: each costs a signature per secret.
MAX_BODY = 1024 * 1024

#: Sources whose secrets are tried.
MAX_SOURCES = 50

#: Headers that name a sender's scheme, by kind.
SIGNATURE_HEADERS = {
    "stripe": "stripe-signature",
    "github": "x-hub-signature-256",
    "clerk": "svix-signature",
    "svix": "svix-signature",
    "standard-webhooks": "webhook-signature",
    "shopify": "x-shopify-hmac-sha256",
    "slack": "x-slack-signature",
    "gitlab": "x-gitlab-token",
    "twilio": "x-twilio-signature",
    "square": "x-square-hmacsha256-signature",
    "zendesk": "x-zendesk-webhook-signature",
}

#: The two spellings of Standard Webhooks.
_STANDARD = frozenset({"svix-signature", "webhook-signature"})

#: Prefixes of what is often pasted in place of Stripe's signing secret.
_API_KEYS = ("sk_", "rk_", "pk_")


class Maker(Protocol):
    """**Protocol:** makes a source of another kind with the same secrets."""

    def __call__(self, kind: str, secrets: Sequence[str]) -> Source:
        """Make it.

        Raises:
            ConfigurationError: this kind takes other secrets, or more than secrets.
        """
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """A reason, or a likely one."""

    #: Stable name: ``body-changed``, ``other-secret``, ``other-scheme``, ``clock``, …
    code: str
    #: One sentence for a person.
    text: str
    #: Whether a signature that holds, or the lack of a header, proves it.
    proven: bool
    #: What to do.
    remedy: str


def diagnose(
    registration: Registration,
    request: WebhookRequest,
    now: int,
    *,
    others: Sequence[Registration] = (),
    make: Maker,
    whole: bool = True,
) -> list[Finding]:
    """Find out why a delivery was refused.

    Args:
        registration: the source that it was sent to.
        request: the delivery as it came.
        now: when it came, microseconds since the epoch.
        others: all sources of the install.
        make: makes sources of other kinds.
        whole: whether the body is all there; of a part no signature can be checked.

    Returns:
        What was found, the proven first; never empty.
    """
    source = registration.source
    if whole and isinstance(_try(source, request, now), Verified):
        text = "It verifies now: its secret was added, or the source changed, since it was refused"
        return [Finding("verifies-now", text, True, "Have the sender deliver it again")]
    findings = list(_of_headers(source, request))
    if not whole:
        findings.append(
            Finding(
                "body-cut",
                "Only the first bytes of the body were kept: its signature cannot be checked",
                False,
                "Have the sender deliver it again",
            )
        )
    elif len(request.body) > MAX_BODY:
        findings.append(Finding("body-large", "The body is too large to try near misses of it", False, ""))
    else:
        findings += _of_signature(registration, request, now, others, make)
    if not findings:
        text = "No near miss explains it: the secret is another one, or the body was changed beyond what was tried"
        findings.append(Finding("unknown", text, False, "Copy the signing secret of exactly this endpoint once more"))
    return sorted(findings, key=lambda finding: not finding.proven)


def _of_headers(source: Source, request: WebhookRequest) -> Iterator[Finding]:
    kind = type(source).name
    wanted = SIGNATURE_HEADERS.get(kind)
    if wanted in _STANDARD and _STANDARD & {name.lower() for name in request.headers}:
        return  # these kinds read both spellings
    if wanted and wanted not in request.headers:
        there = sorted({k for k, name in SIGNATURE_HEADERS.items() if name in request.headers and name != wanted})
        if there:
            text = f"The header {wanted} is missing, and there is one of {' or '.join(there)}"
            yield Finding("other-sender", text, True, "Point that sender at a source of its own kind")
        elif kind == "github" and "x-hub-signature" in request.headers:
            text = "Only the old SHA-1 signature of GitHub is there"
            yield Finding("old-scheme", text, True, "Let the proxy in front pass x-hub-signature-256 on")
        else:
            text = f"The header {wanted} is missing"
            remedy = "Set a secret at the sender, and let the proxy in front pass the header on"
            yield Finding("missing-header", text, True, remedy)
    elif wanted and len(request.headers.values_of(wanted)) > 1:
        text = f"The header {wanted} is there more than once"
        yield Finding("repeated-header", text, True, "Look for a proxy that adds it")
    encoding = request.headers.get("content-encoding", "")
    if encoding and encoding.lower() != "identity":
        yield Finding("compressed", f"The body says that it is compressed: {encoding[:40]}", False, "Switch it off")


def _of_signature(
    registration: Registration, request: WebhookRequest, now: int, others: Sequence[Registration], make: Maker
) -> Iterator[Finding]:
    source = registration.source
    verdict = _try(source, request, now)
    if isinstance(verdict, MalformedPayload):
        yield Finding("malformed", f"The signature holds. {verdict.message}", True, "Look at the body")
        return
    if isinstance(verdict, SignatureRefused) and verdict.reason in ("timestamp-too-old", "timestamp-in-future"):
        late = verdict.reason == "timestamp-too-old"
        remedy = "It is a replay, or was held up on the way" if late else "Check the clock of this machine (NTP)"
        yield Finding("clock", f"The signature holds, and its moment does not. {verdict.message}", True, remedy)
        return
    proven = False
    for what, body in _bodies(request.body):
        if _holds(source, replace(request, body=body), now):
            proven = True
            yield Finding(
                "body-changed",
                f"The signature holds for the body {what}: it was changed on the way",
                True,
                "Hand the raw bytes on: no JSON parser, proxy or framework may touch the body before us",
            )
            break
    for finding in _secrets(registration, request, now, others, make):
        proven = proven or finding.proven
        yield finding
    if not proven and type(source).name == "stripe":
        yield from _of_stripe(source, request)


def _secrets(
    registration: Registration, request: WebhookRequest, now: int, others: Sequence[Registration], make: Maker
) -> Iterator[Finding]:
    source = registration.source
    for other in others[:MAX_SOURCES]:
        # Another tenant's source is none of this operator's business.
        if other.source is source or other.tenant != registration.tenant:
            continue
        verdict = _try(other.source, request, now)
        if isinstance(verdict, Verified) or (isinstance(verdict, SignatureRefused) and _is_late(verdict)):
            text = f"It is signed for the source {other.source.name!r}"
            same = type(other.source) is type(source)
            hint = " (test and live have secrets of their own)" if same else ""
            yield Finding(
                "other-secret",
                text + hint,
                True,
                f"Send it to /hooks/{other.source.name}, or give this source that secret, too",
            )
            return
    for kind in SIGNATURE_HEADERS:
        if kind == type(source).name:
            continue
        try:
            made = make(kind, source.secrets_for_diagnosis())
        except ConfigurationError:
            continue
        if _holds(made, request, now):
            text = f"It is signed with this source's secret, in the way of {kind}"
            yield Finding("other-scheme", text, True, f"Make the source one of kind {kind!r}")
            return


def _of_stripe(source: Source, request: WebhookRequest) -> Iterator[Finding]:
    if any(secret.startswith(_API_KEYS) for secret in source.secrets_for_diagnosis()):
        text = "The secret of the source looks like an API key"
        yield Finding("api-key", text, False, "Give the endpoint's signing secret, which begins with whsec_")
    try:
        live = json.loads(request.body).get("livemode")
    except (ValueError, AttributeError, RecursionError):
        return
    if isinstance(live, bool):
        sent, given = ("live", "test") if live else ("test", "live")
        text = f"The event is of {sent} mode; the secret is likely that of the endpoint of {given} mode, or of the CLI"
        yield Finding("mode", text, False, f"Copy the signing secret of the endpoint of {sent} mode")


# ── Trying ───────────────────────────────────────────────────────────────────


def _try(source: Source, request: WebhookRequest, now: int) -> Verified | SignatureRefused | MalformedPayload:
    try:
        return source.verify(request, now)
    except (SignatureRefused, MalformedPayload) as refused:
        return refused
    except Exception:  # noqa: BLE001 - a source of the host's own with a fault in it
        return SignatureRefused("The verifier failed", reason="verifier-failed")


def _is_late(refused: SignatureRefused) -> bool:
    return refused.reason in ("timestamp-too-old", "timestamp-in-future")


def _holds(source: Source, request: WebhookRequest, now: int) -> bool:
    verdict = _try(source, request, now)
    return not isinstance(verdict, SignatureRefused) or _is_late(verdict)


def _bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Near misses of a body, each once, with what is different."""
    seen = {body}
    for what, make in (*_AS_BYTES, *_AS_JSON, *_AS_FORM):
        try:
            variant = make(body)
        except (ValueError, RecursionError, UnicodeError, MalformedPayload):
            continue
        if variant not in seen:
            seen.add(variant)
            yield what, variant


def _encoded(**how: object) -> Callable[[bytes], bytes]:
    return lambda body: json.dumps(json.loads(body), **how).encode("utf-8", "surrogatepass")  # type: ignore[arg-type]


_AS_BYTES: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("with a line feed at its end", lambda body: body + b"\n"),
    ("with CR and LF at its end", lambda body: body + b"\r\n"),
    ("without white space around it", bytes.strip),
    ("with LF for CR LF", lambda body: body.replace(b"\r\n", b"\n")),
    ("with CR LF for LF", lambda body: body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")),
    ("without a byte order mark", lambda body: body.removeprefix(b"\xef\xbb\xbf")),
    ("read as latin-1", lambda body: body.decode("utf-8").encode("latin-1")),
    ("written as UTF-8 again", lambda body: body.decode("latin-1").encode("utf-8")),
)

_AS_JSON: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("as compact JSON", _encoded(separators=(",", ":"), ensure_ascii=False)),
    ("as compact JSON in ASCII", _encoded(separators=(",", ":"))),
    ("as JSON with spaces", _encoded(ensure_ascii=False)),
    ("as JSON with spaces, in ASCII", _encoded()),
    ("as JSON indented by 2", _encoded(indent=2, ensure_ascii=False)),
    ("as JSON indented by 4", _encoded(indent=4, ensure_ascii=False)),
    ("as JSON with sorted keys", _encoded(separators=(",", ":"), ensure_ascii=False, sort_keys=True)),
)

_AS_FORM: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("as a form with the field payload", lambda body: forms_of(json_text(body))[0]),
    ("as a form with the field payload, as RFC 3986 escapes", lambda body: forms_of(json_text(body))[1]),
)
