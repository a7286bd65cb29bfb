//! How records and parts become bytes: one byte of format, then postcard.
//!
//! The format byte is read before anything else, so that a later version can still read what an earlier one wrote, and
//! an earlier one refuses what it does not know instead of misreading it.

use std::cell::Cell;

use farebox_money::Asset;
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::ids::{EventId, GrantId, LimitName, Source, SubscriptionId};
use crate::plan::EventRef;
use crate::state::{Part, SubjectTimer};

/// The format of everything in this crate. 2: a record says what a correction means to the plan, and which earlier events a
/// plan gave back of. 3: what an event took says when it was posted. 4: the start of a subscription says what happens above a
/// hold, what is noted of an event says by which record, and a timer of a subject may be of no event. 5: what a plan
/// remembers of a subject says in which version, and so does what a term opened with. 6: a grant may have a portion for each
/// value of an attribute.
pub const FORMAT: u8 = 6;
/// The oldest format that is read.
pub const FORMAT_MIN: u8 = 1;

thread_local! {
    /// The format of what this thread reads: types that have grown ask for it, as serde has no other way to tell them.
    static READING: Cell<u8> = const { Cell::new(FORMAT) };
    /// What this thread encodes into: it has grown to what records need.
    static WRITING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Largest buffer that a thread keeps for what it encodes next.
const WRITING_BYTES_MAX: usize = 64 << 10;

/// Reads a field that there is since format `SINCE`; before, it is what a default is.
pub(crate) fn since<'de, const SINCE: u8, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    match READING.get() < SINCE {
        true => Ok(T::default()),
        false => T::deserialize(deserializer),
    }
}

/// Reads a field that may be left out since format `SINCE`; before, it was always there.
pub(crate) fn some_before<'de, const SINCE: u8, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    match READING.get() < SINCE {
        true => T::deserialize(deserializer).map(Some),
        false => Option::deserialize(deserializer),
    }
}

/// Why bytes cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There is nothing.
    #[error("empty")]
    Empty,
    /// Written by a newer Farebox.
    #[error("format {found} is newer than this Farebox reads ({FORMAT}); upgrade it")]
    Format {
        /// The format byte.
        found: u8,
    },
    /// Not what the format says.
    #[error("malformed: {0}")]
    Malformed(String),
}

/// Encodes `value`. Cannot fail: the types of this crate have no fallible serialisation.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut buffer = WRITING.take();
    buffer.clear();
    buffer.push(FORMAT);
    #[expect(
        clippy::expect_used,
        reason = "plain data into a growing buffer; postcard has nothing to refuse"
    )]
    let buffer = postcard::serialize_with_flavor(value, Buffer(buffer)).expect("plain data encodes");
    // Of just its size, for as long as it is kept.
    let bytes = buffer.as_slice().to_vec();
    if buffer.capacity() <= WRITING_BYTES_MAX {
        WRITING.set(buffer);
    }
    bytes
}

/// Where encoded bytes go. Texts are copied as a whole; the library's own form for a buffer that is there already takes each
/// byte by itself.
struct Buffer(Vec<u8>);

impl Flavor for Buffer {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// The bytes of a value that are hashed into a name, under which something is found again: the same whatever format the rest
/// is in. The types of what is named so never change but at their end.
pub fn naming<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = encode(value);
    bytes[0] = FORMAT_MIN;
    bytes
}

/// Decodes what [`encode`] made.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match bytes.split_first() {
        None => Err(CodecError::Empty),
        Some((&format @ FORMAT_MIN..=FORMAT, rest)) => {
            let before = READING.replace(format);
            let read = postcard::take_from_bytes(rest);
            READING.set(before);
            let (value, rest) = read.map_err(|e| CodecError::Malformed(e.to_string()))?;
            match rest.is_empty() {
                true => Ok(value),
                false => Err(CodecError::Malformed(format!(
                    "{} bytes behind the end",
                    rest.len()
                ))),
            }
        }
        Some((&found, _)) => Err(CodecError::Format { found }),
    }
}

/// First byte of a key of parts that are read on demand.
const ON_DEMAND: u8 = 0x80;
const HEADER: u8 = 0x01;
const GRANT: u8 = 0x02;
const HOLD: u8 = 0x03;
const SUBSCRIPTION: u8 = 0x04;
const LIMIT: u8 = 0x05;
const WRITE_OFFS: u8 = 0x06;
const GIVEN: u8 = 0x07;
const PLAN_SINCE: u8 = 0x08;
const HOLD_USAGE: u8 = 0x09;
const ABOVE_HOLD: u8 = 0x0a;
const SUBJECT_TIMER: u8 = 0x0b;
const SUBJECT: u8 = ON_DEMAND | 0x01;
const UNPRICED: u8 = ON_DEMAND | 0x02;
const TERM: u8 = ON_DEMAND | 0x03;
const STANDING: u8 = ON_DEMAND | 0x04;
const GIVE_BACKS: u8 = ON_DEMAND | 0x05;
const CARRIED: u8 = ON_DEMAND | 0x06;

