"""Settings: the names and defaults of the contract, one order of precedence, no secret ever shown."""

from pathlib import Path

import pytest

from custodes import Custodes
from custodes.errors import ConfigurationError
from custodes.settings import Settings, load_settings
from custodes.settings_sources import environment_names

CONTRACT = {
    "ENTERPRISE_MONITORING_ENABLED": True,
    "RATE_LIMITING_ENABLED": True,
    "AUDIT_LOGGING_ENABLED": True,
    "WEBHOOK_MONITORING_ENABLED": True,
    "WEBHOOK_LOG_RETENTION_DAYS": 30,
    "API_LOG_RETENTION_DAYS": 7,
    "AUDIT_LOG_RETENTION_DAYS": 90,
    "RATE_LIMIT_CLEANUP_MINUTES": 60,
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in CONTRACT:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(("name", "default"), CONTRACT.items())
def test_every_variable_of_the_contract_is_optional_and_has_its_default(name: str, default: object):
    assert getattr(load_settings(), name.lower()) == default


@pytest.mark.parametrize(("name", "default"), CONTRACT.items())
def test_every_variable_of_the_contract_is_read_from_the_environment(
    name: str, default: object, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(name, "false" if default is True else "11")

    assert getattr(load_settings(), name.lower()) == (False if default is True else 11)


#: Beside those of the contract: how the senders themselves call their secrets.
SECRETS = {"STRIPE_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET", "CLERK_WEBHOOK_SECRET"}


def test_only_the_variables_of_the_contract_have_no_prefix_of_ours():
    names = environment_names(Settings)

    assert names.keys() == Settings.model_fields.keys()
    assert {name for name in names.values() if not name.startswith("CUSTODES_")} == CONTRACT.keys() | SECRETS


@pytest.mark.parametrize("field", [one for one, name in environment_names(Settings).items() if one.upper() != name])
def test_variables_without_our_prefix_are_the_hosts(field: str, monkeypatch: pytest.MonkeyPatch):
    """Given HOST, PORT, DATABASE_URL, SECRET_KEY, GITHUB_TOKEN, … of a host app; then they change nothing here."""
    monkeypatch.setenv(field.upper(), "of the host")
    monkeypatch.setenv(field, "of the host")

    assert getattr(load_settings(), field) == Settings.model_fields[field].get_default(call_default_factory=True)


def test_every_setting_is_an_argument_by_the_name_of_its_field(monkeypatch: pytest.MonkeyPatch):
    defaults = {name: getattr(load_settings(), name) for name in Settings.model_fields}

    assert load_settings(**defaults) == Settings()


@pytest.mark.parametrize(
    ("wrong", "meant"), [("trusted_proxy", "trusted_proxies"), ("webhook_ip_limt", "webhook_ip_limit"), ("xyz", "")]
)
def test_a_setting_that_there_is_not_is_refused_with_the_nearest(elsewhere: Path, wrong: str, meant: str):
    said = f"{wrong}: there is no such setting" + (f" .did you mean {meant}" if meant else r"\. ")

    with pytest.raises(ConfigurationError, match=said):
        load_settings(**{wrong: "10.0.0.0/8"})
    (elsewhere / "custodes.toml").write_text(f"{wrong} = '10.0.0.0/8'\n")
    with pytest.raises(ConfigurationError, match=said):
        load_settings()


def test_an_option_of_a_source_that_there_is_not_is_refused(elsewhere: Path):
    (elsewhere / "custodes.toml").write_text("[webhook_sources.shop]\nsecrets = ['x']\nforward = 'https://a.example'\n")

    with pytest.raises(ConfigurationError, match=r"shop\.forward: there is no such setting .did you mean forward_to"):
        load_settings()


def test_a_file_that_is_named_must_be_there(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUSTODES_CONFIG", "missing.toml")

    with pytest.raises(ConfigurationError, match=str(elsewhere / "missing.toml")):
        load_settings()


@pytest.mark.parametrize("written", [b"port 8321", b"port = '\xff'"])
def test_a_file_that_is_no_toml_is_refused_in_words(elsewhere: Path, written: bytes):
    (elsewhere / "custodes.toml").write_bytes(written)

    with pytest.raises(ConfigurationError, match=r"custodes\.toml cannot be read"):
        load_settings()


def test_arguments_win_over_the_environment_and_the_environment_over_the_file(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
):
    (elsewhere / "custodes.toml").write_text("port = 1111\nhost = '10.0.0.1'\nsession_hours = 3\n")
    monkeypatch.setenv("CUSTODES_PORT", "2222")
    monkeypatch.setenv("CUSTODES_HOST", "10.0.0.2")

    settings = load_settings(port=3333)

    assert (settings.port, settings.host, settings.session_hours) == (3333, "10.0.0.2", 3)


def test_the_file_may_be_named(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    (elsewhere / "other.toml").write_text("port = 4444\n")
    monkeypatch.setenv("CUSTODES_CONFIG", str(elsewhere / "other.toml"))

    assert load_settings().port == 4444


def test_a_list_is_written_with_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUSTODES_TRUSTED_PROXIES", "10.0.0.0/8, ::1/128")

    assert load_settings().trusted_proxies == ("10.0.0.0/8", "::1/128")


def test_a_wrong_value_names_the_setting_and_where_to_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WEBHOOK_LOG_RETENTION_DAYS", "soon")

    with pytest.raises(ConfigurationError, match=r"(?i)webhook_log_retention_days.*settings\.md"):
        load_settings()


@pytest.mark.parametrize("name", ["public_url", "portal_url"])
@pytest.mark.parametrize(
    "wrong",
    ["app.example.com", "//app.example.com", "ftp://app.example.com", "https://", "https://a:b@app.example.com",
     "https://app.example.com?x", "https://app.example.com/#x", "https://app.example.com:0", "https://[::1",
     "https://app.example.com/a b", "https://\u00e4.example.com"],
)  # fmt: skip
def test_an_address_that_no_browser_reaches_is_refused_at_the_start(name: str, wrong: str):
    with pytest.raises(ConfigurationError, match=name):
        load_settings(**{name: wrong})


def test_a_tenant_has_its_time_zone_or_that_of_all_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUSTODES_TENANT_TIME_ZONES", "acme=Europe/Berlin, default=Asia/Kolkata,*=America/New_York")

    settings = load_settings()

    zones = [settings.time_zone_of(tenant) for tenant in ("acme", "globex", None)]
    assert zones == ["Europe/Berlin", "America/New_York", "Asia/Kolkata"]
    assert load_settings(tenant_time_zones=()).time_zone_of("acme") == ""


@pytest.mark.parametrize("wrong", ["acme", "acme=", "acme=Europe/Atlantis", "=Europe/Berlin", "a b=Europe/Berlin"])
def test_what_is_no_time_zone_of_a_tenant_is_refused_at_the_start(wrong: str):
    with pytest.raises(ConfigurationError, match=r"tenant_time_zones.*write acme=Europe/Berlin"):
        load_settings(tenant_time_zones=wrong)


def test_a_secret_is_not_shown_when_settings_are_printed_or_wrong(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_canary")

    assert "canary" not in repr(load_settings())
    with pytest.raises(ConfigurationError) as refused:
        load_settings(port="canary is not a port")
    assert "whsec_canary" not in str(refused.value)


def test_settings_cannot_be_changed_once_they_are_read():
    with pytest.raises(Exception, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]


def test_a_table_that_is_no_json_is_refused_in_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUSTODES_WEBHOOK_SOURCES", "shop=shopify")

    with pytest.raises(ConfigurationError, match="webhook_sources") as refused:
        load_settings()

    assert "shopify" not in str(refused.value)


def test_tenants_that_get_more_places_a_round_are_those_of_the_sender(tmp_path: Path):
    """Given a tenant that pays for more, then its deliveries get three places a round, and all others one."""
    custodes = Custodes(f"sqlite:///{tmp_path / 'weights.db'}", outbound_weights="acme=3, globex=2")

    assert custodes.outbound.worker.weights == {"acme": 3, "globex": 2}


@pytest.mark.parametrize("wrong", ["acme", "acme=0", "acme=101", "acme=many", "=3", "acme=-1"])
def test_what_is_no_weight_of_a_tenant_is_refused_at_the_start(wrong: str):
    with pytest.raises(ConfigurationError, match=r"OUTBOUND_WEIGHTS"):
        assert Custodes("sqlite://", outbound_weights=wrong).outbound
