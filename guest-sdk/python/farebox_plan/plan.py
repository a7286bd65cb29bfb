"""What a plan author writes."""

from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar, cast

from .change import Transition
from .encoding import Reader, Writer
from .memory import Memory, State, Subject
from .nanos import Nanos
from .outcome import Outcome
from .parameters import Place
from .rejected import CannotMigrate
from .usage import Usage

Prepared = TypeVar("Prepared")


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


class Plan(Generic[Prepared, State, Subject]):
    """A pricing plan: a price list and how to read it. Everything is a pure function of its arguments.

    A plan remembers nothing of subscriptions unless it says how (`begin`, `write_state`, `read_state`), and then `State` is
    `None`; and nothing of conversations or tasks unless it names the attribute that they are named by (`subject_attribute`,
    `write_subject`, `read_subject`).
    """

    name: ClassVar[str]
    version: ClassVar[str]
    summary: ClassVar[str]
    vocabulary: ClassVar[Vocabulary]
    order: ClassVar[Literal["independent", "cumulative", "sequential"]]
    """How the price of an event depends on the events before it."""
    subject_attribute: ClassVar[str | None] = None
    """The attribute that names the conversation or task that the plan follows."""
    state_version: ClassVar[int] = 0
    """Another one when what is remembered is no longer read as it was."""
    wants_cost: ClassVar[bool] = False
    """Whether events say what the provider bills for them."""
    wants_balances: ClassVar[bool] = False
    """Whether it sees balances. Asking costs: such events of one wallet are evaluated one after another."""
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
        return cast(State, None)

    def write_state(self, state: State, to: Writer) -> None:
        """What it remembers from now on."""

    def read_state(self, source: Reader) -> State:
        """Reads what was written."""
        return self.begin()

    def migrate_state(self, version: int, source: Reader) -> State:
        """Reads what an earlier `state_version` wrote. A refusal (`CannotMigrate`) blocks the activation."""
        raise CannotMigrate(f"this version cannot continue subscriptions of state version {version}")

    def write_subject(self, subject: Subject, to: Writer) -> None:
        """What it remembers of a conversation or task."""
        raise NotImplementedError

    def read_subject(self, source: Reader) -> Subject:
        """Reads what was written."""
        raise NotImplementedError

    def migrate_subject(self, version: int, source: Reader) -> Subject:
        """Reads what an earlier `state_version` wrote. A refusal (`CannotMigrate`) blocks the activation."""
        raise CannotMigrate(f"this version cannot continue subjects of state version {version}")

    def evaluate(
        self, prepared: Prepared, usage: Usage, memory: Memory[State, Subject], outcome: Outcome
    ) -> None:
        """What is owed for something that happened; at most owed, where the measures are maximums. Changes `memory`."""
        raise NotImplementedError

    def worst_case(
        self, prepared: Prepared, usage: Usage, memory: Memory[State, Subject], outcome: Outcome
    ) -> None:
        """What is owed at most: no usage within the maximums may cost more. Fits plans in which more is never cheaper."""
        self.evaluate(prepared, usage, memory, outcome)

    def transition(
        self, prepared: Prepared, at: Transition, memory: Memory[State, Subject], outcome: Outcome
    ) -> None:
        """What follows from a change of the subscription: grants, fees, timers. Nothing, unless said."""


def shortfall(minimum: Nanos, used: Nanos) -> Nanos:
    """What is missing up to a minimum; nothing where it is reached."""
    return max(minimum - used, 0)


def component(plan: Plan[Prepared, State, Subject]) -> type:
    """The plan as its component exports it: `Pricing = component(MyPlan())`."""
    from .session import exported

    return exported(plan)
