// Prices per outcome: what is known of the outcome of one subject, and how that changes.

import type { Reader, Writer } from "./bytes";
import type { EventRef, Instant } from "./change";
import type { Nanos } from "./nanos";

/** How many outcomes of one subject are remembered: the one that stands, and those that objections gave back before. */
const COUNTED_MAX = 4;

/** An outcome that somebody claims: its kind, and the event that it is charged for, if it comes to that. */
export interface Claim {
  kind: string;
  event: EventRef;
}

/** An outcome that was charged. */
export interface Charged extends Claim {
  amount: Nanos;
  /** When it was earned. */
  at: Instant;
  /** The index of the period in which it counts. */
  period: number | undefined;
}

/** An event after which an outcome does not count any more. */
export interface Objection {
  event: EventRef;
  at: Instant;
  /** The index of the period in which what it gave back is counted. */
  period: number;
}

/** An outcome that was charged, and what gave it back, if anything did. */
interface Counted {
  charged: Charged;
  reopened: Objection | undefined;
}

/** What an event had done that is taken back. */
export type TakenBack =
  /** It claimed what waits, and now nothing does. */
  | { kind: "claim" }
  /** This was charged for it, and comes back. */
  | { kind: "charged"; charged: Charged }
  /** This was charged for it, and the objection has given it back already: nothing more comes back. */
  | { kind: "given-back"; charged: Charged; objection: Objection }
  /** It was an objection, and what it gave back is charged again. */
  | { kind: "objection"; objection: Objection; again: Charged[] };

/**
 * Where the outcome of a subject (a conversation, a task) stands; a subject that is new has none. One subject has one outcome at a
 * time: what waits, or what was charged. What an objection gave back is remembered besides, for where the objection itself is taken
 * back: the host charges it again then, and it counts again.
 */
export class Progress {
  private constructor(
    /** It counts unless somebody says otherwise in time. Then nothing else stands. */
    private readonly claim: Claim | undefined,
    /** What was charged, by when it was earned. */
    private readonly counted: readonly Counted[],
  ) {}

  /** The work is done, says an event. Nothing where that changes nothing: the outcome counts already. */
  static claimed(before: Progress | undefined, kind: string, event: EventRef): Progress | undefined {
    return before?.stands ? undefined : new Progress({ kind, event }, before?.counted ?? []);
  }

  /**
   * The outcome is good, says an event, for which it is charged then. `kind` is what that event calls it; what was claimed before,
   * unless it says. Nothing where that changes nothing, or nobody knows what is meant.
   */
  static confirmed(before: Progress | undefined, kind: string | undefined, event: EventRef): Claim | undefined {
    const known = kind ?? before?.claim?.kind;
    return known === undefined || before?.stands ? undefined : { kind: known, event };
  }

  /** The outcome counts, and is charged. Of many that objections gave back before, the first one is forgotten. */
  static earned(before: Progress | undefined, charged: Charged): Progress {
    const counted = before?.counted ?? [];
    return new Progress(undefined, count(counted.slice(counted.length >= COUNTED_MAX ? 1 : 0), charged));
  }

  /** Nobody said otherwise in time: what was claimed counts, for the event that claimed it. */
  get kept(): Claim | undefined {
    return this.claim;
  }

  /**
   * What is charged for it: what an objection gives back. More than one where the outcome counted again, and then the objection
   * before was taken back.
   */
  get charged(): Charged[] {
    return this.counted.filter(stands).map(({ charged }) => charged);
  }

  /** Somebody objects: nothing waits, and what was charged is given back. */
  objected(objection: Objection): Progress {
    const reopen = (counted: Counted) => (stands(counted) ? { ...counted, reopened: objection } : counted);
    return new Progress(undefined, this.counted.map(reopen));
  }

  /**
   * An event is taken back: what it had done, and where the outcome stands without it, if anything is left to remember. Nothing
   * where it had done nothing.
   */
  without(event: EventRef): [left: Progress | undefined, taken: TakenBack] | undefined {
    if (this.claim !== undefined && isSame(this.claim.event, event)) {
      return [Progress.left(undefined, this.counted), { kind: "claim" }];
    }
    const gone = this.counted.find(({ charged }) => isSame(charged.event, event));
    if (gone !== undefined) {
      const { charged, reopened: objection } = gone;
      const taken: TakenBack =
        objection === undefined ? { kind: "charged", charged } : { kind: "given-back", charged, objection };
      const others = this.counted.filter((counted) => counted !== gone);
      return [Progress.left(this.claim, others), taken];
    }
    const by = this.counted.filter(({ reopened }) => reopened !== undefined && isSame(reopened.event, event));
    const objection = by.at(-1)?.reopened;
    if (objection === undefined) return undefined;
    const stand = this.counted.map((counted) => (by.includes(counted) ? { ...counted, reopened: undefined } : counted));
    // What waits would count a second time.
    return [Progress.left(undefined, stand), { kind: "objection", objection, again: by.map(({ charged }) => charged) }];
  }

