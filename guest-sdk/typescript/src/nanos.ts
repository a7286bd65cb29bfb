// Exact amounts: whole numbers of 10^-9 units, as bigint. Nothing here is a float.

import type { Reader, Writer } from "./bytes";

/** A whole number of 10^-9 units of an asset or a measure: 1.5 credits is 1_500_000_000n. */
export type Nanos = bigint;

/** One whole unit. */
export const UNIT: Nanos = 1_000_000_000n;

/** Most decimals of the price of one unit. */
const RATE_DECIMALS_MAX = 18;
/** Most digits, before and behind the point together, that a decimal in parameters may have. */
const DECIMAL_DIGITS_MAX = 18;

/**
 * The largest number that crosses between host and plan, in 10^-9: 9,007,199.254740991 units. The language runtime hands 64-bit
 * integers over as doubles, which are exact up to 2^53; what is larger is refused as an overflow, and never rounded.
 */
export const CROSSING_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** An amount is too large. */
export class Overflow extends Error {
  constructor() {
    super("an amount is too large");
  }
}

/** What crossed from the host, exactly, or an overflow. */
export function crossedIn(value: number | bigint): bigint {
  if (typeof value === "bigint") return value;
  if (!Number.isSafeInteger(value)) throw new Overflow();
  return BigInt(value);
}

/** What crosses to the host, exactly, or an overflow. */
export function crossingOut(value: bigint): number {
  if (value > CROSSING_MAX || value < -CROSSING_MAX) throw new Overflow();
  return Number(value);
}

/** An amount as a person reads it: `19.9`. */
export function text(amount: Nanos): string {
  const [sign, magnitude] = amount < 0n ? ["-", -amount] : ["", amount];
  const whole = magnitude / UNIT;
  const fraction = (magnitude % UNIT).toString().padStart(9, "0").replace(/0+$/, "");
  return fraction === "" ? `${sign}${whole}` : `${sign}${whole}.${fraction}`;
}

/** `amount * numerator / denominator`, rounded once, half to even. The denominator is more than zero. */
export function multiplyDivide(amount: bigint, numerator: bigint, denominator: bigint): bigint {
  const product = amount * numerator;
  let floor = product / denominator;
  let remainder = product % denominator;
  if (remainder < 0n) {
    floor -= 1n;
    remainder += denominator;
  }
  const twice = remainder * 2n;
  const up = twice > denominator || (twice === denominator && floor % 2n !== 0n);
  return up ? floor + 1n : floor;
}

/** The smaller of two. */
export function least(a: Nanos, b: Nanos): Nanos {
  return a < b ? a : b;
}

/** A decimal number of a price list, exactly as it was written: `mantissa * 10^-scale`. */
export class Decimal {
  private constructor(
    readonly mantissa: bigint,
    readonly scale: number,
  ) {}

  /** Reads `"0.30"`; a message where it is none. */
  static read(text: string): Decimal | string {
    const found = /^(-?)([0-9]+)(?:\.([0-9]+))?$/.exec(text);
    if (found === null) return `${JSON.stringify(text)} is not a decimal number such as "0.30"`;
    const fraction = (found[3] ?? "").replace(/0+$/, "");
    const whole = found[2] ?? "";
    if (whole.length + fraction.length > DECIMAL_DIGITS_MAX) {
      return `${JSON.stringify(text)} has more than ${DECIMAL_DIGITS_MAX} digits`;
    }
    const magnitude = BigInt(whole + fraction);
    return new Decimal(found[1] === "-" ? -magnitude : magnitude, fraction.length);
  }

  /** As an amount of 10^-9 units; a message where it has more decimals than that. */
  amount(): Nanos | string {
    if (this.scale > 9) return `${this} has more than 9 decimals`;
    return this.mantissa * 10n ** BigInt(9 - this.scale);
  }

  toString(): string {
    const [sign, magnitude] = this.mantissa < 0n ? ["-", -this.mantissa] : ["", this.mantissa];
    const digits = magnitude.toString().padStart(this.scale + 1, "0");
    const whole = digits.slice(0, digits.length - this.scale);
    return this.scale === 0 ? `${sign}${digits}` : `${sign}${whole}.${digits.slice(-this.scale)}`;
  }
}

/** A price that changes for what comes beyond each threshold: "the first 1,000 at 0.10, the rest at 0.08". */
export class Graduated {
  /** Where each step begins, and the price of a unit in it in 10^-scale; the first begins at 0. */
  private constructor(
    readonly steps: ReadonlyArray<readonly [from: Nanos, price: bigint]>,
    readonly scale: number,
  ) {}

