// States and prepared parameters as bytes, in the form that the Rust SDK gives them (postcard 1): numbers as varints of 7 bits,
// signed ones zigzag, texts and lists with their length before them, what may be absent behind a byte that says whether it is
// there.

import { bytesOf } from "./lists";

/** Writes. */
export class Writer {
  private readonly bytes: number[] = [];

  /** An unsigned number: u32, a length. */
  u32(value: number): void {
    this.varint(BigInt(value));
  }

  /** A signed number of any width. */
  signed(value: bigint): void {
    this.varint(value < 0n ? -value * 2n - 1n : value * 2n);
  }

  /** A list. */
  list<T>(items: readonly T[], write: (item: T) => void): void {
    this.u32(items.length);
    items.forEach(write);
  }

  /** A text. */
  text(value: string): void {
    const units = utf8(value);
    this.u32(units.length);
    for (const unit of units) this.byte(unit);
  }

  /** Something that may be absent. */
  optional<T>(value: T | undefined, write: (value: T) => void): void {
    this.byte(value === undefined ? 0 : 1);
    if (value !== undefined) write(value);
  }

  /** One byte as it is. */
  byte(value: number): void {
    this.bytes.push(value);
  }

  private varint(value: bigint): void {
    while (value >= 128n) {
      this.bytes.push(Number(value & 127n) | 128);
      value >>= 7n;
    }
    this.bytes.push(Number(value));
  }

  /** What was written. */
  done(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
}

/** Reads what a {@link Writer} wrote. Other bytes are a defect of the host, and trap. */
export class Reader {
  private at = 0;
  constructor(private readonly bytes: ArrayLike<number>) {}

  u32(): number {
    return Number(this.varint());
  }

  signed(): bigint {
    const value = this.varint();
    return value % 2n === 0n ? value / 2n : -(value + 1n) / 2n;
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.u32() }, read);
  }

  text(): string {
    const end = this.u32() + this.at;
    let read = "";
    while (this.at < end) read += this.character();
    return read;
  }

  optional<T>(read: () => T): T | undefined {
    return this.byte() === 0 ? undefined : read();
  }

  /** Whether nothing is left: a state from before something was added to it ends where that would begin. */
  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  private byte(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw new Error("the bytes end in the middle of something");
    this.at += 1;
    return byte;
  }

  private character(): string {
    const first = this.byte();
    const more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    let code = more === 0 ? first : first & (0x3f >> more);
    for (let read = 0; read < more; read += 1) code = (code << 6) | (this.byte() & 0x3f);
    return String.fromCodePoint(code);
  }

  private varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  }
}

/** A text in UTF-8. The engine has no `TextEncoder`. */
export function utf8(text: string): number[] {
  return Array.from(text).flatMap((character) => {
    const code = character.codePointAt(0) ?? 0;
    const length = bytesOf(character);
    if (length === 1) return [code];
    const first = (code >> (6 * (length - 1))) | ((0xf00 >> length) & 0xff);
    const rest = Array.from({ length: length - 1 }, (_, index) => ((code >> (6 * (length - 2 - index))) & 0x3f) | 0x80);
    return [first, ...rest];
  });
}
