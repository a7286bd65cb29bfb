// What a plan answers: charges, grants, timers, and, on demand, how it got there.

import type { EventRef, Instant } from "./change";
import type * as wit from "./contract";
import { indexIn } from "./lists";
import { crossingOut, type Nanos, type Rate, text } from "./nanos";
import type { Vocabulary } from "./plan";
import { Rejected } from "./rejected";

/** Value for the wallet. */
export interface Grant {
  category: wit.Category;
  asset: string;
  amount: Nanos;
  /** What a person reads: "Monthly credits". */
  label: string;
  /** Low burns first; 0 unless said. */
  priority?: number;
  /** At once unless said. */
  effective?: Instant;
  /** For good unless said. */
  expires?: Instant;
  /** Only for charges with one of these codes. */
  codes?: string[];
  /** Only for events that carry all of these attributes with these values. */
  attributes?: Record<string, string>;
  /**
   * In portions: each value of this attribute (`user`) has so much of it, from the first event on that needs it, and nothing else of
   * the grant. Of the grants of a subscription with the same label, asset and end, a value has one portion.
   */
  each?: { attribute: string; amount: Nanos };
}

/** Collects the answer to one event or change. A rejected event leaves nothing behind. */
export class Outcome {
  readonly charges: wit.Charge[] = [];
  readonly giveBacks: wit.GiveBack[] = [];
  readonly grants: wit.Grant[] = [];
  readonly timers: wit.Timer[] = [];
  /** Only while explaining. */
  steps: wit.Step[] | undefined;
  private trigger = 0;
  private firstCharge = 0;
  private readonly assets: string[];
  private readonly codes: string[];

  constructor(vocabulary: Vocabulary) {
    this.assets = Object.keys(vocabulary.assets);
    this.codes = Object.keys(vocabulary.charges);
  }

  /** Turns to the next trigger; what takes back all that is collected from here on. */
  begin(trigger: number): () => void {
    this.trigger = trigger;
    this.firstCharge = this.charges.length;
    const lists = [this.charges, this.giveBacks, this.grants, this.timers];
    const marks = lists.map((list) => [list, list.length] as const);
    return () => {
      for (const [list, length] of marks) list.length = length;
    };
  }

  /** Begins a line of the statement. */
  charge(code: string, asset: string): Charge {
    return new Charge(this, code, asset, undefined);
  }

  /**
   * Begins a line that gives back what an earlier event was charged under this code in this asset, and never more than is left
   * of it: else the whole answer is not posted. Its amount and quantity are written positive and posted negative. Only an answer
   * to an event can give back, in at most 8 lines; an answer about a worst case is held without them.
   */
  giveBack(code: string, asset: string, event: EventRef): Charge {
    return new Charge(this, code, asset, event);
  }

  /** Gives value to the wallet. */
  grant(grant: Grant): void {
    this.grants.push({
      trigger: this.trigger,
      asset: indexIn(this.assets, grant.asset),
      amount: crossingOut(grant.amount),
      category: grant.category,
      priority: grant.priority ?? 0,
      effective: grant.effective === undefined ? null : crossingOut(grant.effective),
      expires: grant.expires === undefined ? null : crossingOut(grant.expires),
      appliesTo: { codes: grant.codes ?? [], attributes: Object.entries(grant.attributes ?? {}) },
      each: grant.each === undefined ? null : { attribute: grant.each.attribute, amount: crossingOut(grant.each.amount) },
      label: grant.label,
    });
  }

  /**
   * Asks to be woken with `due`. A timer with the same key is replaced. Each subject has timers of its own; what is charged when
   * one of them goes off belongs to the event that set it, and comes back with it.
   */
  timer(key: string, when: Instant): void {
    this.timers.push({ trigger: this.trigger, key, at: crossingOut(when) });
  }

  /** Takes a timer away. */
  cancelTimer(key: string): void {
    this.timers.push({ trigger: this.trigger, key, at: null });
  }

  /** Says something about the event as a whole: what was found, its value, and why. The words are only asked for on demand. */
  explain(what: string, words: () => [value: string, why: string]): void {
    this.step(null, what, words);
  }

  /** Says something about a charge. */
  step(charge: number | null, what: string, words: () => [value: string, why: string]): void {
    if (this.steps === undefined) return;
    const [value, why] = words();
    this.steps.push({ charge, what, value, why });
  }

