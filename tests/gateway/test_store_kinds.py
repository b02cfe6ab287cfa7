"""Which log the settings ask for."""

from __future__ import annotations

import sys

import pytest

from lockgate.config import Settings, SettingsError
from lockgate.gateway.wiring import log_of


def redis_at(url: str | None) -> Settings:
    return Settings.model_validate({"store": {"kind": "redis", "url": url}})


def test_redis_without_its_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("lockgate.store.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SettingsError, match=r"needs redis, which is not installed: pip install 'lockgate\[redis\]'"):
        log_of(redis_at("redis://127.0.0.1:6379/0"))


def test_redis_needs_a_url_and_never_shows_its_password() -> None:
    with pytest.raises(SettingsError, match=r"store\.url: is missing"):
        log_of(redis_at(None))
    assert "hush" not in repr(redis_at("redis://me:hush@127.0.0.1/0"))
