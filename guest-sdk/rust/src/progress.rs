//! Prices per outcome: what is known of the outcome of one subject, and how that changes.

use farebox_money::Nanos;
use serde::{Deserialize, Serialize};

use crate::{Added, EventRef, Instant};

/// Where the outcome of a subject (a conversation, a task) stands; a subject that is new, or whose outcome was taken back, has
/// none. One subject has one outcome at a time.
///
/// ```
/// use farebox_plan::{EventRef, Instant, Nanos, Progress};
/// let event = |id: &str| EventRef { source: "api".into(), id: id.into() };
/// // The work was done, and nobody has said yet whether it is good.
/// let pending = Progress::claimed(None, "resolution", event("answer")).unwrap();
/// // Nobody came back: it counts, for the event that claimed it.
/// let kept = pending.kept().unwrap();
/// let earned = kept.earned(Nanos::units(1), Instant::from_micros(0), 0);
/// // Somebody comes back after all: what was charged for it is given back.
/// assert_eq!(earned.charged().unwrap().event, event("answer"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// It is claimed, and counts unless somebody says otherwise in time.
    Pending(Claim),
    /// It counts, and was charged.
    Earned(Charged),
}

/// An outcome that somebody claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Which kind of outcome.
    pub kind: String,
    /// The event that it is charged for, if it comes to that.
    pub event: EventRef,
}

/// An outcome that was charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charged {
    /// Which kind of outcome.
    pub kind: String,
    /// The event that it was charged for: what a give-back names.
    pub event: EventRef,
    /// How much.
    pub amount: Nanos,
    /// When it was earned.
    pub at: Instant,
    /// The index of the period in which it counts, which `at` alone does not tell: a deadline at the end of a period is of
    /// that period. None in a state from before it was kept.
    pub period: Added<u32>,
}

impl Claim {
    /// The outcome counts, in the period with this index.
    pub fn earned(self, amount: Nanos, at: Instant, period: u32) -> Progress {
        Progress::Earned(Charged {
            kind: self.kind,
            event: self.event,
            amount,
            at,
            period: Added(Some(period)),
        })
    }
}

impl Progress {
    /// The work is done, says an event. None where that changes nothing: the outcome counts already.
    pub fn claimed(before: Option<&Progress>, kind: &str, event: EventRef) -> Option<Progress> {
        match before {
            Some(Progress::Earned(_)) => None,
            Some(Progress::Pending(_)) | None => Some(Progress::Pending(Claim {
                kind: kind.to_string(),
                event,
            })),
        }
    }

    /// The outcome is good, says an event, for which it is charged then. `kind` is what that event calls it; what was claimed
    /// before, unless it says. None where that changes nothing, or nobody knows what is meant.
    pub fn confirmed(before: Option<&Progress>, kind: Option<&str>, event: EventRef) -> Option<Claim> {
        let claimed = match before {
            Some(Progress::Earned(_)) => return None,
            Some(Progress::Pending(claim)) => Some(claim.kind.as_str()),
            None => None,
        };
        Some(Claim {
            kind: kind.or(claimed)?.to_string(),
            event,
        })
    }

    /// Nobody said otherwise in time: what was claimed counts, for the event that claimed it.
    pub fn kept(&self) -> Option<Claim> {
        match self {
            Progress::Pending(claim) => Some(claim.clone()),
            Progress::Earned(_) => None,
        }
    }

    /// What was charged for it.
    pub fn charged(&self) -> Option<&Charged> {
        match self {
            Progress::Earned(charged) => Some(charged),
            Progress::Pending(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str) -> EventRef {
        EventRef {
            source: "api".into(),
            id: id.into(),
        }
    }

    fn claim(kind: &str, id: &str) -> Claim {
        Claim {
            kind: kind.into(),
            event: event(id),
        }
    }

    fn earned() -> Progress {
        claim("resolution", "a").earned(Nanos::units(1), Instant::from_micros(5), 3)
    }

    #[test]
    fn the_last_claim_counts() {
        let first = Progress::claimed(None, "resolution", event("a")).unwrap();
        let second = Progress::claimed(Some(&first), "handoff", event("b")).unwrap();
        assert_eq!(second.kept(), Some(claim("handoff", "b")));
        assert_eq!(second.charged(), None);
    }

    #[test]
    fn what_counts_counts_once() {
        assert_eq!(Progress::claimed(Some(&earned()), "handoff", event("b")), None);
        assert_eq!(
            Progress::confirmed(Some(&earned()), Some("handoff"), event("b")),
            None
        );
        assert_eq!(earned().kept(), None);
        let charged = earned().charged().cloned().unwrap();
        assert_eq!((charged.amount, charged.at.micros()), (Nanos::units(1), 5));
    }

    #[test]
    fn a_confirmation_is_what_is_charged_for() {
        let pending = Progress::claimed(None, "resolution", event("a")).unwrap();
        let confirmed = |before, kind| Progress::confirmed(before, kind, event("b"));
        assert_eq!(confirmed(Some(&pending), None), Some(claim("resolution", "b")));
        assert_eq!(
            confirmed(Some(&pending), Some("handoff")),
            Some(claim("handoff", "b"))
        );
        assert_eq!(confirmed(None, Some("handoff")), Some(claim("handoff", "b")));
        assert_eq!(confirmed(None, None), None);
    }

    #[test]
    fn a_state_from_before_its_period_was_kept_goes_on() {
        let Progress::Earned(charged) = earned() else {
            unreachable!()
        };
        let now = postcard::to_allocvec(&earned()).unwrap();
        assert_eq!(postcard::from_bytes(&now), Ok(earned()));
        // As it was written then: the second of two states, and its four parts.
        let before = (1_u8, &charged.kind, &charged.event, charged.amount, charged.at);
        let before = postcard::to_allocvec(&before).unwrap();
        assert_eq!(now[..before.len()], before, "it is read as it was then");
        let unknown = Charged {
            period: Added(None),
            ..charged
        };
        assert_eq!(postcard::from_bytes(&before), Ok(Progress::Earned(unknown)));
    }
}
