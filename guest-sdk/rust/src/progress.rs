//! Prices per outcome: what is known of the outcome of one subject, and how that changes.

mod encoded;

use farebox_money::Nanos;
use serde::{Deserialize, Serialize};

use crate::{Added, EventRef, Instant};

/// How many outcomes of one subject are remembered: the one that stands, and those that objections gave back before.
const COUNTED_MAX: usize = 4;

/// Where the outcome of a subject (a conversation, a task) stands; a subject that is new has none. One subject has one outcome
/// at a time: what waits, or what was charged. What an objection gave back is remembered besides, for where the objection
/// itself is taken back: the host charges it again then, and it counts again.
///
/// ```
/// use farebox_plan::{EventRef, Instant, Nanos, Objection, Progress};
/// let event = |id: &str| EventRef { source: "api".into(), id: id.into() };
/// // The work was done, and nobody has said yet whether it is good.
/// let pending = Progress::claimed(None, "resolution", event("answer")).unwrap();
/// // Nobody came back: it counts, for the event that claimed it.
/// let kept = pending.kept().unwrap();
/// let earned = Progress::earned(None, kept.charged(Nanos::units(1), Instant::from_micros(0), 0));
/// // Somebody comes back after all: what was charged for it is given back.
/// assert_eq!(earned.charged().next().unwrap().event, event("answer"));
/// let back = Objection { event: event("back"), at: Instant::from_micros(9), period: 0 };
/// let open = earned.objected(&back);
/// assert_eq!(open.charged().next(), None);
/// // And that was somebody else: it counts again.
/// let (again, _) = open.without(&event("back")).unwrap();
/// assert_eq!(again, Some(earned));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "encoded::Encoded", into = "encoded::Encoded")]
pub struct Progress {
    /// It is claimed, and counts unless somebody says otherwise in time. Then nothing else stands.
    claim: Option<Claim>,
    /// What was charged, by when it was earned.
    counted: Vec<Counted>,
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

/// An event after which an outcome does not count any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objection {
    /// Which.
    pub event: EventRef,
    /// When.
    pub at: Instant,
    /// The index of the period in which what it gave back is counted.
    pub period: u32,
}

/// What an event had done that is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakenBack {
    /// It claimed what waits, and now nothing does.
    Claim,
    /// This was charged for it, and comes back.
    Charged(Charged),
    /// This was charged for it, and the objection has given it back already: nothing more comes back.
    GivenBack(Charged, Objection),
    /// It was an objection, and what it gave back is charged again.
    Objection(Objection, Vec<Charged>),
}

/// An outcome that was charged, and whether it still is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    charged: Charged,
    /// What gave it back; none where it stands.
    reopened: Option<Objection>,
}

impl Claim {
    /// The outcome counts, in the period with this index.
    pub fn charged(self, amount: Nanos, at: Instant, period: u32) -> Charged {
        Charged {
            kind: self.kind,
            event: self.event,
            amount,
            at,
            period: Added(Some(period)),
        }
    }
}

impl Counted {
    fn stands(&self) -> bool {
        self.reopened.is_none()
    }

    /// When the last thing happened to it.
    fn changed(&self) -> Instant {
        let reopened = self.reopened.as_ref().map(|objection| objection.at);
        reopened.map_or(self.charged.at, |at| at.max(self.charged.at))
    }
}

impl Progress {
    /// The work is done, says an event. None where that changes nothing: the outcome counts already.
    pub fn claimed(before: Option<&Progress>, kind: &str, event: EventRef) -> Option<Progress> {
        if before.is_some_and(Progress::stands) {
            return None;
        }
        Some(Progress {
            claim: Some(Claim {
                kind: kind.to_string(),
                event,
            }),
            counted: before.map(|before| before.counted.clone()).unwrap_or_default(),
        })
    }

    /// The outcome is good, says an event, for which it is charged then. `kind` is what that event calls it; what was claimed
    /// before, unless it says. None where that changes nothing, or nobody knows what is meant.
    pub fn confirmed(before: Option<&Progress>, kind: Option<&str>, event: EventRef) -> Option<Claim> {
        if before.is_some_and(Progress::stands) {
            return None;
        }
        let claim = before.and_then(|before| before.claim.as_ref());
        let claimed = claim.map(|claim| claim.kind.as_str());
        Some(Claim {
            kind: kind.or(claimed)?.to_string(),
            event,
        })
    }

