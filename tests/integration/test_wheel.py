"""What is packed: the dashboard is in the wheel, whole, and without it there is no wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from custodes.kernel.compiled import TWINS, twin

ROOT = Path(__file__).parents[2]


def _build(folder: Path) -> list[Path]:
    """Build as a build front end does, without its separate environment; returns what was made."""
    return [Path(made) for made in WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])]


# The dashboard is built where it is not, or has changed: minutes on a busy machine.
@pytest.mark.timeout(600)
def test_the_wheel_holds_the_dashboard_with_all_that_its_page_loads(tmp_path: Path) -> None:
    """Given the wheel; then the page, each asset that it names, compressed too, and nothing of the workshop."""
    (wheel,) = _build(tmp_path)
    with ZipFile(wheel) as packed:
        names = set(packed.namelist())
        page = packed.read("custodes/_web/index.html").decode()

    loaded = re.findall(r'(?:src|href)="[^"]*?(assets/[^"]+)"', page)
    assert any(name.endswith(".js") for name in loaded)
    assert any(name.endswith(".css") for name in loaded)
    for name in loaded:
        for suffix in ("", ".br", ".gz") if name.endswith((".js", ".css")) else ("",):
            assert f"custodes/_web/{name}{suffix}" in names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"custodes"}
    assert not [name for name in names if "node_modules" in name or name.endswith((".ts", ".tsx", ".map"))]


def test_the_wheel_holds_what_was_compiled_for_its_platform(tmp_path: Path) -> None:
    """Given a C compiler; then each twin is in the wheel with its sources, and the wheel is for this Python alone."""
    if twin(TWINS[0]) is None:
        pytest.skip("Nothing is compiled here: make twins")
    (wheel,) = _build(tmp_path)
    with ZipFile(wheel) as packed:
        names = set(packed.namelist())

    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert {name for name in names if name.endswith(suffix)} == {name.replace(".", "/") + suffix for name in TWINS}
    assert {name.replace(".", "/") + ".pyx" for name in TWINS} < names
    assert not wheel.name.endswith("-any.whl")
    assert f"cp{sys.version_info.major}{sys.version_info.minor}" in wheel.name


def test_a_wheel_without_a_compiler_is_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given no C compiler; then the wheel is for every platform, and has nothing in it that is compiled."""
    monkeypatch.setitem(sys.modules, "twins", SimpleNamespace(build=lambda: "no compiler"))

    (wheel,) = _build(tmp_path)

    with ZipFile(wheel) as packed:
        assert not [name for name in packed.namelist() if name.endswith((".so", ".pyd"))]
    assert wheel.name.endswith("py3-none-any.whl")


def test_the_image_is_given_all_that_a_wheel_is_built_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given what the Dockerfile copies, without git; then a wheel is built, and nothing that was compiled is in it."""
    context = tmp_path / "context"
    ignored = (ROOT / ".dockerignore").read_text().split()
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            *sources, target = line.split()[1:]
            for source in sources:
                assert f"!{source}" in ignored, f"{source} is not sent to the build"
                place = context / target / (Path(source).name if target.endswith("/") else "")
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place)
                else:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, place)
    monkeypatch.setenv("CUSTODES_SKIP_TWINS", "1")

    (wheel,) = [Path(made) for made in WheelBuilder(str(context)).build(directory=str(tmp_path), versions=["standard"])]

    with ZipFile(wheel) as packed:
        names = packed.namelist()
    assert "custodes/_web/index.html" in names
    assert not [name for name in names if name.endswith((".so", ".pyd"))]


def test_a_dashboard_that_cannot_be_built_is_no_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise subprocess.CalledProcessError(1, "npm run build")

    monkeypatch.setitem(sys.modules, "web", SimpleNamespace(build=fail))

    with pytest.raises(subprocess.CalledProcessError):
        _build(tmp_path)

    assert list(tmp_path.iterdir()) == []
