// One event, as a plan reads it.

import { balanceOf, type EventRef, type Instant, type Period, periodOf } from "./change";
import type * as wit from "./contract";
import { at, indexIn, type Texts } from "./lists";
import { crossedIn, type Nanos, text, UNIT } from "./nanos";
import type { Vocabulary } from "./plan";
import { Rejected } from "./rejected";

/** How a measure that the event does not carry crosses: no valid amount. */
const ABSENT = -(2 ** 63);

/** The attributes in which the host says which event it is, whatever the event carries under these names. */
const EVENT_SOURCE = "event.source";
const EVENT_ID = "event.id";

/** An event with everything around it that a price may depend on. */
export class Usage {
  constructor(
    private readonly vocabulary: Vocabulary,
    private readonly batch: wit.Batch,
    private readonly texts: Texts,
    private readonly row: number,
  ) {}

  private get trigger(): wit.Trigger {
    return at(this.batch.triggers, this.row);
  }

  private get context(): wit.Context {
    return at(this.batch.contexts, this.trigger.context);
  }

  /** Whether it may happen, so that the measures are maximums. */
  get isWorstCase(): boolean {
    return this.trigger.purpose === "worst-case";
  }

  /** Its type. */
  get type(): string {
    return at(this.vocabulary.events, this.trigger.eventType);
  }

  /** When it happened. */
  get time(): Instant {
    return crossedIn(this.trigger.time);
  }

  /** The period that it belongs to. */
  get period(): Period {
    return periodOf(this.context);
  }

  /** How many seats the subscription has. */
  get seats(): number {
    return this.context.seats;
  }

  /** What the provider bills for it, in US dollars, for plans that want it and where it is known. */
  get cost(): Nanos | undefined {
    const { cost } = this.trigger;
    return cost === null ? undefined : crossedIn(cost);
  }

  /** What the wallet can still spend of an asset, for plans that want balances. */
  balance(asset: string): Nanos {
    return balanceOf(this.batch.balances, this.context, Object.keys(this.vocabulary.assets), asset);
  }

  /** A measure as it came, if it came. Absent and zero are different things: absent is unknown. */
  measure(name: string): Nanos | undefined {
    const { measures } = this.vocabulary;
    const value = at(this.batch.measures, this.row * measures.length + indexIn(measures, name));
    return value === ABSENT ? undefined : crossedIn(value);
  }

  /** A measure that cannot be negative, if it came. */
  quantity(name: string): Nanos | undefined {
    const value = this.measure(name);
    if (value === undefined || value >= 0n) return value;
    throw Rejected.outOfRange(name, `expected 0 or more, found ${text(value)}`);
  }

  /** A measure that counts whole things, if it came. */
  whole(name: string): Nanos | undefined {
    const value = this.quantity(name);
    if (value === undefined || value % UNIT === 0n) return value;
    throw Rejected.outOfRange(name, `expected a whole number, found ${text(value)}`);
  }

  /** A measure that cannot be negative and without which there is no price. */
  needed(name: string): Nanos {
    const value = this.quantity(name);
    if (value !== undefined) return value;
    throw Rejected.missing(name, "this plan prices by it; 0 says that there was none");
  }

  /** A text of the event, if it came and says anything. */
  attribute(name: string): string | undefined {
    const { attributes } = this.vocabulary;
    const index = this.row * attributes.length + indexIn(attributes, name);
    const start = index === 0 ? 0 : at(this.batch.textEnds, index - 1);
    return this.texts.slice(start, at(this.batch.textEnds, index)) || undefined;
  }

  /** A text without which there is no price. */
  neededAttribute(name: string): string {
    const value = this.attribute(name);
    if (value !== undefined) return value;
    throw Rejected.missing(name, "this plan prices by it");
  }

  /** Under which name the event is known, to give back of it later, for plans that read `event.source` and `event.id`. */
  get reference(): EventRef {
    return { source: this.neededAttribute(EVENT_SOURCE), id: this.neededAttribute(EVENT_ID) };
  }
}
