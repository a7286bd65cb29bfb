// What the columns of the contract are looked up with. What is not there is a defect, and traps.

/** An item that is there. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`the batch has no item ${index}`);
  return item;
}

/** Where a name stands in a vocabulary. */
export function indexIn(names: readonly string[], name: string): number {
  const index = names.indexOf(name);
  if (index < 0) throw new Error(`the vocabulary of this plan has no ${name}`);
  return index;
}

/** Whether two are the same bytes. */
export function same(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a.length === b.length && Array.from(a).every((byte, index) => byte === b[index]);
}

/** The texts of a batch, whose places are counted in bytes of UTF-8. */
export class Texts {
  /** Where each byte is in the text, where bytes and units differ. */
  private readonly places: number[] | undefined;

  constructor(private readonly text: string) {
    // eslint-disable-next-line no-control-regex
    if (/^[\u0000-\u007f]*$/.test(text)) return;
    this.places = [];
    let unit = 0;
    for (const character of text) {
      for (let byte = 0; byte < bytesOf(character); byte += 1) this.places.push(unit);
      unit += character.length;
    }
    this.places.push(unit);
  }

  slice(start: number, end: number): string {
    const { places } = this;
    return places === undefined ? this.text.slice(start, end) : this.text.slice(places[start], places[end]);
  }
}

/** How many bytes of UTF-8 a character takes. */
export function bytesOf(character: string): 1 | 2 | 3 | 4 {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
}
