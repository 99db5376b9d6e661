"""The deployment files are what their readers will accept, and name settings, paths and times that exist.

Nothing is run here: Kubernetes' own JSON schemas (``kubernetes-validate``) and a parser of the Compose specification
(``compose-spec``) read the files, without a network.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from custodes.cli.serve import GRACEFUL_SHUTDOWN_SECONDS
from custodes.settings import Settings
from custodes.version import __version__

ROOT = Path(__file__).parents[2]
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))

#: The version of Kubernetes whose schemas are asked.
KUBERNETES = "1.33"

#: What Custodes reads that is no field of the settings.
OTHER_VARIABLES = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "deploy" / "kubernetes" / name).read_text())


def known_variables() -> set[str]:
    aliases = [field.validation_alias for field in Settings.model_fields.values()]
    return {str(choice) for alias in aliases for choice in getattr(alias, "choices", ())} | OTHER_VARIABLES


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_manifest_is_what_kubernetes_accepts(path: Path):
    for manifest in yaml.safe_load_all(path.read_text()):
        if manifest["kind"] != "Kustomization":  # kubectl's own, of which the API knows nothing
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_a_wrong_manifest_would_be_refused():
    manifest = load("deployment.yaml")
    manifest["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_kustomization_lists_files_that_are_there_and_no_secret():
    listed = load("kustomization.yaml")["resources"]

    assert {path.name for path in MANIFESTS} == {*listed, "kustomization.yaml", "migrate.yaml", "secret.example.yaml"}


def test_the_pods_are_found_by_the_service_and_the_budget():
    labels = load("deployment.yaml")["spec"]["template"]["metadata"]["labels"]

    assert load("deployment.yaml")["spec"]["selector"]["matchLabels"] == labels
    assert load("service.yaml")["spec"]["selector"] == labels
    assert load("pod-disruption-budget.yaml")["spec"]["selector"]["matchLabels"] == labels
    assert load("migrate.yaml")["spec"]["template"]["metadata"]["labels"] != labels  # the Job gets no requests


def test_the_probes_ask_what_the_server_answers():
    container = load("deployment.yaml")["spec"]["template"]["spec"]["containers"][0]
    port = container["ports"][0]["containerPort"]

    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert str(port) == load("config.yaml")["data"]["CUSTODES_PORT"]
    assert load("service.yaml")["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"] == "http"


def test_a_pod_has_the_time_that_it_takes_to_leave():
    pod = load("deployment.yaml")["spec"]["template"]["spec"]
    sleep = int(re.findall(r"sleep\((\d+)\)", str(pod["containers"][0]["lifecycle"]))[0])
    drain = float(load("config.yaml")["data"]["CUSTODES_DRAIN_SECONDS"])
    probe = pod["containers"][0]["readinessProbe"]

    assert sleep + drain + GRACEFUL_SHUTDOWN_SECONDS + 10 <= pod["terminationGracePeriodSeconds"]
    # One probe at least falls into the time in which the answer is "draining".
    assert probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"] <= drain


def test_every_variable_is_a_setting():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    named = {name for service in compose["services"].values() for name in service.get("environment", {})}
    named |= set(load("config.yaml")["data"]) | set(load("secret.example.yaml")["stringData"])
    named |= set(re.findall(r"\b(CUSTODES_[A-Z_]+)=", (ROOT / "Dockerfile").read_text()))

    assert named - known_variables() == set()


def test_the_compose_file_is_what_the_specification_accepts():
    compose = PyCompose.from_yaml((ROOT / "compose.yaml").read_text())
    compose.validate()

    assert set(compose.service_names()) == {"custodes", "migrate", "postgres", "redis"}


def test_a_wrong_compose_file_would_be_refused():
    with pytest.raises(ValueError, match="restart"):
        PyCompose.from_yaml("services: {web: {image: nginx, restart: perhaps}}")


def test_images_carry_this_version():
    containers = [
        load(name)["spec"]["template"]["spec"]["containers"][0] for name in ("deployment.yaml", "migrate.yaml")
    ]

    assert {container["image"] for container in containers} == {f"custodes:{__version__}"}
    assert load("kustomization.yaml")["images"][0]["newTag"] == __version__
