//! Random commands, and how each is given to the ledger and to the model.

use farebox_ledger::Refusal;
use farebox_money::Nanos;
use farebox_record::command::{AboveHold, Command, Finality};
use farebox_record::outcome::{Answer, Verdict};
use farebox_record::plan::{self, Category, Collect, Price};
use farebox_record::state::Shortfall;
use proptest::prelude::*;

use crate::reference::{self, Above, Charge, Link, Model, Told};
use crate::world::World;
use crate::world::make::{self, asset};
use crate::world::{seconds, t};

pub const ASSETS: [&str; 3] = ["x", "y", "z"];
const CODES: [&str; 2] = ["in", "out"];

/// One command.
#[derive(Debug, Clone)]
pub enum Step {
    Policy(Vec<Option<i128>>),
    Grant {
        asset: usize,
        amount: i128,
        category: u8,
        priority: i32,
        delay: Option<i64>,
        life: Option<i64>,
        code: Option<usize>,
    },
    Usage(Vec<Charge>),
    Authorize {
        charges: Vec<Charge>,
        ttl: u32,
        one_shot: bool,
    },
    Settle {
        hold: usize,
        charges: Vec<Charge>,
        last: bool,
        above: Above,
    },
    /// Settles at exactly what was quoted last, refusing anything above: this must never fail.
    SettleAtQuote(usize),
    Extend {
        hold: usize,
        ttl: u32,
        charges: Option<Vec<Charge>>,
    },
    Release(usize),
    Advance(i64),
    Crash,
    Retry(usize),
}

fn any_charge() -> impl Strategy<Value = Charge> {
    let link =
        (0..ASSETS.len(), 1..40_i128, prop::bool::weighted(0.05)).prop_map(|(asset, amount, invoice)| Link {
            asset: ASSETS[asset],
            amount,
            invoice,
        });
    (
        0..CODES.len(),
        prop::collection::vec(link, 1..=4),
        prop::bool::weighted(0.05),
    )
        .prop_map(|(code, mut links, nothing)| {
            if nothing {
                links[0].amount = 0;
            }
            Charge {
                code: CODES[code],
                links,
            }
        })
}

fn any_charges() -> impl Strategy<Value = Vec<Charge>> {
    prop::collection::vec(any_charge(), 0..4)
}

fn any_policy() -> impl Strategy<Value = Option<i128>> {
    prop_oneof![3 => Just(Some(0)), 2 => (1..60_i128).prop_map(Some), 1 => Just(None)]
}

/// Any command, weighted so that wallets have something to do.
pub fn any_step() -> impl Strategy<Value = Step> {
    let grant = (
        (0..ASSETS.len(), 1..60_i128, 0..3_u8, -1..2_i32),
        prop::option::weighted(0.3, -500..500_i64),
        prop::option::weighted(0.5, 1..2_000_i64),
        prop::option::weighted(0.3, 0..CODES.len()),
    )
        .prop_map(
            |((asset, amount, category, priority), delay, life, code)| Step::Grant {
                asset,
                amount,
                category,
                priority,
                delay,
                life,
                code,
            },
        );
    let above = prop_oneof![Just(Above::Deny), Just(Above::Available), Just(Above::Debt)];
    let settle =
        (0..99_usize, any_charges(), any::<bool>(), above).prop_map(|(hold, charges, last, above)| {
            Step::Settle {
                hold,
                charges,
                last,
                above,
            }
        });
    let authorize =
        (any_charges(), 1..3_000_u32, prop::bool::weighted(0.2)).prop_map(|(charges, ttl, one_shot)| {
            Step::Authorize {
                charges,
                ttl,
                one_shot,
            }
        });
    let extend = (0..99_usize, 1..3_000_u32, prop::option::of(any_charges()))
        .prop_map(|(hold, ttl, charges)| Step::Extend { hold, ttl, charges });
    prop_oneof![
        1 => prop::collection::vec(any_policy(), ASSETS.len()).prop_map(Step::Policy),
        6 => grant,
        3 => any_charges().prop_map(Step::Usage),
        6 => authorize,
        7 => settle,
        2 => (0..99_usize).prop_map(Step::SettleAtQuote),
        2 => extend,
        1 => (0..99_usize).prop_map(Step::Release),
        4 => (1..1_500_i64).prop_map(Step::Advance),
        1 => Just(Step::Advance(3_600)),
        1 => Just(Step::Crash),
        1 => (0..99_usize).prop_map(Step::Retry),
    ]
}

/// A ledger and a model that are given the same commands.
pub struct Steps {
    pub world: World,
    pub model: Model,
    /// What each of the model's holds was quoted last, while nothing was taken of it.
    quotes: Vec<Option<Vec<Charge>>>,
    made: usize,
}

