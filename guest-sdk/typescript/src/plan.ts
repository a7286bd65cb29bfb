// What a plan author writes, and how the host's columns become an event at a time.

import { Reader, Writer } from "./bytes";
import type * as wit from "./contract";
import { parse } from "./json";
import { crossedIn, crossingOut, type Nanos, Overflow, Share, text } from "./nanos";
import { Place } from "./parameters";

/** How a measure that the event does not carry crosses: no valid amount. */
const ABSENT = -(2 ** 63);

/** The first byte of the state of a subscription says whose it is. */
const SUBSCRIPTION = 1;

/** Why an event has no price. Throw it: refusing is an answer like any other. */
export class Rejected extends Error {
  constructor(readonly rejection: wit.Rejection) {
    super(rejection.tag);
  }

  /** A field is needed and absent. */
  static missing(name: string, message: string): Rejected {
    return new Rejected({ tag: "invalid-event", val: { name, problem: "missing", message } });
  }

  /** A field has a value that this plan does not know. */
  static unknown(name: string, message: string): Rejected {
    return new Rejected({ tag: "invalid-event", val: { name, problem: "unknown", message } });
  }

  /** A field is outside the range that makes sense. */
  static outOfRange(name: string, message: string): Rejected {
    return new Rejected({ tag: "invalid-event", val: { name, problem: "out-of-range", message } });
  }

  /** Nothing in the parameters prices it. Other parameters may. */
  static unpriceable(message: string): Rejected {
    return new Rejected({ tag: "unpriceable", val: message });
  }

  /** The subscription's state does not allow it. */
  static notAllowed(message: string): Rejected {
    return new Rejected({ tag: "not-allowed", val: message });
  }
}

/** What a plan is and what it reads; names of assets, events, measures, attributes and charges are its vocabulary. */
export interface Vocabulary {
  /** Names with labels: `{ usd: "US dollars" }`. */
  assets: Record<string, string>;
  events: string[];
  measures: string[];
  attributes: string[];
  /** Codes with a label and a unit: `{ seats: ["Seats", "seats"] }`. */
  charges: Record<string, [label: string, unit: string]>;
}

/** A period of a subscription, in microseconds since 1970. */
export class Period {
  constructor(
    readonly start: bigint,
    readonly end: bigint,
    readonly index: number,
  ) {}

  /** How much of it is left at an instant, exactly: all before its start, nothing at its end. */
  rest(at: bigint): Share {
    return Share.of(this.end - (at > this.start ? at : this.start), this.end - this.start);
  }
}

/** What is left of a grant of the subscription. */
export interface Remaining {
  asset: string;
  category: wit.Category;
  label: string;
  granted: Nanos;
  remaining: Nanos;
}

/** What happened to a subscription besides usage. `prorate`: from now on, and not from the next period on. */
export type Change =
  | { kind: "started" | "paused" | "resumed" }
  | { kind: "renewed" | "cancelled"; remaining: Remaining[] }
  | { kind: "seats-changed"; before: number; after: number; prorate: boolean }
  | { kind: "plan-changed"; previousPlan: string; remaining: Remaining[]; prorate: boolean }
  | { kind: "due"; key: string };

/** Value for the wallet. */
export interface Grant {
  category: wit.Category;
  asset: string;
  amount: Nanos;
  /** What a person reads: "Monthly credits". */
  label: string;
  /** Low burns first; 0 unless said. */
  priority?: number;
  effective?: bigint;
  expires?: bigint;
}

/** A pricing plan: a price list and how to read it. Everything is a pure function of its arguments. */
export interface Plan<Prepared, State> {
  name: string;
  version: string;
  summary: string;
  vocabulary: Vocabulary;
  order: wit.Order;
  /** Version of the state; 0 unless said. */
  stateVersion?: number;
  /** JSON Schema (2020-12) of the parameters. */
  parametersSchema?: string;
  /** Takes the price list apart: what is wrong is said at its place, all of it at once. */
  parameters(root: Place): Prepared;
  /** What every later call gets: no JSON is parsed where money waits. */
  encode(prepared: Prepared, to: Writer): void;
  decode(from: Reader): Prepared;
  /** What it remembers of a subscription, which begins with `begin`. */
  state: { begin(): State; encode(state: State, to: Writer): void; decode(from: Reader): State };
  /** What is owed for something that happened; at most owed, where the measures are maximums. Changes `memory`. */
  evaluate(prepared: Prepared, usage: Usage, memory: { state: State }, outcome: Outcome): void;
  /** What follows from a change of the subscription: grants, fees, timers. */
  transition(prepared: Prepared, at: Transition, memory: { state: State }, outcome: Outcome): void;
}

