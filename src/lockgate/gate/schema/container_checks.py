"""What is checked of objects and arrays while they grow: counts, names that are missing, room for more.

Each takes the checks of one set of subschemas and the container as it is, and raises by ``misfit``.
"""

from __future__ import annotations

from lockgate.gate.grammar import OBJECT
from lockgate.gate.schema.frames import ArrayFrame, Frame, ObjectFrame
from lockgate.gate.schema.graph import Checks
from lockgate.gate.schema.mismatch import Complain


def begin_name(checks: Checks, misfit: Complain) -> None:
    """The quote of a member name."""
    if checks.most is not None and checks.most.limit == 0:
        raise misfit(checks.most.schema_path, "no member is allowed")


def another_member(checks: Checks, frame: ObjectFrame, misfit: Complain) -> None:
    """A comma: one more member is to come."""
    if checks.most is not None and len(frame.seen) >= checks.most.limit:
        raise misfit(checks.most.schema_path, f"more than {checks.most.limit} members")
    for names, patterns in checks.closed:
        if not patterns and frame.seen >= names.texts:
            raise misfit(names.schema_path, "all allowed members are there, and one more is to come")


def begin_element(checks: Checks, frame: ArrayFrame, misfit: Complain) -> None:
    """The first byte of one more element."""
    most = checks.most
    if most is not None and frame.key + 1 >= most.limit:
        raise misfit(most.schema_path, f"more than {most.limit} elements")


def another_element(checks: Checks, frame: ArrayFrame, misfit: Complain) -> None:
    """A comma: one more element is to come."""
    begin_element(checks, frame, misfit)
    subschemas = checks.element(frame.key + 1)
    if not subschemas.kinds:
        raise misfit(subschemas.blame(OBJECT).schema_path, "nothing may follow here")


def end(checks: Checks, frame: Frame, misfit: Complain) -> None:
    """The closing bracket."""
    if isinstance(frame, ObjectFrame):
        _end_object(checks, frame, misfit)
        return
    least = checks.least
    if least is not None and frame.key + 1 < least.limit:
        raise misfit(least.schema_path, f"{frame.key + 1} elements, at least {least.limit} are required")


def _end_object(checks: Checks, frame: ObjectFrame, misfit: Complain) -> None:
    if checks.most is not None and len(frame.seen) > checks.most.limit:
        raise misfit(checks.most.schema_path, f"more than {checks.most.limit} members")
    if checks.required:
        missing = sorted(checks.required.keys() - frame.seen)
        if missing:
            names = ", ".join(repr(name) for name in missing[:5])
            raise misfit(checks.required[missing[0]], f"required but missing: {names}")
    if checks.least is not None and len(frame.seen) < checks.least.limit:
        message = f"{len(frame.seen)} members, at least {checks.least.limit} are required"
        raise misfit(checks.least.schema_path, message)
    if checks.has_needs:
        unmet = checks.unmet_need(frame.seen)
        if unmet is not None:
            raise misfit(unmet.schema_path, f"{unmet.member!r} needs {unmet.needed!r}, which is missing")
