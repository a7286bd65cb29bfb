"""What a plan author writes, and what it is asked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar, Union

from wit_world.exports import pricing as wit

from .encoding import Reader, Writer
from .nanos import Nanos, Share, crossing_out, text
from .parameters import Place

Prepared = TypeVar("Prepared")
State = TypeVar("State")

ABSENT = -(2**63)
"""How a measure that the event does not carry crosses: no valid amount."""


class Rejected(Exception):
    """Why an event has no price. Raise it: refusing is an answer like any other."""

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


@dataclass(frozen=True)
class Vocabulary:
    """What a plan reads and writes: names of assets, events, measures, attributes and charges."""

    assets: dict[str, str]
    """Names with labels: `{"usd": "US dollars"}`."""
    events: list[str]
    measures: list[str]
    attributes: list[str]
    charges: dict[str, tuple[str, str]]
    """Codes with a label and a unit: `{"seats": ("Seats", "seats")}`."""


@dataclass(frozen=True)
class Period:
    """A period of a subscription, in microseconds since 1970."""

    start: int
    end: int
    index: int

    def rest(self, at: int) -> Share:
        """How much of it is left at an instant, exactly: all before its start, nothing at its end."""
        return Share(self.end - max(at, self.start), self.end - self.start)


Why = Callable[[], str]
"""Where an amount comes from: said only where it is asked for, in an explanation."""

Category = Literal["paid", "promotional", "included"]
"""Where the value of a grant comes from."""


@dataclass(frozen=True)
class Remaining:
    """What is left of a grant of the subscription."""

    asset: str
    category: Category
    label: str
    granted: Nanos
    remaining: Nanos


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


Change = Union[Started, Renewed, SeatsChanged, PlanChanged, Paused, Resumed, Cancelled, Due]
"""What happened to a subscription besides usage."""


@dataclass(frozen=True)
class Transition:
    """A change of one subscription, with everything around it."""

    change: Change
    time: int
    period: Period
    seats: int
    """How many the subscription has, after the change."""


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
    effective: int | None = None
    expires: int | None = None


class Usage:
    """An event, as a plan reads it."""

    def __init__(self, vocabulary: Vocabulary, batch: wit.Batch, texts: bytes, row: int) -> None:
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
    def time(self) -> int:
        """When it happened, in microseconds since 1970."""
        return self._trigger.time

    @property
    def period(self) -> Period:
        """The period that it belongs to."""
        return period_of(self._context)

    @property
    def seats(self) -> int:
        """How many the subscription has."""
        return self._context.seats

    def measure(self, name: str) -> Nanos | None:
        """A measure as it came, if it came. Absent and zero are different things: absent is unknown."""
        measures = self._vocabulary.measures
        value = self._batch.measures[self._row * len(measures) + index_in(measures, name)]
        return None if value == ABSENT else value

    def needed(self, name: str) -> Nanos:
        """A measure that cannot be negative and without which there is no price."""
        value = self.measure(name)
        if value is None:
            raise Rejected.missing(name, "this plan prices by it; 0 says that there was none")
        if value < 0:
            raise Rejected.out_of_range(name, f"expected 0 or more, found {text(value)}")
        return value

    def attribute(self, name: str) -> str | None:
        """A text of the event, if it came and says anything."""
        attributes, ends = self._vocabulary.attributes, self._batch.text_ends
        index = self._row * len(attributes) + index_in(attributes, name)
        start = ends[index - 1] if index > 0 else 0
        return self._texts[start : ends[index]].decode() or None


class Posted:
    """A charge that was posted, for what can follow it."""

    def __init__(self, outcome: "Outcome", charge: wit.Charge) -> None:
        self._outcome = outcome
        self._charge = charge

    def otherwise(self, asset: str, amount: Nanos) -> "Posted":
        """What the **whole** charge would cost in another asset: the part that those before cannot cover is charged there."""
        first = self._charge
        asset_index = index_in(self._outcome.assets, asset)
        link = wit.Charge(first.code, asset_index, crossing_out(amount), first.quantity, first.collect, True)
        self._outcome.charges.append(link)
        return self


class Outcome:
    """Collects the answer to one event or change. A rejected event leaves nothing behind."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.charges: list[wit.Charge] = []
        self.grants: list[wit.Grant] = []
        self.timers: list[wit.Timer] = []
        self.steps: list[wit.Step] | None = None
        """Only while explaining."""
        self.trigger = 0
        self.first_charge = 0
        self.assets = list(vocabulary.assets)
        self._codes = list(vocabulary.charges)

    def charge(self, code: str, asset: str, amount: Nanos, quantity: Nanos, why: Why) -> Posted:
        """Posts an amount for a quantity. `why` says for an explanation where it comes from."""
        return self._post(wit.Collect.BALANCE, code, asset, amount, quantity, why)

    def invoice(self, code: str, asset: str, amount: Nanos, quantity: Nanos, why: Why) -> Posted:
        """The same, collected on the statement: for fees, which must not eat the pool that they pay for."""
        return self._post(wit.Collect.INVOICE, code, asset, amount, quantity, why)

    def grant(self, grant: Grant) -> None:
        """Gives value to the wallet."""
        effective = None if grant.effective is None else crossing_out(grant.effective)
        expires = None if grant.expires is None else crossing_out(grant.expires)
        given = wit.Grant(
            trigger=self.trigger,
            asset=index_in(self.assets, grant.asset),
            amount=crossing_out(grant.amount),
            category=wit.Category[grant.category.upper()],
            priority=grant.priority,
            effective=effective,
            expires=expires,
            applies_to=wit.AppliesTo([], []),
            label=grant.label,
        )
        self.grants.append(given)

    def timer(self, key: str, when: int | None) -> None:
        """Asks to be woken with `Due`; a timer with the same key is replaced, and taken away without an instant."""
        at = None if when is None else crossing_out(when)
        self.timers.append(wit.Timer(self.trigger, key, at))

    def _post(
        self, collect: wit.Collect, code: str, asset: str, amount: Nanos, quantity: Nanos, why: Why
    ) -> Posted:
        if amount < 0:
            raise Rejected.unpriceable(f"this plan made a negative charge for {code}")
        code_index, asset_index = index_in(self._codes, code), index_in(self.assets, asset)
        charge = wit.Charge(code_index, asset_index, crossing_out(amount), crossing_out(quantity), collect, False)
        if self.steps is not None:
            place = len(self.charges) - self.first_charge
            self.steps.append(wit.Step(place, "amount", f"{text(amount)} {asset}", why()))
        self.charges.append(charge)
        return Posted(self, charge)


