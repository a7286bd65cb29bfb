//! Everything that can be asked of a wallet: one entry each. A new command of the engine is a new entry here, and an arm in
//! [`altered`] where its content can differ under one id.

mod corrections;
mod outcomes;
mod terms;
mod totals;

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::command::{
    AboveHold, Authorize, AuthorizeMode, Command, Extend, Finality, Grant, PutCustomer, Release, Settle,
    Subscribe, default_source,
};
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::ids::{CallId, EventId, EventType, GrantId, Source, SubscriptionId};
use farebox_record::lifecycle::SubscriptionChange;
use farebox_record::plan::{AppliesTo, Category, EventRef};
use farebox_record::portion::Each;
use farebox_record::state::{Cadence, Shortfall};
use farebox_record::time::{Span, Timestamp};
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;

use crate::plans::{POOL, TOKENS, plan_name};

/// A way to use a wallet.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// For the report.
    pub name: &'static str,
    /// How often it happens, beside the others.
    pub weight: u32,
    /// The commands of one call, in order. Empty: there is nothing to do it to.
    pub make: fn(&mut Scene<'_>) -> Vec<Command>,
}

/// Every operation.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "put customer",
        weight: 4,
        make: put_customer,
    },
    Operation {
        name: "grant",
        weight: 8,
        make: grant,
    },
    Operation {
        name: "subscribe",
        weight: 5,
        make: subscribe,
    },
    Operation {
        name: "usage",
        weight: 14,
        make: usage,
    },
    Operation {
        name: "usage batch",
        weight: 4,
        make: usage_batch,
    },
    Operation {
        name: "authorize",
        weight: 22,
        make: authorize,
    },
    Operation {
        name: "authorize one-shot",
        weight: 6,
        make: one_shot,
    },
    Operation {
        name: "settle",
        weight: 20,
        make: settle,
    },
    Operation {
        name: "extend",
        weight: 6,
        make: extend,
    },
    Operation {
        name: "release",
        weight: 5,
        make: release,
    },
    Operation {
        name: "adjust",
        weight: 4,
        make: corrections::adjust,
    },
    Operation {
        name: "pay",
        weight: 3,
        make: corrections::pay,
    },
    Operation {
        name: "refund event",
        weight: 5,
        make: corrections::refund_event,
    },
    Operation {
        name: "refund grant",
        weight: 3,
        make: corrections::refund_grant,
    },
    Operation {
        name: "void",
        weight: 4,
        make: corrections::void,
    },
    Operation {
        name: "amend",
        weight: 5,
        make: corrections::amend,
    },
    Operation {
        name: "change subscription",
        weight: 5,
        make: terms::change,
    },
    Operation {
        name: "put limit",
        weight: 6,
        make: terms::put_limit,
    },
    Operation {
        name: "delete limit",
        weight: 2,
        make: terms::delete_limit,
    },
];

/// Every operation on a wallet that pays for outcomes.
pub const OUTCOME_OPERATIONS: &[Operation] = &[
    Operation {
        name: "put customer",
        weight: 2,
        make: put_customer,
    },
    Operation {
        name: "grant",
        weight: 4,
        make: outcomes::grant,
    },
    Operation {
        name: "subscribe",
        weight: 1,
        make: outcomes::subscribe,
    },
    Operation {
        name: "claims",
        weight: 20,
        make: outcomes::claims,
    },
    Operation {
        name: "confirm",
        weight: 6,
        make: outcomes::confirm,
    },
    Operation {
        name: "object",
        weight: 6,
        make: outcomes::object,
    },
    Operation {
        name: "void",
        weight: 8,
        make: corrections::void,
    },
];

/// Every operation on a wallet that pays by a running total.
pub const TOTAL_OPERATIONS: &[Operation] = &[
    Operation {
        name: "put customer",
        weight: 2,
        make: put_customer,
    },
    Operation {
        name: "grant",
        weight: 4,
        make: outcomes::grant,
    },
    Operation {
        name: "subscribe",
        weight: 1,
        make: totals::subscribe,
    },
    Operation {
        name: "units",
        weight: 20,
        make: totals::units,
    },
    Operation {
        name: "void",
        weight: 6,
        make: corrections::void,
    },
    Operation {
        name: "amend",
        weight: 8,
        make: totals::amend,
    },
    Operation {
        name: "put limit",
        weight: 4,
        make: terms::put_limit,
    },
];

