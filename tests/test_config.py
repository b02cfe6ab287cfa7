"""Settings: one model, three sources, and one clear line for a mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from lockgate.config import (
    Flag,
    Settings,
    SettingsError,
    UpstreamProvider,
    in_force,
    load,
    upstream_key,
    where_keys_go,
)
from lockgate.sources import NO_SETTINGS, Key, keys_of
from lockgate.upstream.endpoint import endpoint_of
from tests.command_line import invoked

KEYS = list(keys_of(Settings))
EVERY_KEY = pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _empty_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)


# -- every setting ---------------------------------------------------------------------------------------------------


def samples(annotation: Any) -> Iterator[Any]:
    """Values of a type, as a file has them."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) is tuple:
        yield from ([sample] for sample in samples(get_args(annotation)[0]))
    elif get_origin(annotation) is dict:
        yield from ({"some": sample} for sample in samples(get_args(annotation)[1]))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield {name: next(samples(field.annotation)) for name, field in annotation.model_fields.items()}
    elif annotation is bool:
        yield from (True, False)
    elif annotation in (int, float):
        yield from (3, 5000, 5_000_000, 2**29) if annotation is int else (3.5, 0.25)
    elif annotation in (str, Path, SecretStr):
        yield from ("some", "https://some.example", "/some", "10.0.0.0/8")
    else:
        yield from (sample for kind in get_args(annotation) if kind is not NoneType for sample in samples(kind))


#: Where not every value of the type fits, or several members exclude each other.
SAMPLES: dict[str, Any] = {
    "upstream.further": [UpstreamProvider(name="other").model_dump(mode="json")],
    "validation.model_options": [{"models": ["a/*"], "options": {"recovery": "patch"}}],
}


def nested(key: Key, value: Any) -> dict[str, Any]:
    for name in reversed(key.name.split(".")):
        value = {name: value}
    return dict(value)


def sample(key: Key) -> Any:
    """A value that the setting takes; another than its default where there is one."""
    found = None
    for value in [SAMPLES[key.name]] if key.name in SAMPLES else samples(key.field.annotation):
        try:
            Settings.model_validate(nested(key, value))
        except ValidationError:
            continue
        found = value
        if value != key.field.get_default(call_default_factory=True):
            break
    assert found is not None, f"no sample fits {key.name}: add one"
    return found


def text_of(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value)


