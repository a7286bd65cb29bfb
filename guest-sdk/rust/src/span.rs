//! Indices and slices of the contract, which are 32 bits wide.

use crate::bindings::exports::farebox::plan::pricing as wit;

/// An index or a length as it crosses.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the memory of a plan is 256 KiB; nothing in it is longer"
)]
pub(crate) const fn index(length: usize) -> u32 {
    length as u32
}

/// What lies between two lengths.
pub(crate) const fn between(start: usize, end: usize) -> wit::Span {
    wit::Span {
        start: index(start),
        end: index(end),
    }
}

/// The bytes of a slice.
pub(crate) fn bytes(all: &[u8], span: wit::Span) -> &[u8] {
    &all[span.start as usize..span.end as usize]
}

/// The text of a slice.
pub(crate) fn text(all: &str, span: wit::Span) -> &str {
    &all[span.start as usize..span.end as usize]
}
