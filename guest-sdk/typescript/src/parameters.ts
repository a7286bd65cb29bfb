// Taking a price list apart, with every mistake at its place.

import type { ParameterError } from "./contract";
import { type Json, JsonNumber } from "./json";
import { Decimal, type Nanos, Rate } from "./nanos";

/** A place in the parameters: what stands there, and how to say what is wrong with it. Mistakes are collected, all at once. */
export class Place {
  private readonly read = new Set<string>();

  constructor(
    private readonly value: Json | undefined,
    private readonly pointer: string,
    private readonly wrong: ParameterError[],
  ) {}

  /** Something is wrong here. */
  error(message: string): void {
    this.wrong.push({ pointer: this.pointer, message });
  }

  /** A field of the object that stands here. */
  field(key: string): Place {
    this.read.add(key);
    const value = this.value instanceof Map ? this.value.get(key) : undefined;
    return new Place(value, `${this.pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, this.wrong);
  }

  /** Whether anything stands here. */
  isThere(): boolean {
    return this.value !== undefined;
  }

  /** That this is an object with no fields but those that were read: a misspelt price must not be a missing one. */
  closed(): void {
    if (!(this.value instanceof Map)) return this.error("expected an object");
    for (const key of this.value.keys()) {
      if (!this.read.has(key)) this.error(`unknown field ${JSON.stringify(key)}, expected one of ${[...this.read].join(", ")}`);
    }
  }

  /** The items of the list that stands here. */
  items(): Place[] {
    if (!Array.isArray(this.value)) {
      this.error("expected a list");
      return [];
    }
    return this.value.map((item, index) => new Place(item, `${this.pointer}/${index}`, this.wrong));
  }

  /** The entries of the object that stands here, in the order of their names: a price for each model, say. */
  entries(): [string, Place][] {
    if (!(this.value instanceof Map)) {
      this.error("expected an object");
      return [];
    }
    const names = [...this.value.keys()].sort(byText);
    return names.map((name) => [name, this.field(name)]);
  }

  /** The text that stands here. */
  text(): string {
    if (typeof this.value === "string") return this.value;
    this.error("expected a text");
    return "";
  }

  /** The decimal in quotes that stands here. */
  decimal(): Decimal | undefined {
    const read = typeof this.value === "string" ? Decimal.read(this.value) : 'expected a decimal number in quotes, such as "0.30"';
    if (typeof read !== "string") return read;
    this.error(read);
    return undefined;
  }

  /** Whether a decimal of nothing stands here, for prices that cannot be that. */
  isZero(): boolean {
    const read = typeof this.value === "string" ? Decimal.read(this.value) : "";
    return typeof read !== "string" && read.mantissa === 0n;
  }

  /** The amount that stands here, which must be 0 or more. */
  amount(): Nanos {
    const value = this.decimal();
    if (value === undefined) return 0n;
    const amount = value.amount();
    if (typeof amount !== "string" && amount >= 0n) return amount;
    this.error(typeof amount === "string" ? amount : `expected 0 or more, found ${value}`);
    return 0n;
  }

  /** The price that stands here, for so many units, which must be 0 or more. */
  rate(per: "unit" | "thousand" | "million"): Rate {
    const value = this.decimal();
    if (value === undefined) return Rate.FREE;
    const rate = Rate.of(value, per);
    if (typeof rate !== "string") return rate;
    this.error(rate);
    return Rate.FREE;
  }

  /** The whole number from 0 to 4,294,967,295 that stands here. */
  u32(): number {
    const written = this.value instanceof JsonNumber ? this.value.written : "";
    const number = /^[0-9]{1,10}$/.test(written) ? Number(written) : NaN;
    if (number <= 0xffff_ffff) return number;
    this.error("expected a whole number from 0 to 4294967295");
    return 0;
  }
}

/** The order of texts by their characters, which is that of their bytes; JavaScript's own is that of units of 16 bits. */
function byText(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)];
  for (let index = 0; ; index += 1) {
    const [one, other] = [left[index]?.codePointAt(0), right[index]?.codePointAt(0)];
    if (one === undefined || other === undefined) return (one === undefined ? 0 : 1) - (other === undefined ? 0 : 1);
    if (one !== other) return one - other;
  }
}
