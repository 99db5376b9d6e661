"""How long guessing waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from custodes.kernel.clock import SECOND
from custodes.planes.identity.throttle import ACCOUNT_CAP, ADDRESS_CAP, FREE_FAILURES, wait_after

caps = st.sampled_from([ACCOUNT_CAP, ADDRESS_CAP])


@given(st.integers(0, 10**9), caps)
def test_a_wait_is_never_negative_and_never_beyond_its_cap(failures: int, cap: int) -> None:
    assert 0 <= wait_after(failures, cap) <= cap


@given(st.integers(0, 10**6), caps)
def test_one_more_failure_never_shortens_the_wait(failures: int, cap: int) -> None:
    assert wait_after(failures, cap) <= wait_after(failures + 1, cap)


@given(st.integers(0, FREE_FAILURES - 1), caps)
def test_typing_errors_cost_nothing(failures: int, cap: int) -> None:
    assert wait_after(failures, cap) == 0
    assert wait_after(FREE_FAILURES, cap) == SECOND
