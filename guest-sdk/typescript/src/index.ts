// Writing plans for Farebox in TypeScript.

export { Reader, Writer } from "./bytes";
export {
  type Change,
  type EventRef,
  type Instant,
  Period,
  plusDays,
  plusSeconds,
  type Remaining,
  type ReversedCharge,
  Transition,
  unused,
} from "./change";
export { Followed, type Memory } from "./memory";
export { CROSSING_MAX, Decimal, Graduated, least, multiplyDivide, type Nanos, Overflow, Rate, Share, text, UNIT } from "./nanos";
export { Charge, type Grant, Outcome, Posted } from "./outcome";
export { Place } from "./parameters";
export {
  definePlan,
  type Plan,
  type Remembered,
  type RememberedState,
  type RememberedSubject,
  shortfall,
  type Vocabulary,
} from "./plan";
export { type Charged, type Claim, type Objection, Progress, type TakenBack } from "./progress";
export { CannotMigrate, quoted, Rejected } from "./rejected";
export { Usage } from "./usage";
