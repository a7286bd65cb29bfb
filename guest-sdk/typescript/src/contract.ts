// The contract between a plan and its host, as the language runtime hands it over: see wit/plan.wit, which says what each of these
// means. Plans use what plan.ts makes of it.

/** A 64-bit integer: a double, exact up to 2^53. */
export type S64 = number;

export interface Span {
  start: number;
  end: number;
}

export interface AssetDescription {
  name: string;
  label: string;
}

export interface ChargeDescription {
  code: string;
  label: string;
  unit: string;
}

export type Order = "independent" | "cumulative" | "sequential";

export interface Description {
  name: string;
  version: string;
  summary: string;
  assets: AssetDescription[];
  eventTypes: string[];
  measures: string[];
  attributes: string[];
  charges: ChargeDescription[];
  parametersSchema: string;
  subjectAttribute: string | null;
  stateVersion: number;
  order: Order;
  wantsCost: boolean;
  wantsBalances: boolean;
}

export interface ParameterError {
  pointer: string;
  message: string;
}

export interface Period {
  start: S64;
  end: S64;
  index: number;
}

export interface Context {
  prepared: Span;
  state: Span;
  period: Period;
  seats: number;
  balances: number;
}

export interface Subject {
  name: Span;
  state: Span;
}

export interface Trigger {
  purpose: "usage" | "worst-case";
  eventType: number;
  context: number;
  subject: number | null;
  time: S64;
  cost: S64 | null;
}

export interface Batch {
  bytes: Uint8Array | number[];
  contexts: Context[];
  subjects: Subject[];
  balances: S64[];
  triggers: Trigger[];
  measures: S64[];
  text: string;
  textEnds: number[];
}

export type Rejection =
  | { tag: "invalid-event"; val: { name: string; problem: "missing" | "unknown" | "out-of-range"; message: string } }
  | { tag: "unpriceable"; val: string }
  | { tag: "overflow" }
  | { tag: "not-allowed"; val: string };

export interface Priced {
  chargesEnd: number;
  state: Span | null;
}

export interface Charge {
  code: number;
  asset: number;
  amount: S64;
  quantity: S64;
  collect: "balance" | "invoice";
  otherwise: boolean;
}

export type Category = "paid" | "promotional" | "included";

export interface Grant {
  trigger: number;
  asset: number;
  amount: S64;
  category: Category;
  priority: number;
  effective: S64 | null;
  expires: S64 | null;
  appliesTo: { codes: string[]; attributes: [string, string][] };
  each: { attribute: string; amount: S64 } | null;
  label: string;
}

export interface Timer {
  trigger: number;
  key: string;
  at: S64 | null;
}

export interface EventRef {
  source: string;
  id: string;
}

export interface GiveBack {
  charge: number;
  event: EventRef;
}

export interface SubjectChange {
  trigger: number;
  state: Span;
  expires: S64;
}

export interface Outcomes {
  results: ({ tag: "ok"; val: Priced } | { tag: "err"; val: Rejection })[];
  charges: Charge[];
  bytes: Uint8Array;
  giveBacks: GiveBack[];
  grants: Grant[];
  timers: Timer[];
  subjects: SubjectChange[];
}

export interface RemainingGrant {
  asset: number;
  category: Category;
  label: string;
  granted: S64;
  remaining: S64;
  expires: S64 | null;
}

export interface ReversedCharge {
  code: number;
  asset: number;
  amount: S64;
  quantity: S64;
}

export type Change =
  | { tag: "started" }
  | { tag: "renewed"; val: RemainingGrant[] }
  | { tag: "seats-changed"; val: { before: number; after: number; prorate: boolean } }
  | {
      tag: "plan-changed";
      val: { previousPlan: string; previousSince: S64; remaining: RemainingGrant[]; prorate: boolean };
    }
  | { tag: "paused" }
  | { tag: "resumed" }
  | { tag: "cancelled"; val: RemainingGrant[] }
  | { tag: "due"; val: string }
  | { tag: "reversed"; val: { event: EventRef; time: S64; charges: ReversedCharge[]; amended: boolean } };

export interface Step {
  charge: number | null;
  what: string;
  value: string;
  why: string;
}

/** What a component exports under `farebox:plan/pricing`. Results of functions are returned, or thrown. */
export interface Pricing {
  describe(): Description;
  prepare(parameters: string): Uint8Array;
  evaluate(batch: Batch): Outcomes;
  transition(batch: Batch, time: S64, change: Change): Outcomes;
  explain(batch: Batch): Step[];
  migrate(from: number, state: Uint8Array | number[]): Uint8Array;
}
