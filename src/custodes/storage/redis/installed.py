"""Whether the client of Redis is there; asked before anything of this folder that needs it is imported."""

from __future__ import annotations

from importlib.util import find_spec

from custodes.errors import ConfigurationError


def check_installed() -> None:
    """Do nothing where the ``redis`` extra is installed.

    Raises:
        ConfigurationError: it is not.
    """
    if find_spec("redis") is None or find_spec("hiredis") is None:
        msg = "A Redis URL is given, and the client is not installed"
        raise ConfigurationError(msg, remedy='pip install "custodes[redis]"')
