"""``make bench`` runs whatever lies in ``benchmarks/``."""

import ast
from pathlib import Path
from typing import Any

import pytest
from benchmarks import __main__ as benchmarks


@pytest.mark.parametrize("name", benchmarks.benchmarks())
def test_each_benchmark_has_what_it_is_run_by(name: str):
    module = ast.parse((benchmarks.HERE / f"{name}.py").read_text("utf-8"))

    functions = {one.name: one for one in module.body if isinstance(one, ast.FunctionDef)}
    assert "run" in functions
    assert len(functions["run"].args.args) == len(functions["run"].args.defaults)
    assert ast.get_docstring(module)


def test_one_that_fails_keeps_neither_the_others_from_their_figures_nor_the_end_quiet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """Given three of which one breaks, When all are run, Then the others are written, And it ends with the name."""
    row: dict[str, Any] = {
        "name": "one", "ours": 1.0, "peer": 2.0, "peer_name": "other", "ratio": 0.5, "unit": "µs",
        "target": "shown", "met": True, "command": "…",
    }  # fmt: skip
    for name, body in {"aaa": f"return [{row}]", "bbb": "raise OSError('no server')", "ccc": f"return [{row}]"}.items():
        (tmp_path / "benchmarks").mkdir(exist_ok=True)
        (tmp_path / "benchmarks" / f"{name}.py").write_text(f"def run():\n    {body}\n")
    monkeypatch.setattr(benchmarks, "HERE", tmp_path / "benchmarks")
    monkeypatch.setattr(benchmarks, "LATEST", tmp_path / "results" / "latest.json")
    monkeypatch.setattr(benchmarks, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr("sys.argv", ["benchmarks"])

    with pytest.raises(SystemExit, match="bbb"):
        benchmarks.main()

    page = (tmp_path / "benchmarks.md").read_text("utf-8")
    assert "## aaa" in page
    assert "## ccc" in page
    assert "## bbb" not in page
    assert "no server" in capfd.readouterr().err
