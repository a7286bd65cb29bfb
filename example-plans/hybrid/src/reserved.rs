//! Credits for some usage only, as the pricing team says them: they come with the fee, burn before the pool, and end with the
//! period.

use farebox_plan::{Decimal, Entries, Grant, Nanos, Overflow, ParameterError, Pointer, Share};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::allowance::{NAME_BYTES_MAX, Only, PRIORITY, check_text, some};
use crate::asset;

/// How statements name them, before their own name; by that a later period knows them.
const RESERVED: &str = "Reserved credits: ";
/// Most kinds of them.
const KINDS_MAX: usize = 8;

/// Credits for some usage only.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reserved {
    /// How many, for a period. What is left of them is lost at its end.
    pub credits: Decimal,
    /// Attributes that an event must have to use them, each with its value. At least one.
    pub only: Entries<String>,
}

/// A [`Reserved`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReservedCredits {
    name: String,
    credits: Nanos,
    only: Only,
}

impl ReservedCredits {
    /// All kinds, by their names.
    pub fn prepare(
        kinds: &Entries<Reserved>,
        place: &Pointer,
        wrong: &mut Vec<ParameterError>,
    ) -> Vec<ReservedCredits> {
        let mut prepared = Vec::new();
        for (name, kind) in kinds.iter() {
            let place = place.key(name);
            check_text("the name", name, NAME_BYTES_MAX, &place, wrong);
            if kind.only.is_empty() {
                let message = "expected an attribute: without one, give a larger pool";
                wrong.push(place.key("only").error(message));
            }
            prepared.push(ReservedCredits {
                name: name.to_string(),
                credits: some(kind.credits, &place.key("credits"), wrong),
                only: Only::prepare(&kind.only, &place.key("only"), wrong),
            });
        }
        if prepared.len() > KINDS_MAX {
            let found = prepared.len();
            wrong.push(place.error(format!("expected at most {KINDS_MAX} kinds, found {found}")));
        }
        prepared
    }

    /// Those of a share of the period, so many times over; nothing where that comes to nothing.
    pub fn grant(&self, share: Share, times: u32) -> Result<Option<Grant>, Overflow> {
        let credits = share.of_each(self.credits, times)?;
        let label = format!("{RESERVED}{}", self.name);
        let grant = Grant::included(asset::CREDITS, credits, &label).priority(PRIORITY);
        Ok(credits.is_positive().then(|| self.only.limit(grant)))
    }
}

/// Whether a grant is one of these, of this plan or of another with the same program.
pub(crate) fn is_reserved(label: &str) -> bool {
    label.starts_with(RESERVED)
}
