//! Cursors: opaque to callers, so that what a page is made of can change.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use farebox_engine::projection::{FeedCursor, Position, UsageCursor};
use farebox_record::time::Timestamp;

use crate::problem::Problem;

/// After a name, in lists in order of name.
pub(crate) fn after(name: &str) -> String {
    encode('n', name)
}

/// The name that a cursor of [`after`] stands for.
pub(crate) fn name(cursor: Option<&str>) -> Result<Option<String>, Problem> {
    cursor.map(|text| decode('n', text)).transpose()
}

/// A place among a wallet's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Records with this sequence and below ...
    pub sequence: u64,
    /// ... without so many entries of the newest of them.
    pub skip: usize,
}

impl Place {
    /// As text.
    pub fn encode(self) -> String {
        encode('e', &format!("{}:{}", self.sequence, self.skip))
    }

    /// From text.
    pub fn decode(cursor: &str) -> Result<Place, Problem> {
        let text = decode('e', cursor)?;
        let numbers = text
            .split_once(':')
            .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        numbers
            .map(|(sequence, skip)| Place { sequence, skip })
            .ok_or_else(refuse)
    }
}

/// Behind the record of a sequence, in lists in order of arrival.
pub(crate) fn behind(sequence: u64) -> String {
    encode('s', &sequence.to_string())
}

/// The sequence that a cursor of [`behind`] stands for.
pub(crate) fn sequence(cursor: &str) -> Result<u64, Problem> {
    decode('s', cursor)?.parse().map_err(|_| refuse())
}

/// A place in the change feed, as text.
pub(crate) fn feed(place: FeedCursor) -> String {
    encode('c', &format!("{}:{}", place.position.0, place.index))
}

/// The place in the change feed that a text in `parameter` stands for.
pub(crate) fn feed_place(parameter: &str, text: &str) -> Result<FeedCursor, Problem> {
    let wrong = || {
        Problem::parameter(
            parameter,
            "is not a cursor of the change feed; use `next` or a change's `cursor`",
        )
    };
    let text = decode('c', text).map_err(|_| wrong())?;
    let numbers = text
        .split_once(':')
        .and_then(|(position, index)| Some((position.parse().ok()?, index.parse().ok()?)));
    let (position, index) = numbers.ok_or_else(wrong)?;
    Ok(FeedCursor {
        position: Position(position),
        index,
    })
}

/// A place among groups of usage, as text.
pub(crate) fn usage(place: &UsageCursor) -> String {
    let group = serde_json::to_string(&place.group).unwrap_or_default();
    encode('u', &format!("{}:{group}", place.time.as_micros()))
}

/// The place among groups of usage that a text stands for.
pub(crate) fn usage_place(text: &str) -> Result<UsageCursor, Problem> {
    let text = decode('u', text)?;
    let (time, group) = text.split_once(':').ok_or_else(refuse)?;
    Ok(UsageCursor {
        time: Timestamp::from_micros(time.parse().map_err(|_| refuse())?),
        group: serde_json::from_str(group).map_err(|_| refuse())?,
    })
}

fn encode(kind: char, text: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{kind}{text}"))
}

fn decode(kind: char, cursor: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refuse())?;
    let text = String::from_utf8(bytes).map_err(|_| refuse())?;
    text.strip_prefix(kind).map(str::to_string).ok_or_else(refuse)
}

fn refuse() -> Problem {
    Problem::parameter(
        "cursor",
        "is not a cursor of this list; use `next` of the page before",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_by_its_own_list_alone() {
        let place = Place { sequence: 7, skip: 2 };
        assert_eq!(Place::decode(&place.encode()).unwrap(), place);
        assert_eq!(name(Some(&after("acme"))).unwrap().as_deref(), Some("acme"));
        assert!(Place::decode(&after("acme")).is_err());
        assert!(name(Some("!")).is_err());
        assert_eq!(sequence(&behind(u64::MAX)).unwrap(), u64::MAX);
        assert!(sequence(&place.encode()).is_err());
    }

    #[test]
    fn places_of_the_feed_and_of_usage_are_read_back() {
        let place = FeedCursor {
            position: Position(u64::MAX),
            index: 3,
        };
        assert_eq!(feed_place("after", &feed(place)).unwrap(), place);
        let problem = feed_place("Last-Event-ID", &after("acme")).unwrap_err();
        assert_eq!(problem.member("parameter").unwrap(), "Last-Event-ID");
        for group in [
            None,
            Some((true, Vec::new())),
            Some((false, vec![Some("a:b".into()), None])),
        ] {
            let place = UsageCursor {
                time: Timestamp::from_micros(-5),
                group,
            };
            assert_eq!(usage_place(&usage(&place)).unwrap(), place);
        }
        assert!(usage_place(&feed(place)).is_err());
    }
}
