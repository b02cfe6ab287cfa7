"""When two texts are two spellings of one word, and which words of a list a sentence has in it.

Only what never carries meaning is folded: case, accents of Latin and Greek letters, white space, and underscores and
hyphens between letters. Signs, digits and points stay: ``O-`` is not ``O+``, and ``1.5`` is not ``15``.

A list is gone through once, when a text is first looked up in it, and only for a coarse key of each word; after that,
looking up costs the same in long lists and in short ones.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Iterator
from typing import Final

#: Parts of a sentence that one word can have.
_MOST_TOKENS: Final = 40
_LETTER: Final = r"[^\W\d_]"
#: Between letters: white space, underscores and one hyphen. Beside a digit: white space and underscores. White space
#: anywhere, but for that between two numbers.
_FOLDED: Final = re.compile(
    rf"(?<={_LETTER})(?:[\s_]+-?[\s_]*|-[\s_]*)(?={_LETTER})"
    rf"|(?<={_LETTER})[\s_]+(?=\d)|(?<=\d)[\s_]+(?={_LETTER})"
    r"|(?P<between>(?<=[\d.,])\s+(?=[\d.,+-]))"
    r"|\s+"
)
#: Hyphens that are one sign: those between letters are folded.
_HYPHENS: Final = str.maketrans("\u2010\u2011", "--")
#: One sign in several shapes.
_SHAPES: Final = str.maketrans("\u2012\u2013\u2014\u2212\u2018\u2019\u02bc\u201c\u201d", "----'''\"\"")
#: Ways in which Unicode says that a character is another one in a different shape. A raised 2 is not among them.
_SAME: Final = ("<wide>", "<narrow>", "<compat>", "<noBreak>", "<initial>", "<medial>", "<final>", "<isolated>")


def folded(text: str) -> str:
    """What two spellings of one word have in common."""
    key = text.strip().casefold()
    if not key.isascii():
        key = _plain(key.translate(_HYPHENS))
    if key.isalnum():
        return key
    key = _FOLDED.sub(lambda found: " " if found["between"] else "", key)
    return key if key.isascii() else key.translate(_SHAPES)


def _plain(text: str) -> str:
    """Without accents on Latin and Greek letters, and without widths and ligatures."""
    decomposed = "".join(
        unicodedata.normalize("NFKD" if unicodedata.decomposition(char).startswith(_SAME) else "NFD", char)
        for char in text
    )
    plain: list[str] = []
    base = ""
    for char in decomposed.casefold():
        if not "\u0300" <= char <= "\u036f":
            base = char
        elif (base.isalpha() and base < "\u0400") or (base == "е" and char == "\u0308"):
            continue  # in other scripts, and on signs, such a mark makes another letter or sign
        plain.append(char)
    return "".join(plain)


#: What folding takes away from some words, or changes: white space, marks, hyphens, quotes.
_NOT_COARSE: Final = dict.fromkeys(
    [
        *(code for code in range(0x3001) if chr(code).isspace()),
        *range(0x300, 0x370),
        *_HYPHENS,
        *_SHAPES,
        *map(ord, "_-'\""),
    ]
)


def coarse(text: str) -> str:
    """A key that a text shares with all its spellings, and perhaps with a few others; it costs less than folding."""
    key = text.casefold()
    if not key.isascii():
        # Twice: what is taken apart may have another case, and what has another case may be taken apart.
        key = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", key).casefold()).casefold()
    return key.translate(_NOT_COARSE)


class Spellings:
    """The words of a list, found by any spelling."""

    __slots__ = ("_coarse", "_folded", "_sorted")

    def __init__(self, words: Collection[str]) -> None:
        self._coarse: dict[str, list[str]] = {}
        for word in words:
            self._coarse.setdefault(coarse(word), []).append(word)
        self._folded: dict[str, dict[str, list[str]]] = {}  # of the coarse keys that were looked up
        self._sorted: list[str] = []

    def _spelt(self, key: str) -> list[str]:
        """The words that are folded to a key."""
        rough = coarse(key)
        if rough not in self._coarse:
            return []
        found = self._folded.get(rough)
        if found is None:
            found = self._folded[rough] = {}
            for word in self._coarse[rough]:
                found.setdefault(folded(word), []).append(word)
        return found.get(key, [])

    def like(self, text: str, without: Collection[str] = ()) -> str | None:
        """The one word that a text is another spelling of.

        Args:
            without: Words that are not meant.
        """
        key = folded(text)
        found = [word for word in self._spelt(key) if word not in without] if key else []
        if len(found) > 1:  # then case may decide
            found = [word for word in found if word.casefold() == text.casefold()]
        return found[0] if len(found) == 1 else None

    def within(self, sentence: str) -> str | None:
        """The one word that a sentence says; None if it has two, denies it, compares, asks or leaves a choice."""
        spans = _outermost(list(self._spans(sentence)))
        found = {word for _, _, word in spans}
        if len(found) != 1 or _says_otherwise(_without(sentence, spans)):
            return None
        return found.pop()

    def _spans(self, sentence: str) -> Iterator[tuple[int, int, str]]:
        """Where words stand in a sentence: first byte, end, word. Two of one spelling are both there."""
        tokens = [_edges(token) for token in _TOKEN.finditer(sentence)]
        for first, (starts, _) in enumerate(tokens):
            for start in starts:
                dead = 0
                for _, ends in tokens[first : first + _MOST_TOKENS]:
                    is_live = False
                    for end in ends:
                        key = folded(sentence[start:end]) if end > start else ""
                        for word in self._spelt(key):
                            yield start, end, word
                        is_live = is_live or self._is_live(key)
                    dead += not is_live  # a hyphen is only seen to stand between letters with what follows it
                    if dead and (dead > 1 or key[-1:].isalnum()):
                        break

    def _is_live(self, key: str) -> bool:
        """Whether some word may begin so."""
        if not self._sorted:
            self._sorted = sorted(self._coarse)
        rough = coarse(key)
        at = bisect_left(self._sorted, rough)
        return at < len(self._sorted) and self._sorted[at].startswith(rough)


#: White space parts words, and so does a comma, colon or bracket that does not stand between digits.
_TOKEN: Final = re.compile(
    r"(?:[^\s,:;()\[\]{}\"\u201c\u201d\u2026]|(?<=\d)[,:](?=\d))+|[,:;()\[\]{}\"\u201c\u201d\u2026]"
)
_AROUND: Final = "'`*_.!?\u2018\u2019\u00ab\u00bb\u00bf\u00a1\u3002\uff01\uff1f"


def _edges(token: re.Match[str]) -> tuple[set[int], set[int]]:
    """Where a word may begin and end in a token: with the quotes and full stops around it, and without them."""
    text = token[0]
    start = token.start() + len(text) - len(text.lstrip(_AROUND))
    end = token.start() + len(text.rstrip(_AROUND))
    return {token.start(), min(start, token.end())}, {token.end(), max(end, token.start())}


def _outermost(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Without those that stand inside a longer one."""
    kept: list[tuple[int, int, str]] = []
    for start, end, word in sorted(spans, key=lambda one: (one[0], -one[1])):
        if not kept or end > kept[-1][1] or (start, end) == kept[-1][:2]:
            kept.append((start, end, word))
    return kept


