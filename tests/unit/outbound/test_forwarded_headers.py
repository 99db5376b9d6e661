"""Of the headers that a webhook came with, what goes on with it; of those of an answer, what is kept."""

import pytest

from custodes.planes.outbound.headers import MAX_ANSWERED, answered_headers, forwarded_headers


@pytest.mark.parametrize(
    "name",
    ["Connection", "X-Forwarded-For", "CF-Connecting-IP", "True-Client-IP", "X-Original-URL", "Cookie", "X-Real-IP"],
)
def test_what_an_app_would_believe_of_a_proxy_stays_here(name: str):
    assert forwarded_headers([(name, "203.0.113.1"), ("x-shop", "a")]) == {"x-shop": "a"}


def test_what_the_sender_named_as_its_connection_s_ends_here():
    raw = [("connection", "x-hop, Close"), ("x-hop", "1"), ("close", "2"), ("x-shop", "a")]

    assert forwarded_headers(raw) == {"x-shop": "a"}


def test_names_of_our_signature_are_the_sender_s_with_another_name_and_nobody_can_take_that_one():
    raw = [("webhook-id", "msg_1"), ("original-webhook-id", "msg_2")]

    assert forwarded_headers(raw) == {"original-webhook-id": "msg_1"}


def test_what_is_no_text_in_an_answer_is_kept_as_every_store_takes_it():
    kept = answered_headers({"x-caf\udce9": "caf\udce9\0", "x-shop": "a"})

    assert kept == (("x-caf?", "caf?\ufffd"), ("x-shop", "a"))


def test_of_many_headers_of_an_answer_the_first_are_kept_and_the_rest_counted():
    kept = answered_headers({f"x-{number}": "a" for number in range(MAX_ANSWERED + 3)})

    assert (len(kept), kept[-1]) == (MAX_ANSWERED + 1, ("…", "3 more"))
