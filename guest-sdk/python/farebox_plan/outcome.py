"""What a plan answers: charges, grants, timers, and, on demand, how it got there."""

from collections.abc import Callable, MutableSequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wit_world.exports import pricing as wit

from .change import Category, EventRef, Instant
from .nanos import Nanos, Rate, crossing_out, text
from .rejected import Rejected

if TYPE_CHECKING:
    from .plan import Vocabulary

Why = Callable[[], str]
"""Where an amount comes from: said only where it is asked for, in an explanation."""

Words = Callable[[], tuple[str, str]]
"""A value, and why."""


@dataclass(frozen=True)
class Grant:
    """Value for the wallet."""

    category: Category
    asset: str
    amount: Nanos
    label: str
    """What a person reads: "Monthly credits"."""
    priority: int = 0
    """Low burns first."""
    effective: Instant | None = None
    """At once unless said."""
    expires: Instant | None = None
    """For good unless said."""
    codes: list[str] = field(default_factory=list)
    """Only for charges with one of these codes."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Only for events that carry all of these attributes with these values."""
    each: tuple[str, Nanos] | None = None
    """In portions: each value of this attribute ("user") has so much of it, from the first event on that needs it.

    It has nothing else of the grant. Of the grants of a subscription with the same label, asset and end, a value has one portion.
    """


class Outcome:
    """Collects the answer to one event or change. A rejected event leaves nothing behind."""

    def __init__(self, vocabulary: "Vocabulary") -> None:
        self.charges: list[wit.Charge] = []
        self.give_backs: list[wit.GiveBack] = []
        self.grants: list[wit.Grant] = []
        self.timers: list[wit.Timer] = []
        self.steps: list[wit.Step] | None = None
        """Only while explaining."""
        self._trigger = 0
        self._first_charge = 0
        self._assets = list(vocabulary.assets)
        self._codes = list(vocabulary.charges)

    def begin(self, trigger: int) -> Callable[[], None]:
        """Turns to the next trigger; what takes back all that is collected from here on."""
        self._trigger = trigger
        self._first_charge = len(self.charges)
        lists: tuple[MutableSequence[Any], ...] = (self.charges, self.give_backs, self.grants, self.timers)
        marks = [len(said) for said in lists]

        def go_back() -> None:
            for said, length in zip(lists, marks, strict=True):
                del said[length:]

        return go_back

    def charge(self, code: str, asset: str) -> "Charge":
        """Begins a line of the statement."""
        return Charge(self, code, asset, None)

    def give_back(self, code: str, asset: str, event: EventRef) -> "Charge":
        """Begins a line that gives back what an earlier event was charged under this code in this asset.

        Never more than is left of it: else the whole answer is not posted. Its amount and quantity are written positive and
        posted negative. Only an answer to an event can give back, in at most 8 lines; an answer about a worst case is held
        without them.
        """
        return Charge(self, code, asset, event)

    def grant(self, grant: Grant) -> None:
        """Gives value to the wallet."""
        given = wit.Grant(
            trigger=self._trigger,
            asset=self._assets.index(grant.asset),
            amount=crossing_out(grant.amount),
            category=wit.Category[grant.category.upper()],
            priority=grant.priority,
            effective=None if grant.effective is None else crossing_out(grant.effective),
            expires=None if grant.expires is None else crossing_out(grant.expires),
            applies_to=wit.AppliesTo(grant.codes, list(grant.attributes.items())),
            each=None if grant.each is None else wit.Each(grant.each[0], crossing_out(grant.each[1])),
            label=grant.label,
        )
        self.grants.append(given)

    def timer(self, key: str, when: Instant) -> None:
        """Asks to be woken with `Due`. A timer with the same key is replaced.

        Each subject has timers of its own; what is charged when one of them goes off belongs to the event that set it, and
        comes back with it.
        """
        self.timers.append(wit.Timer(self._trigger, key, crossing_out(when)))

    def cancel_timer(self, key: str) -> None:
        """Takes a timer away."""
        self.timers.append(wit.Timer(self._trigger, key, None))

    def explain(self, what: str, words: Words) -> None:
        """Says something about the event as a whole: what was found, its value, and why. The words are asked for on demand."""
        self.step(None, what, words)

    def step(self, charge: int | None, what: str, words: Words) -> None:
        """Says something about a charge."""
        if self.steps is not None:
            self.steps.append(wit.Step(charge, what, *words()))

    def post(self, charge: wit.Charge) -> int:
        """Posts a charge, and tells its place in this answer."""
        self.charges.append(charge)
        return len(self.charges) - 1 - self._first_charge

    def gives_back(self, event: EventRef) -> None:
        """Says which event the next charge gives back of."""
        self.give_backs.append(wit.GiveBack(len(self.charges), wit.EventRef(event.source, event.id)))

    def asset(self, name: str) -> int:
        """Where an asset stands in the vocabulary. One that is not there is a defect of the plan, and traps."""
        return self._assets.index(name)

    def code(self, name: str) -> int:
        """Where a code stands in the vocabulary."""
        return self._codes.index(name)


