"""The command, as a person runs it: a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.gate.recovery.patch_rules import LOSSY_RULES
from tests.fork_server import fork_server
from tests.ports import free_port

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def lockgate(*arguments: str, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return fork_server().run(["lockgate", *arguments], stdin=stdin, cwd=cwd)


@pytest.fixture
def schema(tmp_path: Path) -> str:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return str(path)


@pytest.mark.parametrize(
    ("text", "code", "out", "err"),
    [
        pytest.param(b'{"n": 1}', 0, '{"n": 1}', "complete: 8 bytes", id="complete"),
        pytest.param(b'{"n": "x"}', 1, '{"n": ', "/n: must be an integer, not a string", id="violated"),
        pytest.param(b'{"n": 1', 1, '{"n": 1', "incomplete: the text ended inside the document", id="incomplete"),
        pytest.param(b"", 1, "", "incomplete: the text ended before a document began", id="empty"),
    ],
)
def test_check(schema: str, text: bytes, code: int, out: str, err: str) -> None:
    """Released text on standard output, the verdict on standard error, the exit code for scripts."""
    done = lockgate("check", "--schema", schema, stdin=text)
    assert done.returncode == code
    assert done.stdout.rstrip("\n") == out
    assert err in done.stderr


def test_check_of_a_file(schema: str, tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text('{"n": 1}')
    assert lockgate("check", "-s", schema, str(tmp_path / "d.json")).returncode == 0


def test_check_of_a_schema_in_other_words(tmp_path: Path) -> None:
    (tmp_path / "tool.json").write_text(json.dumps({"name": "f", "inputSchema": SCHEMA}))
    command = ["check", "-s", str(tmp_path / "tool.json")]
    assert lockgate(*command, "--dialect", "mcp", stdin=b'{"n": 1}').returncode == 0
    assert "pass schema['inputSchema']" in lockgate(*command, stdin=b"{}").stderr
    assert "use one of openai, mcp" in lockgate(*command, "--dialect", "xml", stdin=b"{}").stderr


def test_check_for_machines(schema: str) -> None:
    done = lockgate("check", "-s", schema, "--json", stdin=b'{"n": 1, "m"')
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["event"] for one in said] == ["released", "violated"]
    assert said[0]["text"] == '{"n": 1'
    assert (said[1]["code"], said[1]["upstream_at"], said[1]["schema_path"]) == (
        "schema_violation", 7, "/additionalProperties",
    )  # fmt: skip
    assert "must" in said[1]["hint"]
    assert done.returncode == 1


def test_feedback_is_live(schema: str) -> None:
    """What was fed is answered before the input ends."""
    command = [sys.executable, "-m", "lockgate", "check", "-s", schema, "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b'{"n"')
        child.stdin.flush()
        assert json.loads(child.stdout.readline())["text"] == '{"n"'
        child.stdin.write(b": 1}")
        child.stdin.close()
        assert [json.loads(line)["event"] for line in child.stdout] == ["released", "completed"]
    assert child.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["check", "-s", "absent.json"], "absent.json: No such file", id="schema absent"),
        pytest.param(["check", "-s", "bad.json"], "/type", id="schema invalid"),
        pytest.param(["check", "-s", "good.json", "absent.json"], "absent.json: No such file", id="file absent"),
        pytest.param(["check", "-s", "good.json", "."], "Is a directory", id="file is a folder"),
        pytest.param(["serve", "--port", "99999"], "server.port:", id="port out of range"),
        pytest.param(
            ["serve", "--set", "server.porrt=1"], "server.porrt: there is no such setting", id="unknown setting"
        ),
        pytest.param(["serve", "--set", "nonsense"], "KEY=VALUE", id="flag malformed"),
        pytest.param(["settings", "--port", "0"], "not '0' (from --port)", id="settings that cannot be in force"),
        pytest.param(
            ["serve", "--set", "upstream.api_key_file=nokey"], "api_key_file: nokey cannot be read", id="no key file"
        ),
        pytest.param(["serve", "--store", "good.json"], "store.path: ", id="store is another file"),
        pytest.param(["serve", "--store", "good.json"], "(from --store)", id="where the path comes from"),
        pytest.param(
            ["serve", "--set", "upstream.kind=morse"], "upstream.kind: there is no 'morse'; use", id="unknown dialect"
        ),
        pytest.param(
            ["serve", "--set", "store.kind=paper"], "sqlite or memory or redis (from --set)", id="unknown kind of store"
        ),
        pytest.param(["serve", "--set", "store.kind=redis"], "store.url: is missing; say where", id="no Redis"),
        pytest.param(
            ["serve", "--set", "store.kind=redis", "--set", "store.url=redis://me:hush@127.0.0.1:1/0"],
            "store.url: redis://127.0.0.1:1/0: cannot be reached",
            id="Redis that is down, without its password",
        ),
        pytest.param(["sim", "--rate", "-1"], "rate", id="sim option out of range"),
        pytest.param(["sim", "--fault", "fire"], "--fault[0] must name a fault, not 'fire'", id="sim fault"),
        pytest.param(["sim", "--manner", "rude"], "--manner must be a list of echo", id="sim manner"),
        pytest.param(["demo", "--host", "0.0.0.0"], "--host 0.0.0.0: the demo is for this machine alone", id="demo"),
        pytest.param(["demo", "--weights", "a.gguf"], "--weights needs --llm", id="weights without a model"),
        pytest.param(["serve", "--config", "absent.toml"], "absent.toml: cannot be read", id="config absent"),
    ],
)
def test_mistakes_are_one_clear_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    """Exit 2, no traceback, and the line names what is wrong."""
    (tmp_path / "good.json").write_text("{}")
    (tmp_path / "bad.json").write_text('{"type": "strin"}')
    done = lockgate(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "code", "out", "err"),
    [
        pytest.param(b"Sure: {'n': '1',}", 0, ' {"n": 1}', "/n at 7: quotes", id="complete"),
        pytest.param(b'{"n": 1', 1, '{"n": 1}', "incomplete", id="incomplete"),
        pytest.param(b'{"n": [1, 2]}', 1, '{"n": ', "must be an integer, not an array", id="halted"),
    ],
)
def test_repair(schema: str, text: bytes, code: int, out: str, err: str) -> None:
    """Repaired text on standard output, what was changed on standard error, the exit code by state."""
    done = lockgate("repair", "--schema", schema, stdin=text)
    assert (done.returncode, done.stdout) == (code, out)
    assert err in done.stderr


def test_repair_without_a_schema() -> None:
    done = lockgate("repair", "--quiet", stdin=b"[1, 2,]")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1, 2]", "")
    refused = lockgate("repair", "--lossy", "shrink", stdin=b"1")
    assert refused.returncode == 2
    assert "shrink" in refused.stderr


def test_repair_for_machines(schema: str) -> None:
    done = lockgate("repair", "-s", schema, "--json", stdin=b'{"n": "1"}')
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(one["text"] for one in said if one["event"] == "released") == '{"n": 1}'
    _, patched, _ = others = [one for one in said if one["event"] != "released"]
    assert [one["event"] for one in others] == ["violated", "patched", "completed"]
    assert (patched["rule"], patched["removed"], patched["inserted"]) == ("scalar_in_string", '"1"', "1")
    assert (done.returncode, done.stderr) == (0, "")


def test_repair_says_that_it_may_patch_no_more() -> None:
    done = lockgate("repair", "--max-patches", "1", stdin=b"[1,, 2,, 3]")
    assert (done.returncode, done.stdout) == (1, "[1, 2,")
    assert "lockgate: no more patches: --max-patches is 1\nlockgate: halted\n" in done.stderr


@pytest.mark.parametrize("command", ["check", "repair"])
def test_a_reader_that_has_seen_enough_is_no_error(command: str, schema: str) -> None:
    """As with ``| head -1``."""
    arguments = [sys.executable, "-m", "lockgate", command, "--schema", schema]
    with subprocess.Popen(arguments, stdin=-1, stdout=-1, stderr=-1) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        child.stdin.write(b'{"n": 1}')
        child.stdin.close()
        assert child.stderr.read() == b""
    assert child.returncode == 1


@pytest.mark.parametrize("command", ["check", "repair"])
def test_what_cannot_be_written_or_read_is_said(command: str, schema: str) -> None:
    def run(redirection: str) -> tuple[int, str]:
        line = f'"$0" -m lockgate {command} -s "$1" {redirection}'
        done = subprocess.run(
            ["sh", "-c", line, sys.executable, schema], input=b'{"n": 1}', stderr=-1, timeout=300, check=False
        )
        return done.returncode, done.stderr.decode()

    assert run("> /dev/full") == (2, "lockgate: standard output: No space left on device\n")
    assert run(">&-") == (2, "lockgate: standard output is closed\n")
    assert run("<&-") == (2, "lockgate: standard input is closed\n")


def test_on_a_terminal_patches_do_not_tear_the_text_apart() -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "lockgate", "repair"], stdin=-1, stdout=theirs, stderr=theirs
    ) as child:
        os.close(theirs)
        assert child.stdin is not None
        child.stdin.write(b"{'n': 1}")
        child.stdin.close()
        shown = b""
        with contextlib.suppress(OSError):  # how the end of a terminal is told
            while piece := os.read(ours, 1024):
                shown += piece
    os.close(ours)
    assert shown.startswith(b'{"n": 1}\r\nlockgate: / at 1: quotes: ')


def test_a_key_in_place_of_its_file_is_not_told(tmp_path: Path) -> None:
    done = lockgate("serve", "--set", "upstream.api_key_file=sk-hunter2", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("lockgate: upstream.api_key_file: *** cannot be read: ")
    assert done.stderr.endswith(" (from --set)\n")
    assert "hunter2" not in done.stderr


def test_serve_says_where_each_key_goes_before_it_takes_requests(tmp_path: Path) -> None:
    environment = {**os.environ, "LOCKGATE_UPSTREAM__API_KEY": "hunter2", "OPENROUTER_API_KEY": "hunter3"}
    arguments = ["serve", "--port", str(free_port()), "--base-url", "https://api.example/v1"]
    with subprocess.Popen(
        [sys.executable, "-m", "lockgate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=tmp_path,
        text=True,
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(3)]
        child.terminate()
        rest = child.stdout.read()
    assert said[:2] == [
        "lockgate: upstream.api_key (from LOCKGATE_UPSTREAM__API_KEY) goes to api.example and to no other host\n",
        "lockgate: OPENROUTER_API_KEY is not sent: it is for openrouter.ai, and requests go to api.example\n",
    ]
    assert said[2].startswith("lockgate 0.")
    assert "hunter" not in "".join(said) + rest


def test_settings_are_shown_as_serve_would_take_them(tmp_path: Path) -> None:
    """The file of the working folder, the environment, flags; for people and for machines."""
    (tmp_path / "lockgate.toml").write_text("[store]\nretain_s = 60\n")
    arguments = ["settings", "--host", "::1", "--set", "upstream.api_key=hunter2"]
    shown = lockgate(*arguments, cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = {" ".join(line.split()) for line in shown.stdout.splitlines()}
    assert {"host ::1 --host", "api_key *** --set", "retain_s 60 lockgate.toml", "port 8700 default"} <= lines
    told = json.loads(lockgate(*arguments, "--json", cwd=tmp_path).stdout)
    assert told["server.host"] == {"value": "::1", "source": "flag", "name": "--host"}
    assert told["store.retain_s"] == {"value": 60.0, "source": "file", "name": "lockgate.toml"}
    assert told["server.port"] == {"value": 8700, "source": "default", "name": None}


def test_version() -> None:
    assert lockgate("--version").stdout.startswith("lockgate 0.")


def test_check_of_several_files(schema: str, tmp_path: Path) -> None:
    """A line each, also of a pattern that the shell left alone; the worst of them is the exit code."""
    for name, text in (("a.json", '{"n": 1}'), ("b.json", '{"n": "x"}'), ("c.json", '{"n": 1')):
        (tmp_path / name).write_text(text)
    done = lockgate("check", "-s", schema, "[ab].json", "c.json", cwd=tmp_path)
    assert done.returncode == 1
    first, second, third = done.stdout.splitlines()
    assert first == "a.json: complete: 8 bytes"
    assert second.startswith("b.json: violated: /n: must be an integer")
    assert third.startswith("c.json: incomplete: ")
    shown = lockgate("check", "--json", "a.json", "c.json", cwd=tmp_path).stdout.splitlines()
    assert {json.loads(line)["file"] for line in shown} == {"a.json", "c.json"}
    assert lockgate("check", "a.json", cwd=tmp_path).returncode == 0, "without a schema, any JSON is valid"
    some = lockgate("check", "a.json", "none.json", "c.json", cwd=tmp_path)
    assert [line.partition(":")[0] for line in some.stdout.splitlines()] == ["a.json", "c.json"], (
        "the others are judged"
    )
    assert (some.returncode, some.stderr) == (2, "lockgate: none.json: No such file or directory\n")
    missing = lockgate("check", "*.yaml", cwd=tmp_path)
    assert (missing.returncode, missing.stderr) == (2, "lockgate: *.yaml: no file has such a name\n")


def test_repair_reads_a_schema_as_check_does(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": "STRING", "nullable": true}')
    done = lockgate("repair", "-q", "-s", "schema.json", "--dialect", "gemini", cwd=tmp_path, stdin=b"null")
    assert (done.returncode, done.stdout) == (0, "null")
    refused = lockgate("repair", "-s", "schema.json", "--dialect", "latin", cwd=tmp_path, stdin=b"null")
    assert refused.returncode == 2
    assert refused.stderr.startswith("lockgate: --dialect")


def test_help_cuts_nothing_off_and_has_a_short_name() -> None:
    assert "--duplicate-members / --no-duplicate-members" in lockgate("check", "-h").stdout
    assert lockgate("keys", "-h").returncode == 0
    assert lockgate("-h").stdout == lockgate("--help").stdout


def test_colours_are_the_users_choice(schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe has none, unless they are asked for; NO_COLOR is for ``auto``."""
    assert "\x1b[" not in lockgate("check", "-s", schema, stdin=b"[]").stderr
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" in lockgate("--color", "always", "check", "-s", schema, stdin=b"[]").stderr


