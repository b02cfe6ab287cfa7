"""Ids and tokens: what people paste into commands."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from lockgate.streams.tokens import new_stream_id, new_token


@pytest.mark.parametrize("make", [new_stream_id, new_token])
def test_none_looks_like_an_option(make: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 64 random ones would: ``lockgate read -7x`` reads nothing."""
    made = iter(["-7x", "--x", "7-x"])
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _: next(made))
    assert make() == "7-x"