class Plan(Generic[Prepared, State]):
    """A pricing plan: a price list and how to read it. Everything is a pure function of its arguments."""

    name: ClassVar[str]
    version: ClassVar[str]
    summary: ClassVar[str]
    vocabulary: ClassVar[Vocabulary]
    order: ClassVar[Literal["independent", "cumulative", "sequential"]]
    """How the price of an event depends on the events before it."""
    state_version: ClassVar[int] = 0
    """Another one when states are no longer read as they were."""
    parameters_schema: ClassVar[str] = "{}"
    """JSON Schema (2020-12) of the parameters."""

    def parameters(self, root: Place) -> Prepared:
        """Takes the price list apart: what is wrong is said at its place, all of it at once."""
        raise NotImplementedError

    def write(self, prepared: Prepared, to: Writer) -> None:
        """What every later call gets of it: no JSON is parsed where money waits."""
        raise NotImplementedError

    def read(self, source: Reader) -> Prepared:
        """Reads what was written."""
        raise NotImplementedError

    def begin(self) -> State:
        """What it remembers of a subscription that begins."""
        raise NotImplementedError

    def write_state(self, state: State, to: Writer) -> None:
        """What it remembers from now on."""
        raise NotImplementedError

    def read_state(self, source: Reader) -> State:
        """Reads what was written."""
        raise NotImplementedError

    def evaluate(self, prepared: Prepared, usage: Usage, state: State, outcome: Outcome) -> State:
        """What is owed for something that happened; at most owed, where the measures are maximums. The state behind it."""
        raise NotImplementedError

    def transition(self, prepared: Prepared, at: Transition, state: State, outcome: Outcome) -> State:
        """What follows from a change of the subscription: grants, fees, timers. The state behind it."""
        raise NotImplementedError


class StatelessPlan(Plan[Prepared, None]):
    """A plan that remembers nothing: it says what its price list is, and what an event costs."""

    order: ClassVar[Literal["independent", "cumulative", "sequential"]] = "independent"

    def price(self, prepared: Prepared, usage: Usage, outcome: Outcome) -> None:
        """What is owed for something that happened; at most owed, where the measures are maximums."""
        raise NotImplementedError

    def begin(self) -> None:
        """Nothing."""

    def write_state(self, state: None, to: Writer) -> None:
        """Nothing."""

    def read_state(self, source: Reader) -> None:
        """Nothing."""

    def evaluate(self, prepared: Prepared, usage: Usage, state: None, outcome: Outcome) -> None:
        """See `price`."""
        self.price(prepared, usage, outcome)

    def transition(self, prepared: Prepared, at: Transition, state: None, outcome: Outcome) -> None:
        """Nothing follows from a change, unless it is said here."""


def period_of(context: wit.Context) -> Period:
    """The period of a context."""
    return Period(context.period.start, context.period.end, context.period.index)


def index_in(names: list[str], name: str) -> int:
    """Where a name stands in the vocabulary. One that is not there is a defect of the plan, and traps."""
    return names.index(name)


def component(plan: Plan[Prepared, State]) -> type:
    """The plan as its component exports it: `Pricing = component(MyPlan())`."""
    from .session import exported

    return exported(plan)