class Charge:
    """A line of the statement that has no amount yet. It is posted by giving it one."""

    def __init__(self, outcome: Outcome, code: str, asset: str, gives_back: EventRef | None) -> None:
        self._outcome = outcome
        self._code = code
        self._asset = asset
        self._gives_back = gives_back
        self._collect = wit.Collect.BALANCE

    def invoice(self) -> "Charge":
        """Collected on the statement instead of from the wallet: for fees, which must not eat the pool that they pay for."""
        self._collect = wit.Collect.INVOICE
        return self

    def at(self, rate: Rate, quantity: Nanos, why: Why) -> "Posted":
        """Posts `quantity` at `rate`, rounded once. `why` names the rate for an explanation: "claude-opus-5, in a batch"."""
        amount = rate.price(quantity)
        how = "quantity x rate" if rate.is_exact_for_whole_units else "quantity x rate, rounded once, half to even"
        posted = self._post(amount, quantity)
        posted.explain("quantity", lambda: (text(quantity), "as the event says"))
        posted.explain("rate", lambda: (rate.said(self._asset), why()))
        return posted.explain("amount", lambda: (f"{text(amount)} {self._asset}", how))

    def amount(self, amount: Nanos, quantity: Nanos, why: Why) -> "Posted":
        """Posts an amount for a quantity. `why` says for an explanation where the amount comes from."""
        posted = self._post(amount, quantity)
        return posted.explain("amount", lambda: (f"{text(amount)} {self._asset}", why()))

    def _post(self, amount: Nanos, quantity: Nanos) -> "Posted":
        outcome = self._outcome
        if amount < 0:
            raise Rejected.unpriceable(f"this plan made a negative charge for {self._code}")
        sign = 1 if self._gives_back is None else -1
        charge = wit.Charge(
            code=outcome.code(self._code),
            asset=outcome.asset(self._asset),
            amount=crossing_out(sign * amount),
            quantity=crossing_out(sign * quantity),
            collect=self._collect,
            otherwise=False,
        )
        if self._gives_back is not None:
            outcome.gives_back(self._gives_back)
        return Posted(outcome, charge, outcome.post(charge))


class Posted:
    """A charge that was posted, for what can follow it."""

    def __init__(self, outcome: Outcome, charge: wit.Charge, index: int) -> None:
        self._outcome = outcome
        self._charge = charge
        self._index = index

    def otherwise(self, asset: str, amount: Nanos) -> "Posted":
        """What the **whole** charge would cost in another asset.

        The part that the assets before cannot cover is charged there, in exact proportion: "from the pool first, then on
        demand". At most 4 prices in all.

        An amount that was rounded to nothing counts as the smallest there is, 10^-9, so that nothing goes beyond the pool for
        free. Of a charge of nothing, nothing is left for another asset.
        """
        return self._link(asset, amount, self._charge.collect)

    def otherwise_invoice(self, asset: str, amount: Nanos) -> "Posted":
        """The same, where the rest is collected on the statement."""
        return self._link(asset, amount, wit.Collect.INVOICE)

    def explain(self, what: str, words: Words) -> "Posted":
        """Says something more about this charge, while somebody wants an explanation."""
        self._outcome.step(self._index, what, words)
        return self

    def _link(self, asset: str, amount: Nanos, collect: wit.Collect) -> "Posted":
        first, index = self._charge, self._outcome.asset(asset)
        if amount < 0 or first.amount < 0:
            raise Rejected.unpriceable(f"this plan gave a negative charge another price, in {asset}")
        if first.amount > 0:
            least = crossing_out(max(amount, 1))
            self._outcome.post(wit.Charge(first.code, index, least, first.quantity, collect, True))
        return self
