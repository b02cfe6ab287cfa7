"""The keys of the providers: where each comes from, and to which host it goes. Values are never told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from lockgate.config.settings import Settings
from lockgate.config.upstream import Upstream, UpstreamProvider
from lockgate.sources import HIDDEN, InForce, Origin, Row, SettingsError
from lockgate.upstream.endpoint import key_header_of

#: The name that OpenRouter's own documentation uses.
KEY_OF_OPENROUTER: Final = "OPENROUTER_API_KEY"


def rows_to_show(found: InForce[Settings]) -> Iterator[Row]:
    """Every setting in force, for people and machines; also the key that stands in for one that is not set."""
    upstream = found.settings.upstream
    stands_in = not _has_own_key(upstream) and upstream_key(upstream) is not None
    for row in found.rows():
        if stands_in and row.key == "upstream.api_key":
            row = Row(row.key, HIDDEN, Origin("environment", KEY_OF_OPENROUTER))
        yield row


def upstream_key(upstream: UpstreamProvider, place: str = "upstream") -> str | None:
    """The key itself, from the setting, its file or its variable.

    Args:
        place: Name of the section or row, for messages.

    Raises:
        SettingsError: the file cannot be read or is empty, or there is no such variable.
    """
    if upstream.api_key is not None:
        return upstream.api_key.get_secret_value()
    if upstream.api_key_env is not None:
        if not os.environ.get(upstream.api_key_env):
            raise SettingsError(f"{place}.api_key_env: there is no environment variable {upstream.api_key_env}")
        return os.environ[upstream.api_key_env]
    if upstream.api_key_file is None:
        return (os.environ.get(KEY_OF_OPENROUTER) or None) if _is_openrouter(upstream) else None
    try:
        key = upstream.api_key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{place}.api_key_file: {upstream.api_key_file} cannot be read: {error}") from None
    if not key:
        raise SettingsError(f"{place}.api_key_file: {upstream.api_key_file} is empty")
    return key


def providers_in(upstream: Upstream) -> Iterator[tuple[str, UpstreamProvider]]:
    """Every provider, with the name of its section or row."""
    for at, one in enumerate(upstream.providers):
        yield (f"upstream.further[{at - 1}]" if at else "upstream"), one


def _has_own_key(upstream: UpstreamProvider) -> bool:
    return any(one is not None for one in (upstream.api_key, upstream.api_key_file, upstream.api_key_env))


def _is_openrouter(upstream: UpstreamProvider) -> bool:
    """Whether the key of OpenRouter may go there: a key is for the host that it was made for."""
    return f".{urlsplit(upstream.base_url).hostname or ''}".endswith(".openrouter.ai")


def where_keys_go(found: InForce[Settings]) -> Iterator[str]:
    """A line for each secret of the settings: to which host it goes, or why it does not. Values are not in it.

    Raises:
        SettingsError: the file of a key cannot be read or is empty.
    """
    if found.settings.upstream.replay is not None:
        yield "no key is sent: upstream.replay plays a recording, and no provider is asked"
        return
    for place, upstream in providers_in(found.settings.upstream):
        host = _host_of(upstream.base_url)
        yield from _where_the_key_goes(found, place, upstream, host)
        for kind in ("headers", "query"):
            for name in getattr(upstream, kind):
                yield f"{found.with_source(f'{place}.{kind}.{name}')} goes to {host} and to no other host"
        if upstream.proxy is not None and _has_user(upstream.proxy.get_secret_value()):
            yield f"the user and password in {place}.proxy go to {_host_of(upstream.proxy.get_secret_value())}"


def _where_the_key_goes(found: InForce[Settings], place: str, upstream: UpstreamProvider, host: str) -> Iterator[str]:
    """The same for the key, and for what may stand in for it: only one of them is sent."""
    key = _name_of_key(upstream, place)
    headers = {name.lower(): f"{place}.headers.{name}" for name in upstream.headers}
    user = f"the user and password in {place}.base_url" if _has_user(upstream.base_url) else ""
    instead = headers.get((key_header_of(upstream.key_scheme) if key else "Authorization").lower())
    if key and instead:
        yield f"{key} is not sent: {instead} takes its place"
    elif key:
        yield f"{found.with_source(key)} goes to {host} and to no other host"
    if user and (key or instead):
        yield f"{user} are not sent: {key or instead} takes their place"
    elif user:
        yield f"{user} go to {host} and to no other host"
    if place == "upstream" and os.environ.get(KEY_OF_OPENROUTER) and key != KEY_OF_OPENROUTER:
        why = f"{key} is set" if _is_openrouter(upstream) else f"it is for openrouter.ai, and requests go to {host}"
        yield f"{KEY_OF_OPENROUTER} is not sent: {why}"
    if not (key or instead or user):
        variable = "LOCKGATE_UPSTREAM__API_KEY" if place == "upstream" else f"{place}.api_key_env"
        setting = KEY_OF_OPENROUTER if _is_openrouter(upstream) else variable
        yield f"no key is sent to {host}: there is none; if one is needed, set {setting} or {place}.api_key_file"


def _name_of_key(upstream: UpstreamProvider, place: str) -> str:
    """The setting or variable that the key comes from; empty if there is none."""
    if upstream_key(upstream, place) is None:
        return ""
    for name in ("api_key", "api_key_file", "api_key_env"):
        if getattr(upstream, name) is not None:
            return f"{place}.{name}"
    return KEY_OF_OPENROUTER


def _host_of(url: str) -> str:
    return urlsplit(url.strip()).netloc.rpartition("@")[2]


def _has_user(url: str) -> bool:
    return urlsplit(url.strip()).username is not None
