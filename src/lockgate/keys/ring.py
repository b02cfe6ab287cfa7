"""The keys as their history makes them. Pure: records of the log in, keys out."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

from lockgate.keys.caller import ANY_MODEL, KeyRate, KeyScope

#: How every key begins, so that people and scanners of leaked secrets know one when they see it.
PREFIX: Final = "lk_"
_SECRET_BYTES: Final = 32


def new_key() -> str:
    """A key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def digest_of(key: str) -> str:
    """What is kept of a key.

    A plain SHA-256 is right here. Slow hashes (argon2) make it dear to guess what people choose, with few bits of
    chance in it; nobody guesses 256 random bits, however fast the hash. And it is looked up with every request.
    """
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


class KeyAdded(msgspec.Struct, frozen=True, tag="added", omit_defaults=True):
    """A key was made. Of two with one name, the first counts."""

    name: str
    sha256: str
    made_s: float
    scopes: tuple[KeyScope, ...]
    models: tuple[str, ...] = ANY_MODEL
    rate: KeyRate | None = None
    budget_usd: float | None = None


class KeyRotated(msgspec.Struct, frozen=True, tag="rotated"):
    """A key has a new secret; the old ones are good until a time."""

    name: str
    sha256: str
    made_s: float
    old_until_s: float


class KeyRevoked(msgspec.Struct, frozen=True, tag="revoked"):
    """A key is good for nothing any more."""

    name: str
    at_s: float


class SecretMade(msgspec.Struct, frozen=True, tag="secret"):
    """URLs are signed with a new secret."""

    id: str
    secret: bytes
    made_s: float


class SecretsDropped(msgspec.Struct, frozen=True, tag="dropped"):
    """No URL that was signed until now is good for anything."""

    at_s: float


KeyRecord: TypeAlias = KeyAdded | KeyRotated | KeyRevoked | SecretMade | SecretsDropped
_decoder: Final = msgspec.json.Decoder(KeyRecord)


class KnownKey(msgspec.Struct):
    """One key.

    Attributes:
        added: As it was made.
        until_s: Until when each of its secrets is good, by their digests; None for no end.
        revoked_s: When it was revoked.
    """

    added: KeyAdded
    until_s: dict[str, float | None]
    revoked_s: float | None = None

    @property
    def name(self) -> str:
        return self.added.name


class KeyRing:
    """All keys, and the secrets that URLs are signed with."""

    def __init__(self) -> None:
        self.keys: dict[str, KnownKey] = {}
        self.secrets: dict[str, SecretMade] = {}
        self._names: dict[str, str] = {}  # by digest

    def take(self, payloads: Iterable[bytes]) -> None:
        """Go on with the history."""
        for payload in payloads:
            self._apply(_decoder.decode(payload))

    def _apply(self, record: KeyRecord) -> None:
        match record:
            case KeyAdded(name=name, sha256=sha256) if name not in self.keys:
                self.keys[name] = KnownKey(record, {sha256: None})
                self._names[sha256] = name
            case KeyRotated(name=name, sha256=sha256, old_until_s=until_s) if name in self.keys:
                key = self.keys[name]
                for old, known in key.until_s.items():
                    key.until_s[old] = until_s if known is None else min(known, until_s)
                key.until_s[sha256] = None
                self._names[sha256] = name
            case KeyRevoked(name=name, at_s=at_s) if name in self.keys:
                self.keys[name].revoked_s = self.keys[name].revoked_s or at_s
            case SecretMade(id=secret_id):
                self.secrets[secret_id] = record
            case SecretsDropped():
                self.secrets.clear()

    def find(self, sha256: str, now_s: float) -> KnownKey | None:
        """The key with a secret of this digest, if it is good for something."""
        key = self.living(self._names.get(sha256, ""))
        if key is None:
            return None
        until_s = key.until_s[sha256]
        return key if until_s is None or now_s < until_s else None

    def living(self, name: str) -> KnownKey | None:
        """The key of that name, if it was not revoked."""
        key = self.keys.get(name)
        return key if key is not None and key.revoked_s is None else None


def encode_key_record(record: KeyRecord) -> bytes:
    return msgspec.json.encode(record)
