"""The libraries that receivers use: both of PyPI and both of npm, and Ed25519 by nothing of ours."""

from __future__ import annotations

import base64
import importlib.util
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook as StandardWebhook
from svix.webhooks import Webhook as SvixWebhook

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Case:
    """A request as it was received, and the secret that it is verified with."""

    body: bytes
    headers: Mapping[str, str]
    secret: str


def verdicts(cases: Sequence[Case]) -> dict[str, list[bool]]:
    """Tell of each library which cases it takes."""
    python: dict[str, Callable[[Case], None]] = {
        "svix (PyPI)": lambda case: SvixWebhook(case.secret).verify(case.body, _renamed(case.headers)),
        "standardwebhooks (PyPI)": lambda case: StandardWebhook(case.secret).verify(
            case.body, dict(case.headers), json_parse=False
        ),
    }
    return {name: [_takes(verify, case) for case in cases] for name, verify in python.items()} | _of_npm(cases)


def verified(public_key: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Check ``v1a`` signatures as the specification says: whether one of them is by this key (``whpk_…``)."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for signature in headers["webhook-signature"].split(" "):
        kind, _, value = signature.partition(",")
        try:
            if kind == "v1a":
                key.verify(base64.b64decode(value), signed)
                return True
        except InvalidSignature:
            continue
    return False


def _takes(verify: Callable[[Case], None], case: Case) -> bool:
    try:
        verify(case)
    except Exception:  # noqa: BLE001 - the libraries refuse in several ways
        return False
    return True


def _renamed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("webhook-", "svix-"): value for name, value in headers.items()}


def _of_npm(cases: Sequence[Case]) -> dict[str, list[bool]]:
    """Ask the packages that ``web/package.json`` pins, in one process of the project's own Node."""
    web = _web()
    web.install()
    asked = [
        {"body": base64.b64encode(case.body).decode(), "headers": dict(case.headers), "secret": case.secret}
        for case in cases
    ]
    script = Path(__file__).with_name("verify.mjs")
    done = subprocess.run(
        [web.node(), script, web.WEB / "package.json"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def _web() -> ModuleType:
    spec = importlib.util.spec_from_file_location("web", ROOT / "scripts" / "web.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