  /**
   * Without what does not matter any more. `matters` is asked with the time at which an outcome was charged, or given back. Nothing
   * where nothing is left.
   */
  remembered(matters: (changed: Instant) => boolean): Progress | undefined {
    const matter = this.counted.filter((counted) => matters(changed(counted)));
    return Progress.left(this.claim, matter);
  }

  /** When the last thing happened to what was charged, if anything was. */
  get changed(): Instant | undefined {
    return this.counted.map(changed).reduce<Instant | undefined>(later, undefined);
  }

  /** Writes it: the form of `Progress` of the Rust SDK. */
  static encode(progress: Progress, to: Writer): void {
    const last = progress.claim === undefined ? [...progress.counted].reverse().find(stands) : undefined;
    const others = progress.counted.filter((counted) => counted !== last);
    if (last !== undefined) {
      to.u32(1);
      writeCharged(last.charged, to);
    } else {
      to.u32(0);
      writeClaim(progress.claim ?? { kind: "", event: lastObjection(others) }, to);
    }
    to.optional(others.length > 0 ? others : undefined, (others) => {
      to.list(others, (counted) => {
        writeCharged(counted.charged, to);
        to.optional(counted.reopened, (objection) => {
          writeEvent(objection.event, to);
          to.signed(objection.at);
          to.u32(objection.period);
        });
      });
    });
  }

  /** Reads what was written. */
  static decode(from: Reader): Progress {
    const isEarned = from.u32() === 1;
    const claim = isEarned ? undefined : readClaim(from);
    const last = isEarned ? readCharged(from) : undefined;
    const others = added(from, () =>
      from.list(() => ({
        charged: readCharged(from),
        reopened: from.optional(() => ({ event: readEvent(from), at: from.signed(), period: from.u32() })),
      })),
    );
    const counted = last === undefined ? (others ?? []) : count(others ?? [], last);
    return new Progress(claim?.kind === "" ? undefined : claim, counted);
  }

  /** Nothing where nothing is left to remember. */
  private static left(claim: Claim | undefined, counted: readonly Counted[]): Progress | undefined {
    return claim === undefined && counted.length === 0 ? undefined : new Progress(claim, counted);
  }

  private get stands(): boolean {
    return this.counted.some(stands);
  }
}

function stands({ reopened }: Counted): boolean {
  return reopened === undefined;
}

/** When the last thing happened to it. */
function changed({ charged, reopened }: Counted): Instant {
  return reopened === undefined || reopened.at < charged.at ? charged.at : reopened.at;
}

function later(a: Instant | undefined, b: Instant): Instant {
  return a === undefined || a < b ? b : a;
}

/** Puts an outcome behind those that were earned before it, or at the same time. */
function count(counted: readonly Counted[], charged: Charged): Counted[] {
  const behind = counted.findIndex((other) => other.charged.at > charged.at);
  const index = behind < 0 ? counted.length : behind;
  return [...counted.slice(0, index), { charged, reopened: undefined }, ...counted.slice(index)];
}

function isSame(a: EventRef, b: EventRef): boolean {
  return a.source === b.source && a.id === b.id;
}

/** What is read where nothing waits and nothing stands. */
function lastObjection(counted: readonly Counted[]): EventRef {
  let last: Objection | undefined;
  for (const { reopened } of counted) {
    if (reopened !== undefined && (last === undefined || reopened.at >= last.at)) last = reopened;
  }
  return last?.event ?? { source: "", id: "" };
}

function writeEvent({ source, id }: EventRef, to: Writer): void {
  to.text(source);
  to.text(id);
}

function readEvent(from: Reader): EventRef {
  return { source: from.text(), id: from.text() };
}

function writeClaim({ kind, event }: Claim, to: Writer): void {
  to.text(kind);
  writeEvent(event, to);
}

function readClaim(from: Reader): Claim {
  return { kind: from.text(), event: readEvent(from) };
}

function writeCharged(charged: Charged, to: Writer): void {
  writeClaim(charged, to);
  to.signed(charged.amount);
  to.signed(charged.at);
  to.optional(charged.period, (period) => to.u32(period));
}

function readCharged(from: Reader): Charged {
  const claim = readClaim(from);
  return { ...claim, amount: from.signed(), at: from.signed(), period: added(from, () => from.u32()) };
}

/** Something that a later version added at the end: absent in a state from before. */
function added<T>(from: Reader, read: () => T): T | undefined {
  return from.isAtEnd ? undefined : from.optional(read);
}
