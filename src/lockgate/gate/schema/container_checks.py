"""What is checked of objects and arrays while they grow: counts, names that are missing, room for more.

Each takes the checks of one set of subschemas and the container as it is, and raises by ``misfit``.
"""

from __future__ import annotations

from typing import Any

from lockgate.gate.grammar import OBJECT
from lockgate.gate.schema.checks import Checks
from lockgate.gate.schema.container_frames import ArrayFrame, Frame, ObjectFrame
from lockgate.gate.schema.mismatch import Complain, Mismatch
from lockgate.gate.schema.subschema import CountLimit
from lockgate.gate.schema.wording import listed, shown


def begin_name(checks: Checks, misfit: Complain) -> None:
    """The quote of a member name."""
    if checks.most is not None and checks.most.limit == 0:
        raise misfit(Mismatch(checks.most.schema_path, "have no members"))


def another_member(checks: Checks, frame: ObjectFrame, misfit: Complain) -> None:
    """A comma: one more member is to come."""
    if checks.most is not None and len(frame.seen) >= checks.most.limit:
        raise misfit(_at_most(checks.most, "member"))
    for names, patterns in checks.closed:
        if not patterns and frame.seen >= names.texts:
            raise misfit(Mismatch(names.schema_path, "have no more members", "for all that are allowed are there"))


def begin_element(checks: Checks, frame: ArrayFrame, misfit: Complain) -> None:
    """The first byte of one more element."""
    most = checks.most
    if most is not None and frame.key + 1 >= most.limit:
        raise misfit(_at_most(most, "element"))


def another_element(checks: Checks, frame: ArrayFrame, misfit: Complain) -> None:
    """A comma: one more element is to come."""
    begin_element(checks, frame, misfit)
    subschemas = checks.element(frame.key + 1)
    if not subschemas.kinds:
        raise misfit(_at_most(CountLimit(frame.key + 1, subschemas.blame(OBJECT).schema_path), "element"))


def finished_element(frame: ArrayFrame, value: Any, misfit: Complain) -> None:
    """An element is whole."""
    if frame.unique is None or frame.value is None:
        return
    index = len(frame.value)
    first = frame.unique.add(index, value)
    if first is not None:
        found = f"but {first} and {index} are both {shown(value)}"
        raise misfit(Mismatch(frame.checks.unique_path, "have no equal elements", found))


def cannot_end(checks: Checks, frame: Frame) -> Mismatch | None:
    """Why the container can never be finished, when more is known of it than when it began; None if it may."""
    if checks.impossible is not None:
        return checks.impossible
    most = checks.most
    if most is None or not checks.required or not isinstance(frame, ObjectFrame):
        return None
    missing = [name for name in checks.required if name not in frame.seen]
    if not missing or most.limit - len(frame.seen) >= len(missing):
        return None
    names = listed(map(shown, missing), "and")
    return Mismatch(most.schema_path, f"have {names} and at most {counted(most.limit, 'member')}")


def end(checks: Checks, frame: Frame, misfit: Complain) -> None:
    """The closing bracket."""
    if isinstance(frame, ObjectFrame):
        end_object(checks, frame, misfit)
        return
    least = checks.least
    if least is not None and frame.key + 1 < least.limit:
        raise misfit(_at_least(least, "element", frame.key + 1))


def end_object(checks: Checks, frame: ObjectFrame, misfit: Complain) -> None:
    """The closing brace."""
    if checks.most is not None and len(frame.seen) > checks.most.limit:
        raise misfit(_at_most(checks.most, "member"))
    if checks.required:
        missing = sorted(checks.required.keys() - frame.seen)
        if missing:
            names = listed(map(shown, missing), "and")
            is_missing = "which is missing" if len(missing) == 1 else "which are missing"
            raise misfit(Mismatch(checks.required[missing[0]], f"have {names}", is_missing))
    if checks.least is not None and len(frame.seen) < checks.least.limit:
        raise misfit(_at_least(checks.least, "member", len(frame.seen)))
    if checks.has_needs:
        unmet = checks.unmet_need(frame.seen)
        if unmet is not None:
            must = f"have {shown(unmet.needed)} beside {shown(unmet.member)}"
            raise misfit(Mismatch(unmet.schema_path, must, "and it is missing"))


def counted(count: int, word: str) -> str:
    """A number of things."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _at_most(limit: CountLimit, word: str) -> Mismatch:
    return Mismatch(limit.schema_path, f"have at most {counted(limit.limit, word)}", "not more")


def _at_least(limit: CountLimit, word: str, count: int) -> Mismatch:
    return Mismatch(limit.schema_path, f"have at least {counted(limit.limit, word)}", f"not {count}")
