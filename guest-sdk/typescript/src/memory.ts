// What a plan remembers between events.

import type { Instant } from "./change";

/** Changes count when the event is priced; a rejected event changes nothing. */
export interface Memory<State, Subject> {
  /** Of the subscription. What is written here is what the next event of the subscription finds. */
  state: State;
  /** Of the event's subject. */
  readonly subject: Followed<Subject>;
}

/** A conversation or task that a plan follows. It is changed by `keep` alone, because keeping it takes a date until when. */
export class Followed<Subject> {
  /** What the host is told: until when to keep it, or to forget it. */
  change: { until: Instant } | "forgotten" | undefined;

  constructor(
    /** Its name, if the event has a subject. */
    readonly name: string | undefined,
    private state: Subject | undefined,
  ) {}

  /** What is remembered of it; nothing when it is new. */
  get(): Subject | undefined {
    return this.state;
  }

  /** Remembers it, until then. The host takes at most 400 days. Without a subject there is nothing to remember. */
  keep(state: Subject, until: Instant): void {
    if (this.name === undefined) return;
    this.state = state;
    this.change = { until };
  }

  /** Forgets it. */
  forget(): void {
    if (this.name === undefined) return;
    this.state = undefined;
    this.change = "forgotten";
  }
}