  /** `base` from the first unit on, and other prices beyond their thresholds; the index of one that does not rise. */
  static of(base: Rate, beyond: ReadonlyArray<readonly [Nanos, Rate]>): Graduated | number {
    const all = [[0n, base] as const, ...beyond];
    const scale = Math.max(...all.map(([, price]) => price.scale));
    const wrong = all.findIndex(([from], index) => index > 0 && from <= (all[index - 1]?.[0] ?? 0n));
    if (wrong > 0) return wrong - 1;
    const steps = all.map(([from, price]) => [from, price.mantissa * 10n ** BigInt(scale - price.scale)] as const);
    return new Graduated(steps, scale);
  }

  /** What was prepared before. */
  static prepared(steps: ReadonlyArray<readonly [Nanos, bigint]>, scale: number): Graduated {
    return new Graduated(steps, scale);
  }

  /** What a total of units costs, rounded once. */
  price(total: Nanos): Nanos {
    let exact = 0n;
    this.steps.forEach(([from, price], index) => {
      const until = least(total, this.steps[index + 1]?.[0] ?? total);
      if (until > from) exact += (until - from) * price;
    });
    return multiplyDivide(exact, 1n, 10n ** BigInt(this.scale));
  }

  /** What the units from `before` to `after` of a running total cost: many small events come to what one large one costs. */
  between(before: Nanos, after: Nanos): Nanos {
    return this.price(after) - this.price(before);
  }
}

/** How many units a price of the price list is for, as a power of ten. */
const PER = { unit: 0, thousand: 3, million: 6 } as const;

/** The exact price of one unit: nothing is rounded until it meets a quantity, and there once, half to even. */
export class Rate {
  /** Costs nothing. */
  static readonly FREE = new Rate(0n, 0);

  private constructor(
    /** The price of one unit is `mantissa * 10^-scale`. */
    readonly mantissa: bigint,
    readonly scale: number,
  ) {}

  /** `price` for so many units; a message where that is less than nothing, or too precise. */
  static of(price: Decimal, per: keyof typeof PER): Rate | string {
    if (price.mantissa < 0n) return `expected 0 or more, found ${price}`;
    const scale = price.scale + PER[per];
    if (scale <= RATE_DECIMALS_MAX) return new Rate(price.mantissa, scale);
    return `the price of one unit must have at most ${RATE_DECIMALS_MAX} decimals and 18 digits`;
  }

  /** What `quantity` costs. */
  price(quantity: Nanos): Nanos {
    return multiplyDivide(quantity, this.mantissa, 10n ** BigInt(this.scale));
  }

  /** Whether whole units always come to a whole number of 10^-9, so that no amount of them is ever rounded. */
  get isExactForWholeUnits(): boolean {
    return this.scale <= 9;
  }

  /** The price as a person says it: "3.75 usd per million". Nobody says "0.00000375 usd each". */
  said(asset: string): string {
    const one = this.decimal(0);
    const decimals = one.split(".")[1] ?? "";
    return decimals.length > 4 ? `${this.decimal(6)} ${asset} per million` : `${one} ${asset} each`;
  }

  /** The price of 10^places units, without trailing zeros. */
  private decimal(places: number): string {
    const digits = (this.mantissa * 10n ** BigInt(Math.max(places - this.scale, 0))).toString();
    const scale = Math.max(this.scale - places, 0);
    if (scale === 0) return digits;
    const padded = digits.padStart(scale + 1, "0");
    const fraction = padded.slice(-scale).replace(/0+$/, "");
    const whole = padded.slice(0, -scale);
    return fraction === "" ? whole : `${whole}.${fraction}`;
  }

  /** Writes it into prepared parameters. */
  encode(to: Writer): void {
    to.signed(this.mantissa);
    to.u32(this.scale);
  }

  /** Reads what was written. */
  static decode(from: Reader): Rate {
    return new Rate(from.signed(), from.u32());
  }
}

/** A part of a whole, as an exact fraction: nothing is rounded until it meets an amount, and there once, half to even. */
export class Share {
  /** All of it. */
  static readonly WHOLE = new Share(1n, 1n);
  /** None of it. */
  static readonly NONE = new Share(0n, 1n);

  private constructor(
    private readonly part: bigint,
    private readonly whole: bigint,
  ) {}

  /** `part` of `whole`, held between nothing and all of it; of nothing there is no part. */
  static of(part: bigint, whole: bigint): Share {
    if (whole <= 0n) return Share.NONE;
    return new Share(part < 0n ? 0n : least(part, whole), whole);
  }

  /** This part of an amount. */
  of(amount: Nanos): Nanos {
    return multiplyDivide(amount, this.part, this.whole);
  }

  /** This part of `count` times an amount (of a fee for each seat, say), rounded once. */
  ofEach(amount: Nanos, count: number): Nanos {
    return multiplyDivide(amount * BigInt(count), this.part, this.whole);
  }
}
