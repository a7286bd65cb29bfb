//! How the outcome of a subject is written: first what a version from before objections were kept knows of it, then the rest.

use serde::{Deserialize, Serialize};

use super::{Charged, Claim, Counted, Progress};
use crate::{Added, EventRef};

#[derive(Serialize, Deserialize)]
pub(super) struct Encoded {
    latest: Latest,
    others: Added<Vec<Counted>>,
}

/// All that there was.
#[derive(Serialize, Deserialize)]
enum Latest {
    /// A claim of no kind, by the last objection, where nothing waits and nothing stands: a version from before takes it for
    /// one that no timer waits for, and forgets it with that objection.
    Pending(Claim),
    Earned(Charged),
}

impl From<Progress> for Encoded {
    fn from(progress: Progress) -> Encoded {
        let Progress { claim, mut counted } = progress;
        let stands = counted.iter().rposition(Counted::stands);
        let latest = match (claim, stands) {
            (Some(claim), _) => Latest::Pending(claim),
            (None, Some(stands)) => Latest::Earned(counted.remove(stands).charged),
            (None, None) => Latest::Pending(Claim {
                kind: String::new(),
                event: last_objection(&counted),
            }),
        };
        Encoded {
            latest,
            others: Added((!counted.is_empty()).then_some(counted)),
        }
    }
}

fn last_objection(counted: &[Counted]) -> EventRef {
    let objections = counted.iter().filter_map(|counted| counted.reopened.as_ref());
    match objections.max_by_key(|objection| objection.at) {
        Some(last) => last.event.clone(),
        None => EventRef {
            source: String::new(),
            id: String::new(),
        },
    }
}

impl From<Encoded> for Progress {
    fn from(encoded: Encoded) -> Progress {
        let mut progress = Progress {
            claim: None,
            counted: encoded.others.0.unwrap_or_default(),
        };
        match encoded.latest {
            Latest::Pending(claim) => progress.claim = Some(claim).filter(|claim| !claim.kind.is_empty()),
            Latest::Earned(charged) => progress.count(charged),
        }
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{charged, claim, earned, objection};
    use super::*;

    /// The state as it was before objections were kept.
    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    enum Before {
        Pending(Claim),
        Earned(Charged),
    }

    fn waiting(before: Option<&Progress>) -> Progress {
        Progress::claimed(before, "handoff", claim("", "c").event).unwrap()
    }

    #[test]
    fn a_state_from_before_objections_were_kept_goes_on() {
        for (before, now) in [
            (Before::Pending(claim("handoff", "c")), waiting(None)),
            (Before::Earned(charged("a")), earned("a")),
        ] {
            let bytes = postcard::to_allocvec(&before).unwrap();
            assert_eq!(postcard::from_bytes(&bytes), Ok(now.clone()));
            let written = postcard::to_allocvec(&now).unwrap();
            assert_eq!(written, [&bytes[..], &[0]].concat());
        }
        // Before periods were kept it ended one part earlier: the second of two states, and its four parts.
        let Charged {
            kind,
            event,
            amount,
            at,
            ..
        } = charged("a");
        let bytes = postcard::to_allocvec(&(1_u8, kind, event, amount, at)).unwrap();
        let unknown = Charged {
            period: Added(None),
            ..charged("a")
        };
        assert_eq!(postcard::from_bytes(&bytes), Ok(Progress::earned(None, unknown)));
    }

    #[test]
    fn a_version_from_before_reads_what_it_knows() {
        let reopened = earned("a").objected(&objection("b"));
        let both = Progress::earned(Some(&reopened), charged("c"));
        let none = Claim {
            kind: String::new(),
            event: objection("b").event,
        };
        for (now, before) in [
            (waiting(Some(&reopened)), Before::Pending(claim("handoff", "c"))),
            (both, Before::Earned(charged("c"))),
            (reopened, Before::Pending(none)),
        ] {
            let bytes = postcard::to_allocvec(&now).unwrap();
            assert_eq!(postcard::from_bytes(&bytes), Ok(before));
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let reopened = earned("a").objected(&objection("b"));
        let counts_too = Progress::earned(Some(&reopened), charged("c"));
        let (both, _) = counts_too.without(&objection("b").event).unwrap();
        for state in [
            waiting(Some(&reopened)),
            both.unwrap(),
            counts_too.objected(&objection("d")),
            counts_too,
            reopened,
        ] {
            let bytes = postcard::to_allocvec(&state).unwrap();
            assert_eq!(postcard::from_bytes::<Progress>(&bytes).as_ref(), Ok(&state));
            // It ends within what was charged besides.
            assert_eq!(
                postcard::from_bytes::<Progress>(&bytes[..bytes.len() - 1]).ok(),
                None,
                "{state:?}"
            );
        }
    }

    #[test]
    fn the_longest_state_has_room() {
        let long = |byte: &str, bytes: usize| byte.repeat(bytes);
        let event = |of: &str| EventRef {
            source: long(of, 256),
            id: long(of, 256),
        };
        let mut progress = waiting(None);
        for round in ["a", "b", "c", "d", "e", "f"] {
            let outcome = Charged {
                kind: long(round, 1_024),
                event: event(round),
                ..charged("a")
            };
            let again = super::super::Objection {
                event: event("o"),
                ..objection("o")
            };
            progress = Progress::earned(Some(&progress), outcome).objected(&again);
        }
        let bytes = postcard::to_allocvec(&progress).unwrap().len();
        assert!(bytes < 12 << 10, "{bytes} of 16 KiB");
    }
}
