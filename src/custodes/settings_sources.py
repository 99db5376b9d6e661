"""Where settings are read from: the environment, by names that are ours, and a file of TOML."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import AliasChoices, BaseModel
from pydantic_settings import BaseSettings, EnvSettingsSource, TomlConfigSettingsSource

from custodes.errors import ConfigurationError
from custodes.kernel.spelling import nearest

#: Names the file.
CONFIG_VARIABLE = "CUSTODES_CONFIG"

#: The file, when none is named and it exists.
DEFAULT_FILE = "custodes.toml"


class Environment(EnvSettingsSource):
    """Environment variables by the name that is meant for them, never by the field's own.

    pydantic-settings looks all choices of an alias up; but the ``HOST``, ``SECRET_KEY`` and ``GITHUB_TOKEN`` of the
    environment are those of the host app, of its framework, of its CI.
    """

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        ours = {name.lower() for name in environment_names(settings_cls).values()}
        self.env_vars = {name: value for name, value in self.env_vars.items() if name.lower() in ours}


def environment_names(settings_cls: type[BaseSettings]) -> dict[str, str]:
    """Field → environment variable."""
    aliases = ((name, field.validation_alias) for name, field in settings_cls.model_fields.items())
    return {name: str(alias.choices[0]) for name, alias in aliases if isinstance(alias, AliasChoices)}


def settings_file(settings_cls: type[BaseSettings]) -> TomlConfigSettingsSource:
    """Read the file.

    Raises:
        ConfigurationError: one is named and not there, or it is no TOML.
    """
    named = os.environ.get(CONFIG_VARIABLE, "")
    file = Path(named or DEFAULT_FILE)
    if named and not file.is_file():
        msg = f"{CONFIG_VARIABLE} names {file.absolute()}, and there is no such file"
        raise ConfigurationError(msg, remedy="Name the file of settings, or unset the variable")
    try:
        return TomlConfigSettingsSource(settings_cls, toml_file=file)
    except (OSError, ValueError) as error:  # those of TOML and of UTF-8 are ValueErrors
        msg = f"The settings in {file.absolute()} cannot be read: {error}"
        raise ConfigurationError(msg, remedy="Write them as TOML: port = 8321") from None


def told(kind: str, where: tuple[int | str, ...], message: str, models: Sequence[type[BaseModel]]) -> str:
    """Say in words what is wrong with a setting.

    Args:
        kind: pydantic's type of the error.
        where: path of what is wrong.
        message: pydantic's words, without the value, which may be a secret.
        models: what the settings are of, and what those in tables are of.
    """
    name = ".".join(str(part) for part in where)
    if kind != "extra_forbidden":
        return ": ".join(filter(None, (name, message)))
    known = models[0 if len(where) == 1 else -1].model_fields
    return f"{name[:80]}: there is no such setting{nearest(str(where[-1]), known)}"
