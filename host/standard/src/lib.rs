//! The standard plans: components that come with Farebox and need parameters only.
//!
//! They are built from `example-plans/` together with the program that carries them, by the very code that `farebox plan build`
//! runs, so they are the same bytes as anybody's build of the same source.

/// A plan that comes with Farebox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandardPlan {
    /// `per-token`
    pub name: &'static str,
    /// For whom it is, in a line.
    pub about: &'static str,
    /// The component.
    pub component: &'static [u8],
    /// JSON Schema (2020-12) of its parameters.
    pub schema: &'static str,
    /// Parameters that it takes as they are, to begin with.
    pub example: &'static str,
    /// What it reads, how it charges and what its parameters mean, in Markdown.
    pub readme: &'static str,
}

macro_rules! standard {
    ($name:literal, $example:literal, $about:literal) => {
        StandardPlan {
            name: $name,
            about: $about,
            component: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")),
            schema: include_str!(concat!(
                "../../../example-plans/",
                $name,
                "/parameters.schema.json"
            )),
            example: include_str!(concat!(
                "../../../example-plans/",
                $name,
                "/parameters/",
                $example
            )),
            readme: include_str!(concat!("../../../example-plans/", $name, "/README.md")),
        }
    };
}

/// All of them, the simplest first.
pub const PLANS: [StandardPlan; 5] = [
    standard!(
        "per-token",
        "list-prices.json",
        "calls to language models at a price per million tokens"
    ),
    standard!(
        "credits",
        "example.json",
        "packs of prepaid credits; models and actions cost credits"
    ),
    standard!(
        "hybrid",
        "example.json",
        "a fee with a pool of credits, and a price or an end for what goes beyond"
    ),
    standard!(
        "seats-plus-credits",
        "example.json",
        "a fee for each seat, with credits that all seats share"
    ),
    standard!(
        "per-outcome",
        "example.json",
        "a price for each outcome that counts, given back where somebody objects"
    ),
];

/// The one with that name.
pub fn find(name: &str) -> Option<&'static StandardPlan> {
    PLANS.iter().find(|plan| plan.name == name)
}
