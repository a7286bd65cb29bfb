//! What a plan says when it is asked: made up at random, and given to the ledger and to the model alike.

use farebox_money::Nanos;
use farebox_record::event::{Attributes, Event};
use farebox_record::ids::Source;
use farebox_record::outcome::Verdict;
use farebox_record::plan::{
    self, Category, Collect, EventRef, FieldProblem, GrantOrder, Price, Priced, Rejection, SubjectChange,
    TimerOrder,
};

use farebox_record::portion::Each;

use crate::world::make::{self, asset, n};
use crate::world::t;

pub const ASSETS: [&str; 3] = ["x", "y", "z"];
pub const CODES: [&str; 2] = ["in", "out"];
pub const TEAMS: [&str; 2] = ["a", "b"];
pub const AGENTS: [&str; 2] = ["i", "j"];
/// Where events come from, mostly. Events of the other source have the ids of others, now and then.
const USUAL: &str = "api";
/// Its names stand before all others, as its events do.
pub const OTHER: &str = "alt";
/// Plans, and the event types that each of them prices.
pub const PLANS: [(&str, &[&str]); 3] = [
    ("talk", &["chat"]),
    ("draw", &["image"]),
    ("all", &["chat", "image"]),
];
/// Promotional, included, paid.
pub const CATEGORIES: [Category; 3] = [Category::Promotional, Category::Included, Category::Paid];

/// Whom an event is by: each is an attribute of it, where it is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Labels {
    pub team: Option<&'static str>,
    pub agent: Option<&'static str>,
}

impl Labels {
    /// Whether all that `wanted` says is said.
    pub fn have(self, wanted: Labels) -> bool {
        wanted.team.is_none_or(|team| self.team == Some(team))
            && wanted.agent.is_none_or(|agent| self.agent == Some(agent))
    }

    /// What newer ones say stands in the place of these.
    pub fn with(self, newer: Labels) -> Labels {
        Labels {
            team: newer.team.or(self.team),
            agent: newer.agent.or(self.agent),
        }
    }

    /// From the team down.
    pub fn path(self) -> Vec<(String, String)> {
        let both = [("team", self.team), ("agent", self.agent)];
        let said = both.into_iter().filter_map(|(name, value)| Some((name, value?)));
        said.map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    pub fn attributes(self) -> Attributes {
        self.path().into_iter().collect()
    }
}

/// An event by the model's name for it: its id, and before it the source where that is not the usual one.
pub fn reference(name: &str) -> EventRef {
    event(name).reference()
}

/// The same with nothing said of it.
pub fn event(name: &str) -> Event {
    match name.split_once('/') {
        None => make::event(name),
        Some((source, id)) => Event {
            source: Source::new(source).unwrap(),
            ..make::event(id)
        },
    }
}

/// The other way around.
pub fn named(event: &EventRef) -> String {
    match event.source.as_str() {
        USUAL => event.id.to_string(),
        source => format!("{source}/{}", event.id),
    }
}

/// A price in one asset.
#[derive(Debug, Clone)]
pub struct Link {
    pub asset: &'static str,
    pub amount: i128,
    pub invoice: bool,
}

/// One charge with its chain.
#[derive(Debug, Clone)]
pub struct Charge {
    pub code: &'static str,
    pub links: Vec<Link>,
}

/// What a plan gives back of an earlier event.
#[derive(Debug, Clone)]
pub struct Give {
    pub event: String,
    pub code: &'static str,
    pub asset: &'static str,
    pub amount: i128,
}

/// A grant that a plan orders; times count from when it is asked.
#[derive(Debug, Clone)]
pub struct Order {
    pub asset: &'static str,
    pub amount: i128,
    pub category: u8,
    pub priority: i32,
    pub delay: Option<i64>,
    pub life: Option<i64>,
    pub code: Option<&'static str>,
    pub labels: Labels,
    /// How much of it each team may have. Of a caller's grants.
    pub each: Option<i128>,
}

impl Order {
    pub fn from(&self, asked: i64) -> Option<i64> {
        self.delay.map(|delay| asked + delay)
    }

