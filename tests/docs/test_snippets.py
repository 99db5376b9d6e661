"""The Python in README, tutorial and how-tos is real: every block compiles, and a page's blocks run in order.

Two comments, invisible on the page, steer it: ``<!-- snippet: compile -->`` above a block keeps it from being run, and
``<!-- snippet: setup`` … ``-->`` holds lines that run but are not shown.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/tutorial/*.md")), *sorted(ROOT.glob("docs/howto/*.md"))]

PATTERN = re.compile(
    r"^<!-- snippet: setup\n(?P<setup>.*?)^-->"
    r"|(?P<mark>^[ ]*<!-- snippet: compile -->\n+)?^(?P<indent>[ ]*)```python\n(?P<shown>.*?)^[ ]*```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Snippet:
    page: Path
    line: int
    text: str
    runs: bool

    def compile(self) -> CodeType:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        source = "\n" * (self.line - 1) + self.text  # so that a traceback shows the line of the page
        return compile(source, str(self.page), "exec", flags=flags, dont_inherit=True)


def snippets_of(page: Path) -> Iterator[Snippet]:
    text = page.read_text()
    for found in PATTERN.finditer(text):
        group = "setup" if found["setup"] is not None else "shown"
        line = text.count("\n", 0, found.start(group)) + 1
        yield Snippet(page, line, textwrap.dedent(found[group]), runs=found["mark"] is None)


SNIPPETS = [snippet for page in PAGES for snippet in snippets_of(page)]
RUN = sorted({snippet.page for snippet in SNIPPETS if snippet.runs})


def name(value: Any) -> str:
    if isinstance(value, Snippet):
        return f"{value.page.stem}-{value.line}"
    return value.stem


def test_there_are_snippets():
    assert len(SNIPPETS) > 20


@pytest.mark.parametrize("snippet", SNIPPETS, ids=name)
def test_it_compiles(snippet: Snippet):
    snippet.compile()


@pytest.mark.parametrize("page", RUN, ids=name)
async def test_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUSTODES_DATABASE_URL", "sqlite:///custodes.db")
    module = ModuleType(f"page_{page.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # frameworks look annotations up in the module
    names = vars(module)
    try:
        for snippet in snippets_of(page):
            if snippet.runs:
                pending = eval(snippet.compile(), names)
                if inspect.iscoroutine(pending):
                    await pending
    finally:
        if "custodes" in names:
            await names["custodes"].stop()
            await names["custodes"].close()
