"""What registered versions are used for is counted in as many rows as there are versions, and one more."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import Code
from lockgate.registry.catalogue import SchemaCatalogue, StatusChanged, VersionAdded, encode_registry_record
from lockgate.registry.uses import UNKNOWN, VersionUses

#: As they are registered: two schemas, one with a count and one with semantic versions.
REGISTERED = ("invoice@1", "invoice@2", "money@1.2.0")


def catalogue(*version_ids: str) -> SchemaCatalogue:
    made = SchemaCatalogue()
    made.take(added(one) for one in version_ids)
    return made


def added(version_id: str) -> bytes:
    name, _, version = version_id.partition("@")
    return encode_registry_record(VersionAdded(name, version, "0" * 64, msgspec.Raw(b"true"), 1.0))


def uses(*version_ids: str, now_s: float = 5.0) -> VersionUses:
    return VersionUses(catalogue(*(version_ids or REGISTERED)).named, lambda: now_s)


def test_each_version_has_its_own_numbers() -> None:
    found = uses()
    for version_id in ("invoice@1", "invoice@1", "invoice@2"):
        found.opened(version_id)
    found.stated("invoice@1", None)
    found.stated("invoice@1", Code.INCOMPATIBLE_SCHEMA_VERSION)
    found.stated("invoice@1", Code.INCOMPATIBLE_SCHEMA_VERSION)
    first, second, third = (found.of(one) for one in REGISTERED)
    assert (first.streams, first.accepted, first.refused) == (2, 1, {Code.INCOMPATIBLE_SCHEMA_VERSION: 2})
    assert (second.streams, second.accepted, second.refused) == (1, 0, {})
    assert (first.last_used_s, third.last_used_s) == (5.0, None)


def test_a_generation_runs_until_its_block_is_left() -> None:
    """However it ends."""
    found = uses()
    found.opened("invoice@1")
    with found.running("invoice@1"):
        with contextlib.suppress(RuntimeError), found.running("invoice@1"):
            assert found.of("invoice@1").running == 2
            raise RuntimeError
        assert [one.value for one in found.generations()] == [1]
    assert found.of("invoice@1").running == 0
    assert [one.value for one in found.generations()] == [0], "a series that was there stays"


@pytest.mark.parametrize("schema_id", ["", "inline@sha256:00", "invoice@7", "nobody@1"])
def test_streams_count_for_registered_versions_alone(schema_id: str) -> None:
    found = uses()
    found.opened(schema_id)
    with found.running(schema_id):
        assert [*found.streams_opened(), *found.generations()] == []
    assert found.unknown.last_used_s is None


def test_however_a_version_is_written_it_is_one() -> None:
    """A count lies where the semantic version with its number does."""
    found = uses()
    for stated in ("invoice@2", "invoice@2.0.0", "json:invoice@2", "money@1.2.0"):
        found.stated(stated, None)
    assert (found.of("invoice@2").accepted, found.of("money@1.2.0").accepted) == (3, 1)


def test_what_is_retired_is_still_a_version() -> None:
    """Who goes on with it is what its owner wants to know."""
    known = catalogue("invoice@1")
    known.take([encode_registry_record(StatusChanged("invoice", "1", "retired", 2.0))])
    found = VersionUses(known.named, lambda: 1.0)
    found.stated("invoice@1", Code.UNKNOWN_SCHEMA_VERSION)
    assert found.of("invoice@1").refused == {Code.UNKNOWN_SCHEMA_VERSION: 1}
    assert found.unknown.refused == {}


def test_what_is_registered_later_has_a_row_from_then_on() -> None:
    known = catalogue("invoice@1")
    found = VersionUses(known.named, lambda: 1.0)
    found.stated("invoice@2", Code.UNKNOWN_SCHEMA_VERSION)
    known.take([added("invoice@2")])
    found.stated("invoice@2", None)
    assert (found.unknown.refused, found.of("invoice@2").accepted) == ({Code.UNKNOWN_SCHEMA_VERSION: 1}, 1)


words = st.text(max_size=12) | st.sampled_from(["invoice@", "invoice@^1", "invoice@ 1", "@1", "invoice@01", "x@1"])


@given(st.lists(words | st.sampled_from(REGISTERED), max_size=60), st.sampled_from([None, *Code]))
def test_the_rows_are_as_few_as_the_versions(stated: list[str], refused: Any) -> None:
    """Whatever producers say; and no push is lost or counted twice."""
    found = uses()
    for one in stated:
        found.stated(one, refused)
    counts = list(found.statements())
    assert {"@".join(one.labels[:2]) for one in counts} <= {*REGISTERED, f"{UNKNOWN}@{UNKNOWN}"}
    assert sum(one.value for one in counts) == len(stated)
    known = sum(one in REGISTERED for one in stated)
    assert sum(one.value for one in counts if one.labels[0] != UNKNOWN) == known
    assert {one.labels[2:] for one in counts} <= {("accepted", "") if refused is None else ("refused", refused)}
