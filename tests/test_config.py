"""Settings: one model, three sources, and one clear line for a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.config import SettingsError, load, upstream_key


@pytest.fixture(autouse=True)
def _empty_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)


def test_flags_before_environment_before_file_before_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "some.toml"
    file.write_text('[server]\nport = 1001\ndrain_s = 7\nhost = "::1"\n[validation]\nerrorRecovery = "halt"\n')
    monkeypatch.setenv("LOCKGATE_SERVER__PORT", "1002")
    monkeypatch.setenv("LOCKGATE_SERVER__DRAIN_S", "8")
    found = load(file, {"server": {"port": 1003}})
    assert (found.server.port, found.server.drain_s, found.server.host) == (1003, 8, "::1")
    assert found.delivery.retry.max_attempts == 8


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("a.toml", '[delivery]\nprotocol = "SSE"\n[delivery.retry]\nmaxAttempts = 3\n', id="toml"),
        pytest.param("a.yaml", "delivery:\n  protocol: SSE\n  retry: {maxAttempts: 3}\n", id="yaml"),
        pytest.param("a.json", '{"delivery": {"protocol": "SSE", "retry": {"maxAttempts": 3}}}', id="json"),
    ],
)
def test_the_users_own_names_are_read_from_every_kind_of_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert load(tmp_path / name).delivery.retry.max_attempts == 3


def test_a_file_of_the_working_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "lockgate.toml").write_text("[server]\nport = 1234\n")
    assert load().server.port == 1234


@pytest.mark.parametrize(
    ("flags", "key", "words"),
    [
        pytest.param({"server": {"port": 0}}, "server.port", "greater than or equal to 1", id="out of range"),
        pytest.param({"server": {"prt": 1}}, "server.prt", "no such setting", id="unknown key"),
        pytest.param({"deliver": {}}, "deliver", "no such setting", id="unknown section"),
        pytest.param({"delivery": {"protocol": "HTTP2"}}, "delivery.protocol", "should be 'SSE'", id="not available"),
        pytest.param({"validation": {"errorRecovery": "mend"}}, "validation.errorRecovery", "'halt'", id="camelCase"),
        pytest.param({"upstream": {"base_url": "ftp://x"}}, "upstream.base_url", "http", id="not http"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(flags: dict[str, object], key: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, flags)
    assert str(caught.value).startswith(f"{key}:")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[server\n")
    with pytest.raises(SettingsError, match=r"x\.toml: "):
        load(tmp_path / "x.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "absent.toml")


def test_the_key_is_read_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("sk-secret\n")
    found = load(None, {"upstream": {"api_key_file": str(tmp_path / "key")}})
    assert upstream_key(found.upstream) == "sk-secret"
    monkeypatch.setenv("LOCKGATE_UPSTREAM__API_KEY", "sk-other")
    assert upstream_key(load().upstream) == "sk-other"
    assert "sk-other" not in repr(load())
    with pytest.raises(SettingsError, match="both set") as caught:
        load(None, {"upstream": {"api_key_file": str(tmp_path / "key")}})
    assert "sk-other" not in str(caught.value)
    with pytest.raises(SettingsError, match=r"upstream\.api_key_file"):
        upstream_key(load(None, {"upstream": {"api_key": None, "api_key_file": str(tmp_path / "no")}}).upstream)
