"""Where requests go, and what goes along: the URL, the headers, the key, and what of these is secret."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

_PATH: Final = "/chat/completions"
_MODELS_PATH: Final = "/models"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One API.

    Attributes:
        url: Of chat completions, with its query, without credentials.
        models_url: Of the list of models, likewise.
        shown: The same without its query, for people.
        host: Name of the host.
        headers: What goes along with every request, the key among it.
        key_header: Name of the header that carries a credential; empty if none does.
        secrets: What must not be shown.
    """

    url: str
    models_url: str
    shown: str
    host: str
    headers: Mapping[str, str]
    key_header: str
    secrets: tuple[str, ...]


def endpoint_of(
    base_url: str,
    *,
    api_key: str | None = None,
    key_scheme: str = "bearer",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Endpoint:
    """Read what the settings say about an API.

    Args:
        base_url: Everything before ``/chat/completions``; with that, or with a query, it is taken as meant. A user and
            password in it are sent as Basic credentials where there is no key.
        key_scheme: ``bearer``, or the name of the header that carries the key as it is, like ``api-key``.
        headers: More headers; they win over all others.
        query: More members of the query.

    Raises:
        ValueError: the URL is not http(s), or something cannot stand in a header.
    """
    parts = urlsplit(base_url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("base_url must begin with http:// or https:// and name a host")
    host = parts.netloc.rpartition("@")[2]
    path = parts.path.rstrip("/")
    base = path.removesuffix(_PATH).rstrip("/")
    path = base + _PATH
    asked = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *(query or {}).items()])
    sent: dict[str, str] = {}
    secrets = [*(query or {}).values(), *(headers or {}).values(), *(value for _, value in parse_qsl(parts.query))]
    key_header = ""
    if api_key:
        key_header = key_header_of(key_scheme)
        sent[key_header] = f"Bearer {api_key}" if key_scheme.lower() == "bearer" else api_key
        secrets.append(api_key)
    elif parts.username is not None:
        key_header = "Authorization"
        sent[key_header] = f"Basic {_basic(parts.username, parts.password)}"
    if parts.username is not None:
        secrets += [_basic(parts.username, parts.password), unquote(parts.password or "")]
    for name, value in (headers or {}).items():
        sent = {other: one for other, one in sent.items() if other.lower() != name.lower()} | {name: value}
    _check(sent, api_key)
    return Endpoint(
        url=urlunsplit((parts.scheme, host, path, asked, "")),
        models_url=urlunsplit((parts.scheme, host, base + _MODELS_PATH, asked, "")),
        shown=urlunsplit((parts.scheme, host, path, "", "")),
        host=parts.hostname,
        headers=sent,
        key_header=key_header,
        secrets=tuple(filter(None, secrets)),
    )


def key_header_of(key_scheme: str) -> str:
    """The header that carries a key of this scheme."""
    return "Authorization" if key_scheme.lower() == "bearer" else key_scheme


def _basic(user: str, password: str | None) -> str:
    return base64.b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()


def _check(headers: Mapping[str, str], api_key: str | None) -> None:
    if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
        raise ValueError("api_key holds a line end or another character that no key has")
    for name, value in headers.items():
        is_name = bool(name) and all(one.isalnum() or one in "!#$%&'*+-.^_`|~" for one in name) and name.isascii()
        if not is_name:
            raise ValueError(f"{name!r} is no name of a header (RFC 9110 section 5.1)")
        if not value.isprintable():
            raise ValueError(f"the header {name} holds a line end or another character that no header has")


def place_of(url: str) -> str:
    """A URL that upstream named, without its query and credentials; empty if it is none."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))[:200]
