// How the host's columns become an event at a time, and the answers columns.

import { Reader, utf8, Writer } from "./bytes";
import { changeOf, Transition } from "./change";
import type * as wit from "./contract";
import { parse } from "./json";
import { at, same, Texts } from "./lists";
import { Followed, type Memory } from "./memory";
import { crossedIn, crossingOut } from "./nanos";
import { Outcome } from "./outcome";
import { Place } from "./parameters";
import type { Plan, Remembered } from "./plan";
import { CannotMigrate, rejectionOf } from "./rejected";
import { Usage } from "./usage";

/** The first byte of a state says whose it is: a subscription's. */
const SUBSCRIPTION = 1;
/** A subject's from before it said which plan made it. */
const SUBJECT = 2;
/** A subject's, with the tag of its plan behind it: subjects outlive a change of plan. */
const SUBJECT_OF = 3;

/** The parameters, checked and compact. Mistakes are thrown, all of them. */
export function prepare<P, S, T>(plan: Plan<P, S, T>, parameters: string): Uint8Array {
  const value = parse(parameters);
  const wrong: wit.ParameterError[] = [];
  if (value !== null && typeof value === "object" && "pointer" in value) throw [value];
  const prepared = plan.parameters(new Place(value, "", wrong));
  if (wrong.length > 0) throw wrong;
  const to = new Writer();
  plan.encode(prepared, to);
  return to.done();
}

/** Prices each trigger, in order. */
export function evaluate<P, S, T>(plan: Plan<P, S, T>, batch: wit.Batch): wit.Outcomes {
  const session = new Session(plan, batch);
  batch.triggers.forEach((trigger, row) => session.usage(trigger, row));
  return session.finish();
}

/** Tells the plan what happened to the subscription. */
export function transition<P, S, T>(
  plan: Plan<P, S, T>,
  batch: wit.Batch,
  time: wit.S64,
  change: wit.Change,
): wit.Outcomes {
  const session = new Session(plan, batch);
  session.change(time, change);
  return session.finish();
}

/** Prices one trigger, and says how. */
export function explain<P, S, T>(plan: Plan<P, S, T>, batch: wit.Batch): wit.Step[] {
  const session = new Session(plan, batch);
  session.outcome.steps = [];
  session.usage(at(batch.triggers, 0), 0);
  const result = at(session.finish().results, 0);
  if (result.tag === "err") throw result.val;
  return session.outcome.steps;
}

/** Brings a state of an earlier version up to date. */
export function migrate<P, S, T>(plan: Plan<P, S, T>, version: number, state: ArrayLike<number>): Uint8Array {
  const bytes = Array.from(state);
  if (bytes.length === 0) return Uint8Array.of();
  const to = new Writer();
  if (bytes[0] === SUBSCRIPTION) {
    to.byte(SUBSCRIPTION);
    carryOver(plan.state, "subscriptions", version, bytes.slice(1), to);
    return to.done();
  }
  if (bytes[0] !== SUBJECT && bytes[0] !== SUBJECT_OF) throw "the state was not made by this kind of plan";
  const tag = tagOf(plan.name);
  const own = ownOf(bytes, tag);
  if (own === undefined) return Uint8Array.from(bytes);
  for (const byte of [SUBJECT_OF, ...tag]) to.byte(byte);
  carryOver(plan.subject, "subjects", version, own, to);
  return to.done();
}

function carryOver<T>(
  remembered: Remembered<T> | undefined,
  what: string,
  version: number,
  state: number[],
  to: Writer,
): void {
  if (remembered?.migrate === undefined) {
    throw `this version cannot continue ${what} of state version ${version}`;
  }
  try {
    remembered.encode(remembered.migrate(version, new Reader(state)), to);
  } catch (error) {
    throw error instanceof CannotMigrate ? error.message : error;
  }
}

/** One batch on its way through a plan. */
class Session<Prepared, State, Subject> {
  readonly outcome: Outcome;
  private readonly results: wit.Outcomes["results"] = [];
  private readonly bytes: number[] = [];
  private readonly changes: wit.SubjectChange[] = [];
  private readonly texts: Texts;
  private readonly tag: number[];
  private readonly prepared = new Map<string, Prepared>();
  /** Per context and per subject, the latest bytes of its state: as they came, or as an earlier trigger left them. */
  private readonly states: ArrayLike<number>[];
  private readonly subjects: ArrayLike<number>[];

  constructor(
    private readonly plan: Plan<Prepared, State, Subject>,
    private readonly batch: wit.Batch,
  ) {
    const slice = ({ start, end }: wit.Span) => batch.bytes.slice(start, end);
    this.outcome = new Outcome(plan.vocabulary);
    this.texts = new Texts(batch.text);
    this.tag = tagOf(plan.name);
    this.states = batch.contexts.map((context) => slice(context.state));
    this.subjects = batch.subjects.map((subject) => slice(subject.state));
  }

