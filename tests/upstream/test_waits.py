"""How long a provider asks to wait, in each of the ways in which they say it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.upstream.failed import failure
from lockgate.upstream.waits import after_s, told, until_reset_s, wait_s


@pytest.mark.parametrize(
    ("headers", "error", "sentence", "seconds"),
    [
        pytest.param({"retry-after": "2"}, {}, "", 2, id="seconds"),
        pytest.param({"retry-after-ms": "900", "retry-after": "7"}, {}, "", 0.9, id="the most exact counts"),
        pytest.param({"x-ms-retry-after-ms": "250"}, {}, "", 0.25, id="Azure"),
        pytest.param({"retry-after-ms": "0", "retry-after": "1"}, {}, "", 1, id="Azure's nothing"),
        pytest.param({}, {"details": [{"@type": "x/RetryInfo", "retryDelay": "36s"}]}, "", 36, id="RetryInfo"),
        pytest.param({}, {"details": [{"retryDelay": "36.5s"}]}, "", 36.5, id="RetryInfo with a fraction"),
        pytest.param({}, {"metadata": {"retry_after_ms": 1500}}, "", 1.5, id="milliseconds in the error"),
        pytest.param({}, {}, "Please try again in 1.5s.", 1.5, id="words"),
        pytest.param({}, {}, "Please retry after 2 seconds.", 2, id="words in full"),
        pytest.param({}, {}, "try again in 340ms", 0.34, id="words in milliseconds"),
        pytest.param({}, {}, "try again in 6m0s", 360, id="words in minutes and seconds"),
        pytest.param({}, {}, "Resets in 1h2m3.5s", 3723.5, id="words in hours"),
        pytest.param({}, {}, "please wait 2 min 30 sec", 150, id="words apart"),
        pytest.param({"retry-after": "soon"}, {}, "wait 3 seconds", 3, id="what cannot be read was not said"),
        pytest.param({}, {}, "try again later", None, id="no number"),
        pytest.param({}, {}, "we waited 3 seconds for it", None, id="another number"),
        pytest.param({}, {"retry_after": True}, "", None, id="no number either"),
    ],
)
def test_waits(headers: dict[str, str], error: Any, sentence: str, seconds: float | None) -> None:
    assert wait_s(headers, error, sentence) == seconds


NOW_S = 1_741_305_570.0


@pytest.mark.parametrize(
    ("headers", "error", "seconds"),
    [
        pytest.param({"x-ratelimit-reset": "1741305600000"}, {}, 30, id="a moment in milliseconds"),
        pytest.param({"x-ratelimit-reset": "1741305600"}, {}, 30, id="in seconds"),
        pytest.param({"x-ratelimit-reset": "1741305000000"}, {}, 0, id="that is over"),
        pytest.param({"x-ratelimit-reset": "12"}, {}, 12, id="what is left"),
        pytest.param({}, {"metadata": {"headers": {"X-RateLimit-Reset": "1741305600000"}}}, 30, id="in the error"),
        pytest.param({"x-ratelimit-reset": "soon"}, {}, None, id="no number"),
        pytest.param({"x-ratelimit-reset": "9" * 400}, {}, None, id="a long one"),
        pytest.param({"x-ratelimit-reset": "nan"}, {}, None, id="none at all"),
        pytest.param({}, {"metadata": {"headers": ["X-RateLimit-Reset"]}}, None, id="another shape"),
        pytest.param({}, "slow down", None, id="a text"),
    ],
)
def test_when_a_limit_begins_anew(headers: dict[str, str], error: Any, seconds: float | None) -> None:
    assert until_reset_s(headers, error, NOW_S) == seconds


@pytest.mark.parametrize(("status", "is_told"), [(429, True), (500, False)])
def test_a_limit_counts_for_who_was_refused_by_it(status: int, is_told: bool) -> None:
    """Providers tell it with each answer."""
    failed = failure("upstream_refused", {"message": "no"}, status=status, headers={"x-ratelimit-reset": "12"})
    assert (failed.retry_after_s == 12) == is_told


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "-1", "nan", "inf", "1e999", "9" * 400, "Wed, 21 Oct 2015 07:28:00 +99999999999999999999"),
        *("Wed, 99 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 99999999 07:28:00 GMT", "\u0664"),
    ],
)
def test_what_cannot_be_read_was_not_said(value: str) -> None:
    assert after_s(value) is None


@given(st.text(), st.recursive(st.none() | st.floats() | st.text(), lambda one: st.dictionaries(st.text(), one)))
def test_nothing_raises(text: str, value: object) -> None:
    for found in (after_s(text), wait_s({"retry-after": text, "retry-after-ms": text}, value, text)):
        assert found is None or 0 <= found < 1e9


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.4999999, "1.5 s"),
        (1.1, "1.1 s"),
        (0.001 * 1500, "1.5 s"),
        (0.34, "0.4 s"),
        (2.0, "2 s"),
        (59.95, "60 s"),
        (3723.5, "3724 s"),
        (2_592_000.0, "2592000 s"),
    ],
)
def test_a_wait_is_said_in_a_figure_for_people(seconds: float, text: str) -> None:
    assert told(seconds) == text


@given(st.floats(0, 1e8))
def test_a_wait_is_never_said_shorter_than_it_is(seconds: float) -> None:
    said = float(told(seconds).removesuffix(" s"))
    assert seconds - 0.001 <= said <= seconds + 1
