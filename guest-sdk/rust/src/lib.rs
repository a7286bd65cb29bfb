//! Writing pricing plans for Farebox in Rust.
//!
//! A plan is a price list and how to read it. It is compiled to a WebAssembly component without imports, and it is
//! tested like any other Rust code, without WebAssembly, through [`testing`].
//!
//! ```
//! use farebox_plan::*;
//!
//! vocabulary! {
//!     assets { USD: "usd", "US dollars"; }
//!     events { RESOLUTION: "support.resolution"; }
//!     measures { COUNT: "count"; }
//!     attributes { }
//!     charges { RESOLUTIONS: "resolutions", "Resolutions", "resolutions"; }
//! }
//!
//! /// What the pricing team edits.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct PriceList {
//!     /// US dollars per resolution.
//!     resolution: Decimal,
//! }
//!
//! struct PerResolution;
//!
//! impl Plan for PerResolution {
//!     type Parameters = PriceList;
//!     type Prepared = Rate;
//!     type State = ();
//!     type Subject = ();
//!     const PARAMETERS_SCHEMA: &str = "{}"; // usually `include_str!("../parameters.schema.json")`
//!
//!     fn describe() -> Description {
//!         Description::new("per-resolution", "1.0.0", "Pay for what was resolved.", VOCABULARY)
//!     }
//!
//!     fn prepare(prices: PriceList) -> Result<Rate, Vec<ParameterError>> {
//!         let place = Pointer::root().key("resolution");
//!         Rate::new(prices.resolution, Per::Unit).map_err(|error| vec![place.error(error.to_string())])
//!     }
//!
//!     fn evaluate(rate: &Rate, usage: &Usage, _: &mut Memory<Self>, outcome: &mut Outcome) -> Result<(), Rejection> {
//!         let resolutions = usage.needed(measure::COUNT)?;
//!         outcome.charge(charge::RESOLUTIONS, asset::USD).at(*rate, resolutions, || "price list".to_string())?;
//!         Ok(())
//!     }
//! }
//!
//! farebox_plan::export!(PerResolution);
//!
//! use farebox_plan::testing::{Event, Harness};
//! let mut plan = Harness::<PerResolution>::new(r#"{"resolution": "0.99"}"#).unwrap();
//! let bill = plan.use_(&Event::new("support.resolution").measure("count", 2)).unwrap();
//! assert_eq!(bill.total("usd").to_string(), "1.98");
//! ```

mod added;
#[cfg(target_arch = "wasm32")]
mod arena;
mod call;
mod change;
mod commitment;
mod decimal;
mod entries;
mod json;
mod outcome;
mod paid_seats;
mod parameters;
mod plan;
mod progress;
mod quoted;
mod rate;
pub mod rate_card;
mod rejection;
mod share;
mod span;
mod table;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod tiers;
mod time;
pub mod tokens;
mod usage;
mod vocabulary;

pub use added::Added;
#[doc(hidden)]
pub use call::Exported;
pub use change::{Category, Change, EventRef, Proration, RemainingGrant, ReversedCharge, Transition};
pub use commitment::{shortfall, unused};
pub use decimal::{DECIMAL_DIGITS_MAX, Decimal, DecimalError};
pub use entries::Entries;
pub use farebox_money::Nanos;
pub use outcome::{Charge, Grant, Outcome, Posted};
pub use paid_seats::{PaidSeats, SeatsDue};
pub use parameters::{ParameterError, Pointer};
pub use plan::{Memory, Plan, Subject};
pub use progress::{Charged, Claim, Objection, Progress, TakenBack};
pub use quoted::Quoted;
pub use rate::{Per, RATE_DECIMALS_MAX, Rate, RateError};
pub use rejection::{Overflow, Problem, Rejection};
pub use share::Share;
pub use table::{NameTaken, Table, TableBuilder};
pub use tiers::{Brackets, Graduated, NotAscending};
pub use time::{Instant, Period};
pub use usage::{EVENT_ID, EVENT_SOURCE, Purpose, Usage};
pub use vocabulary::{
    Asset, AssetLabel, Attribute, ChargeCode, ChargeLabel, Description, EventType, Measure, Order, Vocabulary,
};

/// The contract as it crosses, made from `wit/plan.wit`. Authors see the types above instead.
#[doc(hidden)]
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "plan",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "farebox_plan::bindings",
    });
}

/// Makes a type that implements [`Plan`] the plan of this component. Once per crate; does nothing in native builds, so
/// that several plans can be linked into one test.
#[macro_export]
macro_rules! export {
    ($plan:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = $crate::Exported<$plan>;
    $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}
