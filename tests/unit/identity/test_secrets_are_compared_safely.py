"""Drill: no secret is ever compared with ``==``.

Sessions and API keys are found by the hash of 256 random bits; passwords are compared by Argon2; the CSRF token by
``hmac.compare_digest``. So in the code that handles them no name that holds a secret may stand beside ``==`` or ``!=``.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import custodes

ROOT = Path(custodes.__file__).parent
FOLDERS = ("admin/auth", "admin/pages", "admin/routes", "planes/identity")
FILES = [path for folder in FOLDERS for path in (ROOT / folder).glob("*.py")]

_SECRET = re.compile(
    r"(secret|token|password|digest|signature|api_key|key_hash)(?!.*(_type|_id|_at|_name)$)", re.IGNORECASE
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_secret_stands_beside_an_equals_sign(path: Path) -> None:
    found = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, (ast.Eq, ast.NotEq)) for operator in node.ops)
        and any(
            isinstance(side, (ast.Name, ast.Attribute)) and _SECRET.search(ast.unparse(side).rpartition(".")[2])
            for side in (node.left, *node.comparators)
        )
    ]
    assert found == []
