"""What the tutorial sends is what its handler reads."""

import asyncio
import re
from json import loads
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs/tutorial/first-app.md"


def test_the_sample_event_is_one_that_the_handler_of_the_tutorial_can_handle(capsys: pytest.CaptureFixture[str]):
    # Given the handler and the body that the page shows
    page = PAGE.read_text()
    handler = re.search(r"^async def invoice_paid.*?(?=^```)", page, re.MULTILINE | re.DOTALL)
    body = re.search(r"b'(\{.*\})'", page)
    assert handler
    assert body
    names: dict[str, Any] = {}
    exec(handler[0], names)

    # When the one is given the other
    asyncio.run(names["invoice_paid"](SimpleNamespace(json=lambda: loads(body[1]))))

    # Then it prints the invoice
    assert capsys.readouterr().out == "paid in_1\n"
