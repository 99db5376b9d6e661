"""Promises of ARCHITECTURE.md about the code itself."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "custodes"
MODULES = sorted(SOURCE.rglob("*.py"))

#: Lines of one module before it stops fitting in a head.
MODULE_CEILING = 450


def test_imports_point_down():
    """The contracts in pyproject.toml hold: layers, independent planes, pure kernel, doors without storage."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout


def test_there_is_no_import_cycle():
    graph = grimp.build_graph("custodes", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    # Given we take away, again and again, what imports nothing that is left
    left = dict(imports)
    while leaves := [module for module, needs in left.items() if not needs & left.keys()]:
        for module in leaves:
            del left[module]

    # Then nothing is left over
    assert not left, f"import cycle among {sorted(left)}"


def test_importing_the_package_alone_imports_nothing_heavy():
    heavy = ["sqlalchemy", "fastapi", "starlette", "pydantic", "alembic", "aiohttp", "cryptography", "typer"]
    code = f"import sys, custodes; print([name for name in {heavy!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "module",
    [m for m in MODULES if "cli" in m.parts and m.name != "console.py"],
    ids=lambda m: str(m.relative_to(SOURCE)),
)
def test_commands_speak_through_the_console_only(module: Path):
    """There, nothing that strangers write steers a terminal."""
    nodes = list(ast.walk(ast.parse(module.read_text())))
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    named = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}

    assert not called & {"print", "Console", "rich.print", "typer.echo", "typer.secho", "click.echo"}
    assert not named & {"sys.stdout", "sys.stderr"}


def test_asking_for_help_imports_no_command():
    code = (
        "import sys; from typer.testing import CliRunner; from custodes.cli.main import COMMANDS, app\n"
        "said = [CliRunner().invoke(app, [word]).stdout for word in ('--help', '--version')]\n"
        "assert all(name in said[0] for name in COMMANDS), said\n"
        "heavy = {'sqlalchemy', 'fastapi', 'pydantic', 'structlog', 'aiohttp', 'custodes.app'}\n"
        "print([name for name in sys.modules if name in heavy])\n"
        "CliRunner().invoke(app, ['user', '--help'])\n"
        "print([name for name in COMMANDS if f'custodes.cli.{COMMANDS[name].module}' in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == ["[]", "['user']"]


SQL = re.compile(
    r"\b(SELECT\s+[\w*(,\s]+\s+FROM|INSERT\s+INTO|DELETE\s+FROM|UPDATE\s+\w+\s+SET|CREATE\s+TABLE|PRAGMA\s)\b"
)


@pytest.mark.parametrize(
    "module", [m for m in MODULES if "storage" not in m.parts], ids=lambda m: str(m.relative_to(SOURCE))
)
def test_sql_is_written_in_storage_only(module: Path):
    tree = ast.parse(module.read_text())
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]

    assert not [text for text in strings if SQL.search(text)]


@pytest.mark.parametrize(
    "module", [m for m in MODULES if "versions" not in m.parts], ids=lambda m: str(m.relative_to(SOURCE))
)
def test_a_module_fits_in_a_head(module: Path):
    assert len(module.read_text().splitlines()) <= MODULE_CEILING


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))
def test_names_say_something(module: Path):
    assert not set(module.with_suffix("").parts) & {"utils", "util", "helpers", "helper", "manager", "misc", "common"}


def test_the_clock_is_read_in_one_place_only():
    """Time is an argument, so that tests and simulations can drive it (all but the system clock and the CLI)."""
    allowed = {SOURCE / "runtime" / "system_clock.py"}
    reads = re.compile(r"\btime\.(time|time_ns|monotonic|monotonic_ns)\(|datetime\.(now|utcnow)\(")
    guilty = [
        str(module.relative_to(SOURCE))
        for module in MODULES
        if module not in allowed and "cli" not in module.parts and reads.search(module.read_text())
    ]

    assert not guilty
