//! One ledger and one model that are given the same commands.

mod corrections;
mod pricing;
mod refold;
mod waiting;

use std::collections::VecDeque;

use farebox_ledger::{Refusal, term_of};
use farebox_money::Nanos;
use farebox_record::codec;
use farebox_record::command::{AboveHold, Backfill, Command, Finality, Subscribe};
use farebox_record::event::Event;
use farebox_record::ids::{CallId, EventType, PlanName, SubscriptionId};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, TermState, When};
use farebox_record::outcome::{Answer, Pricing};
use farebox_record::portion::Each;
use farebox_record::state::{Part, Shortfall};
use farebox_record::time::Timestamp;

use crate::agenda::Due;
use crate::calls::Call;
use crate::corrections::Slice;
use crate::reference::{Above, Model, Told};
use crate::steps::{Reported, Step};
use crate::subscriptions::{Asked, Change, Waits};
use crate::words::{
    self, ASSETS, CATEGORIES, Charge, Give, Labels, OTHER, Order, PLANS, Says, Word, named, reference,
};
use crate::world::bound::{delete, limit};
use crate::world::make;
use crate::world::{START, World, seconds, t};

pub const LIMITS: [&str; 3] = ["all", "burst", "team"];

/// What the ledger said, and what the model says that it should have said.
pub type Both = (Result<Answer, Refusal>, Told);

/// See the module.
pub struct Pair {
    pub world: World,
    pub model: Model,
    /// What the wall clock says, which can step back.
    wall: i64,
    /// What plans say to what falls due, in turn; then nobody answers.
    words: VecDeque<Word>,
    /// What each of the model's holds was quoted last, while nothing was taken of it.
    quotes: Vec<Option<Vec<Charge>>>,
    /// Every event that was ever named.
    named: Vec<String>,
    made: usize,
}

pub fn since_start(at: Timestamp) -> i64 {
    (at.as_micros() - START.as_micros()) / 1_000_000
}

