"""Health is judged from figures, and always says why."""

import pytest

from custodes.kernel.health import Health, Threshold, judge, worst

ERRORS = Threshold("error_rate", degraded=0.01, unhealthy=0.05, unit=" %")
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
        "error_rate is 2 %, at or above 1 % (degraded)",
        "success_rate is 90 %, at or below 95 % (unhealthy)",
    )


def test_a_figure_nobody_measured_is_not_judged():
    assert judge("api", {}, [ERRORS]).state is Health.HEALTHY


def test_no_systems_at_all_are_healthy():
    assert worst([]) is Health.HEALTHY
