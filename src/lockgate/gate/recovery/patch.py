"""The strategy ``patch``: the text goes on otherwise, with the fewest changed bytes that take it past the violation.

How it works: the text goes back to the last mark (inside a string: to the violation) and waits there until the rules
have seen enough of what follows. Each rule may propose edits; every edit is tried on a fork of scanner and judge,
cheapest first, and the first that takes the text past the violation is made. So a rule cannot break the schema, and
cannot touch what was released.

Work is linear: a violation costs a bounded number of trials, each over a bounded window, and every violation lies
further on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec

from lockgate.gate.base import pointer_tokens, violated
from lockgate.gate.events import Violated
from lockgate.gate.recovery.bare_words import Bare
from lockgate.gate.recovery.closers import LOOK_BYTES, Closer, Closers
from lockgate.gate.recovery.edits import NOWHERE, Edit, NeedMoreText, Rewriter
from lockgate.gate.recovery.missing_bracket import MissingBracket, closed_at, opened_at
from lockgate.gate.recovery.patch_marks import MAX_JUDGED_AGAIN, NO_ESCAPE, PatchMarks
from lockgate.gate.recovery.patch_rule import PatchRule
from lockgate.gate.recovery.rewriters import less_ahead
from lockgate.gate.recovery.site import UNKNOWN, Site, describe
from lockgate.gate.recovery.strategy import FINAL, Answer, PendingViolation, Remedy
from lockgate.gate.recovery.string_end import LOOK_AHEAD
from lockgate.gate.recovery.trial import Edited, HowFar, edited, passes, read_as_json, read_on, whole_characters
from lockgate.gate.recovery.workspace import Workspace
from lockgate.gate.scan import PLAIN_RUN
from lockgate.gate.schema.string_checks import StringWatcher
from lockgate.gate.values import value_of

#: Bytes after a violation that rules are shown: first these, then, if a rule must see more, the next ones. The second
#: is what tells whether a quote ends a string, so that a text in other quotes need not wait for a thousand bytes.
WINDOWS: Final = (LOOK_BYTES, 2 * LOOK_AHEAD, 1024)
#: Codes of violations that JSON can have.
_SCHEMA_CODES: Final = frozenset({"schema_violation", "duplicate_member"})
#: Members that come again, of which the values are compared, and brackets that are too many: each time the text is read
#: from its beginning.
_MAX_COMPARED: Final = 16
#: Rules that guess about the quotes of a string. Two such faults side by side in a list cannot be told apart.
_GUESSED_QUOTES: Final = frozenset({"inner_quote", "bare_text"})
#: Bytes of a string that rules are shown where its end is in doubt.
_SHOWN_BEFORE: Final = 1024
#: Edits at one byte, without getting any further, after which it is given up. The end of a text is such a byte: there
#: each edit closes one container.
_MAX_REPEATS: Final = 600


class PatchStrategy:
    """See the module. A ``Strategy``.

    Args:
        rules: What may be done, in the order that decides ties.
        max_patches: Violations that are patched at most.
    """

    def __init__(self, work: Workspace, closers: Closers, rules: Sequence[PatchRule], *, max_patches: int) -> None:
        self.marks = PatchMarks(work.scanner, work.judge, work.kept, work.max_held)
        self._work = work
        self._closers = closers
        self._rules = rules
        self._max_patches = max_patches
        self._patches = 0
        self._last_at = -1  # byte of upstream of the violation that lies furthest
        self._repeats = 0
        self._compared = 0
        self._guessed_in: object | None = None  # the array in which the quotes of a string were guessed last
        self._guessed: Rewriter | None = None  # what did it
        self._dropped_in: object | None = None  # the container of which a member was left out last
        self._has_dropped_in_root = False  # one of the document itself
        self._has_doubt = False  # whether another bracket would have done as well as one that was made

    @property
    def closes_early(self) -> bool:
        return any(rule.id == "truncated" for rule in self._rules)

    def end_character(self, tail: bytes) -> bool:
        """What there is of the character goes, and the text is not complete."""
        work = self._work
        at = work.scanner.base + work.unjudged_bytes
        upstream_at, message = work.ledger.upstream_of(at), "the text ended inside a character"
        work.ledger.claim = Violated("truncated", at=at, upstream_at=upstream_at, message=message, action="patch")
        work.ledger.change("truncated", at, tail, b"")
        work.was_truncated = True
        return True

    def remedy(self, pending: PendingViolation) -> Remedy | None:
        work, marks, at = self._work, self.marks, pending.at
        scanner, violation = work.scanner, pending.violation
        while at - marks.mark_at + marks.bytes_behind_end > work.max_held:
            marks.forget()  # in whatever pieces the text came, it is too far away, also when text between is left out
        is_of_member = marks.holds_member and violation.code == "schema_violation"
        is_of_member = is_of_member and at - marks.mark_at <= work.max_held
        has_quote, has_number = marks.has_quote, marks.has_number
        is_quote = scanner.in_value_string and work.byte_at(at) == b'"'
        if is_quote and not is_of_member:
            marks.mark_quote(at)
        if violation.code in FINAL:
            return None
        into_string = None
        if scanner.in_value_string and not is_quote:
            into_string = self._into_string(pending)
            if into_string is None:
                return None
        elif marks.mark_at == NOWHERE:
            return None
        # That the text ended is one violation, however many brackets are missing.
        has_patches = self._patches < self._max_patches or (violation.code == "truncated" and work.was_truncated)
        may_patch = not self._is_stuck(pending.upstream_at) and has_patches
        site = describe(violation, scanner, marks, work.judge, work.max_held)
        has_guess = self._guessed_in is not None and self._array_in_hand() is self._guessed_in
        has_guess = has_guess and not (isinstance(self._guessed, Bare) and self._guessed.lacked_one_quote)
        site = replace(site, has_escape=marks.escape_at != NO_ESCAPE, has_guess=has_guess)
        has_dropped = self._dropped_in is not None and self._in_hand() is self._dropped_in
        if violation.code == "trailing_text":
            has_dropped = self._has_dropped_in_root
        site = replace(site, has_dropped=has_dropped, has_doubt=self._has_doubt)
        if violation.code == "truncated":
            site = replace(site, is_in_half=work.may_leave_out_element())
        if marks.mark_at <= work.max_held:  # in whatever pieces it came, that much is still known
            site = self._with_text_before(site, pending)
        back_at = at
        if into_string is not None and at - into_string.start <= MAX_JUDGED_AGAIN:
            site = replace(site, before_quote=work.kept.between(into_string.start + 1, at))
        is_held = marks.escape_at >= 0 and at - marks.escape_at <= work.max_held
        if is_held and into_string is not None and self._is_bad_escape(pending):
            back_at = marks.escape_at
            into_string = _IntoString(into_string.start, work.kept.between(into_string.start + 1, back_at))
        earlier = None
        if is_of_member:
            earlier = _Earlier(replace(site, has_quote=has_quote, has_number=has_number, from_member=True))
        elif back_at == at:
            earlier = self._before_end(site, pending, into_string)
        return _Patch(self, work, pending, site, into_string, back_at, may_patch=may_patch, earlier=earlier)

    def _before_end(self, site: Site, pending: PendingViolation, into_string: _IntoString | None) -> _Earlier | None:
        """The violation as seen from where the string in hand, or the last one, may have ended; None for no doubt."""
        kept, marks, at = self._work.kept, self.marks, pending.at
        if into_string is not None:
            start = into_string.start + 1
            back_at = at - marks.bytes_behind_end_at(at, at - start)
            is_near = at - back_at <= self._work.max_held
            if back_at == at or not is_near:
                return None
        elif site.has_quote and marks.bytes_behind_end:
            start, back_at = marks.mark_at - marks.string_bytes, marks.mark_at - marks.bytes_behind_end
        else:
            return None
        content = kept.between(start, back_at)
        seen = replace(site, awaits="string", has_quote=False, from_end=True, before_quote=content)
        return _Earlier(seen, back_at, _IntoString(start - 1, content), is_behind_string=into_string is None)

    def _in_hand(self) -> object | None:
        """The innermost container."""
        frames = self._work.judge.frames
        return frames[-1] if frames else None

    def _array_in_hand(self) -> object | None:
        """The innermost container, if it is an array."""
        return None if self._work.scanner.is_in_object else self._in_hand()

    def _with_text_before(self, site: Site, pending: PendingViolation) -> Site:
        """The site with what it may know of the text before the mark."""
        kept, marks = self._work.kept, self.marks
        if site.code == "trailing_text":
            return replace(site, document=kept.between(0, pending.at))
        if site.code == "duplicate_member" and self._compared < _MAX_COMPARED:
            self._compared += 1
            return replace(site, repeated=self._value_at(pending.path))
        is_bracket = site.code == "invalid_json" and kept.between(pending.at, pending.at + 1) in (b"}", b"]")
        if is_bracket and self._compared < _MAX_COMPARED:
            self._compared += 1
            site = replace(site, before_bracket=kept.between(0, marks.mark_at + site.has_quote))
        if not marks.has_quote:
            return site
        start = max(marks.mark_at - marks.string_bytes, marks.mark_at - _SHOWN_BEFORE)
        return replace(site, before_quote=kept.between(start, marks.mark_at))

    def _is_bad_escape(self, pending: PendingViolation) -> bool:
        return pending.violation.code == "invalid_json" and self._work.byte_at(pending.at) == b"\\"

    def _value_at(self, path: str) -> Any:
        """The value that the text has at a path."""
        value = value_of(self._work.kept.between(0, self.marks.mark_at), self._work.limits)
        for token in pointer_tokens(path):
            if isinstance(value, dict):
                value = value.get(token, UNKNOWN)
            elif isinstance(value, list):
                value = value[int(token)] if int(token) < len(value) else UNKNOWN
        return value

    def _into_string(self, pending: PendingViolation) -> _IntoString | None:
        """How to go back into the string in hand; None if it is too long to be judged again."""
        kept, at = self._work.kept, pending.at
        end = PLAIN_RUN.match(kept.data, at - kept.at).end() + kept.at  # type: ignore[union-attr]
        start = self._work.scanner.string_start_at(at, end, is_end=pending.violation.code == "truncated")
        if pending.violation.code != "schema_violation":
            return _IntoString(start, None)
        return _IntoString(start, kept.between(start + 1, at)) if at - start <= MAX_JUDGED_AGAIN else None

    @property
    def closer_at(self) -> int:
        """Where a value begins behind which a bracket is due, from where the text went back to; below 0 for none."""
        return self._closers.last_after - self._work.scanner.base

    def _is_stuck(self, upstream_at: int) -> bool:
        """Whether edits were made here again and again, and the text gets no further."""
        self._repeats = self._repeats + 1 if upstream_at <= self._last_at else 0
        self._last_at = max(self._last_at, upstream_at)
        return self._repeats > _MAX_REPEATS

    def go_back(self, at: int, into_string: _IntoString | None, *, is_behind_string: bool = False) -> None:
        """Take the text back: into the string in hand, before byte ``at``, or to the mark.

        Args:
            is_behind_string: The string has ended already, and the mark stands before its closing quote.
        """
        work = self._work
        if into_string is None:
            work.take_back(self.marks.mark_at)
            self.marks.rewind()
            return
        if is_behind_string:
            self.marks.rewind()
        start, content = into_string
        work.steps += len(content or b"")
        work.take_back(at)
        self.marks.rewind_in_string(at, start, content)

    def choose(self, site: Site) -> tuple[str, Edit] | None:
        """The rule and its cheapest edit that takes the text past the violation; None if no edit does.

        Raises:
            NeedMoreText: a rule must see more of the text first.
        """
        found = self._best(self._proposals(site), site)
        if found is not None:
            return found
        # Nothing helps alone: perhaps a bracket is missing before what stands here, too.
        for missing in (closed_at, opened_at):
            found = self._best([one for bracket in missing(site) for one in self._proposals_in(bracket)], site)
            if found is not None:
                return found
        return None

    def _proposals(self, site: Site) -> list[tuple[int, int, Edit]]:
        """Cost, number of the rule, and edit."""
        return [
            (edit.cost, order, edit)
            for order, rule in enumerate(self._rules)
            if (rule.sees_member or not site.from_member) and (rule.sees_end or not site.from_end)
            for edit in rule.propose(site)
        ]

    def _proposals_in(self, opened: MissingBracket) -> list[tuple[int, int, Edit]]:
        """The edits that are possible behind a bracket that is put in first."""
        return [
            (cost + len(opened.bracket.inserted), order, opened.around(edit))
            for cost, order, edit in self._proposals(opened.site)
            if (self._rules[order].mends == "text" or self._rules[order].goes_with_bracket) and not edit.closer
        ]

    def _best(self, proposals: list[tuple[int, int, Edit]], site: Site) -> tuple[str, Edit] | None:
        """The proposal to take."""
        work = self._work
        proposals.sort(key=lambda one: one[:2])
        if site.is_rewritten:  # the rest of the text is in a rewriter's hands already
            proposals = [one for one in proposals if one[2].rewriter is None]
        candidates = [_Candidate(self._rules[order], edit, edited(edit, site)) for _, order, edit in proposals]
        for one in candidates:
            if one.edit.is_sure and self._is_past(one, site, is_strict=False):
                return one.rule.id, one.edit
        form = _WellFormed(site, work, self._closers)
        for is_strict in (True, False):
            passing: list[_Candidate] = []
            for one in candidates:
                if self._is_past(one, site, is_strict=is_strict) and form.allows(one):
                    passing.append(one)
                    if not one.rule.is_guess and len(passing) == 1:
                        break  # the cheapest is sure
            if passing:
                best = self._furthest(passing, site) if len(passing) > 1 else passing[0]
                return None if best is None else (best.rule.id, self._with_doubt(best, passing, site))
        return None

    def _with_doubt(self, best: _Candidate, passing: Sequence[_Candidate], site: Site) -> Edit:
        """Its edit, marked where a bracket of another place would have done."""
        if best.rule.id != "bracket":
            return best.edit
        has_others = sum(one.rule.id == "bracket" for one in passing) > 1
        return replace(best.edit, is_doubtful=has_others or site.may_have_others)

    def _is_past(self, one: _Candidate, site: Site, *, is_strict: bool) -> bool:
        """Whether the text goes past the violation with an edit."""
        work = self._work
        is_past, steps = passes(one.made, one.edit, site, work.scanner, work.judge, is_strict=is_strict)
        work.steps += steps
        return is_past

    def _furthest(self, passing: Sequence[_Candidate], site: Site) -> _Candidate | None:
        """The one with which the text goes on for longest; of equal ones the cheapest; None for two equal brackets.

        Raises:
            NeedMoreText: more of the text could tell.
        """
        work = self._work
        ranks = []
        for one in passing:
            reading = read_on(one.made.text, work.scanner, work.judge)
            work.steps += len(one.made.text) - reading.unread
            ranks.append((reading.unread + one.made.left_out, site.is_end and not reading.is_whole))
        best = min(ranks)
        if not best[0] and ranks.count(best) > 1:
            site.need_more()
        equal = [one for one, rank in zip(passing, ranks, strict=True) if rank == best]
        if not site.is_end and sum(one.rule.id == "bracket" for one in equal) > 1:
            return None  # only the end would tell
        return equal[0]

    def make(self, rule: str, edit: Edit, pending: PendingViolation) -> None:
        """Change the text."""
        work, ledger = self._work, self._work.ledger
        base, is_early = work.scanner.base, pending.violation.code == "truncated"
        self._patches += 1
        rewriter = None if edit.rewriter is None else edit.rewriter()
        if rule in _GUESSED_QUOTES:
            self._guessed_in, self._guessed = self._array_in_hand(), rewriter
        self._has_doubt |= edit.is_doubtful
        if rule == "unknown_member":
            self._dropped_in = self._in_hand()
            self._has_dropped_in_root |= work.scanner.depth == 1
        ledger.forget_before(min(base, self.marks.mark_at - self.marks.bytes_behind_end))
        ledger.path = pending.path
        if not is_early or not work.was_truncated:
            claim = violated(pending.violation, pending.path, pending.at, pending.upstream_at)
            ledger.claim = msgspec.structs.replace(claim, action="patch")
        work.was_truncated |= is_early and not edit.is_whole
        shift = 0  # bytes that the changes so far have added
        for change in edit.changes:
            at = change.at + shift
            removed = bytes(work.pending[at : at + change.length])
            if removed == change.inserted:
                continue
            work.pending[at : at + change.length] = change.inserted
            ledger.change(change.rule or rule, base + at, removed, change.inserted)
            if rule == "escape":
                self.marks.mended_escape_at = base + at
            shift += len(change.inserted) - change.length
            if work.rewritten_to > base + at:
                work.rewritten_to += len(change.inserted) - change.length
        if edit.closer:
            depth = work.scanner.depth + (-1 if edit.is_around else 0 if edit.swallows else 1)
            after = base + edit.changes[-1].at
            self._closers.add(Closer(rule, pending.path, depth, after, edit.closer, edit.swallows))
        if rewriter is not None:
            work.rewrite(edit.end + shift, rewriter, rule=rule)


class _Candidate(NamedTuple):
    """An edit, the rule that proposes it, and the text with it."""

    rule: PatchRule
    edit: Edit
    made: Edited


class _WellFormed:
    """Keeps rules in their place: JSON that the schema does not take is not mended as if it were no JSON.

    Which of the two it is shows when one reads on. Where nothing wrong is in sight, it is JSON.
    """

    def __init__(self, site: Site, work: Workspace, closers: Closers) -> None:
        self._site = site
        self._work = work
        self._closers = closers
        self._unchanged: HowFar | None = None

    def allows(self, one: _Candidate) -> bool:
        """Whether this rule may make this edit.

        Raises:
            NeedMoreText: more of the text must be seen first.
        """
        if self._site.code not in _SCHEMA_CODES:
            return True
        if self._closers.are_due:  # then it is no JSON for our own sake
            return one.rule.mends == "schema"
        if one.rule.mends == "text":
            return self._is_broken_within(one.made.reach)
        made = one.made
        reading = self._read(made.text)
        if not reading.is_refused or (one.edit.rewriter and len(made.text) - reading.unread < made.rewritten_to):
            return True  # what stands inside the value is judged when it comes
        return reading.unread <= self._as_it_is.unread + len(one.edit.closer)

    def _is_broken_within(self, reach: int) -> bool:
        """Whether the text stops being JSON before this byte of the window; behind the document that says nothing."""
        reading, window = self._as_it_is, self._site.window
        is_behind = reading.is_whole and self._site.depth > 0
        if self._site.is_end and not reading.is_refused and not reading.is_whole:
            return True  # it ends before the document does
        return reading.is_refused and not is_behind and len(window) - reading.unread <= reach

    @property
    def _as_it_is(self) -> HowFar:
        """How far the text is JSON without any edit."""
        if self._unchanged is None:
            self._unchanged = self._read(self._site.window)
        if not self._unchanged.is_refused:
            self._site.need_more()
        return self._unchanged

    def _read(self, text: bytes) -> HowFar:
        self._work.steps += len(text)
        return read_as_json(text, self._work.scanner)


class _Earlier(NamedTuple):
    """A violation as seen from further back, which is looked at first.

    Attributes:
        back_at: Byte to go back to inside the string; without one, to the mark.
        is_behind_string: That string has ended before the violation.
    """

    site: Site
    back_at: int = NOWHERE
    into_string: _IntoString | None = None
    is_behind_string: bool = False


class _IntoString(NamedTuple):
    """The byte of the opening quote, and what of the string must be judged again; None: nothing."""

    start: int
    content: bytes | None


class _Patch:
    """One violation that may be patched. A ``Remedy``."""

    def __init__(
        self,
        strategy: PatchStrategy,
        work: Workspace,
        pending: PendingViolation,
        site: Site,
        into_string: _IntoString | None,
        back_at: int,
        *,
        may_patch: bool,
        earlier: _Earlier | None,
    ) -> None:
        self.marks = strategy.marks
        self._strategy = strategy
        self._work = work
        self._pending = pending
        self._site = site
        self._into_string = into_string
        self._back_at = back_at  # byte to go back to inside a string
        self._may_patch = may_patch
        self._earlier = earlier
        self._held_before = 0  # bytes held before what rules are shown
        self._look = 0  # index into WINDOWS

    def go_back(self) -> None:
        if self._earlier is not None:
            _, at, into_string, is_behind_string = self._earlier
            self._strategy.go_back(at, into_string, is_behind_string=is_behind_string)
            return
        self._strategy.go_back(self._back_at, self._into_string)
        watcher = self._work.scanner.watcher
        if isinstance(watcher, StringWatcher) and self._work.scanner.in_value_string:
            self._site = replace(self._site, text=watcher.text if watcher.keeps else None)

    def resolve(self, *, is_end: bool) -> Answer:
        if not self._may_patch:
            return "no"
        if self._earlier is not None:
            answer = self._resolve(self._earlier.site, is_end=is_end)
            if answer != "no":
                return answer
            self._go_on_from(self._earlier)
        return self._resolve(self._site, is_end=is_end)

    def _go_on_from(self, earlier: _Earlier) -> None:
        """Nothing helps there: what can be done is done at the violation."""
        work, at = self._work, self._pending.at
        work.judge_again(at - work.scanner.base, ends_number=self._pending.ends_number)
        if earlier.into_string is None and self._into_string is None:
            self.marks.mark_quote(at)
        self._earlier, self._look = None, 0
        self.go_back()
        self._held_before = max(work.scanner.base - earlier.back_at, 0)

    def _resolve(self, site: Site, *, is_end: bool) -> Answer:
        work = self._work
        at = self._pending.at - work.scanner.base
        held_before = max(work.scanner.base - work.held_from, self._held_before, 0)
        room = max(less_ahead(work.max_held) - at - held_before, 0)
        while self._look < len(WINDOWS):
            size = min(WINDOWS[self._look], room)
            behind = len(work.pending) - at
            is_all = is_end and work.rewriter is None and behind <= size
            if behind < size and not is_all:
                return "no" if work.has_failed else "more"  # after a failed rewriter, more will not come
            window = whole_characters(bytes(work.pending[: at + size]))
            is_last = self._look == len(WINDOWS) - 1
            to_end = work.rewriter is not None or (not is_end and work.rewritten_to >= self._pending.at + size)
            site = replace(site, is_rewritten=to_end)
            try:
                shown = replace(site, window=window, at=at, is_end=is_all, is_last_look=is_last, max_held=room)
                return self._choose(replace(shown, closer_at=self._strategy.closer_at))
            except NeedMoreText:
                self._look += 1
        return "no"

    def _choose(self, site: Site) -> Answer:
        chosen = self._strategy.choose(site)
        if chosen is None:
            return "no"
        rule, edit = chosen
        self._strategy.make(rule, edit, self._pending)
        return "done"
