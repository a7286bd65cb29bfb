// Refusing is an answer like any other. What else is thrown is a defect of the plan, and traps.

import type * as wit from "./contract";
import { Overflow } from "./nanos";

/** Why an event has no price. Throw it. */
export class Rejected extends Error {
  constructor(readonly rejection: wit.Rejection) {
    super(rejection.tag);
  }

  /** A field is needed and absent. */
  static missing(name: string, message: string): Rejected {
    return new Rejected({ tag: "invalid-event", val: { name, problem: "missing", message } });
  }

  /** A field has a value that this plan does not know. */
  static unknown(name: string, message: string): Rejected {
    return new Rejected({ tag: "invalid-event", val: { name, problem: "unknown", message } });
  }

  /** A field is outside the range that makes sense. */
  static outOfRange(name: string, message: string): Rejected {
    return new Rejected({ tag: "invalid-event", val: { name, problem: "out-of-range", message } });
  }

  /** Nothing in the parameters prices it. Other parameters may. */
  static unpriceable(message: string): Rejected {
    return new Rejected({ tag: "unpriceable", val: message });
  }

  /** The subscription's state does not allow it. */
  static notAllowed(message: string): Rejected {
    return new Rejected({ tag: "not-allowed", val: message });
  }
}

/** What an error says to the host. */
export function rejectionOf(error: unknown): wit.Rejection {
  if (error instanceof Rejected) return error.rejection;
  if (error instanceof Overflow) return { tag: "overflow" };
  throw error;
}

/** Why a state of an earlier version cannot go on, in words for people. Throw it: it blocks the activation. */
export class CannotMigrate extends Error {}

/** So many characters of a text are shown. */
const SHOWN = 80;

/** A text that somebody else wrote, within a message: in quotes, and cut off where it is long. */
export function quoted(text: string): string {
  const characters = Array.from(text);
  const shown = characters.slice(0, SHOWN).map(shownAs).join("");
  return `"${shown}${characters.length > SHOWN ? "..." : ""}"`;
}

function shownAs(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  const code = character.codePointAt(0) ?? 0;
  const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
  return isControl ? `\\u{${code.toString(16)}}` : character;
}