def test_completion_for_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_LOCKGATE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "lockgate re")
    monkeypatch.setenv("COMP_CWORD", "1")
    program = "from lockgate.__main__ import main; import sys; sys.argv = ['lockgate']; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["repair", "read"]


def test_a_part_that_is_not_installed_is_bad_usage() -> None:
    program = "import sys; sys.modules['typer'] = None; from lockgate.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert (
        done.stderr == "lockgate: the command needs typer: pip install 'lockgate[server]', or '.[server]' in a clone\n"
    )


@pytest.mark.parametrize("group", [(), ("keys",), ("schema",)], ids=["all", "keys", "schema"])
def test_the_list_of_commands_is_cut_nowhere_at_80_columns(
    group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a sentence can say the opposite: "Make a key, and the URLs that it..." was that of ``revoke``."""
    monkeypatch.setenv("COLUMNS", "80")
    shown = lockgate(*group, "-h").stdout
    assert "Commands:" in shown
    assert "..." not in shown.partition("Commands:")[2]


def test_keep_in_a_folder_that_is_not_there_is_said_before_anything_is_read(tmp_path: Path) -> None:
    done = lockgate(
        "read", "some-id", "--gateway", "http://127.0.0.1:9", "--keep", str(tmp_path / "none" / "place.json")
    )
    assert done.returncode == 2
    assert f"there is no folder {tmp_path / 'none'}" in done.stderr


def test_repair_names_every_lossy_rule_that_there_is() -> None:
    shown = lockgate("repair", "-h").stdout
    assert not [rule.id for rule in LOSSY_RULES if rule.id not in shown]
