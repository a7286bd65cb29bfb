//! The names that a plan and its host agree on, and typed handles for them.
//!
//! Across the contract every name is an index, so that no text is compared where money waits. Authors never see an
//! index: [`vocabulary!`](crate::vocabulary) turns a list of names into constants.

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            index: u32,
            name: &'static str,
        }

        impl $name {
            /// Made by [`vocabulary!`](crate::vocabulary), which counts.
            #[doc(hidden)]
            pub const fn new(index: u32, name: &'static str) -> $name {
                $name { index, name }
            }

            /// Its place in the description.
            pub const fn index(self) -> u32 {
                self.index
            }

            /// Its name in events, statements and exports.
            pub const fn name(self) -> &'static str {
                self.name
            }
        }
    };
}

handle! {
    /// What a charge or a grant is made in.
    Asset
}
handle! {
    /// A type of events that the plan rates.
    EventType
}
handle! {
    /// A number of an event.
    Measure
}
handle! {
    /// A text of an event.
    Attribute
}
handle! {
    /// What a line of the statement is for.
    ChargeCode
}

/// An asset with what people call it.
#[derive(Debug, Clone, Copy)]
pub struct AssetLabel {
    /// The asset.
    pub asset: Asset,
    /// "US dollars".
    pub label: &'static str,
}

/// A charge code with what people read.
#[derive(Debug, Clone, Copy)]
pub struct ChargeLabel {
    /// The code.
    pub code: ChargeCode,
    /// "Input tokens".
    pub label: &'static str,
    /// What the quantity counts: "tokens".
    pub unit: &'static str,
}

/// Everything that a plan names, in the order in which it is sent.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary {
    /// What it charges in or grants.
    pub assets: &'static [AssetLabel],
    /// What it rates.
    pub events: &'static [EventType],
    /// Which numbers it reads. At most 64.
    pub measures: &'static [Measure],
    /// Which texts it reads. At most 64.
    pub attributes: &'static [Attribute],
    /// What it charges for.
    pub charges: &'static [ChargeLabel],
}

impl Vocabulary {
    /// The asset with that name, for parameters that choose one.
    pub fn asset(&self, name: &str) -> Option<Asset> {
        self.assets
            .iter()
            .map(|described| described.asset)
            .find(|asset| asset.name == name)
    }

    /// The asset at an index of the contract.
    pub(crate) fn asset_at(&self, index: u32) -> Option<Asset> {
        self.assets.get(index as usize).map(|described| described.asset)
    }

    /// The charge at an index of the contract.
    pub(crate) fn charge_at(&self, index: u32) -> Option<ChargeCode> {
        self.charges.get(index as usize).map(|described| described.code)
    }
}

/// How the price of an event depends on the events before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// On nothing but the event: any order gives the same charges, and a correction touches one event only.
    #[default]
    Independent,
    /// On running totals (tiers, pools): a correction folds the period again.
    Cumulative,
    /// On the exact sequence: a correction folds the period again.
    Sequential,
}

/// What a plan is and what it reads.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// Its name: lower-case letters, digits and hyphens.
    pub name: &'static str,
    /// Its version, for people; `env!("CARGO_PKG_VERSION")` does.
    pub version: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Its names.
    pub vocabulary: Vocabulary,
    /// How a price depends on what came before.
    pub order: Order,
    /// The attribute that names the subject, for plans that follow one.
    pub subject: Option<Attribute>,
    /// Version of the shape of its state and of its subjects' state. Raise it with the shape, but not for what is
    /// [`Added`](crate::Added) at the end.
    pub state_version: u32,
    /// Whether events carry what the provider bills for them.
    pub wants_cost: bool,
    /// Whether events carry what is available in the wallet. Asking costs: such events of one wallet are priced one
    /// after another. Prefer a charge with `otherwise`.
    pub wants_balances: bool,
}

impl Description {
    /// A plan without state that reads nothing but the event.
    pub const fn new(
        name: &'static str,
        version: &'static str,
        summary: &'static str,
        vocabulary: Vocabulary,
    ) -> Self {
        Description {
            name,
            version,
            summary,
            vocabulary,
            order: Order::Independent,
            subject: None,
            state_version: 0,
            wants_cost: false,
            wants_balances: false,
        }
    }
}

/// Declares the names of a plan: a module of constants per kind, and `VOCABULARY` with all of them.
///
/// ```
/// farebox_plan::vocabulary! {
///     assets { USD: "usd", "US dollars"; }
///     events { CALL: "llm.call"; }
///     measures { INPUT: "input_tokens"; OUTPUT: "output_tokens"; }
///     attributes { MODEL: "model"; }
///     charges { TOKENS: "tokens", "Tokens", "tokens"; }
/// }
/// assert_eq!(measure::OUTPUT.index(), 1);
/// assert_eq!(VOCABULARY.asset("usd"), Some(asset::USD));
/// ```
#[macro_export]
macro_rules! vocabulary {
    (
        assets { $($asset:ident: $asset_name:literal, $asset_label:literal;)* }
        events { $($event:ident: $event_name:literal;)* }
        measures { $($measure:ident: $measure_name:literal;)* }
        attributes { $($attribute:ident: $attribute_name:literal;)* }
        charges { $($charge:ident: $charge_code:literal, $charge_label:literal, $charge_unit:literal;)* }
    ) => {
        $crate::vocabulary!(@module "Assets of this plan." asset Asset $($asset: $asset_name;)*);
        $crate::vocabulary!(@module "Types of events that this plan rates." event EventType $($event: $event_name;)*);
        $crate::vocabulary!(@module "Measures that this plan reads." measure Measure $($measure: $measure_name;)*);
        $crate::vocabulary!(@module "Attributes that this plan reads." attribute Attribute $($attribute: $attribute_name;)*);
        $crate::vocabulary!(@module "Charges that this plan makes." charge ChargeCode $($charge: $charge_code;)*);

        /// Everything that this plan names.
        pub const VOCABULARY: $crate::Vocabulary = $crate::Vocabulary {
            assets: &[$($crate::AssetLabel { asset: asset::$asset, label: $asset_label }),*],
            events: &[$(event::$event),*],
            measures: &[$(measure::$measure),*],
            attributes: &[$(attribute::$attribute),*],
            charges: &[$($crate::ChargeLabel {
                code: charge::$charge,
                label: $charge_label,
                unit: $charge_unit,
            }),*],
        };
    };
    (@module $doc:literal $module:ident $type:ident $($constant:ident: $name:literal;)*) => {
        #[doc = $doc]
        pub mod $module {
            // An enum counts: its discriminants are the indices.
            #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "named after the constants")]
            enum Index { $($constant),* }
            $(
                #[doc = concat!("`", $name, "`")]
                pub const $constant: $crate::$type = $crate::$type::new(Index::$constant as u32, $name);
            )*
        }
    };
}
