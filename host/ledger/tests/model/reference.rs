//! What a wallet should do, written a second time and naively: flat lists, sums computed from scratch, fractions
//! instead of products, no postings. It shares no code with the ledger.

use std::collections::{BTreeMap, BTreeSet};

use crate::corrections::Event;
use crate::cover::Cover;
use crate::owed::WriteOff;
use crate::subscriptions::{Sub, Term};
use crate::words::{Charge, Labels, Order};
use crate::world::tally::Tally;

/// Amounts by asset.
pub type Sums = BTreeMap<&'static str, i128>;

/// What a settlement of a hold took: charge, asset, source.
pub type Key = (usize, &'static str, Source);

/// A block of value.
#[derive(Debug, Clone)]
pub struct Grant {
    pub id: String,
    pub asset: &'static str,
    pub free: i128,
    /// Promotional 0, included 1, paid 2.
    pub category: u8,
    pub priority: i32,
    pub from: i64,
    pub until: Option<i64>,
    pub code: Option<&'static str>,
    pub labels: Labels,
    /// The subscription that gave it.
    pub sub: Option<String>,
    /// The event that it was given for, and goes with.
    pub event: Option<String>,
    /// How much of it each team may have; it pays for nothing else.
    pub each: Option<i128>,
    /// Teams that have had theirs.
    pub had: Vec<&'static str>,
    pub waiting: bool,
    /// It has expired, or its subscription ended it.
    pub dead: bool,
}

impl Grant {
    pub fn burns(&self) -> (i32, bool, i64, u8, i64, String) {
        let until = self.until.unwrap_or(i64::MAX);
        (
            self.priority,
            self.code.is_none() && self.labels == Labels::default(),
            until,
            self.category,
            self.from,
            self.id.clone(),
        )
    }

    pub fn pays_for(&self, code: &str, labels: Labels) -> bool {
        self.each.is_none() && self.code.is_none_or(|c| c == code) && labels.have(self.labels)
    }
}

/// Where value is taken from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Grant(String),
    Debt,
    Receivable,
}

/// A call in progress.
#[derive(Debug, Clone, Default)]
pub struct Hold {
    pub id: String,
    /// The type of its event.
    pub kind: &'static str,
    /// Those of its event.
    pub labels: Labels,
    /// When its event happened.
    pub time: i64,
    /// When it was opened.
    pub opened: i64,
    pub sub: String,
    pub term: u32,
    pub expires: i64,
    pub expired: bool,
    /// Its grace was over when a record was made: nothing can be done to it any more.
    pub forgotten: bool,
    pub ended: bool,
    pub pins: BTreeMap<String, i128>,
    pub credit: Sums,
    /// What the plan said last that it costs at most, in the first asset of each charge.
    pub quoted: Sums,
    pub taken: BTreeMap<Key, i128>,
    /// The keys of `taken`, in the order in which they were taken.
    pub order: Vec<Key>,
    /// What it used so far, where parts were settled.
    pub parted: Option<Parted>,
    /// Codes of the charges that `taken` names by their places.
    pub codes: Vec<&'static str>,
}

/// What a call that was settled in part is by now.
#[derive(Debug, Clone, Copy)]
pub struct Parted {
    /// Those of the authorize, with what the newest settlement says in their place.
    pub labels: Labels,
    pub above: Above,
}

/// Debt that may be authorized; none: any.
pub type Line = Option<i128>;

/// What came of a command: a word, and amounts by name and asset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    pub what: String,
    pub amounts: BTreeMap<(&'static str, String), i128>,
}

impl Told {
    pub fn new(what: &str) -> Told {
        Told {
            what: what.into(),
            ..Told::default()
        }
    }

    pub fn refused(why: &str) -> Told {
        Told::new(&format!("refused: {why}"))
    }

    pub fn add(&mut self, name: &'static str, asset: &str, amount: i128) {
        let key = (name, asset.to_string());
        let sum = self.amounts.entry(key.clone()).or_default();
        *sum += amount;
        if *sum == 0 {
            self.amounts.remove(&key);
        }
    }

