"""Serves the dashboard that was built from ``web/``: one page for all its routes, and its assets.

The assets have a digest in their names, so a browser may keep them for ever; the page itself is never kept. It says in
a ``<meta>`` where it is mounted: no script and no style is inline, but for the styles that Mantine makes at run time,
which carry the nonce of the page.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from custodes.errors import NotFound
from custodes.kernel.ids import RandomBits
from custodes.planes.identity.places import SEGMENTS
from custodes.version import __version__

#: First segment of the paths that the page itself routes, beside that of the overview, which has none.
TABS = frozenset(SEGMENTS) - {""}

#: A year: the name of an asset changes with its content.
_FOR_EVER = "public, max-age=31536000, immutable"

_MEDIA_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}

#: Encodings that are built beside an asset, the smallest first, and their suffix.
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))

#: What the page may load: files of this server, and styles of its own making.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

#: What is in the page as built, in the place of what the server knows.
_PLACEHOLDER = '<meta name="custodes" content="{}"'

_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Custodes</title>
<h1>The dashboard is not built</h1><p>Run <code>make web</code> in the checkout, then reload this page.</p></html>"""


@dataclass(frozen=True, slots=True)
class _Asset:
    media_type: str
    #: Content by encoding; ``identity`` is always there.
    content: dict[str, bytes]


class Dashboard:
    """The built page and its assets, read once.

    Args:
        random_bits: makes the nonces; never a seeded source.
        folder: where the build is; default: in the package.
    """

    def __init__(self, random_bits: RandomBits, folder: Traversable | None = None) -> None:
        built = folder or files("custodes").joinpath("_web")
        self._random_bits = random_bits
        self._assets = dict(_assets(built.joinpath("assets")))
        index = built.joinpath("index.html")
        self._page = index.read_text("utf-8") if index.is_file() else None

    def page(self, root: str, base: str, *, elsewhere: tuple[str, str] | None = None, status: int = 200) -> Response:
        """Return the page.

        Args:
            root: URL path that everything of this install is mounted at; may be empty.
            base: URL path of the dashboard, ``root`` included.
            elsewhere: place that leads to where people sign in, and whose it is; None: they sign in here.
            status: 404 for a path that the page will not know either.
        """
        way = {"place": elsewhere[0], "name": elsewhere[1]} if elsewhere else None
        return self.render({"root": root, "base": base, "version": __version__, "elsewhere": way}, base, status=status)

    def render(self, told: Mapping[str, Any], base: str, *, status: int = 200) -> Response:
        """Return the page with what the server tells it, and a fresh nonce.

        Args:
            told: what is written into its ``<meta>``.
            base: URL path that its files are below.
            status: of the answer.
        """
        if self._page is None:
            return HTMLResponse(_NOT_BUILT, status_code=503)
        nonce = b64encode(self._random_bits(128).to_bytes(16, "big")).decode()
        said = escape(json.dumps({**told, "nonce": nonce}))
        text = self._page.replace(_PLACEHOLDER, f'<meta name="custodes" content="{said}"')
        text = text.replace('="./', f'="{escape(base)}/')
        return HTMLResponse(text, status_code=status, headers={"Content-Security-Policy": _CSP.format(nonce=nonce)})

    def asset_like(self, beginning: str) -> str | None:
        """Return the name of an asset that begins so, its digest included; None when there is none."""
        return next((name for name in self._assets if name.startswith(beginning)), None)

    def asset(self, name: str, request: Request) -> Response:
        """Return an asset in the smallest encoding that the browser takes.

        Raises:
            NotFound: there is none of this name.
        """
        found = self._assets.get(name)
        if found is None:
            msg = "No such file"
            raise NotFound(msg, remedy="Reload the page: a new version may have been installed")
        taken = _accepted(request.headers.get("accept-encoding", ""))
        headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
        for encoding, _ in _ENCODINGS:
            if encoding in taken and encoding in found.content:
                headers["Content-Encoding"] = encoding
                return Response(found.content[encoding], media_type=found.media_type, headers=headers)
        return Response(found.content["identity"], media_type=found.media_type, headers=headers)


def _assets(folder: Traversable) -> Iterator[tuple[str, _Asset]]:
    if not folder.is_dir():
        return
    contents = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    for name, content in contents.items():
        media_type = _MEDIA_TYPES.get(name.rpartition(".")[2])
        if media_type is not None:
            encoded = {
                encoding: contents[name + suffix] for encoding, suffix in _ENCODINGS if name + suffix in contents
            }
            yield name, _Asset(media_type, {"identity": content, **encoded})


def _accepted(header: str) -> set[str]:
    """Tell which encodings a browser takes; one with the weight 0 is refused (RFC 9110 §12.5.3)."""
    taken: set[str] = set()
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        if weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            taken.add(name.strip())
    return taken
