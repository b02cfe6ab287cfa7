"""What the command shows a person, on terminals wide and narrow and in pipes."""

from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.terminal import show_settings

ROWS = [
    ("server.port", 8701, "--port"),
    ("server.cors_origins", ["https://a.example.org", "https://b.example.org"], "LOCKGATE_SERVER__CORS_ORIGINS"),
    ("upstream.retry.backoffStrategy", "linear", "LOCKGATE_UPSTREAM__RETRY__BACKOFF_STRATEGY"),
    ("upstream.api_key", None, "default"),
    ("upstream.capabilities", [{"pattern": "mistralai/*", "prefill": "prefix", "tail": "never"}], "lockgate.toml"),
    ("upstream.idle_s", 60.0, "default"),
]


def lines(capsys: pytest.CaptureFixture[str], rows: list[tuple[str, object, str]]) -> list[str]:
    show_settings(rows)
    return capsys.readouterr().out.splitlines()


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, *, colour: bool = False) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    if colour:
        monkeypatch.delenv("NO_COLOR", raising=False)
    else:
        monkeypatch.setenv("NO_COLOR", "1")


def test_a_pipe_gets_one_line_for_each_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, ROWS[:3]) == [
        "server",
        "  port                   8701                                          --port",
        "  cors_origins           https://a.example.org, https://b.example.org  LOCKGATE_SERVER__CORS_ORIGINS",
        "",
        "upstream",
        "  retry.backoffStrategy  linear                                        "
        "LOCKGATE_UPSTREAM__RETRY__BACKOFF_STRATEGY",
    ]


def test_a_narrow_terminal_gets_folded_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_terminal(monkeypatch, 80)
    assert lines(capsys, ROWS) == [
        "server",
        "  port                   8701                         --port",
        "  cors_origins           https://a.example.org,       LOCKGATE_SERVER__",
        "                         https://b.example.org        CORS_ORIGINS",
        "",
        "upstream",
        "  retry.backoffStrategy  linear                       LOCKGATE_UPSTREAM__RETRY__",
        "                                                      BACKOFF_STRATEGY",
        "  api_key                –                            default",
        '  capabilities           [{"pattern": "mistralai/*",  lockgate.toml',
        '                         "prefill": "prefix",',
        '                         "tail": "never"}]',
        "  idle_s                 60                           default",
    ]


def test_what_cannot_be_printed_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, [("a.b", "x\n\x1b[2J", "--set")])[1] == '  b  "x\\n\\u001b[2J"  --set'


def test_colours_are_for_terminals_that_want_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_terminal(monkeypatch, 120, colour=True)
    coloured = lines(capsys, ROWS)
    assert [line for line in coloured if line.startswith("\x1b[2m")] == [line for line in coloured if "default" in line]
    on_terminal(monkeypatch, 120)
    assert "\x1b" not in "".join(lines(capsys, ROWS))


@given(
    values=st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])), min_size=1, max_size=4),
    columns=st.integers(60, 160),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_lost_and_nothing_is_wider_than_the_terminal(
    values: list[str], columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a value holds; counted in characters."""
    on_terminal(monkeypatch, columns)
    said = lines(capsys, [(f"section.key{at}", value, "default") for at, value in enumerate(values)])
    assert max(map(len, said)) <= columns
    letters = "".join("".join(said).split())
    at = 0
    for value in values:
        wanted = "".join(value.split())
        for letter in wanted:
            at = letters.find(letter, at) + 1
            assert at > 0