    pub fn until(&self, asked: i64) -> Option<i64> {
        self.life
            .map(|life| self.from(asked).unwrap_or(asked).max(asked) + life)
    }
}

/// Everything that a plan can order.
#[derive(Debug, Clone, Default)]
pub struct Says {
    pub charges: Vec<Charge>,
    pub gives: Vec<Give>,
    /// Which events it would give back of, which of their slices, and how many tenths of that: what becomes of it is known
    /// when it is asked.
    pub wants: Vec<(usize, usize, i128)>,
    pub grants: Vec<Order>,
    /// Names of timers, and how long from when it is asked; none takes one away.
    pub timers: Vec<(&'static str, Option<i64>)>,
    pub state: Option<u8>,
    /// What becomes of the state of whom it is asked about, where it is asked about anyone; none in it: it is forgotten.
    pub subject: Option<Option<u8>>,
}

impl Says {
    /// A grant of nothing cannot be given.
    pub fn is_postable(&self) -> bool {
        self.grants.iter().all(|order| order.amount > 0)
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub enum Word {
    Says(Says),
    /// The event makes no sense to it.
    Invalid,
    /// It has no price for that.
    Cannot,
    /// It breaks.
    Breaks,
    /// A charge below zero, which needs an event that it gives back from.
    Negative,
    /// Nobody is there to answer.
    Silent,
}

impl Word {
    /// What can be carried out; none for everything else.
    pub fn orders(&self) -> Option<&Says> {
        match self {
            Word::Says(says) if says.is_postable() => Some(says),
            _ => None,
        }
    }

    /// The same as the ledger sees it, for a plan that is asked at `asked`.
    pub fn verdict(&self, asked: i64) -> Option<Verdict> {
        Some(match self {
            Word::Says(says) => Verdict::Priced(priced(says, asked)),
            Word::Invalid => Verdict::Rejected(Rejection::InvalidEvent {
                field: "tokens".into(),
                problem: FieldProblem::Missing,
                message: "a number".into(),
            }),
            Word::Cannot => Verdict::Rejected(Rejection::Unpriceable {
                message: "no such model".into(),
            }),
            Word::Breaks => Verdict::Failed {
                code: "trap".into(),
                message: "unreachable".into(),
            },
            Word::Negative => {
                let link = Link {
                    asset: "x",
                    amount: -1,
                    invoice: false,
                };
                let charges = vec![Charge {
                    code: "in",
                    links: vec![link],
                }];
                let says = Says {
                    charges,
                    ..Says::default()
                };
                Verdict::Priced(priced(&says, asked))
            }
            Word::Silent => return None,
        })
    }
}

fn priced(says: &Says, asked: i64) -> Priced {
    let grants = says.grants.iter().map(|order| {
        let mut given = GrantOrder {
            asset: asset(order.asset),
            amount: Nanos::new(order.amount),
            category: CATEGORIES[usize::from(order.category)],
            priority: order.priority,
            effective: order.from(asked).map(t),
            expires: order.until(asked).map(t),
            applies_to: Default::default(),
            label: "given".into(),
            each: order.each.map(|amount| Each {
                attribute: "team".into(),
                amount: Nanos::new(amount),
            }),
        };
        given.applies_to.codes.extend(order.code.map(String::from));
        given.applies_to.attributes = (&order.labels.attributes()).into();
        given
    });
    let timers = says.timers.iter().map(|(key, after)| TimerOrder {
        key: key.to_string(),
        at: after.map(|after| t(asked + after)),
    });
    Priced {
        charges: (says.charges.iter().map(charged))
            .chain(says.gives.iter().map(given))
            .collect(),
        grants: grants.collect(),
        timers: timers.collect(),
        state: says.state.map(|state| vec![state]),
        subject: says.subject.map(|state| SubjectChange {
            state: state.into_iter().collect(),
            expires: t(asked + 86_400),
        }),
    }
}

/// The same as the ledger sees it.
pub fn charged(charge: &Charge) -> plan::Charge {
    let mut prices = charge.links.iter().map(|link| Price {
        asset: asset(link.asset),
        amount: Nanos::new(link.amount),
        collect: match link.invoice {
            true => Collect::Invoice,
            false => Collect::Balance,
        },
    });
    plan::Charge {
        code: charge.code.into(),
        price: prices.next().unwrap(),
        quantity: n("1"),
        otherwise: prices.collect(),
        gives_back: None,
    }
}

fn given(give: &Give) -> plan::Charge {
    let link = Link {
        asset: give.asset,
        amount: -give.amount,
        invoice: false,
    };
    let charge = Charge {
        code: give.code,
        links: vec![link],
    };
    plan::Charge {
        gives_back: Some(reference(&give.event)),
        ..charged(&charge)
    }
}