/** An event, as a plan reads it. */
export class Usage {
  constructor(
    private readonly vocabulary: Vocabulary,
    private readonly batch: wit.Batch,
    private readonly texts: Texts,
    private readonly row: number,
  ) {}

  private get trigger(): wit.Trigger {
    return at(this.batch.triggers, this.row);
  }

  /** Whether it may happen, so that the measures are maximums. */
  get isWorstCase(): boolean {
    return this.trigger.purpose === "worst-case";
  }

  /** Its type. */
  get type(): string {
    return at(this.vocabulary.events, this.trigger.eventType);
  }

  /** When it happened. */
  get time(): bigint {
    return crossedIn(this.trigger.time);
  }

  /** The period that it belongs to. */
  get period(): Period {
    return periodOf(at(this.batch.contexts, this.trigger.context));
  }

  /** How many seats the subscription has. */
  get seats(): number {
    return at(this.batch.contexts, this.trigger.context).seats;
  }

  /** A measure as it came, if it came. Absent and zero are different things: absent is unknown. */
  measure(name: string): Nanos | undefined {
    const { measures } = this.vocabulary;
    const value = at(this.batch.measures, this.row * measures.length + indexIn(measures, name));
    return value === ABSENT ? undefined : crossedIn(value);
  }

  /** A measure that cannot be negative and without which there is no price. */
  needed(name: string): Nanos {
    const value = this.measure(name);
    if (value === undefined) throw Rejected.missing(name, "this plan prices by it; 0 says that there was none");
    if (value < 0n) throw Rejected.outOfRange(name, `expected 0 or more, found ${text(value)}`);
    return value;
  }

  /** A text of the event, if it came and says anything. */
  attribute(name: string): string | undefined {
    const { attributes } = this.vocabulary;
    const index = this.row * attributes.length + indexIn(attributes, name);
    const start = index === 0 ? 0 : at(this.batch.textEnds, index - 1);
    return this.texts.slice(start, at(this.batch.textEnds, index)) || undefined;
  }
}

/** A change of one subscription, with everything around it. */
export interface Transition {
  change: Change;
  time: bigint;
  period: Period;
  /** How many seats the subscription has, after the change. */
  seats: number;
}

/** Collects the answer to one event or change. A rejected event leaves nothing behind. */
export class Outcome {
  readonly charges: wit.Charge[] = [];
  readonly grants: wit.Grant[] = [];
  readonly timers: wit.Timer[] = [];
  /** Only while explaining. */
  steps: wit.Step[] | undefined;
  trigger = 0;
  firstCharge = 0;
  private readonly assets: string[];
  private readonly codes: string[];

  constructor(vocabulary: Vocabulary) {
    this.assets = Object.keys(vocabulary.assets);
    this.codes = Object.keys(vocabulary.charges);
  }

  /** Posts an amount for a quantity. `why` says for an explanation where it comes from. */
  charge(code: string, asset: string, amount: Nanos, quantity: Nanos, why: () => string): Posted {
    return this.post("balance", code, asset, amount, quantity, why);
  }

  /** The same, collected on the statement: for fees, which must not eat the pool that they pay for. */
  invoice(code: string, asset: string, amount: Nanos, quantity: Nanos, why: () => string): Posted {
    return this.post("invoice", code, asset, amount, quantity, why);
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
      appliesTo: { codes: [], attributes: [] },
      label: grant.label,
    });
  }

  /** Asks to be woken with `due`; a timer with the same key is replaced, and taken away without an instant. */
  timer(key: string, when: bigint | undefined): void {
    this.timers.push({ trigger: this.trigger, key, at: when === undefined ? null : crossingOut(when) });
  }

  private post(
    collect: "balance" | "invoice",
    code: string,
    asset: string,
    amount: Nanos,
    quantity: Nanos,
    why: () => string,
  ): Posted {
    if (amount < 0n) throw Rejected.unpriceable(`this plan made a negative charge for ${code}`);
    const charge: wit.Charge = {
      code: indexIn(this.codes, code),
      asset: indexIn(this.assets, asset),
      amount: crossingOut(amount),
      quantity: crossingOut(quantity),
      collect,
      otherwise: false,
    };
    this.steps?.push({
      charge: this.charges.length - this.firstCharge,
      what: "amount",
      value: `${text(amount)} ${asset}`,
      why: why(),
    });
    this.charges.push(charge);
    return new Posted(this, charge, this.assets);
  }
}

