"""Numbers with a currency, a percent sign or a unit: read only where there is one way to read them."""

from __future__ import annotations

import re
from typing import Final

_SYMBOLS: Final = "$€£¥₹₽₩₺₴₫₪฿₦₱₲₡₸"
_CODES: Final = (
    "USD EUR GBP JPY CNY RMB CHF CAD AUD NZD HKD SGD INR RUB KRW TRY UAH ILS THB SEK NOK DKK ISK PLN CZK HUF RON BGN"
    " BRL MXN ARS CLP COP PEN ZAR NGN EGP AED SAR IDR MYR PHP VND"
)
_NAMES: Final = rf"(?:[A-Z]{{0,2}}[{_SYMBOLS}]|{_CODES.replace(' ', '|')}|kr\.?|zł|Kč|Ft|Rs\.?|Fr\.?)"
_AMOUNT: Final = re.compile(
    rf"(?P<sign>[+-]?)\s?(?P<before>{_NAMES})?\s?(?P<inner>[+-]?)"
    r"(?P<number>\d[\d.,'\u2019\u00a0\u202f _]*\d|\d|\.\d+)\s{0,2}"
    rf"(?P<after>{_NAMES}|%|[^\W\d_°]{{0,15}}[°µ]?[^\W\d_]{{0,15}}[²³]?(?:/[^\W\d_]{{1,5}}[²³]?)?\.?)"
)
#: Where a comma before three digits parts thousands, and nothing else.
_COMMA_STYLE: Final = re.compile(r"[A-Z]{0,2}[$£¥₹]|USD|GBP|JPY|CNY|INR|CAD|AUD|NZD|HKD|SGD|MXN|")
#: No units: they make another number of it, or say something about it.
_WORDS: Final = """
    k m mm b bn mn mio mln mld mrd mill million millions billion billions trillion trillions thousand thousands hundred
    hundreds dozen dozens lakh lakhs crore crores tsd tausend mille mil millones millón milliard milliards milliarde
    milliarden millionen миллион миллионов тысяч тыс млн млрд 万 億 亿 千 百 e x th st nd rd
    or and to plus minus less more fewer below under over above negative positive ago bc bce of out not no none max
    oder und bis mehr weniger ou et plus moins o y más menos или и
"""
_OTHERWISE: Final = frozenset(_WORDS.split())
_MULTIPLES: Final = frozenset("GT")


def amount_of(text: str) -> bytes | None:
    """The number of such a text as JSON spells it; None where there is none, or more than one way to read it."""
    found = _AMOUNT.fullmatch(text.strip().replace("\u2212", "-"))
    if found is None or (found["sign"] and found["inner"]):
        return None
    before, after = found["before"] or "", found["after"].rstrip(".")
    if after.casefold() in _OTHERWISE or after in _MULTIPLES:
        return None
    if before and after and not re.fullmatch(_NAMES, after):
        return None  # a price of something: not a number
    has_comma_style = _COMMA_STYLE.fullmatch(before or after) is not None
    plain = _plain(found["number"], has_comma_style=has_comma_style)
    if plain is None:
        return None
    sign = "-" if "-" in (found["sign"], found["inner"]) else ""
    return f"{sign}{plain}".encode()


def _plain(number: str, *, has_comma_style: bool) -> str | None:
    """Digits with at most one point; None where the separators can be read in two ways, or in none."""
    points = [char for char in number if char in ".,"]
    decimal = ""
    if len(set(points)) == 2:
        decimal = points[-1]
    elif len(points) == 1 and not _parts_thousands(number, points[0], has_comma_style=has_comma_style):
        if _is_ambiguous(number, points[0]):
            return None
        decimal = points[0]
    if decimal and number.count(decimal) > 1:
        return None
    whole, _, fraction = number.rpartition(decimal) if decimal else (number, "", "")
    if decimal and not (fraction.isascii() and fraction.isdigit()):
        return None
    digits = _without_thousands(whole) if whole else "0"
    if digits is None:
        return None
    return (digits.lstrip("0") or "0") + (f".{fraction}" if fraction else "")


def _parts_thousands(number: str, separator: str, *, has_comma_style: bool) -> bool:
    return separator == "," and has_comma_style and re.fullmatch(r"[1-9]\d{0,2},\d{3}", number) is not None


def _is_ambiguous(number: str, separator: str) -> bool:
    """Whether three digits behind the only separator may be thousands as well as a fraction."""
    return re.fullmatch(rf"[1-9]\d{{0,2}}{re.escape(separator)}\d{{3}}", number) is not None


def _without_thousands(whole: str) -> str | None:
    """A whole number without what parts its thousands: the same sign before each three digits."""
    if whole.isascii() and whole.isdigit():
        return whole
    found = re.fullmatch(r"[1-9][0-9]{0,2}(?:([.,'\u2019\u00a0\u202f _])[0-9]{3})(?:\1[0-9]{3})*", whole)
    return re.sub(r"[^0-9]", "", whole) if found else None
