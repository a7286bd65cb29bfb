"""A subscription with a fee for each seat, included credits that roll over, graduated usage and a minimum commitment.

It is the plan host/kit/tests/plans/commitment once more, which answers byte for byte the same.

- A **fee** for each seat goes on the statement when a period begins.
- **Credits** are included with each seat and end with the period. What is left of them rolls over, up to a cap. Where the deal
  says so, no user has more than so many of those that are included; what rolled over is shared.
- **Usage** has graduated prices in dollars over the running total of the period. Credits pay first, at a fixed number of them
  for a dollar; what they do not cover is charged in dollars.
- The **minimum**: when a period ends, what its usage cost less than the minimum is charged on the statement.
"""

from dataclasses import dataclass, replace

from farebox_plan import (
    UNIT,
    Cancelled,
    Graduated,
    Grant,
    Memory,
    Nanos,
    Outcome,
    Period,
    Place,
    Plan,
    PlanChanged,
    Reader,
    Rejected,
    Remaining,
    Renewed,
    Resumed,
    SeatsChanged,
    Share,
    Started,
    Transition,
    Usage,
    Vocabulary,
    Writer,
    component,
    shortfall,
    text,
    unused,
)


@dataclass(frozen=True)
class Deal:
    """The price list, taken apart."""

    fee: Nanos
    credits: Nanos
    rollover_max: Nanos
    user_max: Nanos | None
    """Most of the included credits that one user can have."""
    minimum: Nanos
    call_max: Nanos
    credits_per_dollar: int
    prices: Graduated


@dataclass(frozen=True)
class State:
    """Running totals since the last period began that paid a fee."""

    period: int
    """Index of that period."""
    quantity: Nanos = 0
    """Units used."""
    charged: Nanos = 0
    """What they cost, in dollars."""
    paid: int = 0
    """Seats that were paid to the end of that period."""


class Commitment(Plan[Deal, State, None]):
    name = "commitment"
    version = "1"
    summary = "Seats with credits, graduated prices and a minimum commitment."
    order = "cumulative"
    vocabulary = Vocabulary(
        assets={"credits": "Credits", "usd": "US dollars"},
        events=["api.call"],
        measures=["units"],
        attributes=[],
        charges={
            "seats": ("Seats", "seats"),
            "units": ("Units", "units"),
            "minimum-commitment": ("Minimum commitment", "periods"),
        },
    )

    def parameters(self, root: Place) -> Deal:
        per_dollar = root.field("credits_per_dollar")
        credits_per_dollar = per_dollar.u32()
        if credits_per_dollar == 0:
            per_dollar.error("expected at least 1, found 0")
        most = root.field("user_max")
        user_max = most.amount() if most.is_there() else None
        if most.is_zero():
            most.error("expected more than 0")
        deal = Deal(
            fee=root.field("fee").amount(),
            credits=root.field("credits").amount(),
            rollover_max=root.field("rollover_max").amount(),
            user_max=user_max,
            minimum=root.field("minimum").amount(),
            call_max=root.field("call_max").amount(),
            credits_per_dollar=credits_per_dollar,
            prices=prices_of(root),
        )
        root.closed()
        return deal

    def write(self, deal: Deal, to: Writer) -> None:
        for amount in (deal.fee, deal.credits, deal.rollover_max, deal.minimum, deal.call_max):
            to.signed(amount)
        to.optional(deal.user_max, to.signed)
        to.u32(deal.credits_per_dollar)
        deal.prices.write(to)

    def read(self, source: Reader) -> Deal:
        fee, credits, rollover_max, minimum, call_max = (source.signed() for _ in range(5))
        user_max = source.optional(source.signed)
        return Deal(fee, credits, rollover_max, user_max, minimum, call_max, source.u32(), Graduated.read(source))

    def begin(self) -> State:
        return State(period=0)

    def write_state(self, state: State, to: Writer) -> None:
        to.u32(state.period)
        to.signed(state.quantity)
        to.signed(state.charged)
        to.u32(state.paid)

    def read_state(self, source: Reader) -> State:
        return State(source.u32(), source.signed(), source.signed(), source.u32())

    def evaluate(self, deal: Deal, usage: Usage, memory: Memory[State, None], outcome: Outcome) -> None:
        units = usage.needed("units")
        if units > deal.call_max:
            expected = f"expected at most {text(deal.call_max)}, found {text(units)}"
            raise Rejected.out_of_range("units", expected)
        state = memory.state
        before, after = state.quantity, state.quantity + units
        dollars = deal.prices.between(before, after)
        credits = dollars * deal.credits_per_dollar
        why = lambda: f"from {text(before)} to {text(after)} units of the period"
        outcome.charge("units", "credits").amount(credits, units, why).otherwise("usd", dollars)
        memory.state = replace(state, quantity=after, charged=state.charged + dollars)

    def transition(self, deal: Deal, at: Transition, memory: Memory[State, None], outcome: Outcome) -> None:
        terms, state = Terms(deal, at.period, outcome), memory.state
        rest = at.period.rest(at.time)
        beginning = State(period=at.period.index, paid=at.seats)
        is_new_period = state.period != at.period.index
        match at.change:
            case Started():
                terms.seats(at.seats, rest)
                memory.state = beginning
            case Renewed(remaining):
                terms.settle(state)
                terms.seats(at.seats, Share.WHOLE)
                terms.roll_over(remaining)
                memory.state = beginning
            case Resumed() if is_new_period:
                terms.settle(state)
                terms.seats(at.seats, rest)
                memory.state = beginning
            case SeatsChanged(before, after, prorate=True) if not is_new_period:
                # Seats that were left without proration are paid already; of those that go, the ones that nobody paid go first.
                if after >= before:
                    more = max(after - max(state.paid, before), 0)
                    terms.seats(more, rest)
                    memory.state = replace(state, paid=state.paid + more)
                else:
                    gone = max(before - after - max(before - state.paid, 0), 0)
                    terms.give_back(gone, rest)
                    memory.state = replace(state, paid=state.paid - gone)
            case PlanChanged(remaining=remaining, prorate=prorate):
                # A period that begins is paid whole; one that goes on is paid to the plan before.
                at_end = Share.WHOLE if at.time <= at.period.start else Share.NONE
                terms.seats(at.seats, rest if prorate else at_end)
                terms.roll_over(remaining)
                is_paid = prorate or at.time <= at.period.start
                memory.state = beginning if is_paid else replace(beginning, paid=0)
            case Cancelled():
                terms.settle(state)
            case _:
                pass


