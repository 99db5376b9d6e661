"""The page of the customer portal carries the vendor's name and colour."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.errors import ConfigurationError
from custodes.planes.outbound.portal import PLACE
from custodes.testing.clock import FakeClock


async def test_the_page_carries_the_vendors_name_and_colour(tmp_path: Path, clock: FakeClock):
    """Whatever the name holds, it is text; without the page (not built) there is nothing to look at."""
    install = Custodes(
        f"sqlite:///{tmp_path}/x.db", clock=clock, portal_name='A"><script>', portal_colour="#7A3e9d",
        portal_url="https://hooks.example.com/",
    )  # fmt: skip
    transport = httpx2.ASGITransport(app=create_admin_app(install))
    async with httpx2.AsyncClient(transport=transport, base_url="https://app.example.com") as client:
        page = await client.get(f"{PLACE}/")
    if page.status_code == 200:
        assert "A\\&quot;&gt;&lt;script&gt;" in page.text
        assert "#7A3e9d" in page.text
        assert "version" not in page.text
    assert install.portal.base == "https://hooks.example.com"
    with pytest.raises(ConfigurationError):
        Custodes(f"sqlite:///{tmp_path}/x.db", portal_colour="red;}")
