"""One event, as a plan reads it."""

from typing import TYPE_CHECKING

from wit_world.exports import pricing as wit

from .change import EventRef, Instant, Period, balances_of, period_of
from .nanos import UNIT, Nanos, text
from .rejected import Rejected

if TYPE_CHECKING:
    from .plan import Vocabulary

ABSENT = -(2**63)
"""How a measure that the event does not carry crosses: no valid amount."""

EVENT_SOURCE = "event.source"
EVENT_ID = "event.id"
"""The attributes in which the host says which event it is, whatever the event carries under these names."""


class Usage:
    """An event with everything around it that a price may depend on."""

    def __init__(self, vocabulary: "Vocabulary", batch: wit.Batch, texts: bytes, row: int) -> None:
        self._vocabulary = vocabulary
        self._batch = batch
        self._texts = texts
        self._row = row
        self._trigger = batch.triggers[row]
        self._context = batch.contexts[self._trigger.context]

    @property
    def is_worst_case(self) -> bool:
        """Whether it may happen, so that the measures are maximums."""
        return self._trigger.purpose is wit.Purpose.WORST_CASE

    @property
    def type(self) -> str:
        """Its type."""
        return self._vocabulary.events[self._trigger.event_type]

    @property
    def time(self) -> Instant:
        """When it happened."""
        return self._trigger.time

    @property
    def period(self) -> Period:
        """The period that it belongs to."""
        return period_of(self._context)

    @property
    def seats(self) -> int:
        """How many the subscription has."""
        return self._context.seats

    @property
    def cost(self) -> Nanos | None:
        """What the provider bills for it, in US dollars, for plans that want it and where it is known."""
        return self._trigger.cost

    @property
    def balances(self) -> dict[str, Nanos]:
        """What the wallet can still spend of each asset, for plans that want balances."""
        return balances_of(self._batch, self._context, list(self._vocabulary.assets))

    def measure(self, name: str) -> Nanos | None:
        """A measure as it came, if it came. Absent and zero are different things: absent is unknown."""
        measures = self._vocabulary.measures
        value = self._batch.measures[self._row * len(measures) + measures.index(name)]
        return None if value == ABSENT else value

    def quantity(self, name: str) -> Nanos | None:
        """A measure that cannot be negative, if it came."""
        value = self.measure(name)
        if value is not None and value < 0:
            raise Rejected.out_of_range(name, f"expected 0 or more, found {text(value)}")
        return value

    def whole(self, name: str) -> Nanos | None:
        """A measure that counts whole things, if it came."""
        value = self.quantity(name)
        if value is not None and value % UNIT:
            raise Rejected.out_of_range(name, f"expected a whole number, found {text(value)}")
        return value

    def needed(self, name: str) -> Nanos:
        """A measure that cannot be negative and without which there is no price."""
        value = self.quantity(name)
        if value is None:
            raise Rejected.missing(name, "this plan prices by it; 0 says that there was none")
        return value

    def attribute(self, name: str) -> str | None:
        """A text of the event, if it came and says anything."""
        attributes, ends = self._vocabulary.attributes, self._batch.text_ends
        index = self._row * len(attributes) + attributes.index(name)
        start = ends[index - 1] if index > 0 else 0
        return self._texts[start : ends[index]].decode() or None

    def needed_attribute(self, name: str) -> str:
        """A text without which there is no price."""
        value = self.attribute(name)
        if value is None:
            raise Rejected.missing(name, "this plan prices by it")
        return value

    @property
    def reference(self) -> EventRef:
        """Under which name the event is known, to give back of it later, for plans that read `event.source` and `event.id`."""
        return EventRef(self.needed_attribute(EVENT_SOURCE), self.needed_attribute(EVENT_ID))