def prices_of(root: Place) -> Graduated:
    """The graduated prices of the price list."""
    base, steps = root.field("price").rate("unit"), root.field("beyond")
    beyond = steps.items() if steps.is_there() else []
    read = []
    for step in beyond:
        read.append((step.field("above").amount(), step.field("price").rate("unit")))
        step.closed()
    prices = Graduated.of(base, read)
    if isinstance(prices, Graduated):
        return prices
    beyond[prices].field("above").error("expected more than the threshold before it")
    return Graduated([(0, 0)], 0)


class Terms:
    """What the deal says about a period."""

    def __init__(self, deal: Deal, period: Period, outcome: Outcome) -> None:
        self.deal = deal
        self.period = period
        self.outcome = outcome

    def seats(self, seats: int, share: Share) -> None:
        """Fee and credits of so many seats for a share of the period."""
        fee = share.of_each(self.deal.fee, seats)
        if fee > 0:
            why = "the fee of a seat, for the part of the period that it covers"
            self.outcome.charge("seats", "usd").invoice().amount(fee, seats * UNIT, lambda: why)
        self.give("Included credits", share.of_each(self.deal.credits, seats), 0, self.deal.user_max)

    def give_back(self, seats: int, share: Share) -> None:
        """The fee of so many seats for a share of the period comes back, to be used."""
        amount = share.of_each(self.deal.fee, seats)
        if amount > 0:
            self.outcome.grant(Grant("promotional", "usd", amount, "Unused part of the fee"))

    def roll_over(self, remaining: list[Remaining]) -> None:
        """What is left of the credits goes on for another period, up to the cap. It burns first."""
        self.give("Rolled-over credits", min(unused(remaining, "credits"), self.deal.rollover_max), -1)

    def settle(self, totals: State) -> None:
        """What the usage behind these totals cost less than the minimum."""
        missing = shortfall(self.deal.minimum, totals.charged)
        if missing > 0:
            why = lambda: f"{text(self.deal.minimum)} less {text(totals.charged)} for usage"
            self.outcome.charge("minimum-commitment", "usd").invoice().amount(missing, UNIT, why)

    def give(self, label: str, amount: Nanos, priority: int, most: Nanos | None = None) -> None:
        """Credits until the end of the period, and so many of them for each user; of nothing there is no grant."""
        if amount > 0:
            each = None if most is None else ("user", most)
            grant = Grant("included", "credits", amount, label, priority, expires=self.period.end, each=each)
            self.outcome.grant(grant)


Pricing = component(Commitment())
