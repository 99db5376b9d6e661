"""Sources by name: ours, those of installed packages, and those handed over ready-made.

A package offers its own by an entry point of the group ``custodes.sources``, whose name is the kind::

    [project.entry-points."custodes.sources"]
    acme = "acme_webhooks:AcmeSource"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from inspect import signature
from types import MappingProxyType
from typing import Any

from custodes.errors import ConfigurationError
from custodes.planes.inbound.sources.base import Source, checked_name
from custodes.planes.inbound.sources.generic_hmac import GenericHmac
from custodes.planes.inbound.sources.github import GitHub
from custodes.planes.inbound.sources.gitlab import GitLab
from custodes.planes.inbound.sources.shopify import Shopify
from custodes.planes.inbound.sources.slack import Slack
from custodes.planes.inbound.sources.square import Square
from custodes.planes.inbound.sources.standard_webhooks import Clerk, StandardWebhooks, Svix
from custodes.planes.inbound.sources.stripe import Stripe
from custodes.planes.inbound.sources.twilio import Twilio
from custodes.planes.inbound.sources.zendesk import Zendesk

#: Entry points in which packages offer their sources.
GROUP = "custodes.sources"

#: The sources that come with Custodes, by kind. Another package cannot take these names.
BUILT_IN: Mapping[str, type[Source]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Stripe,
            GitHub,
            Clerk,
            Svix,
            StandardWebhooks,
            Shopify,
            Slack,
            GitLab,
            Twilio,
            Square,
            Zendesk,
            GenericHmac,
        )
    }
)


def make_source(name: str, secrets: Sequence[str], *, kind: str = "", **options: Any) -> Source:
    """Make the source of a name.

    Args:
        name: Name in URLs; also the kind when none is given: ``make_source("stripe", [secret])``.
        secrets: Signing secrets that are accepted.
        kind: Who sends, where the name says something else: ``make_source("stripe-eu", [secret], kind="stripe")``.
        options: As the class takes them: ``tolerance=…``, ``url=…``, ``header=…``.

    Raises:
        ConfigurationError: no such kind, or an option, a secret or a name that cannot be.
    """
    checked_name(name)
    made = source_class(kind or name)
    try:
        signature(made).bind(secrets, name=name, **options)
    except TypeError as error:
        msg = f"Source {name!r} cannot be made: {error}"
        raise ConfigurationError(msg, remedy=f"See the options of {made.__name__}") from error
    return made(secrets, name=name, **options)


def made_of_kind(kind: str, secrets: Sequence[str]) -> Source:
    """Make a source of one of our kinds with nothing but secrets, or raise ``ConfigurationError``."""
    return make_source(kind, secrets)


def source_class(kind: str) -> type[Source]:
    """Return the class of a kind, or raise ``ConfigurationError``."""
    if kind in BUILT_IN:
        return BUILT_IN[kind]
    for entry in entry_points(group=GROUP, name=kind):
        try:
            found: Any = entry.load()
        except Exception as error:  # whatever the module of the package raises
            msg = f"The entry point {entry.value} of {GROUP} cannot be loaded: {type(error).__name__}: {error}"
            raise ConfigurationError(msg, remedy="Correct or remove the package that offers it") from error
        if isinstance(found, type) and issubclass(found, Source):
            return found
        msg = f"The entry point {entry.value} of {GROUP} is no source"
        raise ConfigurationError(msg, remedy="Point it at a subclass of Source")
    msg = f"There is no kind of webhook source called {kind[:60]!r}"
    raise ConfigurationError(msg, remedy=f"Use one of {', '.join(kinds())}, or kind='hmac' with its options")


def kinds() -> list[str]:
    """Return every kind there is: ours first, then those of packages."""
    return [*BUILT_IN, *sorted({entry.name for entry in entry_points(group=GROUP)} - set(BUILT_IN))]