    /// Nobody said otherwise in time: what was claimed counts, for the event that claimed it.
    pub fn kept(&self) -> Option<Claim> {
        self.claim.clone()
    }

    /// The outcome counts, and is charged. Of many that objections gave back before, the first one is forgotten.
    pub fn earned(before: Option<&Progress>, charged: Charged) -> Progress {
        let mut counted = before.map(|before| before.counted.clone()).unwrap_or_default();
        if counted.len() >= COUNTED_MAX {
            counted.remove(0);
        }
        let mut progress = Progress { claim: None, counted };
        progress.count(charged);
        progress
    }

    /// What is charged for it: what an objection gives back. More than one where the outcome counted again, and then the
    /// objection before was taken back.
    pub fn charged(&self) -> impl Iterator<Item = &Charged> {
        let stand = self.counted.iter().filter(|counted| counted.stands());
        stand.map(|counted| &counted.charged)
    }

    /// Somebody objects: nothing waits, and what was charged is given back.
    pub fn objected(&self, objection: &Objection) -> Progress {
        let mut counted = self.counted.clone();
        for counted in counted.iter_mut().filter(|counted| counted.stands()) {
            counted.reopened = Some(objection.clone());
        }
        Progress { claim: None, counted }
    }

    /// An event is taken back: what it had done, and where the outcome stands without it, if anything is left to remember. None
    /// where it had done nothing.
    pub fn without(&self, event: &EventRef) -> Option<(Option<Progress>, TakenBack)> {
        let mut left = self.clone();
        let taken = left.take_back(event)?;
        Some((left.or_none(), taken))
    }

    fn take_back(&mut self, event: &EventRef) -> Option<TakenBack> {
        if self.claim.as_ref().is_some_and(|claim| claim.event == *event) {
            self.claim = None;
            return Some(TakenBack::Claim);
        }
        let is_for = |counted: &Counted| counted.charged.event == *event;
        if let Some(index) = self.counted.iter().position(is_for) {
            let Counted { charged, reopened } = self.counted.remove(index);
            return Some(match reopened {
                None => TakenBack::Charged(charged),
                Some(objection) => TakenBack::GivenBack(charged, objection),
            });
        }
        let mut again = Vec::new();
        let mut taken = None;
        for counted in &mut self.counted {
            if let Some(objection) = counted.reopened.take_if(|objection| objection.event == *event) {
                again.push(counted.charged.clone());
                taken = Some(objection);
            }
        }
        // What waits would count a second time.
        self.claim = self.claim.take().filter(|_| taken.is_none());
        taken.map(|objection| TakenBack::Objection(objection, again))
    }

    /// Without what does not matter any more. `matters` is asked with the time at which an outcome was charged, or given back.
    /// None where nothing is left.
    pub fn remembered(&self, matters: impl Fn(Instant) -> bool) -> Option<Progress> {
        let mut left = self.clone();
        left.counted.retain(|counted| matters(counted.changed()));
        left.or_none()
    }

    /// When the last thing happened to what was charged, if anything was.
    pub fn changed(&self) -> Option<Instant> {
        self.counted.iter().map(Counted::changed).max()
    }

    fn stands(&self) -> bool {
        self.counted.iter().any(Counted::stands)
    }

    fn count(&mut self, charged: Charged) {
        let behind = |counted: &Counted| counted.charged.at <= charged.at;
        let index = self.counted.partition_point(behind);
        let counted = Counted {
            charged,
            reopened: None,
        };
        self.counted.insert(index, counted);
    }

