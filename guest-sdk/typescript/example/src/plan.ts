// A subscription with a fee for each seat, included credits that roll over, graduated usage and a minimum commitment: the plan
// host/kit/tests/plans/commitment once more, which answers byte for byte the same.
//
// - A **fee** for each seat goes on the statement when a period begins.
// - **Credits** are included with each seat and end with the period. What is left of them rolls over, up to a cap. Where the deal says
//   so, no user has more than so many of those that are included; what rolled over is shared.
// - **Usage** has graduated prices in dollars over the running total of the period. Credits pay first, at a fixed number of them for a
//   dollar; what they do not cover is charged in dollars.
// - The **minimum**: when a period ends, what its usage cost less than the minimum is charged on the statement.

import {
  definePlan,
  Graduated,
  least,
  type Nanos,
  type Outcome,
  type Period,
  type Place,
  Rejected,
  type Remaining,
  Share,
  shortfall,
  text,
  UNIT,
  unused,
} from "farebox-plan";

interface Prepared {
  fee: Nanos;
  credits: Nanos;
  rolloverMax: Nanos;
  /** Most of the included credits that one user can have. */
  userMax: Nanos | undefined;
  creditsPerDollar: number;
  prices: Graduated;
  minimum: Nanos;
  callMax: Nanos;
}

/** Running totals since the last period began that paid a fee. */
interface State {
  /** Index of that period. */
  period: number;
  /** Units used. */
  quantity: Nanos;
  /** What they cost, in dollars. */
  charged: Nanos;
  /** Seats that were paid to the end of that period. */
  paid: number;
}

const beginning = (period: number, paid: number): State => ({ period, quantity: 0n, charged: 0n, paid });

export const pricing = definePlan<Prepared, State>({
  name: "commitment",
  version: "1",
  summary: "Seats with credits, graduated prices and a minimum commitment.",
  order: "cumulative",
  vocabulary: {
    assets: { credits: "Credits", usd: "US dollars" },
    events: ["api.call"],
    measures: ["units"],
    attributes: [],
    charges: {
      seats: ["Seats", "seats"],
      units: ["Units", "units"],
      "minimum-commitment": ["Minimum commitment", "periods"],
    },
  },

  parameters(root) {
    const perDollar = root.field("credits_per_dollar");
    const creditsPerDollar = perDollar.u32();
    if (creditsPerDollar === 0) perDollar.error("expected at least 1, found 0");
    const most = root.field("user_max");
    const userMax = most.isThere() ? most.amount() : undefined;
    if (most.isZero()) most.error("expected more than 0");
    const deal = {
      fee: root.field("fee").amount(),
      credits: root.field("credits").amount(),
      rolloverMax: root.field("rollover_max").amount(),
      minimum: root.field("minimum").amount(),
      callMax: root.field("call_max").amount(),
      userMax,
      creditsPerDollar,
      prices: pricesOf(root),
    };
    root.closed();
    return deal;
  },

  encode(deal, to) {
    for (const amount of [deal.fee, deal.credits, deal.rolloverMax, deal.minimum, deal.callMax]) to.signed(amount);
    to.optional(deal.userMax, (most) => to.signed(most));
    to.u32(deal.creditsPerDollar);
    to.u32(deal.prices.scale);
    to.list(deal.prices.steps, ([from, price]) => {
      to.signed(from);
      to.signed(price);
    });
  },

  decode(from) {
    const amount = (): Nanos => from.signed();
    const [fee, credits, rolloverMax, minimum, callMax] = [amount(), amount(), amount(), amount(), amount()];
    const userMax = from.optional(amount);
    const creditsPerDollar = from.u32();
    const scale = from.u32();
    const prices = Graduated.prepared(
      from.list(() => [from.signed(), from.signed()] as const),
      scale,
    );
    return { fee, credits, rolloverMax, userMax, creditsPerDollar, prices, minimum, callMax };
  },

  state: {
    begin: () => beginning(0, 0),
    encode(state, to) {
      to.u32(state.period);
      to.signed(state.quantity);
      to.signed(state.charged);
      to.u32(state.paid);
    },
    decode: (from) => ({ period: from.u32(), quantity: from.signed(), charged: from.signed(), paid: from.u32() }),
  },

  evaluate(deal, usage, memory, outcome) {
    const units = usage.needed("units");
    if (units > deal.callMax) {
      throw Rejected.outOfRange("units", `expected at most ${text(deal.callMax)}, found ${text(units)}`);
    }
    const { quantity: before, charged } = memory.state;
    const after = before + units;
    const dollars = deal.prices.between(before, after);
    memory.state = { ...memory.state, quantity: after, charged: charged + dollars };
    const credits = dollars * BigInt(deal.creditsPerDollar);
    const why = () => `from ${text(before)} to ${text(after)} units of the period`;
    outcome.charge("units", "credits").amount(credits, units, why).otherwise("usd", dollars);
  },

  transition(deal, { change, period, seats, time }, memory, outcome) {
    const terms = new Terms(deal, period, outcome);
    const rest = period.rest(time);
    const isNewPeriod = memory.state.period !== period.index;
    switch (change.kind) {
      case "started":
        memory.state = beginning(period.index, seats);
        return terms.seats(seats, rest);
      case "renewed":
        terms.settle(memory.state);
        memory.state = beginning(period.index, seats);
        terms.seats(seats, Share.WHOLE);
        return terms.rollOver(change.remaining);
      case "resumed":
        if (!isNewPeriod) return;
        terms.settle(memory.state);
        memory.state = beginning(period.index, seats);
        return terms.seats(seats, rest);
      case "seats-changed":
        if (!change.prorate || isNewPeriod) return;
        return terms.seatsChanged(change.before, change.after, rest, memory);
      case "plan-changed": {
        // A period that begins is paid whole; one that goes on is paid to the plan before.
        const isPaid = change.prorate || time <= period.start;
        const atEnd = isPaid ? Share.WHOLE : Share.NONE;
        memory.state = beginning(period.index, isPaid ? seats : 0);
        terms.seats(seats, change.prorate ? rest : atEnd);
        return terms.rollOver(change.remaining);
      }
      case "cancelled":
        return terms.settle(memory.state);
      case "paused":
      case "due":
      case "reversed":
        return;
    }
  },
});