/// What an operation may look at.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The only chance that there is.
    pub random: &'a mut SmallRng,
    /// The store's time.
    pub now: Timestamp,
    /// Numbers that make ids unique within an episode.
    pub next: &'a mut u64,
    /// Calls that were held for this customer, oldest first, whatever became of them.
    pub held: &'a [(EventRef, EventType)],
    /// Events that were reported for this customer or authorized, oldest first, whatever became of them.
    pub events: &'a [Event],
    /// Grants that were made.
    pub grants: &'a [GrantId],
    /// Subscriptions that were started.
    pub subscriptions: &'a [SubscriptionId],
    /// Whether the customer may have the plan that remembers.
    pub may_pool: bool,
}

impl Scene<'_> {
    fn number(&mut self) -> u64 {
        *self.next += 1;
        *self.next
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.random.random_range(0..n) == 0
    }

    /// Dollars or credits, from a cent on.
    fn amount(&mut self, cents_max: i64) -> Nanos {
        Nanos::new(i128::from(self.random.random_range(1..=cents_max)) * 10_000_000)
    }

    fn asset(&mut self) -> Asset {
        asset(if self.one_in(4) { "credits" } else { "usd" })
    }

    fn call_id(&mut self) -> CallId {
        name(CallId::new(&format!("c{}", self.number())))
    }

    fn held_call(&mut self) -> Option<(EventRef, EventType)> {
        // Mostly one of the newest: it is more likely to be open.
        let newest = self.held.len().saturating_sub(4);
        let among = if self.one_in(5) {
            self.held
        } else {
            &self.held[newest..]
        };
        among.choose(self.random).cloned()
    }

    /// Of a call of that type, up to this many of everything.
    fn measures(&mut self, event_type: &EventType, most: i64) -> Measures {
        let mut measures = Measures::EMPTY;
        if event_type.as_str() == "llm.call" {
            for kind in ["input_tokens", "output_tokens"] {
                let tokens = self.random.random_range(0..=most * 1_000);
                measures.insert(kind.into(), Nanos::units(tokens));
            }
        } else {
            let steps = self.random.random_range(0..=most / 4);
            measures.insert("steps".into(), Nanos::units(steps));
        }
        if self.one_in(60) {
            measures.clear(); // no plan can price it
        }
        measures
    }

    fn event(&mut self, most: i64) -> Event {
        let number = self.number();
        let llm = !self.may_pool || !self.one_in(3);
        let event_type = name(EventType::new(if llm { "llm.call" } else { "tool.call" }));
        let mut attributes = Attributes::EMPTY;
        if llm {
            // The third is in no price list, the second only in some.
            let model = ["one", "one", "one", "one", "two", "three"].choose(self.random);
            attributes.insert("model".into(), model.copied().unwrap_or("one").into());
        } else if self.one_in(2) {
            attributes.insert(
                "task".into(),
                format!("task-{}", self.random.random_range(0..3)).into(),
            );
        }
        Event {
            source: if self.one_in(6) {
                name(Source::new("batch"))
            } else {
                default_source()
            },
            id: name(EventId::new(&format!("e{number}"))),
            measures: self.measures(&event_type, most),
            event_type,
            time: self.event_time(),
            attributes,
        }
    }

    /// One from before the late window, or sometimes from within it, where a backfill has no place for it.
    pub fn old_event(&mut self) -> Event {
        let days = if self.one_in(8) { 1..35 } else { 35..90 };
        let ago = Span::days(self.random.random_range(days));
        let mut event = self.event(20);
        event.time = Some(self.now.saturating_sub(ago).saturating_sub(Span::seconds(7)));
        event
    }

    /// Mostly now; sometimes late, and sometimes too late or too early to be taken.
    fn event_time(&mut self) -> Option<Timestamp> {
        match self.random.random_range(0..40) {
            0 => Some(self.now.saturating_add(Span::seconds(100))),
            1 => Some(self.now.saturating_add(Span::seconds(1_000))),
            2 => Some(self.now.saturating_sub(Span::days(40))),
            3..=6 => Some(
                self.now
                    .saturating_sub(Span::seconds(self.random.random_range(0..1_700_000))),
            ),
            _ => None,
        }
    }
}

