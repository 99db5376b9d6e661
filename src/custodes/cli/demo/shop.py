"""The demo's API: a small coffee shop whose failures are made to be found.

What goes wrong is decided by the request, so that two runs with the same seed look the same: long search words are
slow, reports are slower, every 40th order cannot be paid, and a refund of an unknown order crashes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import BaseModel, Field

from custodes.app import Custodes
from custodes.asgi.mount import DASHBOARD
from custodes.cli.demo.stock import CATALOGUE, GOOD_PASSWORD
from custodes.planes.inbound.model import WebhookEvent
from custodes.runtime.log import log_to_stderr

#: An order whose number is a multiple of this cannot be paid.
UNPAYABLE_EVERY = 40

#: Seconds that each letter of a search word costs beyond the fourth.
SLOW_LETTER_SECONDS = 0.02

#: Seconds that a report takes for each month it covers.
REPORT_MONTH_SECONDS = 0.06

User = Annotated[str, Header(alias="x-demo-user", max_length=80)]


class NewOrder(BaseModel):
    """An order as the client sends it."""

    product: int = Field(ge=0, lt=len(CATALOGUE))
    quantity: int = Field(ge=1, le=20)


class Login(BaseModel):
    """A login as the client sends it."""

    user: str = Field(max_length=80)
    password: str = Field(max_length=200)


class RoleChange(BaseModel):
    """A change of somebody's role."""

    role: str = Field(pattern="^(member|manager|admin)$")


def create_app() -> Any:
    """Make the shop with Custodes around it; settings come from the environment."""
    from custodes.asgi.standalone import Probes

    log_to_stderr()
    custodes = Custodes(identify=identify, trusted_proxies=("127.0.0.1/32", "::1/128"))
    limits(custodes)
    handlers(custodes)
    shop = FastAPI(title="Demo shop")
    catalogue_routes(shop)
    order_routes(shop, custodes)
    return Probes(custodes, custodes.wrap(shop))


def identify(scope: Mapping[str, Any]) -> Any:
    """Tell who calls; the shop trusts its own headers."""
    from custodes.asgi.identity import Identity

    headers = dict(scope["headers"])
    user = headers.get(b"x-demo-user", b"").decode("latin-1")[:80]
    key = headers.get(b"x-demo-key", b"").decode("latin-1")[:80]
    return Identity(user=user, api_key=key) if user or key else None


def limits(custodes: Custodes) -> None:
    """Limit what is worth attacking."""
    custodes.limit("10/minute", by="ip", route="/login", name="login")
    custodes.limit("600/minute", by="ip", name="per address")
    custodes.limit("120/minute burst 20 using gcra", by="user", route="/orders", name="orders per user")
    custodes.limit("30/minute", by="api_key", route="/reports/{months}", name="reports per key", shadow=True)


def handlers(custodes: Custodes) -> None:
    """Handle the webhooks that the shop lives on."""

    @custodes.webhook("stripe", "invoice.paid")
    async def invoice_paid(event: WebhookEvent) -> None:
        custodes.metrics.count("invoices.paid", 1)
        await asyncio.sleep(0.005)

    @custodes.webhook("stripe", "payment_intent.*")
    async def payment(event: WebhookEvent) -> None:
        # The bank's gateway hiccups: the first attempt of every seventh event fails, the retry goes through.
        if event.attempt == 1 and int(event.id[-2:], 16) % 7 == 0:
            msg = "bank gateway timed out"
            raise TimeoutError(msg)
        await asyncio.sleep(0.02)

    @custodes.webhook("github", "push")
    def push(event: WebhookEvent) -> None:
        payload = event.json()
        if payload.get("ref") == "refs/heads/broken":
            msg = "no such pipeline: broken"
            raise LookupError(msg)

    @custodes.webhook("clerk", "user.*")
    async def user_changed(event: WebhookEvent) -> None:
        await custodes.audit.log_audit_event(
            event.type, actor="service:clerk", target=f"user:{event.json()['data']['id']}", trace_id=event.trace_id
        )


def catalogue_routes(shop: FastAPI) -> None:
    """Add what only reads."""

    @shop.get("/", include_in_schema=False)
    async def front_door() -> RedirectResponse:
        return RedirectResponse(DASHBOARD, 303)  # nobody comes here to buy coffee

    @shop.get("/products")
    async def list_products() -> list[dict[str, Any]]:
        return [{"id": index, "name": name, "cents": cents} for index, (name, cents) in enumerate(CATALOGUE)]

    @shop.get("/products/{product}")
    async def get_product(product: int) -> dict[str, Any]:
        if not 0 <= product < len(CATALOGUE):
            raise HTTPException(404, "no such product")
        name, cents = CATALOGUE[product]
        return {"id": product, "name": name, "cents": cents}

    @shop.get("/search")
    async def search(q: str = "") -> list[str]:
        await asyncio.sleep(SLOW_LETTER_SECONDS * max(0, min(len(q), 30) - 4))
        return [name for name, _ in CATALOGUE if q.lower() in name.lower()]

    @shop.get("/reports/{months}")
    async def report(months: int) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            for month in range(min(months, 12)):
                await asyncio.sleep(REPORT_MONTH_SECONDS)
                yield json.dumps({"month": month, "orders": month * 31}) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")


def order_routes(shop: FastAPI, custodes: Custodes) -> None:
    """Add what changes something."""
    orders = iter(range(1, 2**62))

    @shop.post("/orders", status_code=201)
    async def create_order(order: NewOrder, user: User = "") -> dict[str, Any]:
        number = next(orders)
        if number % UNPAYABLE_EVERY == 0:
            msg = "payment provider answered 502"
            raise ConnectionError(msg)
        cents = CATALOGUE[order.product][1] * order.quantity
        custodes.metrics.count("orders.created", 1)
        custodes.metrics.observe("order.value_cents", cents)
        await custodes.audit.log_audit_event("order.created", actor=f"user:{user or 'guest'}", target=f"order:{number}")
        item = CATALOGUE[order.product][0]
        await custodes.outbound.emit("order.created", {"order": number, "cents": cents, "item": item})
        return {"order": number, "cents": cents}

    @shop.post("/orders/{order}/refund")
    async def refund(order: int) -> dict[str, Any]:
        known: dict[int, int] = {}
        return {"order": order, "cents": known[order]}

    @shop.post("/login")
    async def login(credentials: Login) -> dict[str, str]:
        actor = f"user:{credentials.user}"
        if credentials.password != GOOD_PASSWORD:
            await custodes.audit.log_security_event("login.failed", actor=actor, outcome="failure")
            raise HTTPException(401, "wrong user or password")
        await custodes.audit.log_audit_event("login.succeeded", actor=actor)
        return {"welcome": credentials.user}

    @shop.put("/members/{member}/role")
    async def change_role(member: str, change: RoleChange, user: User = "") -> dict[str, str]:
        await custodes.audit.log_audit_event(
            "member.role_changed",
            actor=f"user:{user or 'guest'}",
            target=f"user:{member}",
            changes=[{"path": "role", "old": "member", "new": change.role}],
        )
        await custodes.outbound.emit("member.role_changed", {"member": member, "role": change.role})
        return {"member": member, "role": change.role}
