"""What a plan remembers between events."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, Union

from .change import Instant

State = TypeVar("State")
Subject = TypeVar("Subject")


class Followed(Generic[Subject]):
    """A conversation or task that a plan follows. It is changed by `keep` alone, because keeping it takes a date until when."""

    def __init__(self, name: str | None, state: Subject | None) -> None:
        self.name = name
        """Its name, if the event has a subject."""
        self._state = state
        self.change: Union[Instant, Literal["forgotten"], None] = None
        """What the host is told: until when to keep it, or to forget it."""

    def get(self) -> Subject | None:
        """What is remembered of it; nothing when it is new."""
        return self._state

    def keep(self, state: Subject, until: Instant) -> None:
        """Remembers it, until then. The host takes at most 400 days. Without a subject there is nothing to remember."""
        if self.name is not None:
            self._state = state
            self.change = until

    def forget(self) -> None:
        """Forgets it."""
        if self.name is not None:
            self._state = None
            self.change = "forgotten"


@dataclass
class Memory(Generic[State, Subject]):
    """Changes count when the event is priced; a rejected event changes nothing."""

    state: State
    """Of the subscription. What is written here is what the next event of the subscription finds."""
    subject: Followed[Subject]
    """Of the event's subject."""