  usage(trigger: wit.Trigger, row: number): void {
    const { plan, outcome } = this;
    const usage = new Usage(plan.vocabulary, this.batch, this.texts, row);
    const price = usage.isWorstCase && plan.worstCase !== undefined ? "worstCase" : "evaluate";
    this.answer(row, trigger.context, trigger.subject, trigger.time, (prepared, memory) => {
      plan[price]?.(prepared, usage, memory, outcome);
    });
  }

  change(time: wit.S64, change: wit.Change): void {
    const { plan, batch } = this;
    const [assets, codes] = [Object.keys(plan.vocabulary.assets), Object.keys(plan.vocabulary.charges)];
    const subject = batch.subjects.length > 0 ? 0 : null;
    this.answer(0, 0, subject, time, (prepared, memory) => {
      const told = changeOf(change, assets, codes);
      const transition = new Transition(told, crossedIn(time), assets, at(batch.contexts, 0), batch.balances);
      plan.transition?.(prepared, transition, memory, this.outcome);
    });
  }

  finish(): wit.Outcomes {
    const { charges, giveBacks, grants, timers } = this.outcome;
    const bytes = Uint8Array.from(this.bytes);
    return { results: this.results, charges, bytes, giveBacks, grants, timers, subjects: this.changes };
  }

  /** Asks the plan, with the memory that the triggers before left, and takes down its answer. */
  private answer(
    trigger: number,
    context: number,
    subject: number | null,
    time: wit.S64,
    ask: (prepared: Prepared, memory: Memory<State, Subject>) => void,
  ): void {
    const { outcome } = this;
    const goBack = outcome.begin(trigger);
    const memory = { state: this.state(context), subject: this.subject(subject) };
    try {
      ask(this.prepare(at(this.batch.contexts, context).prepared), memory);
      const until = expiry(memory.subject, time);
      if (subject !== null && until !== undefined) this.keepSubject(trigger, subject, memory.subject, until);
      const state = this.keepState(context, memory.state);
      this.results.push({ tag: "ok", val: { chargesEnd: outcome.charges.length, state } });
    } catch (error) {
      goBack();
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

  private state(context: number): State {
    const { state } = this.plan;
    if (state === undefined) return null as State; // the type that a plan without states has
    const bytes = at(this.states, context);
    return bytes.length === 0 ? state.begin() : state.decode(new Reader(Array.from(bytes).slice(1)));
  }

  private subject(index: number | null): Followed<Subject> {
    if (index === null) return new Followed<Subject>(undefined, undefined);
    const { name } = at(this.batch.subjects, index);
    const own = ownOf(Array.from(at(this.subjects, index)), this.tag);
    const state = own === undefined ? undefined : this.plan.subject?.decode(new Reader(own));
    return new Followed(this.texts.slice(name.start, name.end), state);
  }

  /** Writes the state if it changed. A new subscription has the beginning before it has bytes. */
  private keepState(context: number, state: State): wit.Span | null {
    const { state: remembered } = this.plan;
    if (remembered === undefined) return null; // and what another revision remembers stays as it is
    const written = (state: State) => {
      const to = new Writer();
      to.byte(SUBSCRIPTION);
      remembered.encode(state, to);
      return to.done();
    };
    const [before, after] = [at(this.states, context), written(state)];
    if (same(before.length === 0 ? written(remembered.begin()) : before, after)) return null;
    this.states[context] = after;
    return this.write(after);
  }

  private keepSubject(trigger: number, index: number, subject: Followed<Subject>, expires: wit.S64): void {
    const to = new Writer();
    const state = subject.get();
    if (state !== undefined) {
      for (const byte of [SUBJECT_OF, ...this.tag]) to.byte(byte);
      this.plan.subject?.encode(state, to);
    }
    const written = to.done();
    this.subjects[index] = written;
    this.changes.push({ trigger, state: state === undefined ? { start: 0, end: 0 } : this.write(written), expires });
  }

  /** Appends bytes; where they lie. */
  private write(bytes: ArrayLike<number>): wit.Span {
    const start = this.bytes.length;
    for (const byte of Array.from(bytes)) this.bytes.push(byte);
    return { start, end: this.bytes.length };
  }
}

/** Until when the host is to keep a subject, if it is to be told; one that is forgotten at `time`. */
function expiry<Subject>({ change }: Followed<Subject>, time: wit.S64): wit.S64 | undefined {
  if (change === undefined) return undefined;
  return change === "forgotten" ? time : crossingOut(change.until);
}

/** What tells the states of plans apart: FNV-1a of the plan's own name. */
function tagOf(name: string): number[] {
  let hash = 0x811c_9dc5;
  for (const byte of utf8(name)) hash = Math.imul(hash ^ byte, 0x0100_0193) >>> 0;
  return [hash & 0xff, (hash >>> 8) & 0xff, (hash >>> 16) & 0xff, hash >>> 24];
}

/** A subject's state without what stands before it; nothing where another plan made it. */
function ownOf(bytes: number[], tag: number[]): number[] | undefined {
  if (bytes[0] === SUBJECT) return bytes.slice(1);
  if (bytes[0] !== SUBJECT_OF || !same(bytes.slice(1, 5), tag)) return undefined;
  return bytes.slice(5);
}
