//! What customers would pay under a plan: their events through the very engine that a server runs, over a store in memory and a
//! clock that the events move.
//!
//! Each customer has one subscription by the month, nothing but what the plan gives, and credit without end; so what they owe at
//! the end is what they pay: debt for usage that no included grant covered, and receivables for fees. Every period is billed
//! whole: the subscription ends with the period of the last event, and what is settled at an end is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use farebox_engine::{
    Ask, Config, ControlError, Engine, EngineError, ManualClock, NewRevision, Rejected, Reply, Request,
};
use farebox_ledger::period_at;
use farebox_money::{Asset, Nanos};
use farebox_record::command::{Command, PutCustomer, Subscribe};
use farebox_record::event::Event;
use farebox_record::ids::{CallId, CustomerId, NameError, PlanName, SubscriptionId, TenantId};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
use farebox_record::state::{Cadence, Shortfall};
use farebox_record::time::{Span, Timestamp};
use farebox_runtime::{Refused, Runtime};
use farebox_store::MemoryStore;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::events::Used;

/// Who uses something where the event does not say.
const ANYBODY: &str = "customer";
/// The month over which generated events are spread.
const SPREAD_SECONDS: u32 = 28 * 86_400;

/// A plan with its parameters.
#[derive(Clone, Copy)]
pub struct Priced<'a> {
    /// Runs it.
    pub runtime: &'a Runtime,
    /// Its bytes.
    pub component: &'a [u8],
    /// Parameters, as JSON text.
    pub parameters: &'a str,
}

/// What each customer pays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bills {
    /// By customer, and asset; what is nothing is left out.
    pub customers: BTreeMap<String, BTreeMap<Asset, Nanos>>,
    /// Events that have no price.
    pub unpriced: u64,
    /// Events that came to nothing: another one had their id, or they were refused.
    pub refused: u64,
    /// Which was the first of those, and why.
    pub refused_why: Option<String>,
}

