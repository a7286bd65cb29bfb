//! What plans gave back between events.

use farebox_engine::Given;
use farebox_record::correction::GivenBack;
use farebox_record::plan::EventRef;
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::amount::Amount;
use crate::wire::correction::TakenView;
use crate::wire::entry::EventRefView;

/// Part of what an earlier event took that came back because the plan said so when it priced a later one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GivenBack)]
pub struct GivenBackView {
    /// The other event: the later one that gave, or the earlier one that it was given of.
    pub event: EventRefView,
    /// What came back, and from where it had been taken.
    #[serde(flatten)]
    pub taken: TakenView,
    /// What of it the customer did not get, because the grant had expired or the debt had been written off. Not there:
    /// the customer got all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Amount>,
}

impl GivenBackView {
    /// What later events gave back of an event.
    pub fn of_it(given: &Given) -> Vec<GivenBackView> {
        let each = given.of_it.iter();
        each.map(|(giver, slice)| GivenBackView::new(giver, slice))
            .collect()
    }

    /// What an event gave back of earlier ones.
    pub fn by_it(given: &Given) -> Vec<GivenBackView> {
        let each = given.by_it.iter();
        each.map(|slice| GivenBackView::new(&slice.event, slice))
            .collect()
    }

    fn new(other: &EventRef, given: &GivenBack) -> GivenBackView {
        GivenBackView {
            event: EventRefView::new(other),
            taken: TakenView::new(&given.slice),
            lost: given.lost.is_positive().then_some(Amount(given.lost)),
        }
    }
}
