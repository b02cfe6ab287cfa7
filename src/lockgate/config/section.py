"""What sections of the settings are made of: their common rules, and checks of values that several of them have."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict

from lockgate.gate.limits import SHORTEST_RUN


class Section(BaseModel):
    # A limit that is infinite is none.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)


# What looks right and never matches is refused: a port or a path in it, a pattern.
def _host(name: str) -> str:
    if not re.fullmatch(r"\*|\[[0-9a-fA-F:.]+\]|[^\s:/@*\[\]]+", name):
        raise ValueError("should be a host name without port, like example.org or [::1], or *")
    return name


def _repeat_run(limit: int) -> int:
    if 0 < limit < SHORTEST_RUN:
        raise ValueError(f"must be 0 or at least {SHORTEST_RUN}: shorter runs are common")
    return limit


def _origin(name: str) -> str:
    if not re.fullmatch(r"\*|null|[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/?#@*]+", name):
        raise ValueError("should be an origin without path, like https://example.org, or *")
    return name


def _network(name: str) -> str:
    try:
        return str(ip_network(name, strict=False))
    except ValueError:
        raise ValueError("should be an address or a network, like 10.0.0.7 or 10.0.0.0/8") from None


def _base_path(path: str) -> str:
    path = path.rstrip("/")
    if not re.fullmatch(r"(/[\w.~-]*[\w~-][\w.~-]*)*", path, re.ASCII):
        raise ValueError("should be a path like /lockgate, of letters, digits, dots and dashes")
    return path


HostName: TypeAlias = Annotated[str, AfterValidator(_host)]
RepeatRun: TypeAlias = Annotated[int, AfterValidator(_repeat_run)]
OriginName: TypeAlias = Annotated[str, AfterValidator(_origin)]
NetworkName: TypeAlias = Annotated[str, AfterValidator(_network)]
BasePath: TypeAlias = Annotated[str, AfterValidator(_base_path)]
