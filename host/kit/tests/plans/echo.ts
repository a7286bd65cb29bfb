// Says back what it is asked: how attributes and measures come to a plan. The test puts it in the place of the example's plan.

import { definePlan, Rejected, text } from "farebox-plan";

const names = ["first", "second"];

export const pricing = definePlan<null, null>({
  name: "echo",
  version: "1",
  summary: "Says back what it is asked.",
  order: "independent",
  vocabulary: {
    assets: { usd: "US dollars" },
    events: ["one.call", "other.call"],
    measures: ["less", "more"],
    attributes: names,
    charges: { calls: ["Calls", "calls"] },
  },
  parameters: (root) => {
    root.closed();
    return null;
  },
  encode: () => undefined,
  decode: () => null,
  state: { begin: () => null, encode: () => undefined, decode: () => null },
  evaluate(_, usage) {
    const attributes = names.map((name) => usage.attribute(name) ?? "none");
    const measures = ["less", "more"].map((name) => usage.measure(name));
    const amounts = measures.map((amount) => (amount === undefined ? "none" : text(amount)));
    throw Rejected.unpriceable([usage.type, ...attributes, ...amounts].join("|"));
  },
  transition: () => undefined,
});
