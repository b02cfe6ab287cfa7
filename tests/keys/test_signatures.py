"""A signed URL says what it says, and nobody can make it say anything else."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.keys.caller import SCOPES
from lockgate.keys.signatures import Grant, is_signed, read_grant, sign

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True)
grants = st.builds(
    Grant, names, st.sampled_from(SCOPES), st.integers(0, 2**40), st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
)
secrets = st.binary(min_size=32, max_size=32)


@given(grants, names, secrets)
def test_what_was_signed_is_read_back(grant: Grant, stream_id: str, secret: bytes) -> None:
    value = sign(grant, stream_id, secret)
    assert read_grant(value) == grant
    assert is_signed(value, stream_id, secret)
    assert set(value) <= {*string.ascii_letters, *string.digits, *"-_."}, "it needs no escapes in a URL"


@given(grants, names, names, secrets, secrets)
def test_it_is_for_one_stream_and_one_secret(
    grant: Grant, stream_id: str, other_id: str, secret: bytes, other_secret: bytes
) -> None:
    value = sign(grant, stream_id, secret)
    assert is_signed(value, other_id, secret) == (other_id == stream_id)
    assert is_signed(value, stream_id, other_secret) == (other_secret == secret)


@pytest.mark.parametrize("seed", range(50))
def test_no_change_of_a_letter_is_good(seed: int) -> None:
    """Whatever reads as a grant after the change is not signed; nothing raises."""
    rng = random.Random(seed)
    secret = rng.randbytes(32)
    value = sign(Grant("alice", "read", 1_790_000_000, "0a1b2c3d"), "stream", secret)
    for _ in range(200):
        at = rng.randrange(len(value))
        letter = rng.choice(string.ascii_letters + string.digits + "-_.=é\n")
        changed = rng.choice([value[:at] + letter + value[at + 1 :], value[:at] + value[at + 1 :], value + letter])
        read_grant(changed)
        assert changed == value or not is_signed(changed, "stream", secret) or read_grant(changed) is None


@given(st.text(max_size=100) | st.lists(st.text(max_size=8), min_size=6, max_size=6).map(".".join))
def test_any_text_is_a_grant_or_none(text: str) -> None:
    found = read_grant(text)
    assert found is None or sign(found, "s", b"x").rpartition(".")[0] == text.rpartition(".")[0]


def test_what_is_too_long_is_none() -> None:
    assert read_grant(sign(Grant("a" * 1000, "read", 1, "0a1b2c3d"), "s", b"x")) is None
