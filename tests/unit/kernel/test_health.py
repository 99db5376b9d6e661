"""Health is judged from figures, and always says why."""

from importlib import import_module
from pkgutil import walk_packages

import pytest

from custodes import planes
from custodes.kernel.health import Health, Threshold, judge, worst

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