    fn or_none(self) -> Option<Progress> {
        (self.claim.is_some() || !self.counted.is_empty()).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn event(id: &str) -> EventRef {
        EventRef {
            source: "api".into(),
            id: id.into(),
        }
    }

    pub(super) fn claim(kind: &str, id: &str) -> Claim {
        Claim {
            kind: kind.into(),
            event: event(id),
        }
    }

    pub(super) fn charged(id: &str) -> Charged {
        claim("resolution", id).charged(Nanos::units(1), Instant::from_micros(5), 3)
    }

    pub(super) fn earned(id: &str) -> Progress {
        Progress::earned(None, charged(id))
    }

    pub(super) fn objection(id: &str) -> Objection {
        Objection {
            event: event(id),
            at: Instant::from_micros(8),
            period: 4,
        }
    }

    #[test]
    fn the_last_claim_counts() {
        let first = Progress::claimed(None, "resolution", event("a")).unwrap();
        let second = Progress::claimed(Some(&first), "handoff", event("b")).unwrap();
        assert_eq!(second.kept(), Some(claim("handoff", "b")));
        assert_eq!(second.charged().next(), None);
        assert_eq!(second.without(&event("a")), None);
        assert_eq!(second.without(&event("b")), Some((None, TakenBack::Claim)));
    }

    #[test]
    fn what_counts_counts_once() {
        let earned = earned("a");
        assert_eq!(Progress::claimed(Some(&earned), "handoff", event("b")), None);
        assert_eq!(
            Progress::confirmed(Some(&earned), Some("handoff"), event("b")),
            None
        );
        assert_eq!(earned.kept(), None);
        assert!(earned.charged().eq([&charged("a")]));
        let gone = Some((None, TakenBack::Charged(charged("a"))));
        assert_eq!(earned.without(&event("a")), gone);
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
        // What was given back says nothing of what comes next.
        let open = earned("a").objected(&objection("back"));
        assert_eq!(confirmed(Some(&open), None), None);
    }

    #[test]
    fn an_objection_that_is_taken_back_gave_nothing_back() {
        let open = earned("a").objected(&objection("back"));
        assert_eq!(open.charged().next(), None);
        let again = TakenBack::Objection(objection("back"), vec![charged("a")]);
        let whole = Some((Some(earned("a")), again.clone()));
        assert_eq!(open.without(&event("back")), whole);
        // A claim waits no more then; another objection ends it, and nothing else.
        let waits = Progress::claimed(Some(&open), "handoff", event("b")).unwrap();
        assert_eq!(waits.without(&event("back")), whole);
        assert_eq!(waits.objected(&objection("again")), open);
        let gone = Some((Some(open.clone()), TakenBack::Claim));
        assert_eq!(waits.without(&event("b")), gone);
        // What counted meanwhile stands too.
        let counts = Progress::earned(Some(&open), charged("b"));
        assert!(counts.charged().eq([&charged("b")]));
        let (both, taken) = counts.without(&event("back")).unwrap();
        assert_eq!(taken, again);
        assert!(both.unwrap().charged().eq([&charged("a"), &charged("b")]));
    }

    #[test]
    fn what_is_taken_back_remembered_is_given_back_does_not_come_again() {
        let open = earned("a").objected(&objection("back"));
        let gone = Some((None, TakenBack::GivenBack(charged("a"), objection("back"))));
        assert_eq!(open.without(&event("a")), gone);
    }

    #[test]
    fn what_does_not_matter_any_more_is_forgotten() {
        let open = earned("a").objected(&objection("back"));
        assert_eq!(open.changed(), Some(Instant::from_micros(8)));
        let after = |micros| move |at: Instant| at.micros() > micros;
        assert_eq!(open.remembered(after(7)), Some(open.clone()));
        assert_eq!(open.remembered(after(8)), None);
        let waits = Progress::claimed(Some(&open), "handoff", event("b"));
        let waits_alone = Progress::claimed(None, "handoff", event("b"));
        assert_eq!(waits.unwrap().remembered(after(8)), waits_alone);
    }

    #[test]
    fn only_the_last_outcomes_are_remembered() {
        let mut progress = None;
        for id in ["a", "b", "c", "d", "e"] {
            let counts = Progress::earned(progress.as_ref(), charged(id));
            assert!(counts.charged().eq([&charged(id)]));
            progress = Some(counts.objected(&objection(&format!("back of {id}"))));
        }
        let progress = progress.unwrap();
        assert_eq!(progress.counted.len(), COUNTED_MAX);
        assert_eq!(progress.without(&event("back of a")), None);
        assert!(progress.without(&event("back of b")).is_some());
    }
}
