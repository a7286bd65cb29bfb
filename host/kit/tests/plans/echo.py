"""Says back what it is asked: how attributes and measures come to a plan."""

from farebox_plan import Outcome, Place, Reader, Rejected, StatelessPlan, Usage, Vocabulary, Writer, component, text

ATTRIBUTES = ["first", "second"]
MEASURES = ["less", "more"]


class Echo(StatelessPlan[None]):
    name = "echo"
    version = "1"
    summary = "Says back what it is asked."
    vocabulary = Vocabulary(
        assets={"usd": "US dollars"},
        events=["one.call", "other.call"],
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

    def price(self, prepared: None, usage: Usage, outcome: Outcome) -> None:
        attributes = [usage.attribute(name) or "none" for name in ATTRIBUTES]
        measures = [usage.measure(name) for name in MEASURES]
        amounts = ["none" if amount is None else text(amount) for amount in measures]
        raise Rejected.unpriceable("|".join([usage.type, *attributes, *amounts]))


Pricing = component(Echo())
