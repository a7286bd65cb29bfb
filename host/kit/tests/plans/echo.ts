// Says back what it is asked: how attributes and measures come to a plan, what the provider bills, what the wallet has, and what
// an earlier version remembered. The test puts it in the place of the example's plan.

import { CannotMigrate, definePlan, Rejected, text, UNIT } from "farebox-plan";

const names = ["first", "second"];

export const pricing = definePlan<null, number, string>({
  name: "echo",
  version: "1",
  summary: "Says back what it is asked.",
  order: "independent",
  stateVersion: 2,
  wantsCost: true,
  wantsBalances: true,
  vocabulary: {
    assets: { usd: "US dollars", credits: "Credits" },
    events: ["one.call", "other.call", "paid.call", "small.call"],
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
  state: {
    begin: () => 0,
    encode: (count, to) => to.u32(count),
    decode: (from) => from.u32(),
    // Version 1 counted in pairs.
    migrate(version, from) {
      if (version !== 1) throw new CannotMigrate(`nobody knows version ${version}`);
      return from.u32() * 2;
    },
  },
  subject: {
    attribute: "first",
    encode: (said, to) => to.text(said),
    decode: (from) => from.text(),
    migrate: (_version, from) => `${from.text()}, before`,
  },
  evaluate(_, usage, _memory, outcome) {
    if (usage.type === "small.call") {
      const [price, other] = [usage.needed("less"), usage.needed("more")];
      outcome.charge("calls", "credits").amount(price, UNIT, () => "as asked").otherwise("usd", other);
      return;
    }
    if (usage.type === "paid.call") {
      const cost = usage.cost === undefined ? "none" : text(usage.cost);
      throw Rejected.unpriceable([cost, text(usage.balance("usd")), text(usage.balance("credits"))].join("|"));
    }
    const attributes = names.map((name) => usage.attribute(name) ?? "none");
    const measures = ["less", "more"].map((name) => usage.measure(name));
    const amounts = measures.map((amount) => (amount === undefined ? "none" : text(amount)));
    throw Rejected.unpriceable([usage.type, ...attributes, ...amounts].join("|"));
  },
  transition(_, at, memory, outcome) {
    const { change, time } = at;
    if (change.kind !== "due") return;
    const attributes = { first: "a", second: "b" };
    outcome.grant({
      category: "promotional",
      asset: "credits",
      amount: at.balance("usd") + UNIT,
      label: `${memory.subject.name ?? "nobody"}: ${memory.subject.get() ?? "new"}`,
      priority: -3,
      effective: time,
      codes: ["calls"],
      attributes,
      each: { attribute: "second", amount: UNIT / 4n },
    });
    memory.subject.keep("Übrig", time + 1n);
    memory.state += 7;
  },
});