/// Why there are no bills.
#[derive(Debug, thiserror::Error)]
pub enum BillsError {
    /// The plan is refused.
    #[error(transparent)]
    Plan(#[from] Refused),
    /// Its parameters are.
    #[error("{0}")]
    Parameters(#[from] ControlError),
    /// A customer's name cannot be one.
    #[error("customer {customer:?}: {error}")]
    Customer {
        /// As the event says it.
        customer: String,
        /// Why.
        error: NameError,
    },
    /// The plan takes no subscription.
    #[error("the plan takes no subscription: {0}")]
    Subscription(String),
    /// The engine did not start, or stopped.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The engine took nothing in.
    #[error("{0}")]
    Rejected(#[from] Rejected),
    /// The calendar does not go that far.
    #[error("{0} belongs to no period")]
    Time(Timestamp),
}

/// Bills what was used, in order of time, from `began` on.
pub fn bills(plan: &Priced<'_>, used: &[Used], began: Timestamp, seats: u32) -> Result<Bills, BillsError> {
    let house = House::open(plan, began)?;
    let bills = house.bill(used, began, seats);
    house.engine.stop()?;
    bills
}

/// One tenant with one plan.
struct House {
    engine: Engine,
    clock: Arc<ManualClock>,
    tenant: TenantId,
    plan: PlanName,
    assets: Vec<Asset>,
}

#[expect(clippy::expect_used, reason = "names that are constants")]
impl House {
    fn open(plan: &Priced<'_>, began: Timestamp) -> Result<House, BillsError> {
        let clock = Arc::new(ManualClock::at(began));
        let config = Config {
            lanes: 1,
            on_failure: Box::new(|_| {}),
            ..Config::default()
        };
        // Held until the engine has it, too, so that it is compiled once.
        let admitted = plan.runtime.admit(plan.component)?;
        let assets = admitted.description().assets.clone();
        let store = Arc::new(MemoryStore::new());
        let engine = Engine::by_hand(config, store, plan.runtime.clone(), Arc::clone(&clock) as _)?;
        let tenant = TenantId::new("default").expect("a name");
        let name = PlanName::new("plan").expect("a name");
        let component = engine.push_component(&tenant, &name, plan.component)?.hash;
        engine.activate(
            &tenant,
            &name,
            &NewRevision::at_once(component, plan.parameters),
            None,
        )?;
        Ok(House {
            engine,
            clock,
            tenant,
            plan: name,
            assets: assets.into_iter().map(|described| described.asset).collect(),
        })
    }

    fn bill(&self, used: &[Used], began: Timestamp, seats: u32) -> Result<Bills, BillsError> {
        let names: BTreeSet<&str> = used.iter().map(who).collect();
        let mut customers = BTreeMap::new();
        for name in names {
            let id = CustomerId::new(name).map_err(|error| BillsError::Customer {
                customer: name.to_string(),
                error,
            })?;
            self.begin(&id, seats)?;
            customers.insert(name, id);
        }
        let mut bills = Bills::default();
        let mut last = began;
        for used in used {
            last = last.max(used.event.time.unwrap_or(last));
            self.clock.advance_to(last);
            let event = Event {
                time: Some(used.event.time.unwrap_or(last)),
                ..used.event.clone()
            };
            let command = Command::Usage(event);
            let why = match self.ask(&customers[who(used)], command)? {
                Reply::Done(_) => continue,
                Reply::Refused(refusal) => refusal.to_string(),
                Reply::Conflict { field } => format!("another event has its id, with another {field}"),
                other => format!("{other:?}"),
            };
            bills.refused += 1;
            let event = &used.event.id;
            bills
                .refused_why
                .get_or_insert_with(|| format!("event {event}: {why}"));
        }
        for id in customers.values() {
            // A plan that does not let anybody go is billed up to the last event.
            self.ask(id, end())?;
        }
        let period = period_at(began, Cadence::Monthly, last).map_err(|_| BillsError::Time(last))?;
        self.clock.advance_to(period.end);
        for (name, id) in customers {
            let (bill, unpriced) = self.owed(&id)?;
            bills.unpriced += unpriced;
            bills.customers.insert(name.to_string(), bill);
        }
        Ok(bills)
    }

    /// A customer with credit without end, and a subscription.
    fn begin(&self, customer: &CustomerId, seats: u32) -> Result<(), BillsError> {
        let shortfall = self
            .assets
            .iter()
            .map(|asset| (asset.clone(), Shortfall::Unlimited));
        let put = PutCustomer {
            id: CallId::new("begin").expect("a name"),
            name: None,
            shortfall: shortfall.collect(),
        };
        self.ask(customer, Command::PutCustomer(put))?;
        let subscribe = Subscribe {
            id: SubscriptionId::new("subscription").expect("a name"),
            plan: self.plan.clone(),
            seats,
            anchor: None,
            cadence: Cadence::Monthly,
            above_hold: Default::default(),
        };
        match self.ask(customer, Command::Subscribe(subscribe))? {
            Reply::Refused(refusal) => Err(BillsError::Subscription(refusal.to_string())),
            _ => Ok(()),
        }
    }

    fn owed(&self, customer: &CustomerId) -> Result<(BTreeMap<Asset, Nanos>, u64), BillsError> {
        let Reply::Wallet(wallet) = self.request(customer, Ask::Read)? else {
            return Err(BillsError::Rejected(Rejected::Stopped));
        };
        let owed = wallet.balances().into_iter().map(|balance| {
            let owed = balance.debt.get() + balance.receivable.get();
            (balance.asset, Nanos::new(owed))
        });
        let owed = owed.filter(|(_, amount)| !amount.is_zero()).collect();
        Ok((owed, wallet.header().unpriced))
    }

    fn ask(&self, customer: &CustomerId, command: Command) -> Result<Reply, BillsError> {
        self.request(customer, Ask::Command(Box::new(command)))
    }

    fn request(&self, customer: &CustomerId, ask: Ask) -> Result<Reply, BillsError> {
        let request = Request {
            customer: customer.clone(),
            ask,
        };
        let mut replies = self.engine.call_patiently(&self.tenant, &[request])?;
        Ok(replies.pop().unwrap_or(Reply::Stopped))
    }
}

#[expect(clippy::expect_used, reason = "names that are constants")]
fn end() -> Command {
    Command::ChangeSubscription(ChangeSubscription {
        subscription: SubscriptionId::new("subscription").expect("a name"),
        id: CallId::new("end").expect("a name"),
        change: SubscriptionChange::Cancel,
        when: When::PeriodEnd,
        proration: Proration::Prorate,
    })
}

fn who(used: &Used) -> &str {
    used.customer.as_deref().unwrap_or(ANYBODY)
}

/// What one customer pays more or less of one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Who.
    pub customer: String,
    /// Of what.
    pub asset: Asset,
    /// Before.
    pub before: Nanos,
    /// Afterwards.
    pub after: Nanos,
}

impl Difference {
    /// What is paid more; negative: less.
    pub fn change(&self) -> Nanos {
        Nanos::new(self.after.get() - self.before.get())
    }

    /// The change in tenths of a percent of what was paid before, cut off; none where that was nothing.
    pub fn permille(&self) -> Option<i128> {
        (self.change().get() * 1_000).checked_div(self.before.get())
    }
}

/// What every customer pays before and afterwards, the largest change first.
pub fn compare(before: &Bills, after: &Bills) -> Vec<Difference> {
    let mut keys: BTreeSet<(&String, &Asset)> = BTreeSet::new();
    for bills in [before, after] {
        for (customer, bill) in &bills.customers {
            keys.extend(bill.keys().map(|asset| (customer, asset)));
        }
    }
    let paid = |bills: &Bills, customer: &String, asset: &Asset| {
        let bill = bills.customers.get(customer);
        bill.and_then(|bill| bill.get(asset))
            .copied()
            .unwrap_or(Nanos::ZERO)
    };
    let differences = keys.into_iter().map(|(customer, asset)| Difference {
        customer: customer.clone(),
        asset: asset.clone(),
        before: paid(before, customer, asset),
        after: paid(after, customer, asset),
    });
    let mut differences: Vec<Difference> = differences.collect();
    differences.sort_by_key(|one| std::cmp::Reverse(one.change().get().abs())); // stable: then by name
    differences
}

/// Makes a month of events of so many customers from examples: the same number, the same events. A customer uses a tenth to ten
/// times as much as the examples say.
pub fn generate(
    examples: &[Event],
    events: usize,
    customers: usize,
    seed: u64,
    began: Timestamp,
) -> Vec<Used> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let sizes: Vec<i128> = (0..customers).map(|_| size(&mut rng)).collect();
    let width = customers.to_string().len();
    let mut used = Vec::with_capacity(events);
    if examples.is_empty() || customers == 0 {
        return used;
    }
    for number in 0..events {
        let customer = rng.random_range(0..customers);
        let mut event = examples[rng.random_range(0..examples.len())].clone();
        for amount in event.measures.values_mut() {
            let tenths = sizes[customer] * rng.random_range(5..=15);
            *amount = scaled(*amount, tenths);
        }
        let after = rng.random_range(0..SPREAD_SECONDS);
        event.time = Some(began.saturating_add(Span::seconds(after)));
        event.id = format!("generated-{number}").parse().unwrap_or(event.id);
        used.push(Used {
            customer: Some(format!("customer-{customer:0width$}")),
            event,
        });
    }
    used.sort_by_key(|used| used.event.time);
    used
}

/// Tenths of what the examples use: as many customers use less as use more.
fn size(rng: &mut SmallRng) -> i128 {
    match rng.random_range(0..2) {
        0 => rng.random_range(1..=10),
        _ => rng.random_range(10..=100),
    }
}

/// So many hundredths of an amount; whole where it was whole.
fn scaled(amount: Nanos, hundredths: i128) -> Nanos {
    let unit = Nanos::units(1).get();
    let scaled = amount.get().saturating_mul(hundredths) / 100;
    Nanos::new(match amount.get() % unit {
        0 => scaled / unit * unit,
        _ => scaled,
    })
}
