"""How the host's columns become an event at a time, and the answers columns."""

from collections.abc import Callable
from typing import Generic

from componentize_py_types import Err, Ok, Result
from wit_world.exports import pricing as wit

from .change import Instant, Transition, balances_of, change_of, period_of
from .encoding import Reader, Writer
from .memory import Followed, Memory, State, Subject
from .nanos import Overflow, crossing_out
from .outcome import Outcome
from .parameters import Mistake, Place
from .plan import Plan, Prepared
from .reading import Unreadable, parse
from .rejected import CannotMigrate, Rejected
from .usage import Usage

SUBSCRIPTION = 1
"""The first byte of a state says whose it is: a subscription's."""
SUBJECT = 2
"""A subject's from before it said which plan made it."""
SUBJECT_OF = 3
"""A subject's, with the tag of its plan behind it: subjects outlive a change of plan."""


def exported(plan: Plan[Prepared, State, Subject]) -> type:
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
            return migrate(plan, from_, state)

    return Pricing


def describe(plan: Plan[Prepared, State, Subject]) -> wit.Description:
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
        subject_attribute=plan.subject_attribute,
        state_version=plan.state_version,
        order=wit.Order[plan.order.upper()],
        wants_cost=plan.wants_cost,
        wants_balances=plan.wants_balances,
    )


def prepare(plan: Plan[Prepared, State, Subject], parameters: str) -> bytes:
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


def migrate(plan: Plan[Prepared, State, Subject], version: int, state: bytes) -> bytes:
    """Brings a state of an earlier version up to date."""
    tag = tag_of(plan.name)
    try:
        if not state:
            return state
        if state[0] == SUBSCRIPTION:
            return state_of(plan, plan.migrate_state(version, Reader(state[1:])))
        if state[0] in (SUBJECT, SUBJECT_OF):
            own = own_of(state, tag)
            return state if own is None else subject_of(plan, plan.migrate_subject(version, Reader(own)), tag)
    except CannotMigrate as refused:
        raise Err(str(refused)) from None
    raise Err("the state was not made by this kind of plan")