impl Steps {
    pub fn new() -> Steps {
        Steps {
            world: World::new(),
            model: Model {
                records: 1,
                ..Model::default()
            },
            quotes: Vec::new(),
            made: 0,
        }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}{:04}", self.made)
    }

    /// Gives a command to both; none where there is nothing to do it to.
    pub fn take(&mut self, step: &Step) -> Option<(Result<Answer, Refusal>, Told)> {
        match step {
            Step::Policy(lines) => {
                self.policy(lines);
                None
            }
            Step::Grant { .. } => Some(self.grant(step)),
            Step::Usage(charges) => {
                let id = self.name("u");
                let asked = self.world.ask(make::usage(&id), verdict(charges));
                Some((asked, self.model.usage(charges)))
            }
            Step::Authorize {
                charges,
                ttl,
                one_shot,
            } => Some(self.authorize(charges, *ttl, *one_shot)),
            Step::Settle {
                hold,
                charges,
                last,
                above,
            } => self.settle(*hold, charges, *last, *above),
            Step::SettleAtQuote(hold) => {
                let index = self.pick(*hold)?;
                let quoted = self.quotes[index].clone()?;
                let open = !self.model.holds[index].expired && !self.model.holds[index].ended;
                let (asked, expected) = self.settle(*hold, &quoted, true, Above::Deny)?;
                assert!(
                    !open || asked.is_ok(),
                    "a settlement at its quote failed: {asked:?}"
                );
                Some((asked, expected))
            }
            Step::Extend { hold, ttl, charges } => self.extend(*hold, *ttl, charges.as_deref()),
            Step::Release(hold) => {
                let index = self.pick(*hold)?;
                let id = self.model.holds[index].id.clone();
                Some((self.world.act(make::release(&id)), self.model.release(index)))
            }
            Step::Advance(_) | Step::Crash | Step::Retry(_) => unreachable!("not a command"),
        }
    }

    fn pick(&self, hold: usize) -> Option<usize> {
        hold.checked_rem(self.model.holds.len())
    }

    fn policy(&mut self, lines: &[Option<i128>]) {
        let id = self.name("c");
        let shortfall: Vec<(&str, Shortfall)> = ASSETS
            .iter()
            .zip(lines)
            .map(|(asset, line)| {
                let shortfall = match line {
                    Some(0) => Shortfall::Deny,
                    Some(floor) => Shortfall::Floor(Nanos::new(*floor)),
                    None => Shortfall::Unlimited,
                };
                (*asset, shortfall)
            })
            .collect();
        self.world.ok(make::customer(&id, &shortfall));
        self.model.record(self.model.now);
        self.model.lines = ASSETS.into_iter().zip(lines.iter().copied()).collect();
    }

    fn grant(&mut self, step: &Step) -> (Result<Answer, Refusal>, Told) {
        let Step::Grant {
            asset,
            amount,
            category,
            priority,
            delay,
            life,
            code,
        } = step
        else {
            unreachable!("a grant")
        };
        let id = self.name("g");
        let now = self.model.now;
        let from = delay.map(|delay| now + delay);
        let until = life.map(|life| from.unwrap_or(now).max(now) + life);
        let mut grant = make::grant(&id, ASSETS[*asset], "1");
        grant.amount = Nanos::new(*amount);
        grant.category = [Category::Promotional, Category::Included, Category::Paid][usize::from(*category)];
        grant.priority = *priority;
        grant.effective = from.map(t);
        grant.expires = until.map(t);
        grant.applies_to.codes = code.iter().map(|c| CODES[*c].to_string()).collect();
        let asked = self.world.act(Command::Grant(grant));
        let expected = self.model.grant(reference::Grant {
            id,
            asset: ASSETS[*asset],
            free: *amount,
            paid: *category == 2,
            category: *category,
            priority: *priority,
            from: from.unwrap_or(now),
            until,
            code: code.map(|c| CODES[c]),
            waiting: from.is_some_and(|from| from > now),
            dead: false,
        });
        (asked, expected)
    }

    fn authorize(&mut self, charges: &[Charge], ttl: u32, one_shot: bool) -> (Result<Answer, Refusal>, Told) {
        let id = self.name("h");
        let command = match one_shot {
            true => make::one_shot(&id),
            false => make::hold_for(&id, ttl),
        };
        let asked = self.world.ask(command, verdict(charges));
        let expected = self.model.authorize(&id, charges, i64::from(ttl), one_shot);
        if self.model.holds.len() > self.quotes.len() {
            self.quotes.push(Some(charges.to_vec()));
        }
        (asked, expected)
    }

    fn settle(
        &mut self,
        hold: usize,
        charges: &[Charge],
        last: bool,
        above: Above,
    ) -> Option<(Result<Answer, Refusal>, Told)> {
        let index = self.pick(hold)?;
        let settle_id = self.name("s");
        let finality = if last { Finality::Final } else { Finality::Partial };
        let how = match above {
            Above::Deny => AboveHold::Deny,
            Above::Available => AboveHold::ChargeAvailable,
            Above::Debt => AboveHold::AllowDebt,
        };
        let command = make::settling(&self.model.holds[index].id, &settle_id, finality, how);
        let asked = self.world.ask(command, verdict(charges));
        let expected = self.model.settle(index, charges, last, above);
        if asked.is_ok() {
            self.quotes[index] = None;
        }
        Some((asked, expected))
    }

    fn extend(
        &mut self,
        hold: usize,
        ttl: u32,
        charges: Option<&[Charge]>,
    ) -> Option<(Result<Answer, Refusal>, Told)> {
        let index = self.pick(hold)?;
        let extend_id = self.name("x");
        let mut command = make::extend(&self.model.holds[index].id, &extend_id, 1, &[]);
        if let Command::Extend(extend) = &mut command {
            extend.ttl = seconds(ttl);
            if charges.is_some() {
                extend.measures.insert("tokens".into(), make::n("1"));
            }
        }
        let asked = self.world.ask(command, verdict(charges.unwrap_or_default()));
        let expected = self.model.extend(index, i64::from(ttl), charges);
        if charges.is_some() && matches!(asked, Ok(Answer::Extended { .. })) {
            self.quotes[index] = None;
        }
        Some((asked, expected))
    }
}

/// What a plan would have to say for these charges.
fn verdict(charges: &[Charge]) -> Verdict {
    let charges = charges.iter().map(|charge| {
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
            quantity: make::n("1"),
            otherwise: prices.collect(),
            gives_back: None,
        }
    });
    make::priced(&charges.collect::<Vec<_>>())
}
