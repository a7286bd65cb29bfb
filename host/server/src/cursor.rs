//! Cursors: opaque to callers, so that what a page is made of can change.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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
    }
}
