"""Keys as their history makes them, at every node in the same way."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lockgate.errors import BadRequest, Conflict, Forbidden
from lockgate.keys.book import KeyBook
from lockgate.keys.caller import SCOPES, Caller, KeyRate
from lockgate.keys.ring import PREFIX, KeyAdded, KeyRevoked, KeyRing, KeyRotated, digest_of, encode_key_record, new_key
from lockgate.store.memory import MemoryLog


def test_keys_are_long_known_by_their_beginning_and_never_the_same() -> None:
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert all(key.startswith(PREFIX) and len(key) == len(PREFIX) + 43 for key in keys)  # 256 bits in base64
    assert len({digest_of(key) for key in keys}) == 1000


@pytest.mark.parametrize("seed", range(20))
def test_a_ring_knows_what_happened_last_however_its_history_is_cut(seed: int) -> None:
    """Beside a plain model: which secrets of which names are good."""
    rng = random.Random(seed)
    history: list[bytes] = []
    good: dict[str, tuple[str, float | None]] = {}  # by secret: name, and until when
    known: set[str] = set()
    revoked: set[str] = set()
    now_s = 0.0
    for number in range(60):
        now_s += rng.random()
        name, secret = rng.choice("abc"), f"s{number}"
        match rng.choice(["added", "rotated", "rotated", "revoked"]):
            case "added":
                history.append(encode_key_record(KeyAdded(name, digest_of(secret), now_s, ("read",))))
                if name not in known:
                    good[secret] = (name, None)
                known.add(name)
            case "rotated":
                until_s = now_s + rng.choice([0.0, 3.0])
                history.append(encode_key_record(KeyRotated(name, digest_of(secret), now_s, until_s)))
                if name in known:
                    for old, (owner, end_s) in good.items():
                        if owner == name:
                            good[old] = (owner, until_s if end_s is None else min(end_s, until_s))
                    good[secret] = (name, None)
            case "revoked" if rng.random() < 0.2:
                history.append(encode_key_record(KeyRevoked(name, now_s)))
                revoked |= {name} & known
    ring, left = KeyRing(), list(history)
    while left:
        count = rng.randint(1, 5)
        ring.take(left[:count])
        left = left[count:]
    assert good
    for number in range(60):
        secret = f"s{number}"
        name, end_s = good.get(secret, ("", None))
        is_good = secret in good and name not in revoked and (end_s is None or now_s < end_s)
        found = ring.find(digest_of(secret), now_s)
        assert (found.name if found is not None else None) == (name if is_good else None)


async def test_a_book_reads_what_others_write() -> None:
    log = MemoryLog()
    await log.open()
    now = [1000.0]
    one, other = (KeyBook(log, now=lambda: now[0]) for _ in range(2))
    assert await other.find("lk_nobody") is None
    secret = await one.add("a", ("read",), models=("m*",), rate=KeyRate(2, 60.0), budget_usd=1.5)
    found = await other.find(secret)
    assert found is not None
    assert found.added == KeyAdded("a", digest_of(secret), 1000.0, ("read",), ("m*",), KeyRate(2, 60.0), 1.5)
    with pytest.raises(Conflict, match="is there"):
        await other.add("a", ("read",))
    new = await other.rotate("a", grace_s=10.0)
    assert await one.find(new) is not None
    assert await one.find(secret) is not None
    now[0] += 11
    assert await one.find(secret) is None
    await one.revoke("a")
    await other.refresh()
    assert await other.find(new) is None
    assert await other.living("a") is None
    for again in (one.revoke("a"), other.rotate("a")):
        with pytest.raises(BadRequest, match="was revoked"):
            await again
    # Its streams are kept under its name, so nobody else gets it.
    with pytest.raises(Conflict, match="was revoked"):
        await other.add("a", ("read",))
    await log.shut()


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "a\n", "é", "x" * 65])
async def test_a_name_that_is_none_is_refused(name: str) -> None:
    log = MemoryLog()
    await log.open()
    with pytest.raises(BadRequest, match="a key is named by"):
        await KeyBook(log).add(name, ("read",))


async def test_secrets_of_urls_change_and_the_old_ones_are_known_until_they_are_dropped() -> None:
    log = MemoryLog()
    await log.open()
    now = [0.0]
    book, other = (KeyBook(log, now=lambda: now[0]) for _ in range(2))
    first = await book.signing_secret(10.0)
    assert await other.signing_secret(10.0) == first
    now[0] = 10.0
    second = await other.signing_secret(10.0)
    assert second.secret != first.secret
    assert {await book.secret(first.id), await book.secret(second.id)} == {first, second}
    await book.drop_secrets()
    await other.refresh()
    assert await other.secret(first.id) is None
    assert await other.secret("no") is None


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_allows_itself_and_admin_allows_all(scope: Any) -> None:
    Caller("q", "t", frozenset({scope})).check(scope)
    Caller("q", "t", frozenset({"admin"})).check(scope)
    with pytest.raises(Forbidden):
        Caller("q", "t", frozenset(SCOPES) - {scope, "admin"}).check(scope)


def test_who_sees_what() -> None:
    mine, theirs = Caller("q", "a"), Caller("q", "b")
    admin, nobody = Caller("q", "c", frozenset({"admin"})), Caller("q")
    url = Caller("q", "a", frozenset({"read"}), stream_id="s")
    seen = {
        who: [who.sees("a", "s"), who.sees("a", "t"), who.sees("", "s")] for who in (mine, theirs, admin, nobody, url)
    }
    assert seen == {
        mine: [True, True, False],
        theirs: [False, False, False],
        admin: [True, True, True],
        nobody: [False, False, True],
        url: [True, False, False],
    }
    assert "secret" not in repr(Caller("q", authorization="secret"))
