"""The keys of all nodes on one log: read from it, and written to it.

How it works: what happens to keys is the history of one stream, under a name that no path of HTTP can have. A node
reads on where it stopped: before it trusts what it knows for longer than a moment, and before it refuses a key that it
does not know. So a new key is good at once at every node, and a revoked one is refused a tenth of a second later.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Callable
from typing import Final

from lockgate.errors import BadRequest, Conflict, StreamExists, StreamUnknown
from lockgate.keys.caller import ANY_MODEL, KeyRate, KeyScope
from lockgate.keys.ring import (
    KeyAdded,
    KeyRecord,
    KeyRevoked,
    KeyRing,
    KeyRotated,
    KnownKey,
    SecretMade,
    SecretsDropped,
    digest_of,
    encode_key_record,
    new_key,
)
from lockgate.protocol.offsets import START
from lockgate.store.base import StreamLog

_KEPT_AT: Final = "lockgate/keys"
#: What is known of keys is trusted for so long.
_FRESH_S: Final = 0.1
_READ_BYTES: Final = 256 * 1024
#: A name stands in metrics, lists and messages.
NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
#: A log has room for more; nobody finds his way in more.
_MAX_KEYS: Final = 10_000


class KeyBook:
    """The keys, and the secrets of signed URLs.

    Args:
        now: Seconds since 1970.
    """

    def __init__(self, log: StreamLog, *, now: Callable[[], float] = time.time) -> None:
        self._log = log
        self._now = now
        self.ring = KeyRing()
        self._after = START
        self._read_s = float("-inf")
        self._lock = asyncio.Lock()

    # -- reading -------------------------------------------------------------------------------------------------

    async def refresh(self, *, max_age_s: float = 0.0) -> None:
        """Read on, unless that was done less than ``max_age_s`` ago.

        Raises:
            StoreError: the log cannot be read.
        """
        asked_s = time.monotonic()
        if asked_s - self._read_s < max_age_s:
            return
        async with self._lock:
            if self._read_s > asked_s:
                return  # somebody else has read meanwhile
            begun_s = time.monotonic()
            with contextlib.suppress(StreamUnknown):  # there has never been a key
                await self._read_on()
            self._read_s = begun_s

    async def _read_on(self) -> None:
        while True:
            page = await self._log.read(_KEPT_AT, self._after, max_bytes=_READ_BYTES)
            self.ring.take(entry.payload for entry in page.entries)
            if page.entries:
                self._after = page.entries[-1].offset
            if not page.entries or self._after.records >= page.tail.records:
                return

    async def find(self, secret: str) -> KnownKey | None:
        """The key that has this secret; None if it is none, or good for nothing any more."""
        await self.refresh(max_age_s=_FRESH_S)
        sha256 = digest_of(secret)
        found = self.ring.find(sha256, self._now())
        if found is None:
            await self.refresh()
            found = self.ring.find(sha256, self._now())
        return found

    async def living(self, name: str) -> KnownKey | None:
        """The key of that name; None if there is none, or it was revoked."""
        await self.refresh(max_age_s=_FRESH_S)
        return self.ring.living(name)

    # -- writing -------------------------------------------------------------------------------------------------

    async def add(
        self,
        name: str,
        scopes: tuple[KeyScope, ...],
        *,
        models: tuple[str, ...] = ANY_MODEL,
        rate: KeyRate | None = None,
        budget_usd: float | None = None,
    ) -> str:
        """Make a key. It is stored nowhere: only its digest is.

        Raises:
            BadRequest: the name is none.
            Conflict: a key has that name, or had it: the streams of the name are those of its owner.
            StoreError: the log does not take it.
        """
        if not NAME.fullmatch(name):
            raise BadRequest(f"{name[:80]!a}: a key is named by 1 to 64 letters, digits and characters of _.-")
        await self.refresh()
        self._check_free(name)
        secret = new_key()
        added = KeyAdded(name, digest_of(secret), self._now(), scopes, models, rate, budget_usd)
        await self._write(added)
        if self.ring.keys[name].added != added:
            self._check_free(name)  # somebody else was first
        return secret

    def _check_free(self, name: str) -> None:
        if name in self.ring.keys:
            was_revoked = self.ring.keys[name].revoked_s is not None
            what = "was revoked, and its streams are kept under its name" if was_revoked else "is there"
            raise Conflict(f"the key {name} {what}: choose another name")
        if len(self.ring.keys) >= _MAX_KEYS:
            raise Conflict(f"there are {_MAX_KEYS} keys, and no more are kept")

    async def rotate(self, name: str, *, grace_s: float = 0.0) -> str:
        """Give a key a new secret; the old one is good for ``grace_s`` seconds more.

        Raises:
            BadRequest: there is no such key.
            StoreError: the log does not take it.
        """
        await self._existing(name)
        secret, now_s = new_key(), self._now()
        await self._write(KeyRotated(name, digest_of(secret), now_s, now_s + grace_s))
        return secret

    async def revoke(self, name: str) -> None:
        """Make a key good for nothing. Its streams stay, for admins.

        Raises:
            BadRequest: there is no such key.
            StoreError: the log does not take it.
        """
        await self._existing(name)
        await self._write(KeyRevoked(name, self._now()))

    async def _existing(self, name: str) -> None:
        await self.refresh()
        if self.ring.living(name) is None:
            why = "was revoked" if name in self.ring.keys else "there is no such key"
            raise BadRequest(f"{name[:80]!a}: {why}; lockgate keys list shows them")

    async def _write(self, record: KeyRecord) -> None:
        payloads = [encode_key_record(record)]
        try:
            await self._log.push(_KEPT_AT, payloads)
        except StreamUnknown:
            with contextlib.suppress(StreamExists):
                await self._log.create(_KEPT_AT, b"{}", owner="")
            await self._log.push(_KEPT_AT, payloads)
        await self.refresh()

    # -- secrets of signed URLs ------------------------------------------------------------------------------------

    async def signing_secret(self, lasts_s: float) -> SecretMade:
        """The secret to sign with: the newest, or a new one where it is older than ``lasts_s`` seconds."""
        await self.refresh(max_age_s=_FRESH_S)
        newest = max(self.ring.secrets.values(), key=lambda one: one.made_s, default=None)
        if newest is None or newest.made_s + lasts_s <= self._now():
            newest = SecretMade(secrets.token_hex(4), secrets.token_bytes(32), self._now())
            await self._write(newest)
        return newest

    async def drop_secrets(self) -> None:
        """Make all signed URLs good for nothing.

        Raises:
            StoreError: the log does not take it.
        """
        await self._write(SecretsDropped(self._now()))

    async def secret(self, secret_id: str) -> SecretMade | None:
        """The secret of that id; None if it was dropped, or never made."""
        await self.refresh(max_age_s=_FRESH_S)
        if secret_id not in self.ring.secrets:
            await self.refresh()  # another node may just have made it
        return self.ring.secrets.get(secret_id)