impl Part {
    /// Prefix of the keys of all unpriced events, in order of arrival.
    pub const UNPRICED_PREFIX: &'static [u8] = &[UNPRICED];

    /// Prefix of the keys of all subjects of a subscription.
    pub fn subjects_of(subscription: &SubscriptionId) -> Vec<u8> {
        key(SUBJECT, &[subscription.as_str(), ""])
    }

    /// The part's key. Names hold no zero byte, so a zero separates them.
    pub fn key(&self) -> Vec<u8> {
        match self {
            Part::Header => vec![HEADER],
            Part::Grant(id) => key(GRANT, &[id.as_str()]),
            Part::Hold(event) => key(HOLD, &[event.source.as_str(), event.id.as_str()]),
            Part::Subscription(id) => key(SUBSCRIPTION, &[id.as_str()]),
            Part::Limit(name) => key(LIMIT, &[name.as_str()]),
            Part::HoldUsage(event) => key(HOLD_USAGE, &[event.source.as_str(), event.id.as_str()]),
            Part::WriteOffs(asset) => key(WRITE_OFFS, &[asset.as_str()]),
            Part::Given(id) => key(GIVEN, &[id.as_str()]),
            Part::PlanSince(id) => key(PLAN_SINCE, &[id.as_str()]),
            Part::AboveHold(id) => key(ABOVE_HOLD, &[id.as_str()]),
            Part::Subject(id, subject) => key(SUBJECT, &[id.as_str(), subject]),
            Part::SubjectTimer(timer) => key(
                SUBJECT_TIMER,
                &[timer.subscription.as_str(), &timer.key, &timer.subject],
            ),
            Part::Unpriced(sequence) => numbered(UNPRICED, *sequence),
            Part::Carried(sequence) => numbered(CARRIED, *sequence),
            Part::Term(id, number) => key(TERM, &[id.as_str(), &number.to_string()]),
            Part::Standing(event) => key(STANDING, &[event.source.as_str(), event.id.as_str()]),
            Part::GiveBacks(event) => key(GIVE_BACKS, &[event.source.as_str(), event.id.as_str()]),
        }
    }

    /// The part that a key names.
    pub fn from_key(bytes: &[u8]) -> Result<Part, CodecError> {
        let malformed = |what: &str| CodecError::Malformed(format!("key of a part: {what}"));
        let (&kind, rest) = bytes.split_first().ok_or(CodecError::Empty)?;
        if kind == HEADER {
            return Ok(Part::Header);
        }
        if matches!(kind, UNPRICED | CARRIED) {
            let sequence = u64::from_be_bytes(rest.try_into().map_err(|_| malformed("sequence"))?);
            return Ok(match kind {
                UNPRICED => Part::Unpriced(sequence),
                _ => Part::Carried(sequence),
            });
        }
        let text = std::str::from_utf8(rest).map_err(|_| malformed("not text"))?;
        // A subject's name is a caller's text and may hold anything; it is the last.
        let mut names = text.splitn(2, '\0');
        let mut next = || names.next().ok_or_else(|| malformed("a name is missing"));
        let name_error = |e: crate::ids::NameError| CodecError::Malformed(e.to_string());
        Ok(match kind {
            GRANT => Part::Grant(GrantId::new(next()?).map_err(name_error)?),
            HOLD => Part::Hold(EventRef {
                source: Source::new(next()?).map_err(name_error)?,
                id: EventId::new(next()?).map_err(name_error)?,
            }),
            SUBSCRIPTION => Part::Subscription(SubscriptionId::new(next()?).map_err(name_error)?),
            LIMIT => Part::Limit(LimitName::new(next()?).map_err(name_error)?),
            WRITE_OFFS => {
                Part::WriteOffs(Asset::new(next()?).map_err(|e| CodecError::Malformed(e.to_string()))?)
            }
            HOLD_USAGE => Part::HoldUsage(EventRef {
                source: Source::new(next()?).map_err(name_error)?,
                id: EventId::new(next()?).map_err(name_error)?,
            }),
            GIVEN => Part::Given(GrantId::new(next()?).map_err(name_error)?),
            PLAN_SINCE => Part::PlanSince(SubscriptionId::new(next()?).map_err(name_error)?),
            ABOVE_HOLD => Part::AboveHold(SubscriptionId::new(next()?).map_err(name_error)?),
            SUBJECT_TIMER => {
                let subscription = SubscriptionId::new(next()?).map_err(name_error)?;
                let (key, subject) = next()?
                    .split_once('\0')
                    .ok_or_else(|| malformed("a name is missing"))?;
                Part::SubjectTimer(SubjectTimer {
                    subscription,
                    key: key.to_string(),
                    subject: subject.to_string(),
                })
            }
            SUBJECT => Part::Subject(
                SubscriptionId::new(next()?).map_err(name_error)?,
                next()?.to_string(),
            ),
            TERM => Part::Term(
                SubscriptionId::new(next()?).map_err(name_error)?,
                next()?.parse().map_err(|_| malformed("number of a term"))?,
            ),
            STANDING => Part::Standing(EventRef {
                source: Source::new(next()?).map_err(name_error)?,
                id: EventId::new(next()?).map_err(name_error)?,
            }),
            GIVE_BACKS => Part::GiveBacks(EventRef {
                source: Source::new(next()?).map_err(name_error)?,
                id: EventId::new(next()?).map_err(name_error)?,
            }),
            _ => return Err(malformed("unknown kind")),
        })
    }
}

