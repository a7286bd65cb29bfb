//! States that grow.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Something that a later version of a plan added at the end of a state; none in a state from before.
///
/// A state that grows so keeps its [`state_version`](crate::Description::state_version): subscriptions go on as they are, and
/// an earlier version of the plan reads what it knows. It is written like an `Option`, and read like one, except that a
/// state may end where it begins. A state that ends within it, or says something else, is no state.
///
/// As the last field it may be left out where there is none (`#[serde(skip_serializing_if = "Added::is_none")]`): states from
/// before are then written as they were, too.
///
/// ```
/// use farebox_plan::{Added, Nanos};
/// #[derive(Default, serde::Serialize, serde::Deserialize)]
/// struct State {
///     period: u32,
///     /// Since version 2.
///     given: Added<Nanos>,
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added<T>(pub Option<T>);

impl<T> Added<T> {
    /// Whether there is none.
    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl<T> Default for Added<T> {
    fn default() -> Self {
        Added(None)
    }
}

impl<T: Serialize> Serialize for Added<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Added<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Added<T>, D::Error> {
        struct Parts<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = Added<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0, 1 and a value, or the end")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Added<T>, A::Error> {
                // The byte that says whether there is a value. Reading a byte fails where no byte is left, and nowhere else.
                match parts.next_element::<u8>() {
                    Err(_) | Ok(None | Some(0)) => Ok(Added(None)),
                    Ok(Some(1)) => match parts.next_element()? {
                        Some(value) => Ok(Added(Some(value))),
                        None => Err(A::Error::invalid_length(1, &self)),
                    },
                    Ok(Some(other)) => {
                        Err(A::Error::invalid_value(Unexpected::Unsigned(other.into()), &self))
                    }
                }
            }
        }
        deserializer.deserialize_tuple(2, Parts(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Grown {
        period: u32,
        name: Added<String>,
        count: Added<u32>,
    }

    fn grown(name: Option<&str>, count: Option<u32>) -> Grown {
        Grown {
            period: 300,
            name: Added(name.map(str::to_string)),
            count: Added(count),
        }
    }

    fn read(bytes: &[u8]) -> Option<Grown> {
        postcard::from_bytes(bytes).ok()
    }

    #[test]
    fn a_state_from_before_ends_where_it_begins() {
        // 300 in two bytes, then as much as there was at the time.
        assert_eq!(read(&[172, 2]), Some(grown(None, None)));
        assert_eq!(read(&[172, 2, 0]), Some(grown(None, None)));
        assert_eq!(read(&[172, 2, 1, 1, b'a']), Some(grown(Some("a"), None)));
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        for state in [
            grown(None, None),
            grown(None, Some(7)),
            grown(Some("a"), None),
            grown(Some(""), Some(0)),
        ] {
            let bytes = postcard::to_allocvec(&state).unwrap();
            assert_eq!(read(&bytes), Some(state));
        }
        // Like an option, which a plan from before may have had in its place.
        let before = postcard::to_allocvec(&(300_u32, Some("a"), Some(7_u32))).unwrap();
        assert_eq!(read(&before), Some(grown(Some("a"), Some(7))));
    }

    #[test]
    fn a_state_without_the_last_one_is_written_as_it_was_before() {
        #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
        struct Last {
            period: u32,
            #[serde(skip_serializing_if = "Added::is_none")]
            count: Added<u32>,
        }
        for (count, bytes) in [(None, &[172, 2][..]), (Some(7), &[172, 2, 1, 7])] {
            let state = Last {
                period: 300,
                count: Added(count),
            };
            assert_eq!(postcard::to_allocvec(&state).as_deref(), Ok(bytes));
            assert_eq!(postcard::from_bytes(bytes), Ok(state));
        }
    }

    #[test]
    fn what_is_damaged_is_no_state() {
        for (bytes, what) in [
            (&[][..], "nothing at all"),
            (&[172], "it ends before"),
            (&[172, 2, 2], "neither 0 nor 1"),
            (&[172, 2, 1], "it ends where a value should be"),
            (&[172, 2, 1, 3, b'a'], "it ends within one"),
            (&[172, 2, 1, 1, 0xff], "no text"),
            (&[172, 2, 0, 1], "the second ends where a value should be"),
            (&[172, 2, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff], "no number"),
        ] {
            assert_eq!(read(bytes), None, "{what}");
        }
    }
}
