"""Exact amounts: whole numbers of 10^-9 units. Nothing here is a float."""

import json
import re
from collections.abc import Sequence
from typing import Literal

from .encoding import Reader, Writer

Nanos = int
"""A whole number of 10^-9 units of an asset or a measure: 1.5 credits is 1_500_000_000."""

UNIT: Nanos = 1_000_000_000
"""One whole unit."""

CROSSING_MAX = 2**63 - 1
"""The largest number that crosses between host and plan, in 10^-9: 9,223,372,036.854775807 units."""

RATE_DECIMALS_MAX = 18
"""Most decimals of the price of one unit."""

DECIMAL_DIGITS_MAX = 18
"""Most digits, before and behind the point together, that a decimal in parameters may have."""


class Overflow(Exception):
    """An amount is too large."""


def crossing_out(value: int) -> int:
    """What crosses to the host, or an overflow."""
    if not -CROSSING_MAX <= value <= CROSSING_MAX:
        raise Overflow
    return value


def text(amount: Nanos) -> str:
    """An amount as a person reads it: `19.9`."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), UNIT)
    digits = f"{fraction:09}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def multiply_divide(amount: int, numerator: int, denominator: int) -> int:
    """`amount * numerator / denominator`, rounded once, half to even. The denominator is more than zero."""
    floor, remainder = divmod(amount * numerator, denominator)
    twice = remainder * 2
    return floor + 1 if twice > denominator or (twice == denominator and floor % 2 == 1) else floor


class Decimal:
    """A decimal number of a price list, exactly as it was written: `mantissa * 10^-scale`."""

    def __init__(self, mantissa: int, scale: int) -> None:
        self.mantissa = mantissa
        self.scale = scale

    @staticmethod
    def read(written: str) -> "Decimal | str":
        """Reads `"0.30"`; a message where it is none."""
        quoted = json.dumps(written, ensure_ascii=False)
        found = re.fullmatch(r"(-?)([0-9]+)(?:\.([0-9]+))?", written)
        if found is None:
            return f'{quoted} is not a decimal number such as "0.30"'
        sign, whole, fraction = found[1], found[2], (found[3] or "").rstrip("0")
        if len(whole) + len(fraction) > DECIMAL_DIGITS_MAX:
            return f"{quoted} has more than {DECIMAL_DIGITS_MAX} digits"
        return Decimal(int(sign + whole + fraction), len(fraction))

    def amount(self) -> Nanos | str:
        """As an amount of 10^-9 units; a message where it has more decimals than that."""
        if self.scale > 9:
            return f"{self} has more than 9 decimals"
        unit: int = 10 ** (9 - self.scale)
        return self.mantissa * unit

    def __str__(self) -> str:
        sign = "-" if self.mantissa < 0 else ""
        digits = str(abs(self.mantissa)).rjust(self.scale + 1, "0")
        point = len(digits) - self.scale
        return f"{sign}{digits}" if self.scale == 0 else f"{sign}{digits[:point]}.{digits[point:]}"


Per = Literal["unit", "thousand", "million"]
"""How many units a price of the price list is for."""

_PER_DECIMALS: dict[Per, int] = {"unit": 0, "thousand": 3, "million": 6}


class Rate:
    """The exact price of one unit, `mantissa * 10^-scale`: nothing is rounded until it meets a quantity, and there once."""

    FREE: "Rate"
    """Costs nothing."""

    def __init__(self, mantissa: int, scale: int) -> None:
        self.mantissa = mantissa
        self.scale = scale

    @staticmethod
    def of(price: Decimal, per: Per) -> "Rate | str":
        """`price` for so many units; a message where that is less than nothing, or too precise."""
        if price.mantissa < 0:
            return f"expected 0 or more, found {price}"
        scale = price.scale + _PER_DECIMALS[per]
        if scale > RATE_DECIMALS_MAX:
            return f"the price of one unit must have at most {RATE_DECIMALS_MAX} decimals and 18 digits"
        return Rate(price.mantissa, scale)

    def price(self, quantity: Nanos) -> Nanos:
        """What `quantity` costs."""
        return multiply_divide(quantity, self.mantissa, 10**self.scale)

    @property
    def is_exact_for_whole_units(self) -> bool:
        """Whether whole units always come to a whole number of 10^-9, so that no amount of them is ever rounded."""
        return self.scale <= 9

    def said(self, asset: str) -> str:
        """The price as a person says it: "3.75 usd per million". Nobody says "0.00000375 usd each"."""
        one = self._decimal(0)
        _, _, decimals = one.partition(".")
        return f"{self._decimal(6)} {asset} per million" if len(decimals) > 4 else f"{one} {asset} each"

    def _decimal(self, places: int) -> str:
        """The price of 10^places units, without trailing zeros."""
        scale = max(self.scale - places, 0)
        digits = str(self.mantissa * 10 ** max(places - self.scale, 0))
        if scale == 0:
            return digits
        padded = digits.rjust(scale + 1, "0")
        fraction = padded[-scale:].rstrip("0")
        return f"{padded[:-scale]}.{fraction}" if fraction else padded[:-scale]

    def write(self, to: Writer) -> None:
        """Writes it into prepared parameters."""
        to.signed(self.mantissa)
        to.u32(self.scale)

    @staticmethod
    def read(source: Reader) -> "Rate":
        """Reads what was written."""
        return Rate(source.signed(), source.u32())


Rate.FREE = Rate(0, 0)


class Graduated:
    """A price that changes for what comes beyond each threshold: "the first 1,000 at 0.10, the rest at 0.08"."""

    def __init__(self, steps: Sequence[tuple[Nanos, int]], scale: int) -> None:
        """Where each step begins, and the price of a unit in it in 10^-scale; the first begins at 0."""
        self.steps = steps
        self.scale = scale

    @staticmethod
    def of(base: Rate, beyond: Sequence[tuple[Nanos, Rate]]) -> "Graduated | int":
        """`base` from the first unit on, and other prices beyond their thresholds; the index of one that does not rise."""
        rates = [(0, base), *beyond]
        for index, (above, _) in enumerate(beyond):
            if above <= rates[index][0]:
                return index
        scale = max(rate.scale for _, rate in rates)
        return Graduated([(above, rate.mantissa * 10 ** (scale - rate.scale)) for above, rate in rates], scale)

    def price(self, total: Nanos) -> Nanos:
        """What a total of units costs, rounded once."""
        exact = 0
        for index, (above, price) in enumerate(self.steps):
            until = min(total, self.steps[index + 1][0]) if index + 1 < len(self.steps) else total
            exact += max(until - above, 0) * price
        return multiply_divide(exact, 1, 10**self.scale)

    def between(self, before: Nanos, after: Nanos) -> Nanos:
        """What the units from `before` to `after` of a running total cost: many small events come to what one large one costs."""
        return self.price(after) - self.price(before)

    def write(self, to: Writer) -> None:
        """Writes it into prepared parameters."""
        def step(pair: tuple[Nanos, int]) -> None:
            to.signed(pair[0])
            to.signed(pair[1])

        to.items(self.steps, step)
        to.u32(self.scale)

    @staticmethod
    def read(source: Reader) -> "Graduated":
        """Reads what was written."""
        steps = source.items(lambda: (source.signed(), source.signed()))
        return Graduated(steps, source.u32())


class Share:
    """A part of a whole, as an exact fraction: nothing is rounded until it meets an amount, and there once, half to even."""

    WHOLE: "Share"
    """All of it."""
    NONE: "Share"
    """None of it."""

    def __init__(self, part: int, whole: int) -> None:
        """`part` of `whole`, held between nothing and all of it; of nothing there is no part."""
        self._part, self._whole = (min(max(part, 0), whole), whole) if whole > 0 else (0, 1)

    def of(self, amount: Nanos) -> Nanos:
        """This part of an amount."""
        return multiply_divide(amount, self._part, self._whole)

    def of_each(self, amount: Nanos, count: int) -> Nanos:
        """This part of `count` times an amount (of a fee for each seat, say), rounded once."""
        return multiply_divide(amount * count, self._part, self._whole)


Share.WHOLE = Share(1, 1)
Share.NONE = Share(0, 1)
