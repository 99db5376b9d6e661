"""Redaction never raises, never leaks below a sensitive name, never exceeds its limits."""

import json

from hypothesis import given
from hypothesis import strategies as st

from custodes.kernel.canonical import canonical
from custodes.kernel.redact import Limits, redact

LIMITS = Limits(depth=4, nodes=30, chars=400, text=60, key=20)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300) | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=30) | st.integers(), inner, max_size=8)
    ),
    max_leaves=60,
)


@given(anything)
def test_the_result_is_storable_and_bounded(value: object):
    kept = canonical(redact(value, LIMITS))

    # one mark a container at most is added to what the limits allow; escapes make six characters of one
    assert len(kept) < 6 * (LIMITS.chars + LIMITS.text + 40 * LIMITS.nodes)


@given(anything, st.sampled_from(["password", "apiKey", "Set-Cookie", "client_secret"]))
def test_nothing_below_a_sensitive_name_gets_out(value: object, name: str):
    kept = redact({name: {"inner": value, "canary": "zq-canary-zq"}})

    assert "zq-canary-zq" not in json.dumps(kept)


@given(anything)
def test_redacting_twice_changes_nothing(value: object):
    once = redact(value)

    assert redact(once) == once