def shown(*arguments: str) -> dict[str, Any]:
    """What ``lockgate settings --json`` says."""
    done = invoked("settings", "--json", *arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@EVERY_KEY
@pytest.mark.parametrize("source", ["file", "environment", "flag"])
def test_every_setting_can_be_set_and_says_where_from(
    key: Key, source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By each source, with the sources behind it set as well; the others stay at their defaults."""
    value = sample(key)
    (tmp_path / "some.json").write_text(json.dumps(nested(key, value)))
    arguments = ["--config", "some.json"]
    if source != "file":
        monkeypatch.setenv(key.variable, text_of(value))
    if source == "flag":
        arguments += ["--set", f"{key.name}={text_of(value)}"]
    found = shown(*arguments)
    name = {"file": "some.json", "environment": key.variable, "flag": "--set"}[source]
    hidden = key.field.annotation is not None and SecretStr in (key.field.annotation, *get_args(key.field.annotation))
    for entry, inner in value.items() if isinstance(value, dict) else [("", value)]:
        row = found.pop(f"{key.name}.{entry}" if entry else key.name)
        assert (row["source"], row["name"]) == (source, name)
        assert row["value"] == ("***" if hidden else inner) or isinstance(value, dict)
    assert {row["source"] for row in found.values()} == {"default"}


def test_all_settings_are_shown_once() -> None:
    assert list(shown()) == [key.name for key in KEYS]


@EVERY_KEY
def test_every_description_is_a_short_sentence(key: Key) -> None:
    kinds = [kind for kind in get_args(key.field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    for one in (key, *(inner for kind in kinds for inner in keys_of(kind))):
        said = one.field.description or ""
        assert re.fullmatch(r"[A-Za-z].{15,118}\.", said), f"{one.name}: {said!r}"


def test_names_of_the_project_that_are_no_settings_are_known() -> None:
    """A variable of ours that somebody has exported must not keep the gateway from starting."""
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("bench/**/*.py")]
    read = {
        name
        for file in files
        for name in re.findall(r'environ(?:\.get\(|\[)"(LOCKGATE_\w+)"', file.read_text(encoding="utf-8"))
    }
    read |= set(re.findall(r"LOCKGATE_\w+", (ROOT / "Makefile").read_text(encoding="utf-8")))
    settings = {key.variable for key in KEYS}
    assert {"LOCKGATE_TEST_DATA", "LOCKGATE_ACCEPTANCE_BYTES"} <= read
    assert read - settings <= set(NO_SETTINGS)
    assert not settings & set(NO_SETTINGS)


# -- sources ---------------------------------------------------------------------------------------------------------


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
        pytest.param({"delivery": {"protocol": "gRPC"}}, "delivery.protocol", "'WebSocket'", id="not available"),
        pytest.param({"delivery": {"fallback": ["SSE", "SSE"]}}, "delivery.fallback", "twice", id="a way twice"),
        pytest.param({"validation": {"errorRecovery": "mend"}}, "validation.errorRecovery", "'halt'", id="camelCase"),
        pytest.param({"upstream": {"base_url": "ftp://x"}}, "upstream.base_url", "http", id="not http"),
        pytest.param({"upstream": {"idle_bytes_s": float("inf")}}, "upstream.idle_bytes_s", "finite", id="no limit"),
        pytest.param({"validation": {"repeat_run": 5}}, "validation.repeat_run", "at least 12", id="short run"),
        pytest.param({"server": {"allowed_hosts": []}}, "server.allowed_hosts", "at least 1", id="nobody may talk"),
        pytest.param({"server": {"allowed_hosts": ["a:1"]}}, "server.allowed_hosts[0]", "without port", id="port"),
        pytest.param({"server": {"allowed_hosts": ["::1"]}}, "server.allowed_hosts[0]", "[::1]", id="bare IPv6"),
        pytest.param({"server": {"root_path": "lockgate"}}, "server.root_path", "like /lockgate", id="no slash"),
        pytest.param({"server": {"root_path": "/a/../b"}}, "server.root_path", "path", id="upward"),
        pytest.param({"server": {"root_path": "//a"}}, "server.root_path", "path", id="another host"),
        pytest.param({"server": {"cors_origins": ["*", "https://a/"]}}, "server.cors_origins[1]", "path", id="slash"),
        pytest.param({"server": {"cors_origins": ["https://*.a"]}}, "server.cors_origins[0]", "like", id="wildcard"),
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


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKGATE_SERVER__CORS_ORIGINS", "https://a.example,http://b.example:8080")
    monkeypatch.setenv("LOCKGATE_SERVER__ALLOWED_HOSTS", "[::1],gate.example")
    monkeypatch.setenv("LOCKGATE_UPSTREAM__RETRY__ON", "")
    found = load()
    assert found.server.cors_origins == ("https://a.example", "http://b.example:8080")
    assert found.server.allowed_hosts == ("[::1]", "gate.example")
    assert found.upstream.retry.on == ()


def test_the_source_that_won_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(*arguments: str) -> str:
        done = invoked("settings", "--config", "some.toml", *arguments)
        assert done.exit_code == 2
        return done.stderr

    (tmp_path / "some.toml").write_text("[server]\nport = 0\n")
    assert "server.port: should be greater than or equal to 1, not 0 (from some.toml)\n" in said()
    monkeypatch.setenv("LOCKGATE_SERVER__PORT", "-1")
    assert "not '-1' (from LOCKGATE_SERVER__PORT)\n" in said()
    assert "not '-2' (from --set)\n" in said("--set", "server.port=-2")
    assert "not '-3' (from --port)\n" in said("--port", "-3", "--set", "server.port=-2")


def test_a_variable_that_is_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKGATE_PORT", "8701")
    with pytest.raises(
        SettingsError, match=r"^LOCKGATE_PORT: there is no such setting; did you mean LOCKGATE_SERVER__"
    ):
        load()


def test_the_key_that_stands_in_is_shown_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-secret")
    stands_in = {"value": "***", "source": "environment", "name": "OPENROUTER_API_KEY"}
    assert shown()["upstream.api_key"] == stands_in
    own = {"value": "***", "source": "flag", "name": "--set"}
    assert shown("--set", "upstream.api_key=sk-other")["upstream.api_key"] == own
    assert shown("--set", "upstream.api_key_file=key")["upstream.api_key"]["value"] is None


def told_of_keys(*assignments: str) -> str:
    """All lines about keys, for these flags."""
    flags = [Flag("--set", *assignment.split("=", 1)) for assignment in assignments]
    return "\n".join(where_keys_go(in_force(None, flags)))


OWN_HOST = "upstream.base_url=https://api.example:8443/v1?hint=hush"


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        pytest.param((), "OPENROUTER_API_KEY goes to openrouter.ai and to no other host", id="openrouter"),
        pytest.param(
            ("upstream.base_url=https://eu.openrouter.ai/v1",),
            "OPENROUTER_API_KEY goes to eu.openrouter.ai and to no other host",
            id="a host of openrouter",
        ),
        pytest.param(
            ("upstream.api_key=hush",),
            "upstream.api_key (from --set) goes to openrouter.ai and to no other host\n"
            "OPENROUTER_API_KEY is not sent: upstream.api_key is set",
            id="another key for openrouter",
        ),
        pytest.param(
            (OWN_HOST,),
            "OPENROUTER_API_KEY is not sent: it is for openrouter.ai, and requests go to api.example:8443\n"
            "no key is sent to api.example:8443: there is none; "
            "if one is needed, set LOCKGATE_UPSTREAM__API_KEY or upstream.api_key_file",
            id="no key of its own",
        ),
        pytest.param(
            ("upstream.base_url=https://openrouter.ai.example/v1", "upstream.api_key_file=key"),
            "upstream.api_key_file (from --set) goes to openrouter.ai.example and to no other host\n"
            "OPENROUTER_API_KEY is not sent: it is for openrouter.ai, and requests go to openrouter.ai.example",
            id="a host that looks like openrouter",
        ),
        pytest.param(
            ("upstream.replay=some.sse", "upstream.api_key=hush"), "no key is sent: upstream.replay", id="replay"
        ),
    ],
)
def test_each_key_is_told_with_its_host(
    assignments: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-hush")
    (tmp_path / "key").write_text("hush")
    found = told_of_keys(*assignments)
    assert found.startswith(told)
    assert found.count("\n") == told.count("\n")
    assert "hush" not in found


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        pytest.param(
            ("upstream.base_url=http://pier:hush@a.example/v1",),
            "the user and password in upstream.base_url go to a.example and to no other host",
            id="user and password",
        ),
        pytest.param(
            ("upstream.base_url=http://pier:hush@a.example/v1", "upstream.api_key=hush"),
            "upstream.api_key (from --set) goes to a.example and to no other host\n"
            "the user and password in upstream.base_url are not sent: upstream.api_key takes their place",
            id="key before user and password",
        ),
        pytest.param(
            (OWN_HOST, "upstream.api_key=hush", "upstream.headers.authorization=Own hush"),
            "upstream.api_key is not sent: upstream.headers.authorization takes its place\n"
            "upstream.headers.authorization (from --set) goes to api.example:8443 and to no other host",
            id="header before key",
        ),
        pytest.param(
            (OWN_HOST, "upstream.api_key=hush", "upstream.key_scheme=api-key", "upstream.query.api-version=hush"),
            "upstream.api_key (from --set) goes to api.example:8443 and to no other host\n"
            "upstream.query.api-version (from --set) goes to api.example:8443 and to no other host",
            id="query",
        ),
        pytest.param(
            (OWN_HOST, "upstream.headers.Authorization=Own hush", "upstream.proxy=http://pier:hush@proxy.example:1"),
            "upstream.headers.Authorization (from --set) goes to api.example:8443 and to no other host\n"
            "the user and password in upstream.proxy go to proxy.example:1",
            id="proxy",
        ),
    ],
)
def test_everything_secret_is_told_with_its_host(assignments: tuple[str, ...], told: str) -> None:
    """And what is said agrees with what is sent."""
    found = told_of_keys(*assignments)
    assert found == told
    upstream = in_force(None, [Flag("--set", *one.split("=", 1)) for one in assignments]).settings.upstream
    sent = endpoint_of(
        upstream.base_url,
        api_key=upstream_key(upstream),
        key_scheme=upstream.key_scheme,
        headers={name: value.get_secret_value() for name, value in upstream.headers.items()},
    )
    assert ("upstream.api_key (" in found) == (sent.headers.get(sent.key_header) in ("hush", "Bearer hush"))
    assert ("base_url go to" in found) == sent.headers.get("Authorization", "").startswith("Basic ")


def test_two_keys_are_told_with_their_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKGATE_UPSTREAM__API_KEY", "sk-other")
    with pytest.raises(SettingsError, match=r"keep one \(from LOCKGATE_UPSTREAM__API_KEY and flags\)$"):
        load(None, {"upstream": {"api_key_file": "key"}})


@pytest.mark.parametrize(
    ("given", "path"), [("", ""), ("/", ""), ("/lockgate", "/lockgate"), ("/a/b-1.x/", "/a/b-1.x")]
)
def test_a_base_path_has_no_slash_at_its_end(given: str, path: str) -> None:
    assert load(None, {"server": {"root_path": given}}).server.root_path == path
