"""What a request may say, and what it is told when it says something else."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from lockgate.errors import BadRequest
from lockgate.sim.ask import Ask, UnknownModel, read_ask
from lockgate.sim.continuation import Manner
from lockgate.sim.faults import Fault, Strike
from lockgate.sim.sim_options import Choices, SimOptions

USER = {"role": "user", "content": "Hello"}
TOOL = {"type": "function", "function": {"name": "save", "parameters": {}}}
OTHER = {"type": "function", "function": {"name": "other", "parameters": {}}}


def ask(defaults: Choices | None = None, **body: Any) -> Ask:
    whole = {"model": "sim/products", "messages": [USER], **body}
    return read_ask(json.dumps(whole).encode(), defaults or Choices())


def test_a_request_gets_the_defaults() -> None:
    defaults = SimOptions(seed=7, rate=25, fault=Fault.STALL, port=0).choices()
    assert ask(defaults).choices == Choices(seed=7, rate=25, fault=Fault.STALL)
    assert ask(defaults, sim={"fault": None, "rate": 0}).choices == Choices(seed=7)
    assert ask(defaults, sim=None).choices == defaults


def test_every_option_can_be_chosen() -> None:
    sim = {"seed": 3, "size_bytes": 9, "rate": 1.5, "fault": "cut", "at_bytes": 4}
    sim |= {"faults": ["crlf", {"name": "cut", "at_bytes": 9}], "fault_attempts": 2, "key": "k", "manners": ["echo"]}
    sim |= {"as_tool": True, "coalesce": 2, "stamp": True, "line_ends": "crlf"}
    sim |= {"schema": "invoice@1", "chunk_schemas": ["invoice@2", None]}
    assert ask(sim=sim).choices == Choices(
        seed=3,
        size_bytes=9,
        rate=1.5,
        fault=Fault.CUT,
        at_bytes=4,
        as_tool=True,
        coalesce=2,
        stamp=True,
        line_ends="crlf",
        schema="invoice@1",
        chunk_schemas=("invoice@2", None),
        faults=(Strike(Fault.CRLF), Strike(Fault.CUT, 9)),
        fault_attempts=2,
        key="k",
        manners=(Manner.ECHO,),
    )
    assert set(sim) == {one.name for one in fields(Choices)}


def test_the_seed_of_the_api_counts_unless_there_is_another() -> None:
    assert ask(seed=5).choices.seed == 5
    assert ask(seed=5, sim={"seed": 6}).choices.seed == 6


def test_the_size_is_the_entrys_own_unless_chosen() -> None:
    assert ask().size_bytes == 20_000
    assert ask(sim={"size_bytes": 1_234}).size_bytes == 1_234


@pytest.mark.parametrize(
    ("body", "tool"),
    [
        pytest.param({}, None, id="nothing asked"),
        pytest.param({"tools": [TOOL]}, None, id="a tool it may use, and does not"),
        pytest.param({"tools": [TOOL], "tool_choice": "auto"}, None, id="auto"),
        pytest.param({"tools": [TOOL], "tool_choice": "required"}, "save", id="required"),
        pytest.param({"tools": [OTHER, TOOL], "tool_choice": TOOL}, "save", id="named"),
        pytest.param({"tools": [TOOL], "sim": {"as_tool": True}}, "save", id="as_tool with a tool"),
        pytest.param({"model": "sim/org-chart", "sim": {"as_tool": True}}, "org_chart", id="as_tool alone"),
        pytest.param({"tools": [1], "tool_choice": "required"}, None, id="no tool worth the name"),
    ],
)
def test_when_a_tool_is_called(body: dict[str, Any], tool: str | None) -> None:
    assert ask(**body).tool == tool


@pytest.mark.parametrize(
    ("sim", "words"),
    [
        pytest.param({"speed": 3}, "sim.speed is no option: known are seed, size_bytes, rate, fault", id="unknown"),
        pytest.param({"seed": "1"}, "sim.seed must be a whole number, not '1'", id="seed"),
        pytest.param({"seed": True}, "sim.seed must be a whole number", id="a boolean is no number"),
        pytest.param({"size_bytes": 0}, "sim.size_bytes must be a whole number from 1 to 4194304", id="size"),
        pytest.param({"size_bytes": 10**12}, "sim.size_bytes must be", id="too big"),
        pytest.param({"line_ends": "vt"}, "sim.line_ends must be lf, crlf, cr, or null", id="line ends"),
        pytest.param({"schema": "a\r\nb"}, "sim.schema must be at most 200 printable", id="schema"),
        pytest.param({"chunk_schemas": ["a@1", 2]}, "sim.chunk_schemas must be a list", id="chunk_schemas"),
        pytest.param({"rate": -1}, "sim.rate must be deltas per second", id="rate"),
        pytest.param({"rate": None}, "sim.rate must be", id="null where there must be a value"),
        pytest.param(
            {"fault": "fire"},
            "wrong_type, unknown_member, missing_member, ",
            id="fault",
        ),
        pytest.param({"fault": []}, "sim.fault must be", id="fault of a wrong type"),
        pytest.param({"at_bytes": -1}, "sim.at_bytes must be", id="at"),
        pytest.param({"faults": "cut"}, "sim.faults must be a list", id="faults"),
        pytest.param({"fault_attempts": -1}, "sim.fault_attempts must be a whole number", id="fault_attempts"),
        pytest.param({"key": ""}, "sim.key must be text of at most 200 characters", id="key"),
        pytest.param({"manners": "echo"}, "sim.manners must be a list of echo", id="manners"),
        pytest.param({"as_tool": 1}, "sim.as_tool must be true or false", id="as_tool"),
        pytest.param({"coalesce": 0}, "sim.coalesce must be a whole number from 1 to 100", id="coalesce"),
        pytest.param({"stamp": "yes"}, "sim.stamp must be true or false", id="stamp"),
        pytest.param([], "sim must be an object", id="not an object"),
    ],
)
def test_bad_options_are_named(sim: Any, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        ask(sim=sim)
    assert words in str(caught.value)


@pytest.mark.parametrize("rate", [float("nan"), float("inf")])
def test_rates_are_finite(rate: float) -> None:
    with pytest.raises(BadRequest, match=r"sim\.rate"):
        SimOptions(rate=rate)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        pytest.param(b"{", "must be JSON", id="cut"),
        pytest.param(b"\xff", "must be JSON", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "must be JSON", id="deep"),
        pytest.param(b"[]", "must be a JSON object", id="array"),
        pytest.param(b'{"model":"sim/poll"}', "messages must be", id="no messages"),
        pytest.param(b'{"model":"sim/poll","messages":[]}', "messages must be", id="empty messages"),
        pytest.param(b'{"model":"sim/poll","messages":["hello"]}', "messages must be", id="odd messages"),
        pytest.param(b'{"model":"sim/poll","messages":[{}],"stream":1}', "stream must be", id="stream"),
    ],
)
def test_bad_bodies_are_named(raw: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        read_ask(raw, Choices())


@pytest.mark.parametrize("model", ["gpt-4o", "products", None, 7, ["sim/poll"]])
def test_an_unknown_model_is_told_the_known_ones(model: Any) -> None:
    with pytest.raises(UnknownModel, match=r"known are sim/products, .*sim/text"):
        ask(model=model)
