"""Says back what it is asked: how attributes and measures come to a plan, what the provider bills, what the wallet has, and what
an earlier version remembered.
"""

from farebox_plan import (
    UNIT,
    CannotMigrate,
    Due,
    Grant,
    Memory,
    Outcome,
    Place,
    Plan,
    Reader,
    Rejected,
    Transition,
    Usage,
    Vocabulary,
    Writer,
    component,
    text,
)

ATTRIBUTES = ["first", "second"]
MEASURES = ["less", "more"]


class Echo(Plan[None, int, str]):
    name = "echo"
    version = "1"
    summary = "Says back what it is asked."
    order = "independent"
    state_version = 2
    subject_attribute = "first"
    wants_cost = True
    wants_balances = True
    vocabulary = Vocabulary(
        assets={"usd": "US dollars", "credits": "Credits"},
        events=["one.call", "other.call", "paid.call", "small.call"],
        measures=MEASURES,
        attributes=ATTRIBUTES,
        charges={"calls": ("Calls", "calls")},
    )

    def parameters(self, root: Place) -> None:
        root.closed()

    def write(self, prepared: None, to: Writer) -> None:
        pass

    def read(self, source: Reader) -> None:
        pass

    def begin(self) -> int:
        return 0

    def write_state(self, state: int, to: Writer) -> None:
        to.u32(state)

    def read_state(self, source: Reader) -> int:
        return source.u32()

    def migrate_state(self, version: int, source: Reader) -> int:
        # Version 1 counted in pairs.
        if version != 1:
            raise CannotMigrate(f"nobody knows version {version}")
        return source.u32() * 2

    def write_subject(self, subject: str, to: Writer) -> None:
        to.text(subject)

    def read_subject(self, source: Reader) -> str:
        return source.text()

    def migrate_subject(self, version: int, source: Reader) -> str:
        return f"{source.text()}, before"

    def evaluate(self, prepared: None, usage: Usage, memory: Memory[int, str], outcome: Outcome) -> None:
        if usage.type == "small.call":
            price, other = usage.needed("less"), usage.needed("more")
            outcome.charge("calls", "credits").amount(price, UNIT, lambda: "as asked").otherwise("usd", other)
            return
        if usage.type == "paid.call":
            cost = "none" if usage.cost is None else text(usage.cost)
            raise Rejected.unpriceable("|".join([cost, text(usage.balances["usd"]), text(usage.balances["credits"])]))
        attributes = [usage.attribute(name) or "none" for name in ATTRIBUTES]
        measures = [usage.measure(name) for name in MEASURES]
        amounts = ["none" if amount is None else text(amount) for amount in measures]
        raise Rejected.unpriceable("|".join([usage.type, *attributes, *amounts]))

    def transition(self, prepared: None, at: Transition, memory: Memory[int, str], outcome: Outcome) -> None:
        if not isinstance(at.change, Due):
            return
        subject = memory.subject
        grant = Grant(
            category="promotional",
            asset="credits",
            amount=at.balances["usd"] + UNIT,
            label=f"{subject.name or 'nobody'}: {subject.get() or 'new'}",
            priority=-3,
            effective=at.time,
            codes=["calls"],
            attributes={"first": "a", "second": "b"},
            each=("second", UNIT // 4),
        )
        outcome.grant(grant)
        subject.keep("Übrig", at.time + 1)
        memory.state += 7


Pricing = component(Echo())
