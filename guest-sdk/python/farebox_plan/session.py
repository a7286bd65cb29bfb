"""How the host's columns become an event at a time, and the answers columns."""

from collections.abc import Callable
from typing import Generic

from componentize_py_types import Err, Ok, Result
from wit_world.exports import pricing as wit

from .encoding import Reader, Writer
from .nanos import Overflow
from .parameters import Mistake, Place
from .plan import (
    Cancelled,
    Category,
    Change,
    Due,
    Outcome,
    Paused,
    Plan,
    PlanChanged,
    Prepared,
    Rejected,
    Remaining,
    Renewed,
    Resumed,
    SeatsChanged,
    Started,
    State,
    Transition,
    Usage,
    period_of,
)
from .reading import Unreadable, parse

CATEGORIES: dict[wit.Category, Category] = {
    wit.Category.PAID: "paid",
    wit.Category.PROMOTIONAL: "promotional",
    wit.Category.INCLUDED: "included",
}

SUBSCRIPTION = 1
"""The first byte of the state of a subscription says whose it is."""


def exported(plan: Plan[Prepared, State]) -> type:
    """The class that the component makes its exports of."""

    class Pricing:
        def describe(self) -> wit.Description:
            return describe(plan)

        def prepare(self, parameters: str) -> bytes:
            return prepare(plan, parameters)

        def evaluate(self, batch: wit.Batch) -> wit.Outcomes:
            return Session(plan, batch).evaluate()

        def transition(self, batch: wit.Batch, time: int, change: wit.Change) -> wit.Outcomes:
            return Session(plan, batch).transition(time, change)

        def explain(self, batch: wit.Batch) -> list[wit.Step]:
            return Session(plan, batch).explain()

        def migrate(self, from_: int, state: bytes) -> bytes:
            raise Err(f"this version cannot continue subscriptions of state version {from_}")

    return Pricing


def describe(plan: Plan[Prepared, State]) -> wit.Description:
    """What the plan is, and its vocabulary."""
    words = plan.vocabulary
    charges = words.charges.items()
    return wit.Description(
        name=plan.name,
        version=plan.version,
        summary=plan.summary,
        assets=[wit.AssetDescription(name, label) for name, label in words.assets.items()],
        event_types=words.events,
        measures=words.measures,
        attributes=words.attributes,
        charges=[wit.ChargeDescription(code, label, unit) for code, (label, unit) in charges],
        parameters_schema=plan.parameters_schema,
        subject_attribute=None,
        state_version=plan.state_version,
        order=wit.Order[plan.order.upper()],
        wants_cost=False,
        wants_balances=False,
    )


def prepare(plan: Plan[Prepared, State], parameters: str) -> bytes:
    """The price list, taken apart."""
    mistakes: list[Mistake] = []
    try:
        prepared = plan.parameters(Place(parse(parameters), "", mistakes))
    except Unreadable as unreadable:
        raise Err([wit.ParameterError("", str(unreadable))]) from None
    if mistakes:
        raise Err([wit.ParameterError(pointer, message) for pointer, message in mistakes])
    to = Writer()
    plan.write(prepared, to)
    return to.done()


