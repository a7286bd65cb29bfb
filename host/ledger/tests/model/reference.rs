//! What a wallet should do, written a second time and naively: flat lists, sums computed from scratch, fractions
//! instead of products, no postings. It shares no code with the ledger.

use std::collections::BTreeMap;

use crate::cover::Cover;

/// A block of value.
#[derive(Debug, Clone)]
pub struct Grant {
    pub id: String,
    pub asset: &'static str,
    pub free: i128,
    pub paid: bool,
    /// Promotional 0, included 1, paid 2.
    pub category: u8,
    pub priority: i32,
    pub from: i64,
    pub until: Option<i64>,
    pub code: Option<&'static str>,
    pub waiting: bool,
    pub dead: bool,
}

impl Grant {
    pub fn burns(&self) -> (i32, bool, i64, u8, i64, String) {
        let until = self.until.unwrap_or(i64::MAX);
        (
            self.priority,
            self.code.is_none(),
            until,
            self.category,
            self.from,
            self.id.clone(),
        )
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
    pub expires: i64,
    pub expired: bool,
    /// Its grace was over when a record was made: nothing can be done to it any more.
    pub forgotten: bool,
    pub ended: bool,
    /// Settled in part: its end is on the agenda twice.
    pub parted: bool,
    pub pins: BTreeMap<String, i128>,
    pub credit: BTreeMap<&'static str, i128>,
    pub taken: BTreeMap<(usize, &'static str, Source), i128>,
    /// Codes of the charges that `taken` names by their places.
    pub codes: Vec<&'static str>,
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
}

/// The whole wallet.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub now: i64,
    /// How many records the wallet has.
    pub records: u64,
    pub lines: BTreeMap<&'static str, Line>,
    pub grants: Vec<Grant>,
    pub holds: Vec<Hold>,
    pub debt: BTreeMap<&'static str, i128>,
    pub receivable: BTreeMap<&'static str, i128>,
    pub revenue: BTreeMap<&'static str, i128>,
    pub breakage: BTreeMap<&'static str, i128>,
}

pub const GRACE: i64 = 3_600;

impl Model {
    /// A record is made: expired holds whose grace is over by then are forgotten.
    pub fn record(&mut self, at: i64) {
        self.records += 1;
        for hold in self
            .holds
            .iter_mut()
            .filter(|h| h.expired && !h.parted && h.expires + GRACE <= at)
        {
            hold.forgotten = true;
        }
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
        Some(line - self.debt.get(asset).copied().unwrap_or(0) - held)
    }

    /// Lets time pass, one thing after the other.
    pub fn advance(&mut self, to: i64) {
        loop {
            let holds = self.holds.iter().filter(|h| !h.expired && !h.ended);
            let mut due: Vec<(i64, u8, String)> = holds.map(|h| (h.expires, 0, h.id.clone())).collect();
            let late = self
                .holds
                .iter()
                .filter(|h| h.expired && h.parted && !h.ended && !h.forgotten);
            due.extend(late.map(|h| (h.expires + GRACE, 0, h.id.clone())));
            for grant in self.grants.iter().filter(|g| !g.dead && !self.spent(g)) {
                match (grant.waiting, grant.until) {
                    (true, _) => due.push((grant.from, 4, grant.id.clone())),
                    (false, Some(until)) => due.push((until, 3, grant.id.clone())),
                    (false, None) => {}
                }
            }
            due.sort();
            let Some((at, kind, id)) = due.into_iter().next().filter(|(at, _, _)| *at <= to) else {
                break;
            };
            self.now = self.now.max(at);
            self.record(to);
            match kind {
                0 => {
                    let index = self.holds.iter().position(|h| h.id == id).unwrap();
                    if self.holds[index].expired {
                        self.holds[index].forgotten = true;
                    } else {
                        self.give_up(index);
                        self.holds[index].expired = true;
                    }
                }
                3 => {
                    let grant = self.grant_mut(&id);
                    grant.dead = true;
                    let (asset, free) = (grant.asset, std::mem::take(&mut grant.free));
                    *self.breakage.entry(asset).or_default() += free;
                }
                _ => {
                    self.grant_mut(&id).waiting = false;
                    self.pay_debt(&id);
                }
            }
        }
        self.now = to;
    }

    /// Empty, and no hold that is open or in its grace could give any of it back.
    fn spent(&self, grant: &Grant) -> bool {
        let source = Source::Grant(grant.id.clone());
        let returns = |h: &&Hold| !h.ended && !h.forgotten && h.taken.keys().any(|(_, _, s)| *s == source);
        !grant.waiting
            && grant.free == 0
            && self.held(&grant.id) == 0
            && self.holds.iter().find(returns).is_none()
    }

    pub fn pay_debt(&mut self, id: &str) -> i128 {
        let all = self.grants.iter().find(|g| g.id == id).unwrap().free;
        self.pay_debt_with(id, all)
    }

    /// With what came into the grant, or came back to it.
    pub fn pay_debt_with(&mut self, id: &str, came: i128) -> i128 {
        let grant = self.grants.iter().find(|g| g.id == id).unwrap().clone();
        let owed = self.debt.entry(grant.asset).or_default();
        let paid = if grant.paid && !grant.waiting {
            came.min(*owed)
        } else {
            0
        };
        *owed -= paid;
        self.grant_mut(id).free -= paid;
        paid
    }

    pub fn grant(&mut self, grant: Grant) -> Told {
        self.record(self.now);
        let (id, asset, waiting) = (grant.id.clone(), grant.asset, grant.waiting);
        self.grants.push(grant);
        let paid = if waiting { 0 } else { self.pay_debt(&id) };
        Told::new("granted").with("paid debt", asset, paid)
    }

    pub fn usage(&mut self, charges: &[Charge]) -> Told {
        self.record(self.now);
        let cover = self.cover(charges, BTreeMap::new());
        self.post(&cover);
        Told::new("charged")
    }

    /// Takes what is covered from the wallet and owes the rest.
    pub fn post(&mut self, cover: &Cover) {
        for ((_, asset, source), amount) in &cover.live {
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
}
