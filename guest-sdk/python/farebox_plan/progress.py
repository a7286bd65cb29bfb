"""Prices per outcome: what is known of the outcome of one subject, and how that changes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar, Union

from .change import EventRef, Instant
from .encoding import Reader, Writer
from .nanos import Nanos

Item = TypeVar("Item")

COUNTED_MAX = 4
"""How many outcomes of one subject are remembered: the one that stands, and those that objections gave back before."""


@dataclass(frozen=True)
class Charged:
    """An outcome that was charged."""

    kind: str
    event: EventRef
    """The event that it was charged for: what a give-back names."""
    amount: Nanos
    at: Instant
    """When it was earned."""
    period: int | None
    """The index of the period in which it counts."""


@dataclass(frozen=True)
class Claim:
    """An outcome that somebody claims."""

    kind: str
    event: EventRef
    """The event that it is charged for, if it comes to that."""

    def charged(self, amount: Nanos, at: Instant, period: int) -> Charged:
        """The outcome counts, in the period with this index."""
        return Charged(self.kind, self.event, amount, at, period)


@dataclass(frozen=True)
class Objection:
    """An event after which an outcome does not count any more."""

    event: EventRef
    at: Instant
    period: int
    """The index of the period in which what it gave back is counted."""


@dataclass(frozen=True)
class Counted:
    """An outcome that was charged, and what gave it back, if anything did."""

    charged: Charged
    reopened: Objection | None = None

    @property
    def stands(self) -> bool:
        """Whether it is still charged."""
        return self.reopened is None

    @property
    def changed(self) -> Instant:
        """When the last thing happened to it."""
        return self.charged.at if self.reopened is None else max(self.charged.at, self.reopened.at)


@dataclass(frozen=True)
class ClaimTaken:
    """The event claimed what waits, and now nothing does."""


@dataclass(frozen=True)
class ChargeTaken:
    """This was charged for the event, and comes back."""

    charged: Charged


@dataclass(frozen=True)
class GivenBackBefore:
    """This was charged for the event, and the objection has given it back already: nothing more comes back."""

    charged: Charged
    objection: Objection


@dataclass(frozen=True)
class ObjectionTaken:
    """The event was an objection, and what it gave back is charged again."""

    objection: Objection
    again: list[Charged]


TakenBack = Union[ClaimTaken, ChargeTaken, GivenBackBefore, ObjectionTaken]
"""What an event had done that is taken back."""


@dataclass(frozen=True)
class Progress:
    """Where the outcome of a subject (a conversation, a task) stands; a subject that is new has none.

    One subject has one outcome at a time: what waits, or what was charged. What an objection gave back is remembered besides,
    for where the objection itself is taken back: the host charges it again then, and it counts again.
    """

    claim: Claim | None
    """It counts unless somebody says otherwise in time. Then nothing else stands."""
    counted: tuple[Counted, ...]
    """What was charged, by when it was earned."""

    @staticmethod
    def claimed(before: "Progress | None", kind: str, event: EventRef) -> "Progress | None":
        """The work is done, says an event. None where that changes nothing: the outcome counts already."""
        if before is not None and before.stands:
            return None
        return Progress(Claim(kind, event), before.counted if before else ())

    @staticmethod
    def confirmed(before: "Progress | None", kind: str | None, event: EventRef) -> Claim | None:
        """The outcome is good, says an event, for which it is charged then.

        `kind` is what that event calls it; what was claimed before, unless it says. None where that changes nothing, or nobody
        knows what is meant.
        """
        claimed = before.claim.kind if before and before.claim else None
        known = kind if kind is not None else claimed
        if known is None or (before is not None and before.stands):
            return None
        return Claim(known, event)

    @staticmethod
    def earned(before: "Progress | None", charged: Charged) -> "Progress":
        """The outcome counts, and is charged. Of many that objections gave back before, the first one is forgotten."""
        counted = before.counted if before else ()
        return Progress(None, _count(counted[1:] if len(counted) >= COUNTED_MAX else counted, charged))

    @property
    def stands(self) -> bool:
        """Whether anything is charged for it."""
        return any(counted.stands for counted in self.counted)

    @property
    def charged(self) -> list[Charged]:
        """What is charged for it: what an objection gives back.

        More than one where the outcome counted again, and then the objection before was taken back.
        """
        return [counted.charged for counted in self.counted if counted.stands]

    @property
    def changed(self) -> Instant | None:
        """When the last thing happened to what was charged, if anything was."""
        return max((counted.changed for counted in self.counted), default=None)

    def objected(self, objection: Objection) -> "Progress":
        """Somebody objects: nothing waits, and what was charged is given back."""
        reopened = (replace(one, reopened=objection) if one.stands else one for one in self.counted)
        return Progress(None, tuple(reopened))

    def without(self, event: EventRef) -> "tuple[Progress | None, TakenBack] | None":
        """An event is taken back: where the outcome stands without it, if anything is left to remember, and what it had done.

        None where it had done nothing.
        """
        if self.claim is not None and self.claim.event == event:
            return _left(None, self.counted), ClaimTaken()
        for index, one in enumerate(self.counted):
            if one.charged.event == event:
                others = self.counted[:index] + self.counted[index + 1 :]
                charged, by = one.charged, one.reopened
                return _left(self.claim, others), ChargeTaken(charged) if by is None else GivenBackBefore(charged, by)
        objections = [one.reopened for one in self.counted if one.reopened is not None and one.reopened.event == event]
        if not objections:
            return None
        is_by = [one.reopened is not None and one.reopened.event == event for one in self.counted]
        stand = (replace(one, reopened=None) if by else one for one, by in zip(self.counted, is_by, strict=True))
        again = [one.charged for one, by in zip(self.counted, is_by, strict=True) if by]
        # What waits would count a second time.
        return _left(None, tuple(stand)), ObjectionTaken(objections[-1], again)

    def remembered(self, matters: Callable[[Instant], bool]) -> "Progress | None":
        """Without what does not matter any more. None where nothing is left.

        `matters` is asked with the time at which an outcome was charged, or given back.
        """
        return _left(self.claim, tuple(one for one in self.counted if matters(one.changed)))

    def write(self, to: Writer) -> None:
        """Writes it: the form of `Progress` of the Rust SDK."""
        standing = [index for index, one in enumerate(self.counted) if one.stands]
        last = standing[-1] if standing and self.claim is None else None
        others = [one for index, one in enumerate(self.counted) if index != last]
        if last is not None:
            to.u32(1)
            _write_charged(self.counted[last].charged, to)
        else:
            to.u32(0)
            _write_claim(self.claim or Claim("", _last_objection(others)), to)
        to.optional(others or None, lambda others: to.items(others, lambda one: _write_counted(one, to)))

    @staticmethod
    def read(source: Reader) -> "Progress":
        """Reads what was written."""
        is_earned = source.u32() == 1
        claim = None if is_earned else _read_claim(source)
        last = _read_charged(source) if is_earned else None
        others = _added(source, lambda: source.items(lambda: _read_counted(source)))
        counted = tuple(others or ())
        return Progress(claim if claim and claim.kind else None, _count(counted, last) if last else counted)


def _left(claim: Claim | None, counted: tuple[Counted, ...]) -> Progress | None:
    return Progress(claim, counted) if claim is not None or counted else None


def _count(counted: tuple[Counted, ...], charged: Charged) -> tuple[Counted, ...]:
    """Puts an outcome behind those that were earned before it, or at the same time."""
    index = sum(one.charged.at <= charged.at for one in counted)
    return (*counted[:index], Counted(charged), *counted[index:])


def _last_objection(counted: list[Counted]) -> EventRef:
    """What is read where nothing waits and nothing stands."""
    last: Objection | None = None
    for one in counted:
        if one.reopened is not None and (last is None or one.reopened.at >= last.at):
            last = one.reopened
    return last.event if last else EventRef("", "")


def _write_event(event: EventRef, to: Writer) -> None:
    to.text(event.source)
    to.text(event.id)


def _read_event(source: Reader) -> EventRef:
    return EventRef(source.text(), source.text())


def _write_claim(claim: Claim | Charged, to: Writer) -> None:
    to.text(claim.kind)
    _write_event(claim.event, to)


def _read_claim(source: Reader) -> Claim:
    return Claim(source.text(), _read_event(source))


def _write_charged(charged: Charged, to: Writer) -> None:
    _write_claim(charged, to)
    to.signed(charged.amount)
    to.signed(charged.at)
    to.optional(charged.period, to.u32)


def _read_charged(source: Reader) -> Charged:
    claim = _read_claim(source)
    return Charged(claim.kind, claim.event, source.signed(), source.signed(), _added(source, source.u32))


def _write_counted(one: Counted, to: Writer) -> None:
    _write_charged(one.charged, to)
    to.optional(one.reopened, lambda objection: _write_objection(objection, to))


def _write_objection(objection: Objection, to: Writer) -> None:
    _write_event(objection.event, to)
    to.signed(objection.at)
    to.u32(objection.period)


def _read_counted(source: Reader) -> Counted:
    charged = _read_charged(source)
    return Counted(charged, source.optional(lambda: Objection(_read_event(source), source.signed(), source.u32())))


def _added(source: Reader, read: Callable[[], Item]) -> Item | None:
    """Something that a later version added at the end: absent in a state from before."""
    return None if source.is_at_end else source.optional(read)