impl Pair {
    pub fn new() -> Pair {
        Pair {
            world: World::new(),
            model: Model {
                records: 1,
                ..Model::default()
            },
            wall: 0,
            words: VecDeque::new(),
            quotes: Vec::new(),
            named: Vec::new(),
            made: 0,
        }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}{:04}", self.made)
    }

    /// Moves the clock. The store's time never steps back.
    pub fn clock(&mut self, by: i64, words: &[Word]) {
        self.wall += by;
        self.model.now = self.model.now.max(self.wall);
        self.world.now = t(self.model.now);
        self.words = words.iter().cloned().collect();
        self.catch_up();
    }

    /// Whatever the step is, where it is one of a wallet; requests that come again leave no trace.
    pub fn go(&mut self, step: &Step) {
        match step {
            Step::Clock(by, words) => self.clock(*by, words),
            Step::Crash | Step::Replay | Step::Again(_) | Step::Conflict(..) => {}
            command => drop(self.take(command)),
        }
    }

    /// Handles everything that is due, one by one, in the order in which both have it.
    pub fn catch_up(&mut self) {
        loop {
            let next = self.model.next_due(self.model.now);
            let theirs = self.world.wallet.overdue(self.world.now);
            assert_eq!(theirs.as_ref().map(due), next, "what falls due next");
            let (Some(due), Some(theirs)) = (next, theirs) else {
                return;
            };
            let (_, rank, id, ..) = &due;
            let hold = self.model.holds.iter().position(|h| *rank == 0 && h.id == *id);
            // A call that was settled in part has its last word when its grace is over.
            let hold = hold.filter(|index| self.model.holds[*index].expired);
            let is_asked = match rank {
                0 => hold.is_some(),
                1 => !self.model.is_for_nobody(&due),
                2 => self.model.asks_at_end(id),
                _ => false,
            };
            let word = match is_asked {
                true => self.words.pop_front().unwrap_or(Word::Silent),
                false => Word::Silent,
            };
            let pricing = match hold {
                Some(index) => self.pricing_by(&self.model.asked_of_hold(index), &word, self.model.now),
                None => self.pricing_of_due(&due, &word),
            };
            self.world.decide(Command::Due(theirs), pricing).unwrap();
            self.model.handle(&due, &word);
        }
    }

    fn pricing_of_due(&self, (at, rank, id, ..): &Due, word: &Word) -> Option<Pricing> {
        let verdict = word.verdict(*at)?;
        let new_plan = if *rank == 2 {
            self.model.plan_at_end(id)
        } else {
            None
        };
        Some(Pricing {
            subscription: SubscriptionId::new(id).unwrap(),
            event_types: new_plan.map_or(Vec::new(), |(plan, _)| types(plan)),
            ..make::pricing(verdict)
        })
    }

    /// What a plan says, with the events that it gives back of by name.
    fn said(&self, word: &Word) -> Word {
        let mut word = word.clone();
        if let Word::Says(says) = &mut word {
            says.gives = says
                .wants
                .iter()
                .filter_map(|(event, slice, tenths)| {
                    let (id, event) = self
                        .model
                        .events
                        .iter()
                        .nth(pick(*event, self.model.events.len())?)?;
                    let slice = event.slices.get(pick(*slice, event.slices.len())?)?;
                    let same = |s: &&Slice| s.code == slice.code && s.asset == slice.asset;
                    let all: i128 = event.slices.iter().filter(same).map(|s| s.amount).sum();
                    Some(Give {
                        event: id.clone(),
                        code: slice.code,
                        asset: slice.asset,
                        amount: (all * tenths + 9) / 10,
                    })
                })
                .collect();
        }
        word
    }

    /// The step with what a plan says in it as [`Pair::said`].
    fn spoken(&self, mut step: Step) -> Step {
        let waits = |which| {
            let index = pick(which, self.model.unpriced.len());
            index.and_then(|index| self.model.unpriced.values().nth(index))
        };
        let word = match &mut step {
            Step::Rate(which, _) if !matches!(waits(*which), Some(Waits::Event(..))) => None,
            Step::Usage(_, word)
            | Step::Backfill(_, word)
            | Step::Authorize { word, .. }
            | Step::Settle { word, .. }
            | Step::Extend { word: Some(word), .. }
            | Step::Release(_, word)
            | Step::Rate(_, word)
            | Step::Void(_, word)
            | Step::Amend { word, .. }
            | Step::Refold {
                amended: Some((_, word)),
                ..
            } => Some(word),
            _ => None,
        };
        if let Some(word) = word {
            *word = self.said(word);
        }
        step
    }

    /// Gives a command to both; none where there is nothing to do it to.
    pub fn take(&mut self, step: &Step) -> Option<Both> {
        self.catch_up();
        let step = &self.spoken(step.clone());
        let both = match step {
            Step::Policy(lines) => self.policy(lines),
            Step::Grant(order) => self.grant(order),
            Step::Subscribe { .. } => self.subscribe(step),
            Step::Change {
                sub,
                change,
                at_end,
                prorate,
                word,
            } => {
                let id = self
                    .model
                    .subs
                    .get(pick(*sub, self.model.subs.len())?)?
                    .id
                    .clone();
                self.change(&id, change, (*at_end, *prorate), word)
            }
            Step::Usage(reported, word) => {
                let call = self.call("u", reported);
                let pricing = self.pricing_of(&call, word);
                let asked = self.world.decide(Command::Usage(event(&call)), pricing);
                (asked, self.model.usage(&call, word))
            }
            Step::Backfill(reported, word) => {
                let call = self.call("b", reported);
                let pricing = self.pricing_of(&call, word);
                let backfill = Command::Backfill(Backfill {
                    backfill: CallId::new("fill").unwrap(),
                    event: event(&call),
                });
                let asked = self.world.decide(backfill, pricing);
                (asked, self.model.backfill(&call, word))
            }
            Step::Authorize {
                call,
                word,
                ttl,
                one_shot,
            } => self.authorize(call, word, *ttl, *one_shot),
            Step::Settle {
                hold,
                word,
                labels,
                last,
                above,
            } => {
                let index = self.hold(*hold)?;
                self.settle(index, word, *labels, *last, *above)
            }
            Step::SettleAtQuote(hold) => {
                let index = self.hold(*hold)?;
                let charges = self.quotes[index].clone()?;
                let open = !self.model.holds[index].expired && !self.model.holds[index].ended;
                let word = Word::Says(Says {
                    charges,
                    ..Says::default()
                });
                let both = self.settle(index, &word, Labels::default(), true, Above::Deny);
                assert!(
                    !open || both.0.is_ok(),
                    "a settlement at its quote failed: {:?}",
                    both.0
                );
                both
            }
            Step::Extend { hold, ttl, word } => {
                let index = self.hold(*hold)?;
                self.extend(index, *ttl, word.as_ref())
            }
            Step::Release(hold, word) => {
                let index = self.hold(*hold)?;
                let hold = &self.model.holds[index];
                let (id, is_asked) = (hold.id.clone(), hold.parted.is_some() && !hold.ended);
                let asked = is_asked.then(|| self.model.asked_of_hold(index));
                let pricing = asked.and_then(|asked| self.pricing_by(&asked, word, self.model.now));
                let Command::Release(mut release) = make::release("h") else {
                    unreachable!("a release")
                };
                release.hold = reference(&id);
                let asked = self.world.decide(Command::Release(release), pricing);
                (asked, self.model.release(index, word))
            }
            Step::Rate(which, word) => {
                let index = pick(*which, self.model.unpriced.len())?;
                let (sequence, waits) = self.model.unpriced.iter().nth(index)?;
                let (sequence, waits) = (*sequence, waits.clone());
                self.rate(sequence, &waits, word)
            }
            Step::PutLimit(name, terms) => {
                let mut put = limit(LIMITS[*name], "x", "0");
                put.id = CallId::new(&self.name("l")).unwrap();
                put.terms = terms.clone();
                let asked = self.world.decide(Command::PutLimit(put), None);
                (asked, self.model.put_limit(LIMITS[*name], terms))
            }
            Step::DeleteLimit(name) => {
                let Command::DeleteLimit(mut command) = delete(LIMITS[*name]) else {
                    unreachable!("a deletion")
                };
                command.id = CallId::new(&self.name("l")).unwrap();
                let asked = self.world.decide(Command::DeleteLimit(command), None);
                (asked, self.model.delete_limit(LIMITS[*name]))
            }
            Step::Refold { .. } => self.refold(step)?,
            Step::Remember(which) => self.remember(*which)?,
            correction => self.correct(correction)?,
        };
        self.catch_up();
        Some(both)
    }

    fn call(&mut self, prefix: &str, reported: &Reported) -> Call {
        let usual = self.named.last().filter(|name| !name.contains('/'));
        let same = usual.map(|name| format!("{OTHER}/{name}"));
        let id = match reported.elsewhere {
            // The ids of two sources have nothing to do with each other.
            true => same.unwrap_or_else(|| format!("{OTHER}/{}", self.name(prefix))),
            false => self.name(prefix),
        };
        self.named.push(id.clone());
        self.call_named(id, reported)
    }

    fn call_named(&self, id: String, reported: &Reported) -> Call {
        Call {
            id,
            kind: reported.kind,
            labels: reported.labels,
            tokens: reported.tokens,
            time: reported.ago.map(|ago| self.model.now - ago),
        }
    }

    fn policy(&mut self, lines: &[Option<i128>]) -> Both {
        let id = self.name("c");
        let shortfall = ASSETS.iter().zip(lines).map(|(asset, line)| {
            let shortfall = match line {
                Some(0) => Shortfall::Deny,
                Some(floor) => Shortfall::Floor(Nanos::new(*floor)),
                None => Shortfall::Unlimited,
            };
            (*asset, shortfall)
        });
        let shortfall: Vec<(&str, Shortfall)> = shortfall.collect();
        let asked = self.world.decide(make::customer(&id, &shortfall), None);
        self.model.record();
        self.model.lines = ASSETS.into_iter().zip(lines.iter().copied()).collect();
        (asked, Told::new("changed"))
    }

    fn grant(&mut self, order: &Order) -> Both {
        let id = self.name("g");
        let now = self.model.now;
        let mut grant = make::grant(&id, order.asset, "1");
        grant.amount = Nanos::new(order.amount);
        grant.category = CATEGORIES[usize::from(order.category)];
        grant.priority = order.priority;
        grant.effective = order.from(now).map(t);
        grant.expires = order.until(now).map(t);
        grant.applies_to.codes = order.code.map(String::from).into_iter().collect();
        grant.applies_to.attributes = (&order.labels.attributes()).into();
        grant.each = order.each.map(|amount| Each {
            attribute: "team".into(),
            amount: Nanos::new(amount),
        });
        let asked = self.world.decide(Command::Grant(grant), None);
        (asked, self.model.grant(&id, order))
    }

    fn subscribe(&mut self, step: &Step) -> Both {
        let Step::Subscribe {
            plan,
            seats,
            anchor,
            cadence,
            above,
            word,
        } = step
        else {
            unreachable!("a subscription")
        };
        let (plan, seats, cadence, above) = (*plan, *seats, *cadence, *above);
        let id = self.name("s");
        let now = self.model.now;
        let anchor = anchor.map(|anchor| now + anchor);
        let name = SubscriptionId::new(&id).unwrap();
        let command = Command::Subscribe(Subscribe {
            id: name.clone(),
            plan: PlanName::new(PLANS[plan].0).unwrap(),
            seats,
            anchor: anchor.map(t),
            cadence,
            above_hold: above_hold(above),
        });
        let period = farebox_ledger::period_at(t(anchor.unwrap_or(now)), cadence, t(now)).unwrap();
        let pricing = word.verdict(now).map(|verdict| Pricing {
            subscription: name,
            period,
            event_types: types(plan),
            ..make::pricing(verdict)
        });
        let asked = self.world.decide(command, pricing);
        let told = self
            .model
            .subscribe(&id, (plan, seats), anchor, cadence, above, word);
        (asked, told)
    }

    fn change(&mut self, id: &str, change: &Change, (at_end, prorate): (bool, bool), word: &Word) -> Both {
        let subscription = SubscriptionId::new(id).unwrap();
        let command = Command::ChangeSubscription(ChangeSubscription {
            subscription: subscription.clone(),
            id: CallId::new(&self.name("k")).unwrap(),
            change: match change {
                Change::Seats(seats) => SubscriptionChange::Seats(*seats),
                Change::Plan(plan, cadence) => SubscriptionChange::Plan {
                    plan: PlanName::new(PLANS[*plan].0).unwrap(),
                    cadence: *cadence,
                },
                Change::Pause => SubscriptionChange::Pause,
                Change::Resume => SubscriptionChange::Resume,
                Change::Cancel => SubscriptionChange::Cancel,
                Change::Unschedule => SubscriptionChange::Unschedule,
                Change::Above(above) => SubscriptionChange::AboveHold(above_hold(*above)),
            },
            when: if at_end { When::PeriodEnd } else { When::Now },
            // For plans, and for who asks again.
            proration: if prorate {
                Proration::Prorate
            } else {
                Proration::None
            },
        });
        let pricing = word.verdict(self.model.now).map(|verdict| Pricing {
            subscription,
            event_types: match change {
                Change::Plan(plan, _) => types(*plan),
                _ => Vec::new(),
            },
            ..make::pricing(verdict)
        });
        let asked = self.world.decide(command, pricing);
        (asked, self.model.change(id, change, at_end, word))
    }

    fn authorize(&mut self, reported: &Reported, word: &Word, ttl: u32, one_shot: bool) -> Both {
        let call = self.call("h", reported);
        let mut command = match one_shot {
            true => make::one_shot("h"),
            false => make::hold_for("h", ttl),
        };
        if let Command::Authorize(authorize) = &mut command {
            authorize.event = event(&call);
        }
        let pricing = self.pricing_of(&call, word);
        let asked = self.world.decide(command, pricing);
        let told = self.model.authorize(&call, word, i64::from(ttl), one_shot);
        if self.model.holds.len() > self.quotes.len() {
            self.quotes.push(word.orders().map(|says| says.charges.clone()));
        }
        (asked, told)
    }

    fn settle(&mut self, index: usize, word: &Word, labels: Labels, last: bool, above: Above) -> Both {
        let settle_id = self.name("t");
        let finality = if last { Finality::Final } else { Finality::Partial };
        let how = above_hold(above);
        let mut command = make::settling("h", &settle_id, finality, how);
        if let Command::Settle(settle) = &mut command {
            settle.hold = reference(&self.model.holds[index].id);
            settle.attributes = labels.attributes();
        }
        let pricing = self.pricing_by(&self.model.asked_of_hold(index), word, self.model.now);
        let asked = self.world.decide(command, pricing);
        let told = self.model.settle(index, word, labels, last, above);
        if asked.is_ok() {
            self.quotes[index] = None;
        }
        (asked, told)
    }

    fn extend(&mut self, index: usize, ttl: u32, word: Option<&Word>) -> Both {
        let extend_id = self.name("e");
        let mut command = make::extend("h", &extend_id, 1, &[]);
        if let Command::Extend(extend) = &mut command {
            extend.hold = reference(&self.model.holds[index].id);
            extend.ttl = seconds(ttl);
            if word.is_some() {
                extend.measures.insert("tokens".into(), make::n("1"));
            }
        }
        let asked = self.model.asked_of_hold(index);
        let pricing = word.and_then(|word| self.pricing_by(&asked, word, self.model.now));
        let asked = self.world.decide(command, pricing);
        let told = self.model.extend(index, i64::from(ttl), word);
        if word.is_some() && matches!(asked, Ok(Answer::Extended { .. })) {
            self.quotes[index] = None;
        }
        (asked, told)
    }

    /// A hold: mostly one to which something can be done.
    fn hold(&self, which: usize) -> Option<usize> {
        let all = 0..self.model.holds.len();
        let hold = |index: &usize| &self.model.holds[*index];
        let open = all
            .clone()
            .filter(|index| !hold(index).ended && !hold(index).forgotten);
        let from: Vec<usize> = if which.is_multiple_of(6) {
            all.collect()
        } else {
            open.collect()
        };
        from.get(pick(which, from.len())?).copied()
    }
}

