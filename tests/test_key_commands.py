"""``lockgate keys``: what a user types, and what he is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.keys.ring import PREFIX, digest_of
from tests.command_line import invoked


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def keys(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    done = invoked("keys", *arguments)
    return done.exit_code, done.stdout, done.stderr


def _make_log() -> None:
    """As ``lockgate serve`` does."""
    assert invoked("schema", "rule", "any", "none").exit_code == 0


def listed() -> list[dict[str, Any]]:
    code, out, _ = keys("list", "--json")
    assert code == 0
    found = json.loads(out)
    assert isinstance(found, list)
    return found


def test_a_key_lives_as_the_page_says(tmp_path: Path) -> None:
    code, out, err = keys("add", "alice", "--models", "mistralai/*", "--rate", "60/min", "--budget-usd", "20/day")
    assert (code, out.startswith(PREFIX), out.count("\n")) == (0, True, 1), "a script can take it"
    assert "only now" in err
    secret = out.strip()
    code, out, _ = keys("add", "ops", "--scope", "admin")
    assert code == 0
    assert [(one["name"], one["state"], one["scopes"]) for one in listed()] == [
        ("alice", "good", ["create", "read", "cancel"]),
        ("ops", "good", ["admin"]),
    ]
    alice = listed()[0]
    assert (alice["models"], alice["rate"], alice["budget_usd"]) == (["mistralai/*"], "60/min", 20.0)
    assert alice["today"] == {"streams": 0, "tokens": 0, "cost_usd": 0, "refused": 0}
    code, out, _ = keys("rotate", "alice", "--grace", "10min")
    assert (code, out.strip() != secret, out.startswith(PREFIX)) == (0, True, True)
    assert keys("revoke", "ops")[0] == 0
    assert keys("drop-urls")[0] == 0
    code, out, _ = keys("list")
    assert code == 0
    assert "alice  good  create,read,cancel on mistralai/*, rate 60/min, budget 20 USD a day" in out
    assert "ops  revoked" in out
    shown = out + json.dumps(listed())
    assert secret not in shown
    assert digest_of(secret) not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "a b"], "a key is named by 1 to 64 letters"),
        (["add", "a", "--scope", "all"], "--scope: there is no 'all'; write some of create,read,cancel,admin"),
        (["add", "a", "--scope", ""], "--scope: there is no ''"),
        (["add", "a", "--rate", "60"], "--rate: '60' should be like 60/min"),
        (["add", "a", "--rate", "0/min"], "--rate: '0/min'"),
        (["add", "a", "--budget-usd", "20"], "--budget-usd: '20' should be like 20/day"),
        (["rotate", "a", "--grace", "soon"], "--grace: 'soon' should be like 10min"),
        (["rotate", "nobody"], "'nobody': there is no such key; lockgate keys list shows them"),
        (["revoke", "nobody"], "'nobody': there is no such key"),
        (["list", "--set", "store.kind=memory"], "store.kind: the log in memory is forgotten at once"),
        (["list", "--set", "store.kin=x"], "there is no such setting"),
        (["list", "--store", "/proc/no/log.db"], "/proc/no"),
    ],
    ids=[
        *("name", "scope", "no scope", "rate", "rate of nothing", "budget", "grace", "rotate", "revoke"),
        *("memory", "setting", "no file"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], said: str) -> None:
    _make_log()
    code, out, err = keys(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("lockgate: ")
    assert err.count("\n") == 1


def test_there_are_no_keys_at_first() -> None:
    _make_log()
    assert keys("list") == (0, "there are no keys; lockgate keys add NAME makes one\n", "")


@pytest.mark.parametrize("command", [("list",), ("rotate", "a"), ("revoke", "a"), ("drop-urls",)])
def test_a_log_that_is_only_looked_at_is_not_made(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Its name is mistyped, rather."""
    code, out, err = keys(*command, "--store", "folder/nope.db")
    assert (code, out) == (2, "")
    assert "there is no log at folder/nope.db" in err
    assert "--store" in err
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_a_file_and_no_address(tmp_path: Path) -> None:
    code, _, err = keys("add", "a", "--store", "redis://127.0.0.1")
    assert code == 2
    assert "store.url" in err
    assert list(tmp_path.iterdir()) == []
