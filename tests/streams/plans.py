"""Plans for tests of pumps and options: the schemas of a request are compiled here, without workers."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from lockgate.streams.options import StreamRequest, read_request
from lockgate.streams.plan import Defaults, Plan, begin_plan, blamed_on, make_plan, schemas_in
from lockgate.streams.schemas import SchemaHere, StreamSchema


def read_plan(text: bytes, defaults: Defaults | None = None) -> Plan:
    """What the body of a request asks for."""
    return plan_of(read_request(text), defaults)


def plan_of(request: StreamRequest, defaults: Defaults | None = None) -> Plan:
    """What a request asks for."""
    defaults = defaults or Defaults()
    begun = begin_plan(request, defaults)
    asked = schemas_in(request, defaults.limits)
    found: dict[bytes, StreamSchema] = {}
    for one in asked.all:
        with blamed_on(one):
            found[one.ask.key] = SchemaHere(one.ask.compile())
    plan = make_plan(begun, asked, found)
    at_once(plan.refuse())
    return plan


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")
