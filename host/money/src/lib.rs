//! Fixed-point amounts and the assets that they are amounts of. No I/O, no floats, nothing that can wrap.
//!
//! Everything that Farebox counts is a whole number of 10^-9 units ([`Nanos`]): dollars, credits, tokens, seconds.
//! One scale for all of them means that no conversion can lose a digit and that there is one parser, one printer and
//! one rounding rule (half to even) to trust.

mod asset;
mod nanos;
mod ratio;

pub use asset::{ASSET_BYTES_MAX, Asset, AssetError};
pub use nanos::{AmountError, NANOS_PER_UNIT, Nanos, NanosText};
pub use ratio::{Rounding, multiply_divide};