fn put_customer(scene: &mut Scene<'_>) -> Vec<Command> {
    let mut shortfall = BTreeMap::new();
    match scene.random.random_range(0..4) {
        0 => drop(shortfall.insert(asset("usd"), Shortfall::Unlimited)),
        1 => drop(shortfall.insert(asset("usd"), Shortfall::Floor(Nanos::units(1)))),
        _ => {}
    }
    vec![Command::PutCustomer(PutCustomer {
        id: scene.call_id(),
        name: Some(format!("Customer {}", scene.random.random_range(0..100))),
        shortfall,
    })]
}

fn grant(scene: &mut Scene<'_>) -> Vec<Command> {
    let id = scene.number();
    let days = |scene: &mut Scene<'_>, within| {
        scene
            .now
            .saturating_add(Span::days(scene.random.random_range(1..within)))
    };
    let effective = scene.one_in(6).then(|| days(scene, 5));
    let expires = scene.one_in(3).then(|| days(scene, 40));
    let asset = scene.asset();
    let each = scene.one_in(5).then(|| Each {
        attribute: ["task", "model"][scene.random.random_range(0..2)].into(),
        amount: scene.amount(40),
    });
    vec![Command::Grant(Grant {
        id: name(GrantId::new(&format!("g{id}"))),
        amount: scene.amount(if asset.as_str() == "usd" { 200 } else { 3_000 }),
        asset,
        category: [
            Category::Paid,
            Category::Paid,
            Category::Promotional,
            Category::Included,
        ]
        .choose(scene.random)
        .copied()
        .unwrap_or(Category::Paid),
        priority: scene.random.random_range(-1..=1),
        effective,
        expires,
        applies_to: AppliesTo {
            codes: if scene.one_in(6) {
                vec!["output-tokens".into()]
            } else {
                Vec::new()
            },
            attributes: BTreeMap::new(),
        },
        label: None,
        each,
    })]
}

fn subscribe(scene: &mut Scene<'_>) -> Vec<Command> {
    let plan = if scene.may_pool && scene.one_in(2) {
        POOL
    } else {
        TOKENS
    };
    let number = scene.number();
    vec![Command::Subscribe(Subscribe {
        id: name(SubscriptionId::new(&format!("s{number}"))),
        plan: plan_name(plan),
        seats: scene.random.random_range(0..3),
        anchor: scene.one_in(4).then(|| scene.now.saturating_sub(Span::days(3))),
        cadence: [
            Cadence::Monthly,
            Cadence::Weekly,
            Cadence::Days(10),
            Cadence::Yearly,
        ]
        .choose(scene.random)
        .copied()
        .unwrap_or_default(),
        above_hold: above_hold(scene),
    })]
}

/// What happens above a hold, for all settlements that do not say.
fn above_hold(scene: &mut Scene<'_>) -> AboveHold {
    let all = [AboveHold::AllowDebt, AboveHold::ChargeAvailable, AboveHold::Deny];
    all.choose(scene.random).copied().unwrap_or_default()
}

fn usage(scene: &mut Scene<'_>) -> Vec<Command> {
    vec![Command::Usage(scene.event(60))]
}

fn usage_batch(scene: &mut Scene<'_>) -> Vec<Command> {
    let count = scene.random.random_range(2..24);
    (0..count).map(|_| Command::Usage(scene.event(10))).collect()
}

fn authorize(scene: &mut Scene<'_>) -> Vec<Command> {
    let ttl = [
        Span::seconds(1),
        Span::seconds(60),
        Span::seconds(900),
        Span::seconds(86_400),
    ];
    vec![Command::Authorize(Authorize {
        event: scene.event(80),
        ttl: ttl.choose(scene.random).copied().unwrap_or(Span::seconds(900)),
        mode: AuthorizeMode::Hold,
    })]
}

