"""The catalogue is data that holds together."""

import re

from custodes.planes.audit.catalogue import ACTIONS, OTHER, RISK_BY_VERB, action_named


def test_it_has_sixty_actions_and_more_each_with_a_name_a_risk_and_a_sentence():
    assert len(ACTIONS) >= 60
    for name, action in ACTIONS.items():
        assert action.name == name
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", name)
        assert 0 <= action.risk <= 100
        assert action.description.endswith(".")
        assert action.category != OTHER


def test_a_name_outside_of_it_gets_the_risk_of_its_last_word():
    assert action_named("ticket.deleted").risk == RISK_BY_VERB["deleted"]
    assert action_named("ticket.deleted").bulk
    assert action_named("api_login_failed").risk == RISK_BY_VERB["failed"]
    assert action_named("ticket.opened").risk == 5
    assert action_named("ticket.opened").category == OTHER