class Session(Generic[Prepared, State]):
    """One batch on its way through a plan."""

    def __init__(self, plan: Plan[Prepared, State], batch: wit.Batch) -> None:
        self.plan = plan
        self.batch = batch
        self.outcome = Outcome(plan.vocabulary)
        self.texts = batch.text.encode()
        self.results: list[Result[wit.Priced, wit.Rejection]] = []
        self.bytes = bytearray()
        self.prepared: dict[tuple[int, int], Prepared] = {}
        # Per context, the latest bytes of its state: as they came, or as an earlier trigger left them.
        self.states = [batch.bytes[context.state.start : context.state.end] for context in batch.contexts]

    def evaluate(self) -> wit.Outcomes:
        """Prices each trigger, in order."""
        for row in range(len(self.batch.triggers)):
            self.usage(row)
        return self.finish()

    def transition(self, time: int, change: wit.Change) -> wit.Outcomes:
        """Tells the plan what happened to the subscription."""
        context = self.batch.contexts[0]
        assets = list(self.plan.vocabulary.assets)
        at = Transition(change_of(change, assets), time, period_of(context), context.seats)
        self.answer(0, 0, lambda prepared, state: self.plan.transition(prepared, at, state, self.outcome))
        return self.finish()

    def explain(self) -> list[wit.Step]:
        """Prices one trigger, and says how."""
        steps: list[wit.Step] = []
        self.outcome.steps = steps
        self.usage(0)
        result = self.results[0]
        if isinstance(result, Err):
            raise result
        return steps

    def usage(self, row: int) -> None:
        """Prices a trigger."""
        usage = Usage(self.plan.vocabulary, self.batch, self.texts, row)
        context = self.batch.triggers[row].context
        self.answer(row, context, lambda prepared, state: self.plan.evaluate(prepared, usage, state, self.outcome))

    def answer(self, trigger: int, context: int, ask: Callable[[Prepared, State], State]) -> None:
        """Asks the plan, with the memory that the triggers before left, and takes down its answer."""
        outcome = self.outcome
        marks = [(said, len(said)) for said in (outcome.charges, outcome.grants, outcome.timers)]
        outcome.trigger = trigger
        outcome.first_charge = len(outcome.charges)
        before = self.states[context]
        state = self.plan.read_state(Reader(before[1:])) if before else self.plan.begin()
        try:
            state = ask(self.prepare(context), state)
            span = self.keep(context, before, state)
            self.results.append(Ok(wit.Priced(len(outcome.charges), span)))
        except (Rejected, Overflow) as refused:
            for said, length in marks:
                del said[length:]
            rejection = refused.rejection if isinstance(refused, Rejected) else wit.Rejection_Overflow()
            self.results.append(Err(rejection))

    def prepare(self, context: int) -> Prepared:
        """The price list of a context, which most contexts of a batch share."""
        span = self.batch.contexts[context].prepared
        place = (span.start, span.end)
        if place not in self.prepared:
            self.prepared[place] = self.plan.read(Reader(self.batch.bytes[span.start : span.end]))
        return self.prepared[place]

    def keep(self, context: int, before: bytes, state: State) -> wit.Span | None:
        """Writes the state if it changed. A new subscription has the beginning before it has bytes.

        A plan that remembers nothing leaves what another revision remembers as it is.
        """
        written = self.written(state)
        if len(written) == 1 or written == (before or self.written(self.plan.begin())):
            return None
        start = len(self.bytes)
        self.bytes += written
        self.states[context] = written
        return wit.Span(start, len(self.bytes))

    def written(self, state: State) -> bytes:
        """A state as bytes."""
        to = Writer()
        to.byte(SUBSCRIPTION)
        self.plan.write_state(state, to)
        return to.done()

    def finish(self) -> wit.Outcomes:
        """All answers, as columns."""
        outcome = self.outcome
        return wit.Outcomes(
            results=self.results,
            charges=outcome.charges,
            bytes=bytes(self.bytes),
            give_backs=[],
            grants=outcome.grants,
            timers=outcome.timers,
            subjects=[],
        )


def change_of(change: wit.Change, assets: list[str]) -> Change:
    """A change as plans read it."""
    match change:
        case wit.Change_Started():
            return Started()
        case wit.Change_Renewed(grants):
            return Renewed(remaining_of(grants, assets))
        case wit.Change_SeatsChanged(seats):
            return SeatsChanged(seats.before, seats.after, seats.prorate)
        case wit.Change_PlanChanged(plan):
            return PlanChanged(plan.previous_plan, remaining_of(plan.remaining, assets), plan.prorate)
        case wit.Change_Paused():
            return Paused()
        case wit.Change_Resumed():
            return Resumed()
        case wit.Change_Cancelled(grants):
            return Cancelled(remaining_of(grants, assets))
        case wit.Change_Due(key):
            return Due(key)
        case _:
            raise AssertionError("this plan follows no subjects")


def remaining_of(grants: list[wit.RemainingGrant], assets: list[str]) -> list[Remaining]:
    """Grants in assets that the plan does not describe are none of its business and are left out."""
    return [
        Remaining(assets[grant.asset], CATEGORIES[grant.category], grant.label, grant.granted, grant.remaining)
        for grant in grants
        if grant.asset < len(assets)
    ]
