// Reading parameters: JSON in which no entry hides another and no number passes through a float.

import type { ParameterError } from "./contract";

/** A value of parameters. Numbers are kept as they were written. */
export type Json = null | boolean | string | JsonNumber | Json[] | Map<string, Json>;

/** A number as it was written. */
export class JsonNumber {
  constructor(readonly written: string) {}
}

/** How deep values may nest. */
const DEPTH_MAX = 32;

class Unreadable extends Error {}

/** Reads a whole text, or says where it is wrong. */
export function parse(text: string): Json | ParameterError {
  const reader = new Reader(text);
  try {
    const value = reader.value(0);
    reader.space();
    if (reader.at < text.length) reader.fail("expected the end");
    return value;
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    const read = text.slice(0, reader.at);
    const line = read.split("\n").length;
    const column = reader.at - read.lastIndexOf("\n");
    return { pointer: "", message: `${error.message} (line ${line}, column ${column})` };
  }
}

class Reader {
  at = 0;
  constructor(private readonly text: string) {}

  fail(message: string): never {
    const found = this.text[this.at];
    throw new Unreadable(`${message}, found ${found === undefined ? "the end" : JSON.stringify(found)}`);
  }

  space(): void {
    while (" \t\n\r".includes(this.text[this.at] ?? "x")) this.at += 1;
  }

  take(token: string): boolean {
    this.space();
    const there = this.text.startsWith(token, this.at);
    if (there) this.at += token.length;
    return there;
  }

  value(depth: number): Json {
    if (depth > DEPTH_MAX) this.fail("values nest too deep");
    if (this.take("null")) return null;
    if (this.take("true")) return true;
    if (this.take("false")) return false;
    if (this.take("[")) return this.items(depth);
    if (this.take("{")) return this.entries(depth);
    if (this.text[this.at] === '"') return this.string();
    const number = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/.exec(this.text.slice(this.at, this.at + 64));
    if (number === null) this.fail("expected a value");
    this.at += number[0].length;
    return new JsonNumber(number[0]);
  }

  private items(depth: number): Json[] {
    const items: Json[] = [];
    if (this.take("]")) return items;
    do items.push(this.value(depth + 1));
    while (this.take(","));
    if (!this.take("]")) this.fail("expected `,` or `]`");
    return items;
  }

  private entries(depth: number): Map<string, Json> {
    const entries = new Map<string, Json>();
    if (this.take("}")) return entries;
    do {
      this.space();
      if (this.text[this.at] !== '"') this.fail("expected a key in quotes");
      const key = this.string();
      if (entries.has(key)) throw new Unreadable(`${JSON.stringify(key)} is there twice`);
      if (!this.take(":")) this.fail("expected `:`");
      entries.set(key, this.value(depth + 1));
    } while (this.take(","));
    if (!this.take("}")) this.fail("expected `,` or `}`");
    return entries;
  }

  private string(): string {
    const found = /^"(?:[^"\\\u0000-\u001f]|\\.)*"/.exec(this.text.slice(this.at));
    if (found === null) this.fail("expected a text that ends");
    try {
      const read: unknown = JSON.parse(found[0]);
      this.at += found[0].length;
      return String(read);
    } catch {
      this.fail("expected a text without unknown escapes");
    }
  }
}
