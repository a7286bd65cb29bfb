"""Taking a price list apart, with every mistake at its place."""

import json
import re

from .nanos import Decimal, Nanos, Per, Rate
from .reading import Json, JsonNumber

Mistake = tuple[str, str]
"""A JSON pointer, and what is wrong there."""

_ABSENT = object()


class Place:
    """A place in the parameters: what stands there, and how to say what is wrong with it. Mistakes are collected, all at once."""

    def __init__(self, value: Json | object, pointer: str, mistakes: list[Mistake]) -> None:
        self._value = value
        self._pointer = pointer
        self._mistakes = mistakes
        self._read: list[str] = []

    def error(self, message: str) -> None:
        """Something is wrong here."""
        self._mistakes.append((self._pointer, message))

    def field(self, key: str) -> "Place":
        """A field of the object that stands here."""
        if key not in self._read:
            self._read.append(key)
        value = self._value.get(key, _ABSENT) if isinstance(self._value, dict) else _ABSENT
        escaped = key.replace("~", "~0").replace("/", "~1")
        return Place(value, f"{self._pointer}/{escaped}", self._mistakes)

    def is_there(self) -> bool:
        """Whether anything stands here."""
        return self._value is not _ABSENT

    def closed(self) -> None:
        """That this is an object with no fields but those that were read: a misspelt price must not be a missing one."""
        if not isinstance(self._value, dict):
            return self.error("expected an object")
        for key in self._value:
            if key not in self._read:
                quoted = json.dumps(key, ensure_ascii=False)
                self.error(f"unknown field {quoted}, expected one of {', '.join(self._read)}")

    def items(self) -> list["Place"]:
        """The items of the list that stands here."""
        if not isinstance(self._value, list):
            self.error("expected a list")
            return []
        return [Place(item, f"{self._pointer}/{index}", self._mistakes) for index, item in enumerate(self._value)]

    def entries(self) -> list[tuple[str, "Place"]]:
        """The entries of the object that stands here, in the order of their names: a price for each model, say."""
        if not isinstance(self._value, dict):
            self.error("expected an object")
            return []
        return [(name, self.field(name)) for name in sorted(self._value)]

    def text(self) -> str:
        """The text that stands here."""
        if isinstance(self._value, str):
            return self._value
        self.error("expected a text")
        return ""

    def decimal(self) -> Decimal | None:
        """The decimal in quotes that stands here."""
        wrong = 'expected a decimal number in quotes, such as "0.30"'
        read = Decimal.read(self._value) if isinstance(self._value, str) else wrong
        if isinstance(read, Decimal):
            return read
        self.error(read)
        return None

    def is_zero(self) -> bool:
        """Whether a decimal of nothing stands here, for prices that cannot be that."""
        read = Decimal.read(self._value) if isinstance(self._value, str) else ""
        return isinstance(read, Decimal) and read.mantissa == 0

    def amount(self) -> Nanos:
        """The amount that stands here, which must be 0 or more."""
        value = self.decimal()
        if value is None:
            return 0
        amount = value.amount()
        if isinstance(amount, int) and amount >= 0:
            return amount
        self.error(amount if isinstance(amount, str) else f"expected 0 or more, found {value}")
        return 0

    def rate(self, per: Per) -> Rate:
        """The price that stands here, for so many units, which must be 0 or more."""
        value = self.decimal()
        rate = Rate.of(value, per) if value is not None else Rate.FREE
        if isinstance(rate, Rate):
            return rate
        self.error(rate)
        return Rate.FREE

    def u32(self) -> int:
        """The whole number from 0 to 4,294,967,295 that stands here."""
        written = self._value.written if isinstance(self._value, JsonNumber) else ""
        number = int(written) if re.fullmatch("[0-9]{1,10}", written) else -1
        if 0 <= number <= 0xFFFF_FFFF:
            return number
        self.error("expected a whole number from 0 to 4294967295")
        return 0
