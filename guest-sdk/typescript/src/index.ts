// Writing plans for Farebox in TypeScript.

export { Reader, Writer } from "./bytes";
export { CROSSING_MAX, Decimal, Graduated, least, multiplyDivide, type Nanos, Overflow, Rate, Share, text, UNIT } from "./nanos";
export { Place } from "./parameters";
export {
  type Change,
  definePlan,
  type Grant,
  Outcome,
  Period,
  type Plan,
  Posted,
  Rejected,
  type Remaining,
  type Transition,
  Usage,
  type Vocabulary,
} from "./plan";