def _without(sentence: str, spans: list[tuple[int, int, str]]) -> str:
    at, rest = 0, []
    for start, end, _ in spans:
        rest.append(sentence[at:start])
        at = max(at, end)
    return " \x00 ".join([*rest, sentence[at:]])


# -- what a sentence may not have --------------------------------------------------------------------------------------

_NEGATIONS: Final = """
    no not never none neither nor nothing without cannot except instead unless hardly non nope isnt
    nein nicht nichts kein keine keinen keiner keines keinem nie niemals weder noch ohne außer sondern statt
    wrong incorrect unlikely doubt doubts doubtful deny denies denied fail fails failed refuse refuses against lacks
    falsch unwahrscheinlich zweifle faux incorrecto
    ne pas jamais aucun aucune ni sans sauf rien nunca jamás sin ningún ninguno ninguna tampoco salvo excepto
    mai senza né nessun nessuno nessuna tranne não nem sem nenhum nenhuma exceto
    niet geen nooit zonder behalve inte ej aldrig ingen inget utan ikke ikkje aldri uten uden nej
    nie bez nigdy ani není ne nikdy не нет ни никогда без кроме ні немає није није
    değil yok hayır olmayan nem sem nincs soha ei eivät ilman nu fără nici niciodată δεν όχι μη μην χωρίς ούτε
    không chưa bukan tidak tanpa jangan ليس ليست لا غير لم لن بدون לא אין בלי אינו אינה नहीं न मत बिना نه نیست بدون
"""
_CHOICES: Final = """
    perhaps maybe possibly might could vielleicht möglicherweise peut-être quizá quizás forse talvez misschien kanske
    or either whether versus vs and/or otherwise oder entweder beziehungsweise bzw ou soit o ó oppure ovvero eller
    antingen enten     lub albo czy или либо або чи nebo ili veya yahut vagy tai sau ή או أو या یا atau hoặc
"""
_COMPARISONS: Final = """
    than rather above below over under between beyond least most almost nearly barely approximately greater
    less lower higher more fewer exceeds if formerly previously
    als über unter zwischen mindestens höchstens fast beinahe mehr weniger wenn falls
    plus moins entre environ presque si más menos casi más più meno quasi mais quase чем более менее если почти
"""
_REFUSED: Final = frozenset(word.casefold() for word in f"{_NEGATIONS} {_CHOICES} {_COMPARISONS}".split())
_REFUSED_SIGNS: Final = re.compile(
    r"[?\uff1f\u061f\u037e/|\\<>=~^\u2248\u2260\u2264\u2265\u00b1\u00ac\u2192\u21d2\u274c\u2717\u2718]"
    r"|\b(?:anything|all|everything|nothing) but\b|\bfar from\b"
    r"|\x00\s*(?:[+\u2212]|-(?=\S|$))|n['\u2019]t\b|!\s*\x00|\x00\s+(?:to|bis|until|à|a|до)\s"
    # Scripts that put no space between words.
    r"|[不没沒無无非未别別勿否或]|ない|なく|なし|ません|または|あるいは|それとも|以上|以下|より"
    r"|아니|않|없|못|안\s|또는|혹은|이나|보다|ไม่|หรือ|มิ",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")


def _says_otherwise(rest: str) -> bool:
    """Whether what stands around a word denies it, compares it, asks for it, or leaves a choice."""
    if _REFUSED_SIGNS.search(rest):
        return True
    return any(found[0].casefold() in _REFUSED for found in _WORD.finditer(rest))