    pub fn with(mut self, name: &'static str, asset: &str, amount: i128) -> Told {
        self.add(name, asset, amount);
        self
    }
}

/// How a settlement deals with a price above its hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Above {
    Deny,
    Available,
    Debt,
    /// As the hold's subscription says.
    Subscribed,
    /// What the hold has is charged and nothing that is free; so ends a call that nobody finished.
    HeldAlone,
}

/// The whole wallet.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub now: i64,
    /// How many records the wallet has.
    pub records: u64,
    /// Grants that were there when the newest record was begun.
    pub there: BTreeSet<String>,
    pub lines: BTreeMap<&'static str, Line>,
    pub grants: Vec<Grant>,
    pub holds: Vec<Hold>,
    pub subs: Vec<Sub>,
    /// Terms that are over, by subscription and number.
    pub terms: BTreeMap<(String, u32), Term>,
    /// Every event that was ever charged, or waits for a price.
    pub events: BTreeMap<String, Event>,
    /// What waits for a price, by the number of its record.
    pub unpriced: BTreeMap<u64, crate::subscriptions::Waits>,
    pub limits: BTreeMap<String, Tally>,
    /// Since when each of them counts what it counts.
    pub counted_since: BTreeMap<String, i64>,
    /// Since when a subscription is on its plan, where that is not its first one.
    pub plan_since: BTreeMap<String, i64>,
    /// What subscriptions say happens above a hold.
    pub above: BTreeMap<String, Above>,
    /// What was written off and stands so.
    pub written_off: Vec<WriteOff>,
    /// Timers of teams.
    pub timers: BTreeMap<crate::timers::Name, crate::timers::Timer>,
    /// What plans keep of teams: the subscription, the team, the state.
    pub subjects: Vec<(String, &'static str, u8)>,
    pub announced: Vec<String>,
    pub debt: Sums,
    pub receivable: Sums,
    pub revenue: Sums,
    pub breakage: Sums,
    /// What came in, by what it was: promotional, included, paid.
    pub given: [Sums; 3],
    /// What adjustments took.
    pub adjusted: Sums,
}

pub const GRACE: i64 = 3_600;

pub fn of(sums: &Sums, asset: &str) -> i128 {
    sums.get(asset).copied().unwrap_or(0)
}

impl Model {
    /// A record is made: expired holds whose grace is over by then are forgotten, but for those that were settled in part,
    /// which fall due.
    pub fn record(&mut self) {
        self.records += 1;
        let over = |h: &&mut Hold| h.expired && h.parted.is_none() && h.expires + GRACE <= self.now;
        for hold in self.holds.iter_mut().filter(over) {
            hold.forgotten = true;
        }
        let there = self.grants.iter().filter(|grant| !self.spent(grant));
        self.there = there.map(|grant| grant.id.clone()).collect();
    }

    /// The wallet has it no more. A grant that is used up in a record is there until its end.
    pub fn is_gone(&self, grant: &Grant) -> bool {
        self.spent(grant) && !self.there.contains(&grant.id)
    }

    pub fn grant_of(&self, id: &str) -> &Grant {
        self.grants.iter().find(|g| g.id == id).unwrap()
    }

    pub fn grant_mut(&mut self, id: &str) -> &mut Grant {
        self.grants.iter_mut().find(|g| g.id == id).unwrap()
    }

    /// Pinned by all holds together.
    pub fn held(&self, id: &str) -> i128 {
        self.holds.iter().filter_map(|h| h.pins.get(id)).sum()
    }

    /// What could still be used of an asset without a grant; none: anything.
    pub fn credit_left(&self, asset: &'static str) -> Line {
        let line = (*self.lines.get(asset).unwrap_or(&Some(0)))?;
        let held: i128 = self.holds.iter().filter_map(|h| h.credit.get(asset)).sum();
        Some(line - of(&self.debt, asset) - held)
    }