function pricesOf(root: Place): Graduated {
  const base = root.field("price").rate("unit");
  const steps = root.field("beyond");
  const beyond = steps.isThere() ? steps.items() : [];
  const read = beyond.map((step) => {
    const pair = [step.field("above").amount(), step.field("price").rate("unit")] as const;
    step.closed();
    return pair;
  });
  const prices = Graduated.of(base, read);
  if (typeof prices !== "number") return prices;
  beyond[prices]?.field("above").error("expected more than the threshold before it");
  return Graduated.prepared([[0n, 0n]], 0);
}

/** What the deal says about a period. */
class Terms {
  constructor(
    private readonly deal: Prepared,
    private readonly period: Period,
    private readonly outcome: Outcome,
  ) {}

  /** Fee and credits of so many seats for a share of the period. */
  seats(seats: number, share: Share): void {
    const fee = share.ofEach(this.deal.fee, seats);
    const why = () => "the fee of a seat, for the part of the period that it covers";
    if (fee > 0n) this.outcome.charge("seats", "usd").invoice().amount(fee, BigInt(seats) * UNIT, why);
    this.give("Included credits", share.ofEach(this.deal.credits, seats), 0, this.deal.userMax);
  }

  /** Seats that were left without proration are paid already; of those that go, the ones that nobody paid go first. */
  seatsChanged(before: number, after: number, rest: Share, memory: { state: State }): void {
    const { paid } = memory.state;
    if (after >= before) {
      const more = Math.max(after - Math.max(paid, before), 0);
      memory.state = { ...memory.state, paid: paid + more };
      return this.seats(more, rest);
    }
    const gone = Math.max(before - after - Math.max(before - paid, 0), 0);
    memory.state = { ...memory.state, paid: paid - gone };
    this.giveBack(gone, rest);
  }

  /** The fee of so many seats for a share of the period comes back, to be used. */
  giveBack(seats: number, share: Share): void {
    const amount = share.ofEach(this.deal.fee, seats);
    if (amount > 0n) this.outcome.grant({ category: "promotional", asset: "usd", amount, label: "Unused part of the fee" });
  }

  /** What is left of the credits goes on for another period, up to the cap. It burns first. */
  rollOver(remaining: Remaining[]): void {
    this.give("Rolled-over credits", least(unused(remaining, "credits"), this.deal.rolloverMax), -1);
  }

  /** What the usage behind these totals cost less than the minimum. */
  settle(totals: State): void {
    const { minimum } = this.deal;
    const why = () => `${text(minimum)} less ${text(totals.charged)} for usage`;
    const missing = shortfall(minimum, totals.charged);
    if (missing > 0n) this.outcome.charge("minimum-commitment", "usd").invoice().amount(missing, UNIT, why);
  }

  /** Credits until the end of the period, and so many of them for each user; of nothing there is no grant. */
  private give(label: string, amount: Nanos, priority: number, most?: Nanos): void {
    if (amount <= 0n) return;
    const each = most === undefined ? {} : { each: { attribute: "user", amount: most } };
    this.outcome.grant({ category: "included", asset: "credits", amount, label, priority, expires: this.period.end, ...each });
  }
}
