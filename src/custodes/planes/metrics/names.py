"""What may be called how: names and labels of metrics, checked once per series."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from custodes.errors import InvalidInput
from custodes.planes.metrics.model import Kind, Labels, Series

#: Labels of one series, at most: each multiplies the number of series.
MAX_LABELS = 10

#: Longest value of a label, characters; longer ones are cut.
MAX_VALUE_LENGTH = 128

#: Label of the one series that takes what is over the cap of series.
OVERFLOW: Labels = (("overflow", "true"),)

# The instrument name syntax of the OpenTelemetry metrics API, shorter, so that names fit an index.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{0,99}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}")


def check_name(name: str) -> None:
    """Make sure that a text may be the name of a metric.

    Raises:
        InvalidInput: it may not.
    """
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:  # pyright: ignore[reportUnnecessaryIsInstance]
        msg = f"{str(name)[:100]!r} is not a name of a metric"
        remedy = "Write 1 to 100 of A-Z a-z 0-9 _ . / -, starting with a letter, such as orders.created"
        raise InvalidInput(msg, remedy=remedy)


def canonical(labels: Mapping[str, object] | None) -> Labels:
    """Bring labels into the one form that the same series always has.

    Raises:
        InvalidInput: too many labels, or a label's name is not one.
    """
    if not labels:
        return ()
    if len(labels) > MAX_LABELS:
        msg = f"{len(labels)} labels are more than {MAX_LABELS}"
        raise InvalidInput(msg, remedy="Leave out those that nobody will filter by")
    return tuple(sorted((_label(name), _value(value)) for name, value in labels.items()))


def series_of(tenant: str, name: str, kind: Kind, labels: Labels) -> Series:
    """Make the series of a checked name and canonical labels."""
    text = "\x1f".join([tenant, name, kind, *(part for pair in labels for part in pair)])
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return Series(tenant, name, kind, labels, digest)


def _value(value: object) -> str:
    # A control character would let one set of labels pass for another in the hash, and breaks logs.
    return _CONTROL.sub(" ", str(value)[:MAX_VALUE_LENGTH]).encode("utf-8", "replace").decode()


def _label(name: object) -> str:
    if not isinstance(name, str) or _LABEL.fullmatch(name) is None:
        msg = f"{str(name)[:64]!r} is not a name of a label"
        raise InvalidInput(msg, remedy="Write 1 to 64 of A-Z a-z 0-9 _ ., starting with a letter or _")
    return name
