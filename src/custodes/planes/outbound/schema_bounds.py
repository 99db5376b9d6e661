"""How much work a schema may be: every step of a check is counted, patterns are weighed by what they could cost.

Admins write schemas and anybody's data is checked by them, in the process that serves the host: a schema that doubles
its work at every level, or a pattern that tries every way to split a text, must end as an error, not as an outage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    # Long ones in powers of two, so that the same pattern is not weighed for every length.
    rounded = max(1, length) if length <= PATTERN_TEXT else 1 << length.bit_length()
    return _ways_of(pattern, rounded) // _WAYS_A_STEP


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


@lru_cache(maxsize=4_096)
def _ways_of(pattern: str, length: int) -> int:
    tree = _parser.parse(pattern)
    anchored = len(tree) > 0 and str(tree[0][0]) == "AT" and str(tree[0][1]).startswith("AT_BEGINNING")
    starts = 1 if anchored and not tree.state.flags & re.MULTILINE else length
    weigher = _Weigher(length, folds=_folds(tree))
    ways = weigher.ways(tree, 0)
    return min(_ENDLESS, ways * starts * max(1, weigher.scanned))


class _Weigher:
    """Counts the ways in which a backtracking engine may split a text between the parts of a pattern.

    A part whose end the next character tells has one way, whatever the text: ``[a-z]+`` before ``-``. So every part is
    weighed with the characters that may come after it; none of them at the end, where all is won.
    """

    def __init__(self, length: int, *, folds: bool) -> None:
        self._length = length
        self._folds = folds
        #: Characters that repeats with one way may look at, all together: that is what each way costs.
        self.scanned = 0

    def ways(self, tree: Any, after: int) -> int:
        ways = 1
        for operator, argument in reversed(list(tree)):
            name = str(operator)
            ways = min(_ENDLESS, ways * self._ways_of_part(name, argument, after))
            after = self._next(name, argument, after)
        return ways

    def _ways_of_part(self, name: str, argument: Any, after: int) -> int:
        if name in _REPEATS:
            return self._ways_of_repeat(argument, after)
        if name == "BRANCH":
            return self._ways_of_branches(argument[1], after)
        if name == "SUBPATTERN":
            return self.ways(argument[-1], after)
        if name == "ATOMIC_GROUP":
            return self.ways(argument, after)
        if name in ("ASSERT", "ASSERT_NOT"):
            before = self.scanned
            ways = self.ways(argument[1], _ANY)
            # What it looks at is looked at again from wherever it is asked.
            return ways if self.scanned == before else min(_ENDLESS, ways * self._length)
        if name == "GROUPREF_EXISTS":
            return sum(self.ways(branch, after) for branch in argument[1:] if branch is not None)
        return 1

    def _ways_of_repeat(self, argument: Any, after: int) -> int:
        least, most, inner = argument
        first, empty = self._first(inner)
        each = self.ways(inner, after | first if most > 1 else after)
        most = min(int(most), max(self._length, int(least)))
        if each == 1 and not empty and not first & after:
            self.scanned += self._length
            return 1
        # Whoever has a choice in each of many turns has more ways than there is time.
        return _ENDLESS if each > 1 and most > 20 else min(_ENDLESS, (most - least + 1) * each**most)

    def _ways_of_branches(self, branches: Any, after: int) -> int:
        ways = [self.ways(branch, after) for branch in branches]
        seen, apart, empties = 0, True, 0
        for first, empty in map(self._first, branches):
            begins = first | (after if empty else 0)
            apart, seen, empties = apart and not seen & begins, seen | begins, empties + empty
        return max(ways) if apart and empties <= 1 else min(_ENDLESS, sum(ways))

    def _next(self, name: str, argument: Any, after: int) -> int:
        first, empty = self._first_of_part(name, argument)
        return first | (after if empty else 0)

    def _first(self, tree: Any) -> tuple[int, bool]:
        """Return the characters that a text of it may begin with, and whether it may be empty."""
        first = 0
        for operator, argument in tree:
            more, empty = self._first_of_part(str(operator), argument)
            first |= more
            if not empty:
                return first, False
        return first, True

    def _first_of_part(self, name: str, argument: Any) -> tuple[int, bool]:
        if name in _REPEATS:
            first, empty = self._first(argument[2])
            return first, empty or argument[0] == 0
        if name == "BRANCH":
            all_first = [self._first(branch) for branch in argument[1]]
            return _union(first for first, _ in all_first), any(empty for _, empty in all_first)
        if name in ("SUBPATTERN", "ATOMIC_GROUP"):
            return self._first(argument[-1] if name == "SUBPATTERN" else argument)
        if name == "AT":
            return 0, True
        if name in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
            return _ANY if self._folds else _characters(name, argument), False
        return _ANY, True


def _folds(tree: Any) -> bool:
    """Tell whether any of a pattern takes letters of both cases: then no two parts are known to be apart."""
    return bool(tree.state.flags & re.IGNORECASE) or any(map(_folds_in, tree))


def _folds_in(part: Any) -> bool:
    if isinstance(part, _parser.SubPattern | list | tuple):
        members: list[Any] = list(part)
        if len(members) == 2 and str(members[0]) == "SUBPATTERN" and members[1][1] & re.IGNORECASE:
            return True
        return any(map(_folds_in, members))
    return False


def _characters(name: str, argument: Any) -> int:
    """Return the characters that a part may be: a bit for each of ASCII, and one for all others, rather too many."""
    if name == "LITERAL":
        return 1 << min(argument, 128)
    if name == "NOT_LITERAL":
        return _ANY & ~(1 << argument) if argument < 128 else _ANY
    if name == "ANY":
        return _ANY
    members = [(str(kind), value) for kind, value in argument]
    held = _union(_members(kind, value) for kind, value in members)
    if any(kind == "NEGATE" for kind, _ in members):
        held = _ANY & ~held | 1 << 128
    # Whether these are spaces depends on a flag.
    return held | 0b1111 << 0x1C if any(kind == "CATEGORY" for kind, _ in members) else held


def _members(kind: str, value: Any) -> int:
    if kind == "LITERAL":
        return 1 << min(value, 128)
    if kind == "RANGE":
        return _union(1 << code for code in range(min(value[0], 128), min(value[1], 128) + 1))
    if kind == "CATEGORY":
        return _category(str(value).removeprefix("CATEGORY_"))
    return 0


def _category(kind: str) -> int:
    held = _union(1 << code for code in range(128) if _HOLDS[kind.removeprefix("NOT_")](chr(code)))
    return (_ANY & ~held if kind.startswith("NOT_") else held) | 1 << 128


def _union(sets: Iterable[int]) -> int:
    union = 0
    for one in sets:
        union |= one
    return union


#: Every ASCII character, and the others.
_ANY = (1 << 129) - 1

_HOLDS: dict[str, Callable[[str], bool]] = {
    "DIGIT": str.isdigit,
    "SPACE": str.isspace,
    "WORD": lambda character: character.isalnum() or character == "_",
}
