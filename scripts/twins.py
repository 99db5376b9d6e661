"""Compiles the twins in Cython beside their sources, when something has changed (ADR 0013); see ``make twins``.

python scripts/twins.py              where there is no C compiler, Python does what the twins would; a line says so
python scripts/twins.py --for-tests  ask apt for a compiler, as root; in CI it is a failure when there is none
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
CACHE = ROOT / ".cache"

#: What was compiled last, by a digest of what went in.
STAMP = CACHE / "twins"

#: What Debian needs to compile for its own Python; others bring their headers along.
PACKAGES = ("gcc", "libc6-dev", "python3-dev")

#: How the sources are meant: indices are looked at and never count from the end, None is found before it is used,
#: division is that of Python.
DIRECTIVES = {"language_level": 3, "boundscheck": True, "wraparound": False, "nonecheck": True, "cdivision": False}


def sources() -> list[Path]:
    """List the twins."""
    return sorted(SRC.rglob("_*.pyx"))


def compiled(source: Path) -> Path:
    """Name what a twin is compiled to, for the Python that runs this."""
    return source.with_suffix(str(sysconfig.get_config_var("EXT_SUFFIX")))


def build() -> str:
    """Compile the twins when something has changed; returns why that cannot be done here, empty when it is done."""
    if is_current():
        return ""
    STAMP.unlink(missing_ok=True)
    for made in (*SRC.rglob("_*.so"), *SRC.rglob("_*.pyd")):  # of every Python: what does not say what its source says
        made.unlink()
    try:
        _compile()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a compiler does, there is Python
        return f"{type(error).__name__}: {str(error)[:300]}"
    CACHE.mkdir(exist_ok=True)
    STAMP.write_text(_digest())
    return ""


def is_current() -> bool:
    """Tell whether what is compiled is what the sources say, for this Python."""
    made = all(compiled(one).is_file() for one in sources())
    return made and STAMP.is_file() and STAMP.read_text() == _digest()


def _digest() -> str:
    compilers = [f"{name} {version(name)}" if find_spec(name) else name for name in ("Cython", "setuptools")]
    parts = [path.read_bytes() for path in (*sources(), *sorted(SRC.rglob("_*.pxd")), Path(__file__))]
    return hashlib.sha256(b"\0".join([*map(str.encode, (sys.version, *compilers)), *parts])).hexdigest()


def _compile() -> None:
    from Cython.Build import cythonize
    from setuptools import Extension
    from setuptools.dist import Distribution

    here = Path.cwd()
    os.chdir(SRC)
    try:
        extensions = [
            Extension(
                ".".join(source.relative_to(SRC).with_suffix("").parts),
                [str(source.relative_to(SRC))],
                extra_compile_args=[] if sys.platform == "win32" else ["-O3", "-g0"],
            )
            for source in sources()
        ]
        cache = str(CACHE / "cython")
        made = cythonize(extensions, build_dir=cache, compiler_directives=DIRECTIVES, force=True, quiet=True)
        command = Distribution({"ext_modules": made}).get_command_obj("build_ext")
        command.inplace = True
        command.parallel = os.cpu_count()
        command.build_lib = command.build_temp = cache
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(here)


def _install_compiler() -> bool:
    """Ask apt, as root only."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *PACKAGES]):
        if subprocess.run([apt, *command], env=environment, check=False, stdout=subprocess.DEVNULL).returncode:
            return False
    return True


def main(arguments: list[str]) -> int:
    """Compile, and say what came of it."""
    for_tests = "--for-tests" in arguments
    trouble = build()
    if trouble and for_tests and _install_compiler():
        trouble = build()
    if not trouble:
        return 0
    print(f"What every request passes is not compiled, Python does it: {trouble}")
    print(f"To have it compiled, on Debian: apt-get install {' '.join(PACKAGES)}")
    return 1 if for_tests and os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
