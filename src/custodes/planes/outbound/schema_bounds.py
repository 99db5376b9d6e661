"""How much work a schema may be: every step of a check is counted, patterns are weighed by what they could cost.

Admins write schemas and anybody's data is checked by them, in the process that serves the host: a schema that doubles
its work at every level, or a pattern that tries every way to split a text, must end as an error, not as an outage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from custodes.errors import InvalidInput

# Most installs have no catalogue, and importing it takes a tenth of a second.
if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

#: Steps of one check: a second at most.
MAX_STEPS = 50_000

#: A pattern must be affordable for a text of so many characters; longer ones count as what they may cost.
PATTERN_TEXT = 256

#: Ways to match that take as long as one step.
_WAYS_A_STEP = 400

#: More ways than this are all the same: too many.
_ENDLESS = (MAX_STEPS + 1) * _WAYS_A_STEP

#: Python's own reader of patterns; it has no public name.
_parser: Any = import_module("re._parser")

_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})


class _OutOfSteps(Exception):
    """A check took more steps than :data:`MAX_STEPS`."""


class Checker:
    """Checks payloads by one schema, within bounds. Not for several threads at once."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        from jsonschema import Draft202012Validator, validators

        known = cast("Mapping[str, Callable[..., Any]]", Draft202012Validator.VALIDATORS)
        kind = cast("Any", validators).extend(
            Draft202012Validator, validators={word: self._counted(word, known[word]) for word in known}
        )
        # A schema that names its dialect would be handed to that one's own class, which does not count.
        self._validator: Any = kind({word: value for word, value in schema.items() if word != "$schema"})
        self._left = 0

    def faults(self, payload: Any) -> list[ValidationError]:
        """Return what is wrong with a payload.

        Raises:
            InvalidInput: the check takes too many steps or levels, or the schema refers to nothing.
        """
        from referencing.exceptions import Unresolvable

        self._left = MAX_STEPS
        try:
            return list(self._validator.iter_errors(payload))
        except (_OutOfSteps, RecursionError):
            msg = f"Checking the payload takes more than {MAX_STEPS} steps, or too many levels"
        except Unresolvable:
            msg = "The schema refers to something that is not in it"
        raise InvalidInput(msg, remedy="Make the schema simpler, or the payload smaller")

    def _counted(self, word: str, function: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
            self._left -= _cost(word, value, instance)
            if self._left < 0:
                raise _OutOfSteps
            yield from function(validator, value, instance, schema) or ()

        return counted


def steps_of(pattern: str, length: int) -> int:
    """Estimate, from above, the steps that a pattern takes for a text of so many characters."""
    # In powers of two, so that the same pattern is not weighed for every length.
    return _ways_of(pattern, 1 << length.bit_length()) // _WAYS_A_STEP


def _cost(word: str, value: Any, instance: Any) -> int:
    if word == "pattern" and isinstance(instance, str):
        return 1 + steps_of(value, len(instance))
    if word == "patternProperties" and isinstance(instance, dict):
        # Twice: ``additionalProperties`` beside it looks at the same names again.
        names = [str(name) for name in cast("dict[Any, Any]", instance)]
        return 1 + 2 * sum(1 + steps_of(pattern, len(name)) for pattern in value for name in names)
    if word == "uniqueItems" and isinstance(instance, list):
        # Items that have no order are compared each with each.
        return 1 + len(cast("list[Any]", instance)) ** 2 // _WAYS_A_STEP
    return 1


def _begins_apart(inner: Any) -> bool:
    """Tell whether each turn of a repeat begins with a character that nothing else in it is: ``(-[a-z]+)*``.

    Then a text falls into turns in one way only.
    """
    while len(inner) == 1 and str(inner[0][0]) == "SUBPATTERN":
        inner = inner[0][1][-1]
    operator, first = inner[0]
    return str(operator) == "LITERAL" and not any(_may_be(part, chr(first)) for part in inner[1:])


def _may_be(part: tuple[Any, Any], character: str) -> bool:
    name, argument = str(part[0]), part[1]
    if name == "LITERAL":
        return chr(argument) == character
    if name == "IN":
        members = [(str(kind), value) for kind, value in argument]
        hit = any(
            (kind == "LITERAL" and chr(value) == character)
            or (kind == "RANGE" and value[0] <= ord(character) <= value[1])
            or (kind == "CATEGORY" and (not character.isascii() or _of_category(str(value), character)))
            for kind, value in members
        )
        return hit != any(kind == "NEGATE" for kind, _ in members)
    if name in _REPEATS:
        return any(_may_be(inner, character) for inner in argument[2])
    return True


def _of_category(name: str, character: str) -> bool:
    word, digit, space = character.isalnum() or character == "_", character.isdigit(), character.isspace()
    held = {"DIGIT": digit, "SPACE": space, "WORD": word}
    kind = name.removeprefix("CATEGORY_")
    return not held.get(kind[4:], False) if kind.startswith("NOT_") else held.get(kind, True)


@lru_cache(maxsize=4_096)
def _ways_of(pattern: str, length: int) -> int:
    tree = _parser.parse(pattern)
    anchored = len(tree) > 0 and str(tree[0][0]) == "AT" and str(tree[0][1]).startswith("AT_BEGINNING")
    return min(_ENDLESS, _ways(tree, length) * (1 if anchored else length))


def _ways(tree: Any, length: int) -> int:
    """Count the ways in which a backtracking engine may split a text of a length between the parts of a pattern."""
    ways = 1
    for operator, argument in tree:
        ways = min(_ENDLESS, ways * _ways_of_part(str(operator), argument, length))
    return ways


def _ways_of_part(name: str, argument: Any, length: int) -> int:
    if name in _REPEATS:
        least, most, inner = argument
        most = min(int(most), max(length, int(least)))
        each = _ways(inner, length)
        if each > 1 and _begins_apart(inner):
            return min(_ENDLESS, length * each)
        # Whoever has a choice in each of many turns has more ways than there is time.
        return _ENDLESS if each > 1 and most > 20 else (most - least + 1) * each ** int(most)
    if name == "BRANCH":
        return sum(_ways(branch, length) for branch in argument[1])
    if name == "SUBPATTERN":
        return _ways(argument[-1], length)
    if name == "ATOMIC_GROUP":
        return _ways(argument, length)
    if name in ("ASSERT", "ASSERT_NOT"):
        return _ways(argument[1], length)
    if name == "GROUPREF_EXISTS":
        return sum(_ways(branch, length) for branch in argument[1:] if branch is not None)
    return 1
