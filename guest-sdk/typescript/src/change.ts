// What happens to a subscription besides usage.

import type * as wit from "./contract";
import { at, indexIn } from "./lists";
import { crossedIn, type Nanos, Share } from "./nanos";

/** Microseconds since 1970-01-01T00:00:00Z. */
export type Instant = bigint;

const SECOND: Instant = 1_000_000n;
const TIME_MAX: Instant = 2n ** 63n - 1n;

/** So many seconds later, at most at the end of time. */
export function plusSeconds(instant: Instant, seconds: number): Instant {
  const later = instant + BigInt(seconds) * SECOND;
  return later < TIME_MAX ? later : TIME_MAX;
}

/** So many times 24 hours later, at most at the end of time. */
export function plusDays(instant: Instant, days: number): Instant {
  return plusSeconds(instant, days * 86_400);
}

/** A period of a subscription. */
export class Period {
  constructor(
    readonly start: Instant,
    /** Exclusive. */
    readonly end: Instant,
    /** 0 for the one in which the subscription started. */
    readonly index: number,
  ) {}

  /** How much of it is left at an instant, exactly: all before its start, nothing at its end. */
  rest(at: Instant): Share {
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
  /** Until when it is good; for good where there is none. */
  expires: Instant | undefined;
}

/** An earlier event of the same customer. */
export type EventRef = wit.EventRef;

/** What an event had been charged. */
export interface ReversedCharge {
  code: string;
  asset: string;
  amount: Nanos;
  quantity: Nanos;
}

/** What happened to a subscription besides usage. `prorate`: from now on, and not from the next period on. */
export type Change =
  | { kind: "started" | "paused" | "resumed" }
  | { kind: "renewed" | "cancelled"; remaining: Remaining[] }
  | { kind: "seats-changed"; before: number; after: number; prorate: boolean }
  | { kind: "plan-changed"; previousPlan: string; previousSince: Instant; remaining: Remaining[]; prorate: boolean }
  | { kind: "due"; key: string }
  /** An event of the subject was taken back: the host reverses its charges, this is for the subject's state. */
  | { kind: "reversed"; event: EventRef; time: Instant; charges: ReversedCharge[]; amended: boolean };

/** What is left of the included value in one asset: what may roll over, by a grant of its own. */
export function unused(remaining: readonly Remaining[], asset: string): Nanos {
  const included = remaining.filter((grant) => grant.asset === asset && grant.category === "included");
  return included.reduce((sum, grant) => sum + grant.remaining, 0n);
}

/** A change of one subscription, with everything around it. */
export class Transition {
  constructor(
    readonly change: Change,
    /** When it happened. */
    readonly time: Instant,
    private readonly assets: readonly string[],
    private readonly context: wit.Context,
    private readonly balances: readonly wit.S64[],
  ) {}

  /** The period that it falls into. */
  get period(): Period {
    return periodOf(this.context);
  }

  /** How many seats the subscription has, after the change. */
  get seats(): number {
    return this.context.seats;
  }

  /** What the wallet can still spend of an asset, for plans that want balances. */
  balance(asset: string): Nanos {
    return balanceOf(this.balances, this.context, this.assets, asset);
  }
}

/** What the wallet can still spend of an asset. */
export function balanceOf(
  balances: readonly wit.S64[],
  context: wit.Context,
  assets: readonly string[],
  asset: string,
): Nanos {
  return crossedIn(at(balances, context.balances + indexIn(assets, asset)));
}

/** The period of a context. */
export function periodOf(context: wit.Context): Period {
  const { start, end, index } = context.period;
  return new Period(crossedIn(start), crossedIn(end), index);
}

/** A change as plans read it. */
export function changeOf(change: wit.Change, assets: readonly string[], codes: readonly string[]): Change {
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
      const { previousPlan, previousSince, remaining, prorate } = change.val;
      const left = remainingOf(remaining, assets);
      return { kind: change.tag, previousPlan, previousSince: crossedIn(previousSince), remaining: left, prorate };
    }
    case "due":
      return { kind: change.tag, key: change.val };
    case "reversed": {
      const { event, time, charges, amended } = change.val;
      return { kind: change.tag, event, time: crossedIn(time), charges: reversedOf(charges, assets, codes), amended };
    }
  }
}

/** Grants in assets that the plan does not describe are none of its business and are left out. */
function remainingOf(grants: readonly wit.RemainingGrant[], assets: readonly string[]): Remaining[] {
  return grants.flatMap((grant) => {
    const asset = assets[grant.asset];
    return asset === undefined ? [] : [new Left(asset, grant)];
  });
}

/** Numbers are looked at by need: what a plan does not ask for must not be what it fails for. */
class Left implements Remaining {
  constructor(
    readonly asset: string,
    private readonly grant: wit.RemainingGrant,
  ) {}

  get category(): wit.Category {
    return this.grant.category;
  }

  get label(): string {
    return this.grant.label;
  }

  get granted(): Nanos {
    return crossedIn(this.grant.granted);
  }

  get remaining(): Nanos {
    return crossedIn(this.grant.remaining);
  }

  get expires(): Instant | undefined {
    return this.grant.expires === null ? undefined : crossedIn(this.grant.expires);
  }
}

function reversedOf(
  charges: readonly wit.ReversedCharge[],
  assets: readonly string[],
  codes: readonly string[],
): ReversedCharge[] {
  return charges.flatMap((charge) => {
    const [code, asset] = [codes[charge.code], assets[charge.asset]];
    return code === undefined || asset === undefined ? [] : [new Back(code, asset, charge)];
  });
}

class Back implements ReversedCharge {
  constructor(
    readonly code: string,
    readonly asset: string,
    private readonly charge: wit.ReversedCharge,
  ) {}

  get amount(): Nanos {
    return crossedIn(this.charge.amount);
  }

  get quantity(): Nanos {
    return crossedIn(this.charge.quantity);
  }
}