class Session(Generic[Prepared, State, Subject]):
    """One batch on its way through a plan."""

    def __init__(self, plan: Plan[Prepared, State, Subject], batch: wit.Batch) -> None:
        self.plan = plan
        self.batch = batch
        self.tag = tag_of(plan.name)
        self.outcome = Outcome(plan.vocabulary)
        self.texts = batch.text.encode()
        self.results: list[Result[wit.Priced, wit.Rejection]] = []
        self.bytes = bytearray()
        self.changes: list[wit.SubjectChange] = []
        self.prepared: dict[tuple[int, int], Prepared] = {}
        # Per context and per subject, the latest bytes of its state: as they came, or as an earlier trigger left them.
        self.states = [batch.bytes[context.state.start : context.state.end] for context in batch.contexts]
        self.subjects = [batch.bytes[subject.state.start : subject.state.end] for subject in batch.subjects]

    def evaluate(self) -> wit.Outcomes:
        """Prices each trigger, in order."""
        for row in range(len(self.batch.triggers)):
            self.usage(row)
        return self.finish()

    def transition(self, time: Instant, change: wit.Change) -> wit.Outcomes:
        """Tells the plan what happened to the subscription."""
        context, words = self.batch.contexts[0], self.plan.vocabulary
        assets, codes = list(words.assets), list(words.charges)
        at = Transition(
            change=change_of(change, assets, codes),
            time=time,
            period=period_of(context),
            seats=context.seats,
            balances=balances_of(self.batch, context, assets),
        )
        subject = 0 if self.batch.subjects else None
        self.answer(0, 0, subject, time, lambda prepared, memory: self.plan.transition(prepared, at, memory, self.outcome))
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
        price = self.plan.worst_case if usage.is_worst_case else self.plan.evaluate
        trigger = self.batch.triggers[row]
        self.answer(
            row,
            trigger.context,
            trigger.subject,
            trigger.time,
            lambda prepared, memory: price(prepared, usage, memory, self.outcome),
        )

    def answer(
        self,
        trigger: int,
        context: int,
        subject: int | None,
        time: Instant,
        ask: Callable[[Prepared, Memory[State, Subject]], None],
    ) -> None:
        """Asks the plan, with the memory that the triggers before left, and takes down its answer."""
        go_back = self.outcome.begin(trigger)
        memory = Memory(self.state(context), self.subject(subject))
        try:
            ask(self.prepare(context), memory)
            if subject is not None:
                self.keep_subject(trigger, subject, memory.subject, time)
            span = self.keep(context, memory.state)
            self.results.append(Ok(wit.Priced(len(self.outcome.charges), span)))
        except (Rejected, Overflow) as refused:
            go_back()
            rejection = refused.rejection if isinstance(refused, Rejected) else wit.Rejection_Overflow()
            self.results.append(Err(rejection))

    def prepare(self, context: int) -> Prepared:
        """The price list of a context, which most contexts of a batch share."""
        span = self.batch.contexts[context].prepared
        place = (span.start, span.end)
        if place not in self.prepared:
            self.prepared[place] = self.plan.read(Reader(self.batch.bytes[span.start : span.end]))
        return self.prepared[place]

    def state(self, context: int) -> State:
        """What is remembered of a subscription."""
        before = self.states[context]
        return self.plan.read_state(Reader(before[1:])) if before else self.plan.begin()

    def subject(self, index: int | None) -> Followed[Subject]:
        """What is remembered of a subject."""
        if index is None:
            return Followed(None, None)
        name = self.batch.subjects[index].name
        own = own_of(self.subjects[index], self.tag)
        state = None if own is None else self.plan.read_subject(Reader(own))
        return Followed(self.texts[name.start : name.end].decode(), state)

    def keep(self, context: int, state: State) -> wit.Span | None:
        """Writes the state if it changed. A new subscription has the beginning before it has bytes.

        A plan that remembers nothing leaves what another revision remembers as it is.
        """
        before, written = self.states[context], state_of(self.plan, state)
        if len(written) == 1 or written == (before or state_of(self.plan, self.plan.begin())):
            return None
        self.states[context] = written
        return self.write(written)

    def keep_subject(self, trigger: int, index: int, subject: Followed[Subject], time: Instant) -> None:
        """Tells the host to keep a subject, or to forget it."""
        if subject.change is None:
            return
        state = subject.get()
        expires = time if subject.change == "forgotten" else crossing_out(subject.change)
        written = b"" if state is None else subject_of(self.plan, state, self.tag)
        self.subjects[index] = written
        span = self.write(written) if written else wit.Span(0, 0)
        self.changes.append(wit.SubjectChange(trigger, span, expires))

    def write(self, written: bytes) -> wit.Span:
        """Appends bytes; where they lie."""
        start = len(self.bytes)
        self.bytes += written
        return wit.Span(start, len(self.bytes))

    def finish(self) -> wit.Outcomes:
        """All answers, as columns."""
        outcome = self.outcome
        return wit.Outcomes(
            results=self.results,
            charges=outcome.charges,
            bytes=bytes(self.bytes),
            give_backs=outcome.give_backs,
            grants=outcome.grants,
            timers=outcome.timers,
            subjects=self.changes,
        )


def state_of(plan: Plan[Prepared, State, Subject], state: State) -> bytes:
    """A subscription's state as bytes."""
    to = Writer()
    to.byte(SUBSCRIPTION)
    plan.write_state(state, to)
    return to.done()


def subject_of(plan: Plan[Prepared, State, Subject], subject: Subject, tag: bytes) -> bytes:
    """A subject's state as bytes."""
    to = Writer()
    for byte in (SUBJECT_OF, *tag):
        to.byte(byte)
    plan.write_subject(subject, to)
    return to.done()


def tag_of(name: str) -> bytes:
    """What tells the states of plans apart: FNV-1a of the plan's own name."""
    tag = 0x811C_9DC5
    for byte in name.encode():
        tag = (tag ^ byte) * 0x0100_0193 & 0xFFFF_FFFF
    return tag.to_bytes(4, "little")


def own_of(state: bytes, tag: bytes) -> bytes | None:
    """A subject's state without what stands before it; none where another plan made it."""
    if state[:1] == bytes([SUBJECT]):
        return state[1:]
    return state[5:] if state[:5] == bytes([SUBJECT_OF]) + tag else None