/** A charge that was posted, for what can follow it. */
export class Posted {
  constructor(
    private readonly outcome: Outcome,
    private readonly charge: wit.Charge,
    private readonly assets: string[],
  ) {}

  /** What the **whole** charge would cost in another asset: the part that those before cannot cover is charged there. */
  otherwise(asset: string, amount: Nanos): Posted {
    const link = { asset: indexIn(this.assets, asset), amount: crossingOut(amount), otherwise: true };
    this.outcome.charges.push({ ...this.charge, ...link });
    return this;
  }
}

/** The plan as the component exports it: `export const pricing = definePlan({ ... })`. */
export function definePlan<Prepared, State>(plan: Plan<Prepared, State>): wit.Pricing {
  return {
    describe: () => ({
      name: plan.name,
      version: plan.version,
      summary: plan.summary,
      assets: Object.entries(plan.vocabulary.assets).map(([name, label]) => ({ name, label })),
      eventTypes: plan.vocabulary.events,
      measures: plan.vocabulary.measures,
      attributes: plan.vocabulary.attributes,
      charges: Object.entries(plan.vocabulary.charges).map(([code, [label, unit]]) => ({ code, label, unit })),
      parametersSchema: plan.parametersSchema ?? "{}",
      subjectAttribute: null,
      stateVersion: plan.stateVersion ?? 0,
      order: plan.order,
      wantsCost: false,
      wantsBalances: false,
    }),
    prepare(parameters) {
      const value = parse(parameters);
      const wrong: wit.ParameterError[] = [];
      if (value !== null && typeof value === "object" && "pointer" in value) throw [value];
      const prepared = plan.parameters(new Place(value, "", wrong));
      if (wrong.length > 0) throw wrong;
      const to = new Writer();
      plan.encode(prepared, to);
      return to.done();
    },
    evaluate: (batch) => new Session(plan, batch).evaluate(),
    transition: (batch, time, change) => new Session(plan, batch).transition(time, change),
    explain: (batch) => new Session(plan, batch).explain(),
    migrate(from) {
      throw `this version cannot continue subscriptions of state version ${from}`;
    },
  };
}

/** One batch on its way through a plan. */
class Session<Prepared, State> {
  private readonly outcome: Outcome;
  private readonly results: wit.Outcomes["results"] = [];
  private readonly bytes: number[] = [];
  private readonly texts: Texts;
  private readonly prepared = new Map<string, Prepared>();
  /** Per context, the latest bytes of its state: as they came, or as an earlier trigger left them. */
  private readonly states: ArrayLike<number>[];

  constructor(
    private readonly plan: Plan<Prepared, State>,
    private readonly batch: wit.Batch,
  ) {
    this.outcome = new Outcome(plan.vocabulary);
    this.texts = new Texts(batch.text);
    this.states = batch.contexts.map((context) => batch.bytes.slice(context.state.start, context.state.end));
  }

  evaluate(): wit.Outcomes {
    this.batch.triggers.forEach((trigger, row) => this.usage(trigger, row));
    return this.finish();
  }

  transition(time: wit.S64, change: wit.Change): wit.Outcomes {
    const context = at(this.batch.contexts, 0);
    this.answer(0, 0, (prepared, memory) => {
      const transition: Transition = {
        change: changeOf(change, Object.keys(this.plan.vocabulary.assets)),
        time: crossedIn(time),
        period: periodOf(context),
        seats: context.seats,
      };
      this.plan.transition(prepared, transition, memory, this.outcome);
    });
    return this.finish();
  }

  explain(): wit.Step[] {
    this.outcome.steps = [];
    this.usage(at(this.batch.triggers, 0), 0);
    const result = at(this.results, 0);
    if (result.tag === "err") throw result.val;
    return this.outcome.steps;
  }

  private usage(trigger: wit.Trigger, row: number): void {
    const usage = new Usage(this.plan.vocabulary, this.batch, this.texts, row);
    this.answer(row, trigger.context, (prepared, memory) => {
      this.plan.evaluate(prepared, usage, memory, this.outcome);
    });
  }

  /** Asks the plan, with the memory that the triggers before left, and takes down its answer. */
  private answer(trigger: number, context: number, ask: (prepared: Prepared, memory: { state: State }) => void): void {
    const { outcome, plan } = this;
    const marks = [outcome.charges, outcome.grants, outcome.timers].map((list) => [list, list.length] as const);
    outcome.trigger = trigger;
    outcome.firstCharge = outcome.charges.length;
    const before = at(this.states, context);
    const state = before.length === 0 ? plan.state.begin() : plan.state.decode(new Reader(tail(before)));
    const memory = { state };
    try {
      ask(this.prepare(at(this.batch.contexts, context).prepared), memory);
      const span = this.keep(context, before, memory.state);
      this.results.push({ tag: "ok", val: { chargesEnd: outcome.charges.length, state: span } });
    } catch (error) {
      for (const [list, length] of marks) list.length = length;
      this.results.push({ tag: "err", val: rejectionOf(error) });
    }
  }