    /// Empty, and no hold that is open or in its grace could give any of it back.
    pub fn spent(&self, grant: &Grant) -> bool {
        let source = Source::Grant(grant.id.clone());
        let returns = |h: &&Hold| !h.ended && !h.forgotten && h.taken.keys().any(|(_, _, s)| *s == source);
        let tells_who_had = grant.each.is_some()
            && grant.sub.is_some()
            && grant.until.is_some()
            && grant.event.is_none()
            && !grant.dead;
        grant.free == 0
            && !tells_who_had
            && self.held(&grant.id) == 0
            && self.holds.iter().find(returns).is_none()
    }

    /// A grant is no longer good: what of it is free is lost.
    pub fn kill(&mut self, id: &str) {
        let grant = self.grant_mut(id);
        grant.dead = true;
        grant.waiting = false;
        let (asset, free) = (grant.asset, std::mem::take(&mut grant.free));
        *self.breakage.entry(asset).or_default() += free;
    }

    /// A grant becomes good: a paid one pays debt first. Tells how much.
    pub fn activate(&mut self, id: &str) -> i128 {
        let grant = self.grant_mut(id);
        grant.waiting = false;
        let free = grant.free;
        self.pay_debt(id, free)
    }

    /// Opens a grant at `asked`, and tells how much of it paid debt.
    pub fn open(&mut self, id: &str, order: &Order, sub: Option<String>, asked: i64) -> i128 {
        let from = order.from(asked).unwrap_or(asked);
        self.grants.push(Grant {
            id: id.into(),
            asset: order.asset,
            free: order.amount,
            category: order.category,
            priority: order.priority,
            from,
            until: order.until(asked),
            code: order.code,
            labels: order.labels,
            each: order.each,
            had: Vec::new(),
            sub,
            event: None,
            waiting: from > asked,
            dead: false,
        });
        *self.given[usize::from(order.category)]
            .entry(order.asset)
            .or_default() += order.amount;
        if from > asked { 0 } else { self.activate(id) }
    }

    pub fn grant(&mut self, id: &str, order: &Order) -> Told {
        self.record();
        let paid = self.open(id, order, None, self.now);
        Told::new("granted").with("paid debt", order.asset, paid)
    }

    /// Bought value that comes back, all of one record in one grant for each asset. Gives its name.
    pub fn open_returned(&mut self, asset: &'static str, amount: i128) -> String {
        let id = format!("returned:{}:{asset}", self.records);
        if let Some(known) = self.grants.iter_mut().find(|g| g.id == id) {
            known.free += amount;
            return id;
        }
        self.grants.push(Grant {
            id: id.clone(),
            asset,
            free: amount,
            category: 2,
            priority: 0,
            from: self.now,
            until: None,
            code: None,
            labels: Labels::default(),
            each: None,
            had: Vec::new(),
            sub: None,
            event: None,
            waiting: false,
            dead: false,
        });
        id
    }

    /// Takes what is covered from the wallet and owes the rest.
    pub fn post(&mut self, cover: &Cover) {
        self.open_parts(cover);
        for (_, asset, source, amount) in &cover.live {
            match source {
                Source::Grant(id) => self.grant_mut(id).free -= amount,
                Source::Receivable => *self.receivable.entry(asset).or_default() += amount,
                Source::Debt => unreachable!("nothing is drawn from debt"),
            }
            *self.revenue.entry(asset).or_default() += amount;
        }
        for (_, asset, amount) in &cover.missing {
            *self.debt.entry(asset).or_default() += amount;
            *self.revenue.entry(asset).or_default() += amount;
        }
    }

    /// What charges would take, were they posted now; in the order in which it would be taken, debt behind.
    pub fn slices(&self, cover: &Cover, charges: &[Charge]) -> Vec<crate::corrections::Slice> {
        let debts = cover
            .missing
            .iter()
            .map(|(c, asset, amount)| (*c, *asset, Source::Debt, *amount));
        let all = cover.live.iter().cloned().chain(debts);
        all.map(|(charge, asset, source, amount)| crate::corrections::Slice {
            code: charges[charge].code,
            asset,
            source,
            amount,
            posted: self.now,
        })
        .collect()
    }
}
