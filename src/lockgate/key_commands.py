"""The command ``lockgate keys``: make, list, rotate and revoke keys of the log that a gateway uses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from lockgate.config import Settings
from lockgate.errors import BadRequest
from lockgate.gateway.wiring import log_of
from lockgate.keys.book import KeyBook
from lockgate.keys.caller import SCOPES, KeyRate, KeyScope
from lockgate.keys.ring import KnownKey
from lockgate.keys.spending import DAYS, KeyUse, Spending
from lockgate.store.base import StreamLog

_RATE: Final = re.compile(r"([1-9][0-9]{0,6})/(s|min|h|day)")
_UNITS_S: Final = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86_400.0}
_BUDGET: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)/day")
_TIME: Final = re.compile(r"([0-9]{1,6})(s|min|h|day)")
#: A key does what an application does; it is no admin unless somebody says so.
_USUAL_SCOPES: Final[tuple[KeyScope, ...]] = ("create", "read", "cancel")


def on_log(settings: Settings, work: Callable[[StreamLog], Awaitable[Any]], *, may_begin: bool = False) -> Any:
    """The result of some work with the log that these settings name.

    Args:
        may_begin: Whether the log is made if there is none. Where it is only looked at, its name is probably wrong.

    Raises:
        LockgateError: it cannot be done, or the log cannot be used.
    """
    if settings.store.kind == "memory":
        raise BadRequest("store.kind: the log in memory is forgotten at once, and keys with it; use sqlite or redis")
    path = settings.store.path
    if settings.store.kind == "sqlite" and not may_begin and not path.exists():
        raise BadRequest(
            f"store.path: there is no log at {path}: name the gateway's, with --store or by its settings (--config); "
            "lockgate serve makes one"
        )

    async def run() -> Any:
        log = log_of(settings)
        await log.open()
        try:
            return await work(log)
        finally:
            await log.shut()

    return asyncio.run(run())


def scopes_of(text: str | None) -> tuple[KeyScope, ...]:
    """``create,read``.

    Raises:
        BadRequest: there is no such scope.
    """
    if text is None:
        return _USUAL_SCOPES
    given = tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    wrong = [one for one in given if one not in SCOPES]
    if wrong or not given:
        raise BadRequest(f"--scope: there is no {', '.join(wrong)[:80]!r}; write some of {','.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in given)


def rate_of(text: str | None) -> KeyRate | None:
    """``60/min``.

    Raises:
        BadRequest: it is no rate.
    """
    if text is None:
        return None
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise BadRequest(f"--rate: {text[:40]!a} should be like 60/min; the units are {', '.join(_UNITS_S)}")
    return KeyRate(int(found[1]), _UNITS_S[found[2]])


def budget_of(text: str | None) -> float | None:
    """``20/day``.

    Raises:
        BadRequest: it is no budget.
    """
    if text is None:
        return None
    found = _BUDGET.fullmatch(text.strip())
    if found is None:
        raise BadRequest(f"--budget-usd: {text[:40]!a} should be like 20/day")
    return float(found[1])


def seconds_of(text: str) -> float:
    """``90s``, ``10min``, ``2h``, ``1day``.

    Raises:
        BadRequest: it is no time.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise BadRequest(f"--grace: {text[:40]!a} should be like 10min; the units are {', '.join(_UNITS_S)}")
    return int(found[1]) * _UNITS_S[found[2]]


def models_of_flag(texts: list[str]) -> tuple[str, ...]:
    """Patterns, each in a flag of its own or with commas between them."""
    found = tuple(one.strip() for text in texts for one in text.split(",") if one.strip())
    return found or ("*",)


async def all_keys(log: StreamLog) -> list[dict[str, Any]]:
    """Every key with what it may do and has used, as JSON has it."""
    book, spending = KeyBook(log), Spending(log)
    await book.refresh()
    today, month = await spending.of_days(1), await spending.of_days(DAYS)
    return [
        _shown(key, today.get(key.name, KeyUse()), month.get(key.name, KeyUse())) for key in book.ring.keys.values()
    ]


def _shown(key: KnownKey, today: KeyUse, month: KeyUse) -> dict[str, Any]:
    added, rate = key.added, key.added.rate
    unit = next((name for name, seconds in _UNITS_S.items() if rate and rate.per_s == seconds), "")
    return {
        "name": key.name,
        "state": "revoked" if key.revoked_s is not None else "good",
        "scopes": list(added.scopes),
        "models": list(added.models),
        "rate": f"{rate.times}/{unit}" if rate is not None else None,
        "budget_usd": added.budget_usd,
        "made": datetime.fromtimestamp(added.made_s, UTC).isoformat(timespec="seconds"),
        "today": _use(today),
        f"last_{DAYS}_days": _use(month),
    }


def _use(use: KeyUse) -> dict[str, Any]:
    return {
        "streams": use.streams,
        "tokens": use.tokens,
        "cost_usd": round(use.cost_usd, 6),
        "refused": use.refused,
    }
