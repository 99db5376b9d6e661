"""HTML, written by hand: every value that is put into it is escaped, by the only function that puts values in."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is HTML already; anything else is escaped when it is put into a page."""

    __slots__ = ()


def html(template: str, **values: object) -> Html:
    """Fill a template written with ``{name}``; values that are not :class:`Html` are escaped."""
    return Html(template.format(**{name: _safe(value) for name, value in values.items()}))


def join(parts: Iterable[Html]) -> Html:
    """Put pieces one after another."""
    return Html("".join(parts))


def _safe(value: object) -> str:
    return value if isinstance(value, Html) else escape(str(value), quote=True)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Custodes</title>
<link rel="icon" type="image/svg+xml" href="{base}/icon.svg">
<link rel="stylesheet" href="{base}/style.css">
</head>
<body>
{body}
</body>
</html>
"""


def page(title: str, base: str, body: Html) -> str:
    """Write a whole page.

    Args:
        title: of the window.
        base: URL path of the dashboard, with the mount prefix.
        body: what is in it.
    """
    return html(_PAGE, title=title, base=base, body=body)
