"""Write ``docs/reference`` from the code, or (``--check``) tell what is out of date.

Settings, errors, tables, HTTP routes and commands are described once, where they are made; these pages only show them.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from sqlalchemy import Index

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"

#: Says on every page where it comes from.
NOTICE = "<!-- Written by `make docs` from the code. Do not edit. -->\n\n"


def settings() -> str:
    """Every setting: environment name, default, meaning."""
    from pydantic import AliasChoices, SecretStr

    from custodes.settings import Settings

    lines = [
        "# Settings",
        "",
        "Arguments of `Custodes(...)` win over the environment, which wins over `custodes.toml`",
        "",
    ]
    lines[2] += " (or the file that `CUSTODES_CONFIG` names, which must be there)."
    lines += [
        "",
        "Variables of other names (`PORT`, `DATABASE_URL`, `SECRET_KEY`) belong to your app and are never read.",
    ]
    lines += [
        "Arguments and names in the file that are not in this table are refused; `custodes doctor` names variables"
    ]
    lines += ["that begin with `CUSTODES_` and are not."]
    lines += ["", "| environment | argument | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        environment = str(alias.choices[0]) if isinstance(alias, AliasChoices) else name.upper()
        default = field.get_default(call_default_factory=True)
        default = default.get_secret_value() if isinstance(default, SecretStr) else default
        shown = (
            "" if default in ("", (), None) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        )
        lines.append(f"| `{environment}` | `{name}` | {shown} | {' '.join((field.description or '').split())} |")
    return "\n".join(lines) + "\n"


def errors() -> str:
    """Every error: code, status, meaning."""
    from custodes import errors as module

    lines = ["# Errors", "", "Every answer with an error is `application/problem+json` (RFC 9457).", ""]
    lines += ["| error | code | HTTP | meaning |", "| --- | --- | --- | --- |"]
    for name, found in vars(module).items():
        if isinstance(found, type) and issubclass(found, module.CustodesError):
            lines.append(f"| `{name}` | `{found.code}` | {found.status} | {(found.__doc__ or '').splitlines()[0]} |")
    return "\n".join(lines) + "\n"


def tables() -> str:
    """Every table: columns, keys, indexes."""
    from custodes.storage.sql.schema import metadata

    lines = [
        "# Tables",
        "",
        "Moments are microseconds since the epoch, UTC. JSON is ASCII text. Payloads are bytes.",
        "",
    ]
    for table in sorted(metadata.tables.values(), key=lambda found: found.name):
        lines += [f"## `{table.name}`", "", "| column | type | |", "| --- | --- | --- |"]
        for column in table.columns:
            notes = [*(["key"] if column.primary_key else []), *([] if column.nullable else ["not null"])]
            lines.append(f"| `{column.name}` | {column.type!s} | {', '.join(notes)} |")
        indexes = sorted(f"- {_kind(index)} on {_columns(index)}{_engine(index)}" for index in table.indexes)
        lines += ["", *indexes, *([""] if indexes else [])]
    return "\n".join(lines).rstrip() + "\n"


def _columns(index: Index) -> str:
    return ", ".join(f"`{getattr(part, 'name', None) or part!s}`" for part in index.expressions)


def _kind(index: Index) -> str:
    kind = "BRIN index" if index.dialect_options["postgresql"]["using"] else "index"
    return f"unique {kind}" if index.unique else kind


def _engine(index: Index) -> str:
    from custodes.storage.sql.tables import ONLY

    return {"postgresql": ", on PostgreSQL", "sqlite": ", on SQLite"}.get(index.info.get(ONLY, ""), "")


def http() -> str:
    """Every route of the admin API."""
    from custodes import Custodes
    from custodes.admin.app import create_admin_app

    document = create_admin_app(Custodes("sqlite://")).openapi()
    rule = (
        "A field that a body does not have is refused (422) by name, with the nearest that it has; "
        "so is a parameter, but for those of *session* and *ingest*, which take none."
    )
    return _routes("Admin API", "/api/admin/enterprise/openapi.json", document, rule)


def portal() -> str:
    """Every route of the customer portal."""
    from custodes import Custodes
    from custodes.admin.portal.app import create_portal_app

    document = create_portal_app(Custodes("sqlite://")).openapi()
    return _routes("Portal API, below `/portal/webhooks`", "/portal/webhooks/api/openapi.json", document)


def _routes(title: str, served: str, document: dict[str, Any], rule: str = "") -> str:
    lines = [f"# {title}", "", f"The whole description is served at `{served}`. {rule}".rstrip(), ""]
    tags: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            text = (operation.get("description") or operation.get("summary") or "").strip().splitlines()[0]
            tags.setdefault(operation["tags"][0], []).append(f"| `{method.upper()} {path}` | {text} |")
    for tag, rows in tags.items():
        lines += [f"## {tag}", "", "| route | |", "| --- | --- |", *rows, ""]
    return "\n".join(lines).rstrip() + "\n"


def commands() -> str:
    """Every command and its options."""
    from custodes.cli.main import app

    lines = ["# Commands", ""]

    def describe(command: Any, path: str) -> None:
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                describe_one(command, path)
            for name, inner in command.commands.items():
                describe(inner, f"{path} {name}")
        else:
            describe_one(command, path)

    def describe_one(command: Any, path: str) -> None:
        lines.extend([f"## `{path}`", "", " ".join((command.help or "").split()), ""])
        lines.extend(["| | |", "| --- | --- |"])
        for parameter in command.params:
            names = ", ".join(f"`{option}`" for option in parameter.opts)
            lines.append(f"| {names} | {getattr(parameter, 'help', '') or ''} |")
        lines.append("")

    describe(typer.main.get_command(app), "custodes")
    return "\n".join(lines).rstrip() + "\n"


def signals() -> str:
    """Every signal that a plane may emit."""
    tree = ast.parse((ROOT / "src/custodes/kernel/signals.py").read_text())
    lines = [
        "# Signals",
        "",
        "What planes tell each other; subscribe with `custodes.bus.subscribe(Signal, listener)`.",
        "",
    ]
    lines += [
        f"- **`{node.name}`**: {' '.join((ast.get_docstring(node) or '').split())}"
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    ]
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "errors.md": errors,
    "tables.md": tables,
    "admin-api.md": http,
    "portal-api.md": portal,
    "commands.md": commands,
    "signals.md": signals,
}


def main() -> int:
    """Write or compare; exit code 1 when a page is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is out of date")
    check = parser.parse_args().check
    stale: list[str] = []
    for name, page in PAGES.items():
        path, text = REFERENCE / name, NOTICE + page()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text)
    if check and stale:
        print(f"docs/reference is out of date: {', '.join(stale)}. Run: make docs", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
