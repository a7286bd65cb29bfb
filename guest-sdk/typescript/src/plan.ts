// What a plan author writes.

import type { Reader, Writer } from "./bytes";
import type { Transition } from "./change";
import type * as wit from "./contract";
import type { Memory } from "./memory";
import type { Nanos } from "./nanos";
import type { Outcome } from "./outcome";
import type { Place } from "./parameters";
import { explain, evaluate, migrate, prepare, transition } from "./session";
import type { Usage } from "./usage";

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

/** How something that a plan remembers is written and read. */
export interface Remembered<T> {
  encode(value: T, to: Writer): void;
  decode(from: Reader): T;
  /**
   * Brings what an earlier `stateVersion` wrote up to date. A refusal (throw `CannotMigrate`, in words for people) blocks the
   * activation; without this nothing of an earlier version goes on.
   */
  migrate?(version: number, from: Reader): T;
}

/** What is remembered of a subscription, which begins with `begin`. */
export interface RememberedState<State> extends Remembered<State> {
  begin(): State;
}

/** What is remembered of a conversation or task that the plan follows. */
export interface RememberedSubject<Subject> extends Remembered<Subject> {
  /** The attribute that names it. */
  attribute: string;
}

/** A pricing plan: a price list and how to read it. Everything is a pure function of its arguments. */
export interface Plan<Prepared, State = null, Subject = never> {
  name: string;
  version: string;
  summary: string;
  vocabulary: Vocabulary;
  /** How the price of an event depends on the events before it. */
  order: wit.Order;
  /** Version of what is remembered; 0 unless said. */
  stateVersion?: number;
  /** Whether events say what the provider bills for them. */
  wantsCost?: boolean;
  /** Whether it sees balances. Asking costs: such events of one wallet are evaluated one after another. */
  wantsBalances?: boolean;
  /** JSON Schema (2020-12) of the parameters. */
  parametersSchema?: string;
  /** Takes the price list apart: what is wrong is said at its place, all of it at once. */
  parameters(root: Place): Prepared;
  /** What every later call gets: no JSON is parsed where money waits. */
  encode(prepared: Prepared, to: Writer): void;
  decode(from: Reader): Prepared;
  /** What it remembers of a subscription; nothing unless said, and then `State` is `null`. */
  state?: RememberedState<State>;
  /** What it remembers of a conversation or task, for plans that follow one. */
  subject?: RememberedSubject<Subject>;
  /** What is owed for something that happened; at most owed, where the measures are maximums. Changes `memory`. */
  evaluate(prepared: Prepared, usage: Usage, memory: Memory<State, Subject>, outcome: Outcome): void;
  /** What is owed at most, for plans in which more can be cheaper: no usage within the maximums may cost more. */
  worstCase?(prepared: Prepared, usage: Usage, memory: Memory<State, Subject>, outcome: Outcome): void;
  /** What follows from a change of the subscription: grants, fees, timers. Nothing, unless said. */
  transition?(prepared: Prepared, at: Transition, memory: Memory<State, Subject>, outcome: Outcome): void;
}

/** What is missing up to a minimum; nothing where it is reached. */
export function shortfall(minimum: Nanos, used: Nanos): Nanos {
  return used < minimum ? minimum - used : 0n;
}

/** The plan as the component exports it: `export const pricing = definePlan({ ... })`. */
export function definePlan<Prepared, State = null, Subject = never>(
  plan: Plan<Prepared, State, Subject>,
): wit.Pricing {
  return {
    describe: () => describe(plan),
    prepare: (parameters) => prepare(plan, parameters),
    evaluate: (batch) => evaluate(plan, batch),
    transition: (batch, time, change) => transition(plan, batch, time, change),
    explain: (batch) => explain(plan, batch),
    migrate: (version, state) => migrate(plan, version, state),
  };
}

function describe<Prepared, State, Subject>(plan: Plan<Prepared, State, Subject>): wit.Description {
  const { assets, events, measures, attributes, charges } = plan.vocabulary;
  return {
    name: plan.name,
    version: plan.version,
    summary: plan.summary,
    assets: Object.entries(assets).map(([name, label]) => ({ name, label })),
    eventTypes: events,
    measures,
    attributes,
    charges: Object.entries(charges).map(([code, [label, unit]]) => ({ code, label, unit })),
    parametersSchema: plan.parametersSchema ?? "{}",
    subjectAttribute: plan.subject?.attribute ?? null,
    stateVersion: plan.stateVersion ?? 0,
    order: plan.order,
    wantsCost: plan.wantsCost ?? false,
    wantsBalances: plan.wantsBalances ?? false,
  };
}
