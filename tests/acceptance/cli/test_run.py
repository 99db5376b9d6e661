"""What ``make run`` starts: the server, the one-time login, live traffic in the four summaries."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from tests.acceptance import plain
from tests.servers.programs import free_port

ADMIN = "/api/admin/enterprise"

#: Longest the whole thing may take to come up, and traffic to show, seconds.
PATIENCE = 120


@pytest.fixture(params=["sqlite", "postgresql"])
def base_url(tmp_path: Path, request: pytest.FixtureRequest):
    database: dict[str, str] = {}  # SQLite in the folder, unless told otherwise
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        database = {"CUSTODES_DATABASE_URL": server.url(server.new_database())}
    port = free_port()
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("CUSTODES_", "STRIPE_", "GITHUB_"))
    }
    log = (tmp_path / "log.txt").open("w")
    process = subprocess.Popen(
        [Path(sys.executable).parent / "custodes", "demo", "--serve", "--rate", "40"],
        cwd=tmp_path,
        env={**clean, **database, "CUSTODES_PORT": str(port)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)  # as make, systemd and containers do: it must take its server with it
    try:
        process.wait(PATIENCE)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, "the server has ended, too"
    finally:
        process.kill()
        process.wait()
        log.close()
    said = (tmp_path / "log.txt").read_text()
    assert "Traceback" not in said, said


@pytest.fixture
def client(base_url: str):
    with plain.Client(base_url=base_url) as connected:
        yield connected


def until(promise, what: str):
    """Ask again and again until the answer is truthy."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if found := promise():
                return found
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"{what}: not within {PATIENCE} s")


def session(answer: httpx2.Response) -> dict[str, str]:
    """Take the cookie as a browser would that trusts its own machine, and the token that goes with it."""
    cookie = answer.headers["set-cookie"].split(";", 1)[0]
    return {"cookie": cookie, "x-csrf-token": answer.json()["csrf_token"], "sec-fetch-site": "same-origin"}


@pytest.mark.acceptance
def test_the_printed_login_works_and_traffic_shows_in_the_four_summaries(client: httpx2.Client, tmp_path: Path):
    # Given the server is up
    until(lambda: client.get("/healthz").status_code == 200, "healthz")
    assert client.get("/").headers["location"] == "/dashboard/admin/enterprise"

    # When the owner signs in with what was printed
    printed = re.search(r"password\s+(\S+)", (tmp_path / "log.txt").read_text())
    assert printed is not None
    answer = client.post(f"{ADMIN}/login", json={"username": "owner", "password": printed[1]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["must_change_password"]

    # Then nothing is shown before the password is changed
    headers = session(answer)
    assert client.get(f"{ADMIN}/webhook-health", headers=headers).status_code == 403
    change = {"current": printed[1], "new": "a long passphrase of my own"}
    answer = client.post(f"{ADMIN}/password", json=change, headers=headers)
    assert answer.status_code == 200, answer.text
    headers = session(answer)

    # And the one-time password works no more
    again = client.post(f"{ADMIN}/login", json={"username": "owner", "password": printed[1]})
    assert again.status_code == 401

    # And live traffic shows in each of the four
    def summary(name: str):
        answer = client.get(f"{ADMIN}/{name}", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    for name, counted in SUMMARIES.items():
        until(lambda name=name, counted=counted: counted(summary(name)), name)

    # And, where there is a key for their secrets, webhooks go out to receivers that each answer in their own way
    if "No CUSTODES_SECRET_KEY" in (tmp_path / "log.txt").read_text():
        return

    def endpoints() -> dict[str, dict[str, object]]:
        return {row["url"].rpartition("/")[2]: row for row in summary("webhook-configurations")["items"]}

    until(lambda: endpoints()["legacy-shop"]["state"] == "disabled", "410 disables")
    until(lambda: endpoints()["crm"]["success_count"] and endpoints()["crm"]["failure_count"], "some fail, some do not")
    until(lambda: endpoints()["warehouse"]["success_count"], "deliveries")
    found = summary(f"webhook-deliveries?status=succeeded&endpoint_id={endpoints()['warehouse']['id']}")["items"][0]
    (attempt,) = summary(f"webhook-deliveries/{found['id']}")["tries"]
    assert attempt["total_ms"] >= attempt["first_byte_ms"] > 0


#: Each summary, and the figure that shows that traffic arrived.
SUMMARIES = {
    "webhook-health": lambda summary: summary["analytics"]["total"]["received"] > 5,
    "api-health": lambda summary: summary["analytics"]["totals"]["count"] > 20,
    "audit-summary": lambda summary: summary["total"] > 5,
    "rate-limit-summary": lambda summary: summary["allowed"] > 20,
}
