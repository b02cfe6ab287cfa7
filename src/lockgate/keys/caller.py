"""Who asks, and what he may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from lockgate.errors import Forbidden

#: Open and push to streams; read one's own; cancel and delete one's own; all of it, of everybody's.
KeyScope: TypeAlias = Literal["create", "read", "cancel", "admin"]
SCOPES: Final[tuple[KeyScope, ...]] = get_args(KeyScope)
#: What who has no key may do, where none is needed.
OF_ANYBODY: Final[frozenset[KeyScope]] = frozenset({"create", "read", "cancel"})
ANY_MODEL: Final = ("*",)


class KeyRate(NamedTuple):
    """How often something may happen: so many ``times`` in ``per_s`` seconds."""

    times: int
    per_s: float


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        quota: Name by which quotas count: that of a key, or an address.
        tenant: Name of the key whose streams are his; ``""`` without a key.
        scopes: What he may do.
        models: Shell patterns of the models that he may ask.
        rate: How often he may open a stream, if his key says so.
        budget_usd: What his streams may cost in a day, if his key says so.
        stream_id: The only stream that a signed URL is for; None for any.
        authorization: What the provider is sent in place of our key. It is written down nowhere.
    """

    quota: str
    tenant: str = ""
    scopes: frozenset[KeyScope] = OF_ANYBODY
    models: tuple[str, ...] = ANY_MODEL
    rate: KeyRate | None = None
    budget_usd: float | None = None
    stream_id: str | None = None
    authorization: str | None = field(default=None, repr=False)

    @property
    def is_admin(self) -> bool:
        return "admin" in self.scopes

    def check(self, scope: KeyScope) -> None:
        """Refuse what is in no scope of his.

        Raises:
            Forbidden: it is in none.
        """
        if scope not in self.scopes and not self.is_admin:
            who = f"key {self.tenant}" if self.tenant else "a request without a key"
            raise Forbidden(f"{who} may not do this: it needs a key with the scope {scope}")

    def sees(self, tenant: str, stream_id: str) -> bool:
        """Whether a stream is there for him, whose it is being known."""
        if self.stream_id is not None and self.stream_id != stream_id:
            return False
        return self.is_admin or self.tenant == tenant

    def may_ask(self, model: str) -> bool:
        """Whether he may ask a model."""
        return any(fnmatchcase(model.lower(), pattern.lower()) for pattern in self.models)

    def check_models(self, models: Iterable[str]) -> None:
        """Refuse a model that is not his.

        Raises:
            Forbidden: he may not ask it.
        """
        for model in models:
            if not self.may_ask(model):
                raise Forbidden(
                    f"key {self.tenant} may not ask the model {model[:100]!a}; GET /v1/models has its models"
                )
