"""The two forms: sign in, and choose a password."""

from __future__ import annotations

from urllib.parse import quote

from custodes.admin.pages.markup import Html, html, page
from custodes.planes.identity.passwords import MAX_LENGTH, MIN_LENGTH

_LOGIN = """<main>
{brand}
<div class="sheet">
<h1>Sign in</h1>
<p class="note">The control room of your back end.</p>
{alarm}
{elsewhere}
<form method="post" action="{base}/login">
<input type="hidden" name="next" value="{then}">
<label for="username">User name</label>
<input id="username" name="username" autocomplete="username" autocapitalize="none" spellcheck="false"
 required{first} maxlength="255" value="{username}">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required{second}
 maxlength="{longest}">
<button class="go">Sign in</button>
</form>
</div></main>"""

_CHOOSE = """<main>
{brand}
<div class="sheet">
<h1>Choose a password</h1>
<p class="note">{why}</p>
{alarm}
<form method="post" action="{base}/password">
<input type="hidden" name="csrf" value="{csrf}">
<input type="hidden" name="next" value="{then}">
<input name="username" autocomplete="username" value="{username}" readonly hidden>
<label for="current">Current password</label>
<input id="current" name="current" type="password" autocomplete="current-password" required autofocus
 maxlength="{longest}">
<label for="new">New password</label>
<p class="hint" id="rule">At least {shortest} characters.</p>
<input id="new" name="new" type="password" autocomplete="new-password" aria-describedby="rule" required
 minlength="{shortest}" maxlength="{longest}">
<label for="again">New password, again</label>
<input id="again" name="again" type="password" autocomplete="new-password" required
 minlength="{shortest}" maxlength="{longest}">
<button class="go">Change password</button>
</form>
</div></main>"""

_MESSAGE = """<main>
{brand}
<div class="sheet">
<h1>{title}</h1>
{alarm}
{again}
</div></main>"""

_LEAVE = """<form method="post" action="{base}/logout">
<input type="hidden" name="csrf" value="{csrf}">
<button class="go">Sign out</button>
</form>"""

_BRAND = Html("""<p class="brand"><svg viewBox="0 0 32 32" width="30" height="30" aria-hidden="true">
<path d="M16 2 28 7v9c0 7-5 12-12 14C9 28 4 23 4 16V7z" fill="#1f5fbf"/>
<circle cx="16" cy="15" r="5" fill="none" stroke="#fff" stroke-width="3"/></svg> Custodes</p>""")

_FOCUS = Html(" autofocus")

_ELSEWHERE = """<p><a class="go" href="{base}{place}?next={then}">Sign in with {name}</a></p>
<p class="or">or with a password of this install</p>"""


def login_form(
    base: str, *, alarm: str = "", username: str = "", then: str = "", elsewhere: tuple[str, str] | None = None
) -> str:
    """Write the login page.

    Args:
        base: URL path of the pages.
        alarm: what went wrong.
        username: as it was typed.
        then: place of the dashboard to go to.
        elsewhere: place that leads to where people sign in, and whose it is.
    """
    other = Html("")
    if elsewhere:
        other = html(_ELSEWHERE, base=base, place=elsewhere[0], then=quote(then, safe=""), name=elsewhere[1])
    body = html(
        _LOGIN,
        brand=_BRAND,
        base=base,
        alarm=_alarm(alarm),
        username=username,
        # After a wrong password it is that which is typed again.
        first=_FOCUS if not username else Html(""),
        second=_FOCUS if username else Html(""),
        then=then,
        longest=MAX_LENGTH,
        elsewhere=other,
    )
    return page("Sign in", base, body)


def password_form(base: str, *, username: str, csrf: str, then: str, forced: bool, alarm: str = "") -> str:
    """Write the page that changes the password, and leads to a place of the dashboard."""
    why = (
        "The password you signed in with opens nothing else. Choose one that only you know."
        if forced
        else "All your other sessions end."
    )
    body = html(
        _CHOOSE,
        brand=_BRAND,
        base=base,
        alarm=_alarm(alarm),
        username=username,
        csrf=csrf,
        then=then,
        why=why,
        shortest=MIN_LENGTH,
        longest=MAX_LENGTH,
    )
    return page("Password", base, body)


def message(base: str, title: str, text: str, *, again: bool = False, csrf: str = "") -> str:
    """Write a page that says one thing; ``again``: and leads back to signing in; ``csrf``: and lets one sign out."""
    link = html('<p><a href="{base}/login">Sign in again</a></p>', base=base) if again else Html("")
    if csrf:
        link = html(_LEAVE, base=base, csrf=csrf)
    return page(title, base, html(_MESSAGE, brand=_BRAND, title=title, alarm=_alarm(text), again=link))


def _alarm(text: str) -> Html:
    return html('<p class="alarm" role="alert">{text}</p>', text=text) if text else Html("")
