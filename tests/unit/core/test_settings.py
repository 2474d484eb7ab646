"""A bad setting stops the start and names itself."""

from datetime import timedelta
from pathlib import Path

import pytest

from domus.core.errors import ConfigurationError
from domus.core.settings import Settings, address_quarantine, database_url

GOOD = {"DOMUS_DATABASE_URL": "sqlite:////tmp/x", "DOMUS_SECRET_KEY": "k" * 32}


def test_two_settings_are_enough() -> None:
    settings = Settings.from_env(GOOD)
    assert settings.database_url == "sqlite:////tmp/x"
    assert settings.secure_cookies
    assert not settings.test_gateway
    assert settings.order_hold == timedelta(hours=24)


def test_every_setting_is_read() -> None:
    settings = Settings.from_env(
        GOOD
        | {
            "DOMUS_SECURE_COOKIES": "no",
            "DOMUS_TRUSTED_PROXIES": "2",
            "DOMUS_TEST_GATEWAY": "YES",
            "DOMUS_COMPANY_NAME": "Acme",
            "DOMUS_SUPPORT_EMAIL": "help@example.org",
            "DOMUS_ORDER_HOLD_HOURS": "1",
            "DOMUS_MAX_UNPAID_ORDERS": "3",
            "DOMUS_ADDRESS_QUARANTINE_HOURS": "0",
            "DOMUS_SESSION_DAYS": "30",
        }
    )
    assert (settings.secure_cookies, settings.trusted_proxies, settings.test_gateway) == (False, 2, True)
    assert (settings.company_name, settings.support_email) == ("Acme", "help@example.org")
    assert (settings.order_hold, settings.address_quarantine) == (timedelta(hours=1), timedelta(0))
    assert settings.max_unpaid_orders == 3
    assert settings.session_lifetime == timedelta(days=30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOMUS_DATABASE_URL", ""),
        ("DOMUS_SECRET_KEY", ""),
        ("DOMUS_SECRET_KEY", "short"),
        ("DOMUS_SECURE_COOKIES", "maybe"),
        ("DOMUS_TRUSTED_PROXIES", "6"),
        ("DOMUS_TRUSTED_PROXIES", "-1"),
        ("DOMUS_ORDER_HOLD_HOURS", "0"),
        ("DOMUS_ORDER_HOLD_HOURS", "1.5"),
        ("DOMUS_MAX_UNPAID_ORDERS", "0"),
        ("DOMUS_SESSION_DAYS", "many"),
        ("DOMUS_COMPANY_NAME_FILE", "/does/not/exist"),
    ],
)
def test_a_bad_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_env(GOOD | {name: value})


def test_a_value_can_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://domus@db/domus\n")
    assert database_url({"DOMUS_DATABASE_URL_FILE": str(file)}) == "postgresql://domus@db/domus"


def test_a_value_and_a_file_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="both set"):
        database_url({"DOMUS_DATABASE_URL": "x", "DOMUS_DATABASE_URL_FILE": str(tmp_path)})


def test_the_quarantine_stands_in_the_masters_configuration_or_else_in_the_environment() -> None:
    env = {"DOMUS_ADDRESS_QUARANTINE_HOURS": "48"}
    assert address_quarantine({"address_quarantine_hours": 0}, env) == timedelta(0)
    assert address_quarantine({}, env) == timedelta(hours=48)
    assert address_quarantine(None, {}) == timedelta(hours=24)


@pytest.mark.parametrize("hours", [-1, 8761, "a day", "", True, 1.5])
def test_a_quarantine_that_is_none_is_refused_by_its_name(hours: object) -> None:
    with pytest.raises(ConfigurationError, match="domus:address_quarantine_hours"):
        address_quarantine({"address_quarantine_hours": hours}, {})