  private prepare(span: wit.Span): Prepared {
    const key = `${span.start}-${span.end}`;
    const known = this.prepared.get(key);
    if (known !== undefined) return known;
    const prepared = this.plan.decode(new Reader(this.batch.bytes.slice(span.start, span.end)));
    this.prepared.set(key, prepared);
    return prepared;
  }

  /**
   * Writes the state if it changed. A new subscription has the beginning before it has bytes. A plan that remembers nothing
   * leaves what another revision remembers as it is.
   */
  private keep(context: number, before: ArrayLike<number>, state: State): wit.Span | null {
    const written = this.written(state);
    if (written.length === 1) return null;
    if (same(before.length === 0 ? this.written(this.plan.state.begin()) : before, written)) return null;
    const start = this.bytes.length;
    for (const byte of written) this.bytes.push(byte);
    this.states[context] = written;
    return { start, end: this.bytes.length };
  }

  private written(state: State): Uint8Array {
    const to = new Writer();
    to.byte(SUBSCRIPTION);
    this.plan.state.encode(state, to);
    return to.done();
  }

  private finish(): wit.Outcomes {
    const { charges, grants, timers } = this.outcome;
    const bytes = Uint8Array.from(this.bytes);
    return { results: this.results, charges, bytes, giveBacks: [], grants, timers, subjects: [] };
  }
}

/** The texts of a batch, whose places are counted in bytes of UTF-8. */
class Texts {
  /** Where each byte is in the text, where bytes and units differ. */
  private readonly places: number[] | undefined;

  constructor(private readonly text: string) {
    // eslint-disable-next-line no-control-regex
    if (/^[\u0000-\u007f]*$/.test(text)) return;
    this.places = [];
    let unit = 0;
    for (const character of text) {
      const code = character.codePointAt(0) ?? 0;
      const bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
      for (let byte = 0; byte < bytes; byte += 1) this.places.push(unit);
      unit += character.length;
    }
    this.places.push(unit);
  }

  slice(start: number, end: number): string {
    const { places } = this;
    return places === undefined ? this.text.slice(start, end) : this.text.slice(places[start], places[end]);
  }
}

function rejectionOf(error: unknown): wit.Rejection {
  if (error instanceof Rejected) return error.rejection;
  if (error instanceof Overflow) return { tag: "overflow" };
  throw error; // a defect of the plan, which traps
}

/** Grants in assets that the plan does not describe are none of its business and are left out. */
function remainingOf(grants: wit.RemainingGrant[], assets: string[]): Remaining[] {
  return grants.flatMap(({ asset, category, label, granted, remaining }) => {
    const name = assets[asset];
    return name === undefined
      ? []
      : [
          {
            asset: name,
            category,
            label,
            // Looked at by need: what a plan does not ask for must not be what it fails for.
            get granted() {
              return crossedIn(granted);
            },
            get remaining() {
              return crossedIn(remaining);
            },
          },
        ];
  });
}

function changeOf(change: wit.Change, assets: string[]): Change {
  switch (change.tag) {
    case "started":
    case "paused":
    case "resumed":
      return { kind: change.tag };
    case "renewed":
    case "cancelled":
      return { kind: change.tag, remaining: remainingOf(change.val, assets) };
    case "seats-changed":
      return { kind: change.tag, ...change.val };
    case "plan-changed": {
      const { previousPlan, remaining, prorate } = change.val;
      return { kind: change.tag, previousPlan, remaining: remainingOf(remaining, assets), prorate };
    }
    case "due":
      return { kind: change.tag, key: change.val };
    case "reversed":
      throw new Error("this plan follows no subjects");
  }
}

function periodOf(context: wit.Context): Period {
  const { start, end, index } = context.period;
  return new Period(crossedIn(start), crossedIn(end), index);
}

function at<T>(list: ArrayLike<T>, index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`the batch has no item ${index}`);
  return item;
}

function indexIn(names: string[], name: string): number {
  const index = names.indexOf(name);
  if (index < 0) throw new Error(`the vocabulary of this plan has no ${name}`);
  return index;
}

function tail(bytes: ArrayLike<number>): number[] {
  return Array.from(bytes).slice(1);
}

function same(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a.length === b.length && Array.from(a).every((byte, index) => byte === b[index]);
}