fn above_hold(above: Above) -> AboveHold {
    match above {
        Above::Deny => AboveHold::Deny,
        Above::Available => AboveHold::ChargeAvailable,
        Above::Debt => AboveHold::AllowDebt,
        Above::Subscribed => AboveHold::AsSubscribed,
        Above::HeldAlone => unreachable!("nobody says so"),
    }
}

fn pick(number: usize, of: usize) -> Option<usize> {
    number.checked_rem(of)
}

fn types(plan: usize) -> Vec<EventType> {
    PLANS[plan]
        .1
        .iter()
        .map(|kind| EventType::new(kind).unwrap())
        .collect()
}

fn event(call: &Call) -> Event {
    Event {
        event_type: EventType::new(call.kind).unwrap(),
        time: call.time.map(t),
        attributes: call.labels.attributes(),
        measures: call
            .tokens
            .map(|n| ("tokens", Nanos::new(n.into())))
            .into_iter()
            .collect(),
        ..words::event(&call.id)
    }
}

/// What falls due, in the model's terms.
fn due(due: &farebox_record::command::Due) -> Due {
    use farebox_record::command::DueItem as D;
    let at = since_start(due.instant);
    let none = String::new;
    match &due.item {
        D::HoldExpiry(event) => (at, 0, named(event), none(), None),
        D::Timer {
            subscription,
            key,
            about,
        } => {
            let about = about
                .as_ref()
                .map(|about| (about.subject.clone(), about.event.as_ref().map(named)));
            (at, 1, subscription.to_string(), key.clone(), about)
        }
        D::Renewal(id) => (at, 2, id.to_string(), none(), None),
        D::GrantExpiry(id) => (at, 3, id.to_string(), none(), None),
        D::GrantEffective(id) => (at, 4, id.to_string(), none(), None),
    }
}
