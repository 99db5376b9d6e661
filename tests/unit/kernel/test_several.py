"""A lone text where a list belongs is refused, wherever it would be taken for a list of letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from custodes.errors import InvalidInput
from custodes.kernel.several import several
from custodes.planes.inbound.origins import StripeEvents
from custodes.planes.inbound.sources.generic_hmac import GenericHmac
from custodes.planes.outbound.filters import checked
from custodes.planes.outbound.rules import checked_channels
from custodes.planes.ratelimit.rules import make_rule


def test_a_list_comes_back_as_it_was_without_repetitions():
    assert several("types", iter(["b", "a", "b"])) == ("b", "a")


@pytest.mark.parametrize(
    "give",
    [
        pytest.param(lambda: checked("ab"), id="event types of an endpoint"),
        pytest.param(lambda: checked_channels("eu"), id="channels"),
        pytest.param(lambda: make_rule("5/minute", exempt="*"), id="exempt paths"),
        pytest.param(lambda: GenericHmac(["s" * 32], header="X-Sig", fraud_types="fraud"), id="types of fraud events"),
        pytest.param(lambda: StripeEvents("rk_live_1", event_types="invoice.*"), id="types that Stripe is asked for"),
    ],
)
def test_one_text_is_refused_with_what_to_write(give: Callable[[], object]):
    with pytest.raises(InvalidInput, match="one text") as caught:
        give()

    assert caught.value.remedy == "Give a list, also of one"


@pytest.mark.parametrize("given", [{"limits": ["5/minute"]}, {"limits": 5}, {"limits": "5/minute", "route": ["/a"]}])
def test_a_list_where_one_text_belongs_is_refused_too(given: dict[str, Any]):
    with pytest.raises(InvalidInput, match="are given as a"):
        make_rule(**given)
