// States and prepared parameters as bytes, in the form that the Rust SDK gives them (postcard 1): numbers as varints of 7 bits,
// signed ones zigzag, lists with their length before them.

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

  private varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bytes[this.at];
      if (byte === undefined) throw new Error("the bytes end in the middle of a number");
      this.at += 1;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  }
}