  /** Posts a charge, and tells its place in this answer. */
  post(charge: wit.Charge): number {
    return this.charges.push(charge) - 1 - this.firstCharge;
  }

  /** Says which event the next charge gives back of. */
  givesBack(event: EventRef): void {
    this.giveBacks.push({ charge: this.charges.length, event });
  }

  /** Where an asset stands in the vocabulary. */
  asset(name: string): number {
    return indexIn(this.assets, name);
  }

  /** Where a code stands in the vocabulary. */
  code(name: string): number {
    return indexIn(this.codes, name);
  }
}

/** A line of the statement that has no amount yet. It is posted by giving it one. */
export class Charge {
  private collect: "balance" | "invoice" = "balance";

  constructor(
    private readonly outcome: Outcome,
    private readonly code: string,
    private readonly asset: string,
    private readonly givesBack: EventRef | undefined,
  ) {}

  /** Collected on the statement instead of from the wallet: for fees, which must not eat the pool that they pay for. */
  invoice(): this {
    this.collect = "invoice";
    return this;
  }

  /** Posts `quantity` at `rate`, rounded once. `why` names the rate for an explanation: "claude-opus-5, in a batch". */
  at(rate: Rate, quantity: Nanos, why: () => string): Posted {
    const amount = rate.price(quantity);
    const how = rate.isExactForWholeUnits ? "quantity x rate" : "quantity x rate, rounded once, half to even";
    return this.post(amount, quantity)
      .explain("quantity", () => [text(quantity), "as the event says"])
      .explain("rate", () => [rate.said(this.asset), why()])
      .explain("amount", () => [`${text(amount)} ${this.asset}`, how]);
  }

  /** Posts an amount for a quantity. `why` says for an explanation where the amount comes from. */
  amount(amount: Nanos, quantity: Nanos, why: () => string): Posted {
    return this.post(amount, quantity).explain("amount", () => [`${text(amount)} ${this.asset}`, why()]);
  }

  private post(amount: Nanos, quantity: Nanos): Posted {
    const { outcome } = this;
    if (amount < 0n) throw Rejected.unpriceable(`this plan made a negative charge for ${this.code}`);
    const sign = this.givesBack === undefined ? 1n : -1n;
    const charge: wit.Charge = {
      code: outcome.code(this.code),
      asset: outcome.asset(this.asset),
      amount: crossingOut(sign * amount),
      quantity: crossingOut(sign * quantity),
      collect: this.collect,
      otherwise: false,
    };
    if (this.givesBack !== undefined) outcome.givesBack(this.givesBack);
    return new Posted(outcome, charge, outcome.post(charge));
  }
}

/** A charge that was posted, for what can follow it. */
export class Posted {
  constructor(
    private readonly outcome: Outcome,
    private readonly charge: wit.Charge,
    private readonly index: number,
  ) {}

  /**
   * What the **whole** charge would cost in another asset. The part that the assets before cannot cover is charged there, in exact
   * proportion: "from the pool first, then on demand". At most 4 prices in all.
   *
   * An amount that was rounded to nothing counts as the smallest there is, 10^-9, so that nothing goes beyond the pool for free. Of a
   * charge of nothing, nothing is left for another asset.
   */
  otherwise(asset: string, amount: Nanos): Posted {
    return this.link(asset, amount, this.charge.collect);
  }

  /** The same, where the rest is collected on the statement. */
  otherwiseInvoice(asset: string, amount: Nanos): Posted {
    return this.link(asset, amount, "invoice");
  }

  /** Says something more about this charge, while somebody wants an explanation. */
  explain(what: string, words: () => [value: string, why: string]): Posted {
    this.outcome.step(this.index, what, words);
    return this;
  }

  private link(asset: string, amount: Nanos, collect: "balance" | "invoice"): Posted {
    const { outcome, charge } = this;
    if (amount < 0n || charge.amount < 0n) {
      throw Rejected.unpriceable(`this plan gave a negative charge another price, in ${asset}`);
    }
    const index = outcome.asset(asset);
    if (charge.amount > 0n) {
      outcome.post({ ...charge, asset: index, amount: crossingOut(amount > 0n ? amount : 1n), collect, otherwise: true });
    }
    return this;
  }
}
