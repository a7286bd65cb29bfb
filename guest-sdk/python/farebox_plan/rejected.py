"""Refusing is an answer like any other. What else is raised is a defect of the plan, and traps."""

from wit_world.exports import pricing as wit


class Rejected(Exception):
    """Why an event has no price. Raise it."""

    def __init__(self, rejection: wit.Rejection) -> None:
        super().__init__(rejection)
        self.rejection = rejection

    @staticmethod
    def missing(name: str, message: str) -> "Rejected":
        """A field is needed and absent."""
        return Rejected(wit.Rejection_InvalidEvent(wit.InvalidField(name, wit.Invalid.MISSING, message)))

    @staticmethod
    def unknown(name: str, message: str) -> "Rejected":
        """A field has a value that this plan does not know."""
        return Rejected(wit.Rejection_InvalidEvent(wit.InvalidField(name, wit.Invalid.UNKNOWN, message)))

    @staticmethod
    def out_of_range(name: str, message: str) -> "Rejected":
        """A field is outside the range that makes sense."""
        return Rejected(wit.Rejection_InvalidEvent(wit.InvalidField(name, wit.Invalid.OUT_OF_RANGE, message)))

    @staticmethod
    def unpriceable(message: str) -> "Rejected":
        """Nothing in the parameters prices it. Other parameters may."""
        return Rejected(wit.Rejection_Unpriceable(message))

    @staticmethod
    def not_allowed(message: str) -> "Rejected":
        """The subscription's state does not allow it."""
        return Rejected(wit.Rejection_NotAllowed(message))


class CannotMigrate(Exception):
    """Why a state of an earlier version cannot go on, in words for people. Raise it: it blocks the activation."""


SHOWN = 80
"""So many characters of a text are shown."""


def quoted(text: str) -> str:
    """A text that somebody else wrote, within a message: in quotes, and cut off where it is long."""
    shown = "".join(_shown_as(character) for character in text[:SHOWN])
    return f'"{shown}{"..." if len(text) > SHOWN else ""}"'


def _shown_as(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    code = ord(character)
    is_control = code < 0x20 or 0x7F <= code < 0xA0
    return f"\\u{{{code:x}}}" if is_control else character
