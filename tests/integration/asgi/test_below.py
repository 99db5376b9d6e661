"""``custodes serve`` behind a proxy that has it below a path: ``CUSTODES_PUBLIC_URL=https://ops.example.com/control``."""

from __future__ import annotations

import re

import httpx2
import pytest

from custodes.asgi.standalone import Below, load

PUBLIC = "https://ops.example.com/control"
HOME = "/dashboard/admin/enterprise"


@pytest.mark.parametrize("taken_away", [True, False], ids=["the proxy takes the path away", "it passes it on"])
async def test_all_of_it_is_found_below_the_public_path(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, taken_away: bool
):
    """Given a public URL with a path, When a browser goes from page to page, Then each link leads below that path."""
    monkeypatch.setenv("CUSTODES_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("CUSTODES_PUBLIC_URL", f"{PUBLIC}/")
    custodes, app = load()
    await custodes.start()
    try:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://10.0.0.7:8321") as client:

            async def get(place: str) -> httpx2.Response:
                assert place.startswith("/control")
                return await client.get(place.removeprefix("/control") or "/" if taken_away else place)

            home = (await get("/control/")).headers["location"]
            assert home == f"/control{HOME}"
            login = (await get(home)).headers["location"]
            assert login == f"/control{HOME}/login"
            form = await get(login)
            assert f'action="/control{HOME}/login"' in form.text
            style = re.search(r'href="([^"]+style\.css)"', form.text)
            assert style is not None
            assert (await get(style[1])).status_code == 200
            assert (await get("/control/api/admin/enterprise/me")).status_code == 401
            assert (await get("/control/api/admin/enterprise/nothing")).status_code in {401, 404}
            assert (await get("/control/nothing")).status_code == 404
    finally:
        await custodes.stop()


def test_without_a_path_or_around_an_app_nothing_is_below(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUSTODES_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("CUSTODES_PUBLIC_URL", "https://ops.example.com/")
    assert not isinstance(load()[1], Below)
    monkeypatch.setenv("CUSTODES_PUBLIC_URL", PUBLIC)
    monkeypatch.setenv("CUSTODES_APP", "custodes.asgi.standalone:nothing_here")
    assert not isinstance(load()[1], Below)