fn one_shot(scene: &mut Scene<'_>) -> Vec<Command> {
    vec![Command::Authorize(Authorize {
        event: scene.event(40),
        ttl: Span::seconds(900),
        mode: AuthorizeMode::Settle,
    })]
}

/// In parts or at once; within the hold or above it; in time or late; of a hold that ended too.
fn settle(scene: &mut Scene<'_>) -> Vec<Command> {
    let Some((hold, event_type)) = scene.held_call() else {
        return Vec::new();
    };
    let most = if scene.one_in(8) { 160 } else { 60 };
    // Another model answered than was asked for: it may count towards other limits.
    let mut attributes = Attributes::EMPTY;
    if event_type.as_str() == "llm.call" && scene.one_in(6) {
        let model = ["one", "two"].choose(scene.random).copied().unwrap_or("one");
        attributes.insert("model".into(), model.into());
    }
    vec![Command::Settle(Settle {
        hold,
        id: scene.call_id(),
        measures: scene.measures(&event_type, most),
        attributes,
        finality: if scene.one_in(3) {
            Finality::Partial
        } else {
            Finality::Final
        },
        above: [
            AboveHold::AsSubscribed,
            AboveHold::AsSubscribed,
            AboveHold::AllowDebt,
            AboveHold::ChargeAvailable,
            AboveHold::Deny,
        ]
        .choose(scene.random)
        .copied()
        .unwrap_or_default(),
    })]
}

fn extend(scene: &mut Scene<'_>) -> Vec<Command> {
    let Some((hold, event_type)) = scene.held_call() else {
        return Vec::new();
    };
    let measures = if scene.one_in(2) {
        scene.measures(&event_type, 120)
    } else {
        Measures::EMPTY
    };
    vec![Command::Extend(Extend {
        hold,
        id: scene.call_id(),
        ttl: Span::seconds(scene.random.random_range(1..4_000)),
        measures,
    })]
}

fn release(scene: &mut Scene<'_>) -> Vec<Command> {
    let Some((hold, _)) = scene.held_call() else {
        return Vec::new();
    };
    vec![Command::Release(Release {
        hold,
        id: scene.call_id(),
    })]
}

/// Another request under the same id. None: the kind has nothing that could differ.
pub fn altered(command: &Command) -> Option<Command> {
    let mut other = command.clone();
    match &mut other {
        Command::PutCustomer(put) => put.name = Some("Somebody else".into()),
        Command::Grant(grant) => grant.amount = Nanos::new(grant.amount.get() + 1),
        Command::Subscribe(subscribe) => subscribe.seats += 1,
        Command::Usage(event) => alter(&mut event.measures),
        Command::Authorize(authorize) => alter(&mut authorize.event.measures),
        Command::Settle(settle) => alter(&mut settle.measures),
        Command::Extend(extend) => extend.ttl = Span::seconds(77_777),
        Command::Adjust(adjust) => adjust.amount = Nanos::new(adjust.amount.get() + 1),
        Command::Pay(pay) => pay.amount = Nanos::new(pay.amount.get() + 1),
        Command::Refund(refund) => refund.reason = "another".into(),
        Command::Void(void) => void.reason = Some("another".into()),
        Command::Amend(amend) => alter(&mut amend.event.measures),
        Command::ChangeSubscription(change) => change.change = SubscriptionChange::Seats(99),
        Command::PutLimit(put) => put.terms.amount = Nanos::new(put.terms.amount.get() + 1),
        _ => return None,
    }
    Some(other)
}

fn alter(measures: &mut Measures) {
    measures.insert("cost_usd".into(), Nanos::new(123));
}

fn asset(text: &str) -> Asset {
    name(Asset::new(text))
}

/// Names made here are valid, or the simulator is wrong.
#[expect(clippy::panic, reason = "a simulator that makes a bad name cannot go on")]
fn name<T, E: std::fmt::Display>(made: Result<T, E>) -> T {
    made.unwrap_or_else(|error| panic!("{error}"))
}
