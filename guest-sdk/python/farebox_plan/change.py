"""What happens to a subscription besides usage."""

from dataclasses import dataclass
from typing import Literal, Union

from wit_world.exports import pricing as wit

from .nanos import Nanos, Share

Instant = int
"""Microseconds since 1970-01-01T00:00:00Z."""

SECOND: Instant = 1_000_000
TIME_MAX: Instant = 2**63 - 1


def plus_seconds(instant: Instant, seconds: int) -> Instant:
    """So many seconds later, at most at the end of time."""
    return min(instant + seconds * SECOND, TIME_MAX)


def plus_days(instant: Instant, days: int) -> Instant:
    """So many times 24 hours later, at most at the end of time."""
    return plus_seconds(instant, days * 86_400)


@dataclass(frozen=True)
class Period:
    """A period of a subscription."""

    start: Instant
    end: Instant
    """Exclusive."""
    index: int
    """0 for the one in which the subscription started."""

    def rest(self, at: Instant) -> Share:
        """How much of it is left at an instant, exactly: all before its start, nothing at its end."""
        return Share(self.end - max(at, self.start), self.end - self.start)


Category = Literal["paid", "promotional", "included"]
"""Where the value of a grant comes from."""

CATEGORIES: dict[wit.Category, Category] = {
    wit.Category.PAID: "paid",
    wit.Category.PROMOTIONAL: "promotional",
    wit.Category.INCLUDED: "included",
}


@dataclass(frozen=True)
class Remaining:
    """What is left of a grant of the subscription."""

    asset: str
    category: Category
    label: str
    granted: Nanos
    remaining: Nanos
    expires: Instant | None
    """Until when it is good; for good where there is none."""


def unused(remaining: list[Remaining], asset: str) -> Nanos:
    """What is left of the included value in one asset: what may roll over, by a grant of its own."""
    included = (grant for grant in remaining if grant.asset == asset and grant.category == "included")
    return sum(grant.remaining for grant in included)


@dataclass(frozen=True)
class EventRef:
    """An earlier event of the same customer."""

    source: str
    id: str


@dataclass(frozen=True)
class ReversedCharge:
    """What an event had been charged."""

    code: str
    asset: str
    amount: Nanos
    quantity: Nanos


@dataclass(frozen=True)
class Started:
    """The subscription begins."""


@dataclass(frozen=True)
class Renewed:
    """A period begins; what is left of grants."""

    remaining: list[Remaining]


@dataclass(frozen=True)
class SeatsChanged:
    """There are more or fewer seats: from now on (`prorate`), or from the next period on."""

    before: int
    after: int
    prorate: bool


@dataclass(frozen=True)
class PlanChanged:
    """The subscription comes over from another plan: from now on (`prorate`), or as a period begins."""

    previous_plan: str
    previous_since: Instant
    """When the present period began under it."""
    remaining: list[Remaining]
    prorate: bool


@dataclass(frozen=True)
class Paused:
    """Nothing ends and nothing begins until it is resumed."""


@dataclass(frozen=True)
class Resumed:
    """It goes on, maybe in a later period."""


@dataclass(frozen=True)
class Cancelled:
    """The subscription ends; what is left of grants."""

    remaining: list[Remaining]


@dataclass(frozen=True)
class Due:
    """The timer with this key is due."""

    key: str


@dataclass(frozen=True)
class Reversed:
    """An event of the subject was taken back. The host reverses its charges; this is for the subject's state."""

    event: EventRef
    time: Instant
    """When it happened."""
    charges: list[ReversedCharge]
    amended: bool
    """Whether what it should have been follows."""


Change = Union[Started, Renewed, SeatsChanged, PlanChanged, Paused, Resumed, Cancelled, Due, Reversed]
"""What happened to a subscription besides usage."""


@dataclass(frozen=True)
class Transition:
    """A change of one subscription, with everything around it."""

    change: Change
    time: Instant
    period: Period
    seats: int
    """How many the subscription has, after the change."""
    balances: dict[str, Nanos]
    """What the wallet can still spend of each asset, for plans that want balances."""


def period_of(context: wit.Context) -> Period:
    """The period of a context."""
    return Period(context.period.start, context.period.end, context.period.index)


def balances_of(batch: wit.Batch, context: wit.Context, assets: list[str]) -> dict[str, Nanos]:
    """What the wallet can still spend of each asset; of none where the plan does not ask."""
    return dict(zip(assets, batch.balances[context.balances :], strict=False))


def change_of(change: wit.Change, assets: list[str], codes: list[str]) -> Change:
    """A change as plans read it."""
    match change:
        case wit.Change_Started():
            return Started()
        case wit.Change_Renewed(grants):
            return Renewed(_remaining_of(grants, assets))
        case wit.Change_SeatsChanged(seats):
            return SeatsChanged(seats.before, seats.after, seats.prorate)
        case wit.Change_PlanChanged(plan):
            left = _remaining_of(plan.remaining, assets)
            return PlanChanged(plan.previous_plan, plan.previous_since, left, plan.prorate)
        case wit.Change_Paused():
            return Paused()
        case wit.Change_Resumed():
            return Resumed()
        case wit.Change_Cancelled(grants):
            return Cancelled(_remaining_of(grants, assets))
        case wit.Change_Due(key):
            return Due(key)
        case wit.Change_Reversed(told):
            event = EventRef(told.event.source, told.event.id)
            return Reversed(event, told.time, _reversed_of(told.charges, assets, codes), told.amended)


def _remaining_of(grants: list[wit.RemainingGrant], assets: list[str]) -> list[Remaining]:
    """Grants in assets that the plan does not describe are none of its business and are left out."""
    return [
        Remaining(
            asset=assets[grant.asset],
            category=CATEGORIES[grant.category],
            label=grant.label,
            granted=grant.granted,
            remaining=grant.remaining,
            expires=grant.expires,
        )
        for grant in grants
        if grant.asset < len(assets)
    ]


def _reversed_of(
    charges: list[wit.ReversedCharge], assets: list[str], codes: list[str]
) -> list[ReversedCharge]:
    return [
        ReversedCharge(codes[charge.code], assets[charge.asset], charge.amount, charge.quantity)
        for charge in charges
        if charge.code < len(codes) and charge.asset < len(assets)
    ]
