//! Backfills: what is sent, how one stands, and what it would do.

use farebox_engine::{BackfillPreview, BackfillProblem, BackfilledCustomer};
use farebox_record::control::{BackfillState, BackfillTally};
use farebox_record::event::Event;
use farebox_record::ids::{CallId, CustomerId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::wire::balance::{BalanceView, LineView};
use crate::wire::event::EventBody;
use crate::wire::text::Label;
use crate::wire::time::Time;

/// Events from before the late window, to be posted as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PostBackfill, example = json!({
    "id": "lost-log-january", "reason": "the gateway's log of 10 January was found", "events": [
        {"id": "call-1", "customer": "acme", "type": "llm.call", "time": "2026-01-10T09:30:00Z",
         "measures": {"input_tokens": 1200, "output_tokens": 350}, "attributes": {"model": "gpt-5"}}]
}))]
pub struct BackfillBody {
    /// Made by the caller; kept for good.
    #[schema(value_type = String, example = "lost-log-january")]
    id: CallId,
    /// Why, for the people who look at it later.
    reason: Option<Label>,
    /// 1 to 10,000 events of any customers, each with its `time`, in the order in which they are posted.
    events: Vec<EventBody>,
}

/// What a backfill is made of.
pub struct NewBackfill {
    pub id: CallId,
    pub reason: Option<String>,
    pub events: Vec<(CustomerId, Event)>,
}

impl BackfillBody {
    /// As the engine takes it. Each event must be readable and say when it happened.
    pub fn read(self) -> Result<NewBackfill, Problem> {
        let mut events = Vec::with_capacity(self.events.len());
        for (index, body) in self.events.into_iter().enumerate() {
            let at = format!("/events/{index}");
            let (customer, event) = body.event(&at)?;
            if event.time.is_none() {
                let detail = "an event of a backfill says when it happened";
                return Err(Problem::field(format!("{at}/time"), detail));
            }
            events.push((customer, event));
        }
        Ok(NewBackfill {
            id: self.id,
            reason: self.reason.map(|reason| reason.0),
            events,
        })
    }
}

/// A backfill.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backfill)]
pub struct BackfillView {
    /// Its id.
    pub id: String,
    /// `draft`: nothing is posted; `committing`, `committed`; `reverting`, `reverted`. It only moves forward.
    #[schema(example = "draft")]
    pub status: &'static str,
    /// Why it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many events it has.
    pub events: u64,
    /// Of how many customers.
    pub customers: u64,
    /// When it was made.
    pub created_at: Time,
    /// When it came to where it stands.
    pub moved_at: Time,
    /// What came of its events.
    pub outcome: TallyView,
    /// Whether an earlier request made it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// What came of the events of a backfill.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackfillOutcome)]
pub struct TallyView {
    /// Priced and charged.
    pub charged: u64,
    /// Kept until they have a price.
    pub unpriced: u64,
    /// Left out: the customer has an event of that id already.
    pub known: u64,
    /// Left out: refused, each for a reason of its own.
    pub refused: u64,
    /// Taken back by the revert.
    pub reverted: u64,
}

impl TallyView {
    fn new(tally: BackfillTally) -> TallyView {
        TallyView {
            charged: tally.charged,
            unpriced: tally.unpriced,
            known: tally.known,
            refused: tally.refused,
            reverted: tally.reverted,
        }
    }
}

impl BackfillView {
    /// As it stands.
    pub fn new(id: &CallId, state: &BackfillState) -> BackfillView {
        BackfillView {
            id: id.to_string(),
            status: state.stage.as_str(),
            reason: state.reason.clone(),
            events: state.count,
            customers: state.customers,
            created_at: Time(state.created),
            moved_at: Time(state.moved),
            outcome: TallyView::new(state.tally),
            replayed: false,
        }
    }
}

/// A page of backfills.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backfills)]
pub struct BackfillPage {
    /// In order of id.
    pub backfills: Vec<BackfillView>,
    /// `cursor` of the next page; not there on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What committing a backfill would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackfillPreview)]
pub struct PreviewView {
    /// When it was found out; what happens later is not in it.
    pub as_of: Time,
    /// What would come of its events.
    pub outcome: TallyView,
    /// What would be charged in all, as the plans state it, by code and asset.
    pub charges: Vec<LineView>,
    /// Each customer that something would be posted for, in order of id.
    pub customers: Vec<CustomerView>,
    /// Events that would be left out, in order: the first 100.
    pub problems: Vec<ProblemView>,
}

/// What a backfill would do to one customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackfilledCustomer)]
pub struct CustomerView {
    /// Who.
    pub customer: String,
    /// How many of its events would be charged.
    pub charged: u64,
    /// What for, by code and asset.
    pub charges: Vec<LineView>,
    /// What the customer would have afterwards.
    pub balance: Vec<BalanceView>,
}

/// An event that would be left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackfillProblem)]
pub struct ProblemView {
    /// Its place among the backfill's events, from 0.
    pub index: usize,
    /// Whose event.
    pub customer: String,
    /// Its id.
    pub id: String,
    /// Where it came from.
    pub source: String,
    /// `known`: the customer has an event of that id already; `conflict`; `refused`.
    pub code: &'static str,
    /// Why, and what to do.
    pub detail: String,
}

impl PreviewView {
    /// For a caller.
    pub fn new(preview: &BackfillPreview) -> PreviewView {
        PreviewView {
            as_of: Time(preview.as_of),
            outcome: TallyView::new(preview.tally),
            charges: LineView::list(&preview.charges),
            customers: preview.customers.iter().map(CustomerView::new).collect(),
            problems: preview.problems.iter().map(ProblemView::new).collect(),
        }
    }
}

impl CustomerView {
    fn new(customer: &BackfilledCustomer) -> CustomerView {
        CustomerView {
            customer: customer.customer.to_string(),
            charged: customer.charged,
            charges: LineView::list(&customer.charges),
            balance: BalanceView::list(&customer.balances),
        }
    }
}

impl ProblemView {
    fn new(problem: &BackfillProblem) -> ProblemView {
        ProblemView {
            index: problem.index,
            customer: problem.customer.to_string(),
            id: problem.event.id.to_string(),
            source: problem.event.source.to_string(),
            code: problem.code,
            detail: problem.message.clone(),
        }
    }
}
