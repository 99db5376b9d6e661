"""Health is judged from figures, and always says why."""

from importlib import import_module
from pkgutil import walk_packages

import pytest

from custodes import planes
from custodes.kernel.health import NEVER, Health, Threshold, judge, worst

ERRORS = Threshold("error_rate", degraded=0.01, unhealthy=0.05, unit=" %", says="Requests that failed: {}")
SUCCESS = Threshold("success_rate", degraded=0.99, unhealthy=0.95, below=True, unit=" %")


@pytest.mark.parametrize(
    ("value", "state"),
    [(0, Health.HEALTHY), (0.0099, Health.HEALTHY), (0.01, Health.DEGRADED), (0.05, Health.UNHEALTHY)],
)
def test_a_figure_that_should_be_low(value: float, state: Health):
    assert judge("api", {"error_rate": value}, [ERRORS]).state is state


@pytest.mark.parametrize(("value", "state"), [(1, Health.HEALTHY), (0.99, Health.DEGRADED), (0.95, Health.UNHEALTHY)])
def test_a_figure_that_should_be_high(value: float, state: Health):
    assert judge("webhooks", {"success_rate": value}, [SUCCESS]).state is state


@pytest.mark.parametrize(
    ("threshold", "values", "states"),
    [
        (ERRORS, [0.01, 0.0081, 0.0099, 0.0079, 0.0081, 0.05, 0.041, 0.039], "d d d h h u u d"),
        (SUCCESS, [0.99, 0.991, 0.9921, 0.991, 0.95, 0.955, 0.961], "d d h h u u d"),
        (Threshold("owners", degraded=1, unhealthy=0, below=True), [2, 1, 2, 0, 1, 2], "h d h u d h"),
        (Threshold("lost", degraded=1, unhealthy=NEVER), [1, 5, 0, 1], "d d h d"),
    ],
)
def test_a_figure_at_its_limit_leaves_the_state_as_it_is(threshold: Threshold, values: list[float], states: str):
    """Given a figure that passed a limit; Then the state is left when the figure is clearly better, and no sooner."""
    state, told = Health.HEALTHY, list[str]()
    for value in values:
        state = threshold.judge(value, state)
        told.append(state[0])

    assert told == states.split()


def test_a_state_that_is_held_says_until_when():
    held = judge("api", {"error_rate": 0.009}, [ERRORS], before={"error_rate": Health.DEGRADED})

    assert held.reasons == ("Requests that failed: 0.9 % (degraded from 1 %, until below 0.8 %)",)


def test_words_for_a_figure_name_what_it_is_of():
    said = judge("api", {"error_rate": 0.02}, [ERRORS], says={"error_rate": "GET /orders failed: {}"})

    assert said.reasons == ("GET /orders failed: 2 % (degraded from 1 %)",)


def test_the_worst_figure_decides_and_every_fault_is_named():
    health = judge("api", {"error_rate": 0.02, "success_rate": 0.9}, [ERRORS, SUCCESS])

    assert health.state is Health.UNHEALTHY
    assert health.reasons == (
        "Requests that failed: 2 % (degraded from 1 %)",
        "success_rate: 90 % (unhealthy at or below 95 %)",
    )


def test_a_sentence_that_needs_no_figure_stands_as_it_is():
    nobody = Threshold("owners", degraded=0, unhealthy=-1, below=True, says="No owner is left")

    assert judge("identity", {"owners": 0}, [nobody]).reasons == ("No owner is left (degraded)",)


@pytest.mark.parametrize(
    ("unit", "value", "shown"),
    [
        (" ms", 850, "850 ms"), (" ms", 12_500, "12.5 s"), (" s", 90, "90 s"), (" s", 1_620, "27 min"),
        (" s", 21_600, "6 h"), (" h", 168, "7 days"), (" h", 25, "25 h"), ("", 4, "4"), ("", 12_345.6, "12,346"),
        (" MiB", 1_536, "1,536 MiB"), (" a minute", 12.5, "12.5 a minute"),
        (" %", 0.09091, "9.1 %"),
    ],
)  # fmt: skip
def test_figures_are_written_as_people_would(unit: str, value: float, shown: str):
    assert Threshold("any", 1, 2, unit=unit).shown(value) == shown


def test_every_figure_that_custodes_judges_itself_has_its_sentence():
    """Given every threshold of the package, then none shows the name that the code has for its figure."""
    modules = [import_module(found.name) for found in walk_packages(planes.__path__, f"{planes.__name__}.")]
    thresholds = [one for module in modules for one in getattr(module, "THRESHOLDS", ())]

    assert len(thresholds) > 30
    assert [one.figure for one in thresholds if not one.says] == []


def test_a_figure_nobody_measured_is_not_judged():
    assert judge("api", {}, [ERRORS]).state is Health.HEALTHY


def test_no_systems_at_all_are_healthy():
    assert worst([]) is Health.HEALTHY