/// Numbers are ordered in keys as they are.
fn numbered(kind: u8, sequence: u64) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes
}

fn key(kind: u8, names: &[&str]) -> Vec<u8> {
    let mut bytes = vec![kind];
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            bytes.push(0);
        }
        bytes.extend_from_slice(name.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Due, DueItem, TimerAbout};
    use crate::correction::Noted;
    use crate::outcome::UnpricedReason;
    use crate::state::{KeptBy, MissedTransition, SubjectState, TimerState, UnpricedState, Waiting};
    use crate::time::Period;

    fn event() -> EventRef {
        EventRef {
            source: "api".parse().unwrap(),
            id: "e".parse().unwrap(),
        }
    }

    /// As format 3 wrote it.
    fn format_3<T: Serialize>(value: &T) -> Vec<u8> {
        format(3, value)
    }

    #[test]
    fn what_format_4_kept_of_a_subject_says_no_version() {
        let expires = crate::time::Timestamp::from_micros(7);
        let mut kept: SubjectState = decode(&format(4, &(vec![3_u8, 5], expires))).unwrap();
        assert_eq!(
            (&kept.state[..], kept.expires, kept.kept_by.clone()),
            (&[3, 5][..], expires, None)
        );
        kept.kept_by = Some(KeptBy {
            plan: "p".parse().unwrap(),
            version: 9,
        });
        assert_eq!(kept.version_of(&"p".parse().unwrap()), Some(9));
        assert_eq!(kept.version_of(&"q".parse().unwrap()), None);
        assert_eq!(decode::<SubjectState>(&encode(&kept)).unwrap(), kept);
    }

    fn format<T: Serialize>(number: u8, value: &T) -> Vec<u8> {
        postcard::to_extend(value, vec![number]).unwrap()
    }

    /// Kinds are numbers in the order in which they are declared: what waited in format 1 still says what it is.
    #[test]
    fn what_a_plan_did_not_answer_in_format_1_waits() {
        let instant = crate::time::Timestamp::from_micros(7);
        let (transition, timer, renewal, no_plan) = (1_u32, 1_u32, 2_u32, 3_u32);
        let period = (instant, instant, 4_u32);
        let waits = |item: DueItem| UnpricedState {
            received: instant,
            what: Waiting::Transition(MissedTransition {
                due: Due { instant, item },
                period: Period {
                    start: instant,
                    end: instant,
                    index: 4,
                },
                seats: 5,
            }),
            reason: UnpricedReason::NoPlan,
        };
        let renewed = (instant, transition, instant, renewal, "s", period, 5_u32, no_plan);
        let expected = waits(DueItem::Renewal("s".parse().unwrap()));
        assert_eq!(decode::<UnpricedState>(&format(1, &renewed)).unwrap(), expected);
        // It knew no subjects.
        let due = (timer, "s", "deadline");
        let due = (instant, transition, instant, due, period, 5_u32, no_plan);
        let expected = waits(DueItem::Timer {
            subscription: "s".parse().unwrap(),
            key: "deadline".into(),
            about: None,
        });
        assert_eq!(decode::<UnpricedState>(&format(1, &due)).unwrap(), expected);
    }

    #[test]
    fn a_timer_of_format_3_is_always_of_an_event() {
        let about: TimerAbout = decode(&format_3(&("c1", event()))).unwrap();
        assert_eq!((about.subject.as_str(), about.event), ("c1", Some(event())));
        let instant = crate::time::Timestamp::from_micros(7);
        let state: TimerState = decode(&format_3(&(instant, instant, "outcomes", event()))).unwrap();
        assert_eq!((state.at, state.event), (instant, Some(event())));
    }

    #[test]
    fn since_format_4_it_may_be_of_none() {
        for event in [None, Some(event())] {
            let about = TimerAbout {
                subject: "c1".into(),
                event,
            };
            assert_eq!(decode::<TimerAbout>(&encode(&about)).unwrap(), about);
        }
    }

    #[test]
    fn what_format_3_noted_names_no_record() {
        let noted: Noted<String> = decode(&format_3(&"stands")).unwrap();
        assert_eq!((noted.what.as_str(), noted.by), ("stands", None));
        assert_eq!(
            decode::<Noted<String>>(&Noted::encode("stands", 9)).unwrap().by,
            Some(9)
        );
    }
}
