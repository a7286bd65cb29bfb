//! One wallet, its history and its clock, for tests. Every command that goes through it is followed by every check
//! that must hold for ever, so each test of a rule is a test of the invariants too.
#![allow(dead_code, reason = "shared by test crates that each use a part of it")]

pub mod bound;
pub mod dates;
pub mod make;
pub mod say;
pub mod tally;

use std::collections::{BTreeMap, VecDeque};

use farebox_ledger::{Refusal, Wallet, append, gives_back_of, standing_of, timer_of, verify};
use farebox_money::{Asset, Nanos};
use farebox_record::Record;
use farebox_record::command::{Command, Due, DueItem};
use farebox_record::correction::{Consequence, Original, RefundTarget, TakenSlice};
use farebox_record::ids::{CustomerId, GrantId, Hash, TenantId};
use farebox_record::outcome::{Account, Answer, Effect, Pricing, Seen, Verdict};
use farebox_record::plan::EventRef;
use farebox_record::state::{GrantState, Shortfall, SliceSource};
use farebox_record::time::{Span, Timestamp};

use make::{about, asset, customer, pricing};

/// Midnight of 1 March 2026: where every test begins.
pub const START: Timestamp = Timestamp::from_micros(1_772_323_200_000_000);

/// So many seconds after [`START`].
pub fn t(seconds: i64) -> Timestamp {
    Timestamp::from_micros(START.as_micros() + seconds * 1_000_000)
}

/// A wallet under test.
pub struct World {
    pub wallet: Wallet,
    pub now: Timestamp,
    pub records: Vec<Record>,
    /// What the plan answers to renewals and timers, in turn; then nothing answers any more.
    pub transitions: VecDeque<Verdict>,
    /// What the plan answers about calls whose grace is over, in turn; then nothing answers any more.
    pub conclusions: VecDeque<Verdict>,
    /// What fell due and was handled, in order.
    pub handled: Vec<Due>,
    tenant: TenantId,
    customer: CustomerId,
    /// The parts as a store would keep them.
    parts: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The wallet that replay of the encoded records gives.
    replayed: Wallet,
}

impl World {
    /// Without a customer.
    pub fn empty() -> World {
        World {
            wallet: Wallet::default(),
            now: START,
            records: Vec::new(),
            transitions: VecDeque::new(),
            conclusions: VecDeque::new(),
            handled: Vec::new(),
            tenant: TenantId::new("acme").unwrap(),
            customer: CustomerId::new("c").unwrap(),
            parts: BTreeMap::new(),
            replayed: Wallet::default(),
        }
    }

    /// With a customer that may owe nothing.
    pub fn new() -> World {
        World::owing(&[])
    }

    /// With a customer that may owe so much.
    pub fn owing(shortfall: &[(&str, Shortfall)]) -> World {
        let mut world = World::empty();
        world.ok(customer("create", shortfall));
        world
    }

    /// Lets time pass, and handles what falls due meanwhile.
    pub fn advance(&mut self, seconds: i64) {
        self.now = Timestamp::from_micros(self.now.as_micros() + seconds * 1_000_000);
        self.run_agenda();
    }

    /// Handles what is due by now, in the order of the agenda.
    pub fn run_agenda(&mut self) {
        for _ in 0..10_000 {
            let Some(due) = self.wallet.overdue(self.now) else {
                return;
            };
            let seen = match &due.item {
                DueItem::Renewal(_) | DueItem::Timer { about: None, .. } => {
                    self.transitions.pop_front().map(pricing)
                }
                DueItem::Timer { .. } => self.transitions.pop_front().map(about),
                DueItem::HoldExpiry(hold) if self.wallet.hold(hold).is_some_and(|h| h.expired.is_some()) => {
                    self.conclusions.pop_front().map(pricing)
                }
                _ => None,
            };
            self.handled.push(due.clone());
            self.decide(Command::Due(due), seen).unwrap();
        }
        panic!("the agenda does not end");
    }

    /// A command that no plan prices.
    pub fn act(&mut self, command: Command) -> Result<Answer, Refusal> {
        self.run_agenda();
        self.decide(command, None)
    }

    /// A command with what the plan says about it.
    pub fn ask(&mut self, command: Command, verdict: Verdict) -> Result<Answer, Refusal> {
        self.run_agenda();
        self.decide(command, Some(pricing(verdict)))
    }

    /// A command that must not be refused.
    pub fn ok(&mut self, command: Command) -> Answer {
        self.act(command).unwrap()
    }

    /// Decides without handling what is overdue first, and checks everything that holds after any command.
    pub fn decide(&mut self, command: Command, pricing: Option<Pricing>) -> Result<Answer, Refusal> {
        self.correct(command, pricing, None)
    }

    /// A correction, with what it means beyond its event.
    pub fn correct(
        &mut self,
        command: Command,
        pricing: Option<Pricing>,
        consequence: Option<Consequence>,
    ) -> Result<Answer, Refusal> {
        let before = self.wallet.clone();
        let mut original = corrected_event(&command).and_then(|event| self.original(&event));
        if let (Some(original), Some(Consequence::Refolded(refold))) = (&mut original, &consequence) {
            for repriced in &refold.repriced {
                let event = repriced.standing.event.reference();
                original.ended.extend(self.original(&event).unwrap().ended);
                original.ended.extend(self.opened(&repriced.refunded));
            }
        }
        let timer = timer_of(&command).and_then(|about| about.event.clone());
        let seen = Seen {
            control: 1,
            time: happened(&command, original.as_ref()).unwrap_or(self.now),
            pricing,
            original: original.map(Box::new),
            consequence: consequence.map(Box::new),
            named: Vec::new(),
        };
        let seen = Seen {
            named: self.named(&seen, timer),
            ..seen
        };
        let decided = append(
            &mut self.wallet,
            &self.tenant,
            &self.customer,
            command,
            seen,
            self.now,
        );
        match decided {
            Err(refusal) => {
                assert!(self.wallet.same_state(&before), "{refusal:?} changed the wallet");
                assert_eq!(
                    self.wallet.take_changes(),
                    [],
                    "{refusal:?} left something to write"
                );
                Err(refusal)
            }
            Ok((record, bytes)) => {
                self.check(&before, &record, &bytes);
                let answer = record.outcome.answer.clone();
                self.records.push(record);
                Ok(answer)
            }
        }
    }

    fn check(&mut self, before: &Wallet, record: &Record, bytes: &[u8]) {
        assert_eq!(verify(&self.wallet), [], "after {record:#?}");
        assert_eq!(record.sequence, before.header().sequence + 1);
        assert_eq!(record.previous, before.header().chain);
        assert_eq!(self.wallet.header().chain, Hash::of(bytes));
        let decoded = Record::decode(bytes).unwrap();
        assert_eq!(&decoded, record);
        assert_eq!(decoded.encode(), bytes);
        let mut sums: BTreeMap<&Asset, i128> = BTreeMap::new();
        for effect in &record.outcome.effects {
            if let Effect::Entry(entry) = effect {
                assert!(!entry.amount.is_zero(), "an entry of nothing: {entry:?}");
                *sums.entry(&entry.asset).or_default() += entry.amount.get();
            }
        }
        assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
        self.replayed.replay(&decoded, bytes).unwrap();
        assert!(
            self.replayed.same_state(&self.wallet),
            "replay gives another wallet"
        );
        assert_eq!(self.replayed.next_due(), self.wallet.next_due());
        // Decided again from the wallet as it was kept, it comes to the same.
        let mut again = before.clone();
        assert_eq!(again.decide_again(&decoded, bytes), Ok(()));
        assert!(
            again.same_state(&self.wallet),
            "decided again it is another wallet"
        );
        self.check_parts();
    }

    fn check_parts(&mut self) {
        for (key, value) in self.wallet.take_changes() {
            match value {
                Some(value) => self.parts.insert(key, value),
                None => self.parts.remove(&key),
            };
        }
        let stored = self.stored();
        assert!(
            stored.same_state(&self.wallet),
            "the stored parts make another wallet"
        );
        assert_eq!(stored.next_due(), self.wallet.next_due());
    }

    /// The wallet that the stored parts make.
    pub fn stored(&self) -> Wallet {
        Wallet::from_parts(self.parts.iter().map(|(k, v)| (&k[..], &v[..]))).unwrap()
    }

    /// The parts as a store keeps them, to be damaged.
    pub fn parts(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.parts.clone()
    }

    /// The process dies and starts again with what was stored.
    pub fn crash(&mut self) {
        self.wallet = self.stored();
    }

    /// All records are read again, from the first, and make the same wallet.
    pub fn replay(&mut self) {
        let mut wallet = Wallet::default();
        for record in &self.records {
            let bytes = record.encode();
            wallet.replay(&Record::decode(&bytes).unwrap(), &bytes).unwrap();
        }
        assert!(wallet.same_state(&self.wallet), "replay gives another wallet");
        wallet.take_changes();
        self.wallet = wallet;
    }

    /// An event as it stands, found in the history as a reader of it would.
    pub fn original(&self, event: &EventRef) -> Option<Original> {
        let effects = || {
            self.records
                .iter()
                .rev()
                .flat_map(|r| r.outcome.effects.iter().rev())
        };
        let corrected = effects().find_map(|effect| match effect {
            Effect::StandingPut(name, standing) if name == event => Some((**standing).clone()),
            _ => None,
        });
        let standing = corrected.or_else(|| {
            let about = self.records.iter().rev().filter_map(standing_of);
            about.into_iter().find(|s| s.event.reference() == *event)
        })?;
        let ended = self.opened(&standing.slices);
        let give_backs = effects().find_map(|effect| match effect {
            Effect::GiveBacksPut(name, give_backs) if name == event => Some((**give_backs).clone()),
            _ => None,
        });
        Some(Original {
            standing,
            ended,
            give_backs: give_backs.unwrap_or_default(),
        })
    }

    /// Grants that slices were taken from, as they were opened.
    fn opened(&self, slices: &[TakenSlice]) -> BTreeMap<GrantId, GrantState> {
        let grants = slices.iter().filter_map(|slice| match &slice.from {
            SliceSource::Grant(id) => Some(id),
            SliceSource::Debt | SliceSource::Receivable => None,
        });
        let effects = || self.records.iter().rev().flat_map(|r| &r.outcome.effects);
        let opened = grants.filter_map(|id| {
            let opened = effects().find_map(|effect| match effect {
                Effect::GrantOpened(opened, grant) if opened == id => Some((**grant).clone()),
                _ => None,
            });
            Some((id.clone(), opened?))
        });
        opened.collect()
    }

    /// Events that an answer gives back of, that a corrected event gave back of, and that set a timer, as they stand.
    fn named(&self, seen: &Seen, timer: Option<EventRef>) -> Vec<Original> {
        let gave = seen
            .original
            .iter()
            .flat_map(|original| &original.give_backs.gave);
        let mut events: Vec<EventRef> = gave.map(|given| given.event.clone()).collect();
        let answer = seen
            .pricing
            .iter()
            .flat_map(|pricing| gives_back_of(&pricing.verdict));
        events.extend(answer);
        events.extend(timer);
        events.sort();
        events.dedup();
        events.iter().filter_map(|event| self.original(event)).collect()
    }

    /// Available, held, debt and receivable of an asset.
    pub fn balance(&self, name: &str) -> [Nanos; 4] {
        let balances = self.wallet.balances();
        let balance = balances.iter().find(|b| b.asset == asset(name));
        balance.map_or([Nanos::ZERO; 4], |b| [b.available, b.held, b.debt, b.receivable])
    }

    /// The same as text: `available held debt receivable`.
    pub fn has(&self, name: &str) -> String {
        self.balance(name).map(|n| n.to_string()).join(" ")
    }

    /// Entries of the newest record: `usd available:g -5`, in the order in which they were posted.
    pub fn entries(&self) -> Vec<String> {
        let effects = self.records.last().map_or(&[][..], |r| &r.outcome.effects);
        effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Entry(entry) => Some(entry),
                _ => None,
            })
            .map(|e| format!("{} {} {}", e.asset, say::account(&e.account), e.amount))
            .collect()
    }

    /// What the newest record took from free grants, in order: `g 5`.
    pub fn burnt(&self) -> Vec<String> {
        let effects = self.records.last().map_or(&[][..], |r| &r.outcome.effects);
        effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Entry(e) if e.amount.is_negative() => match &e.account {
                    Account::Available(id) => Some(format!("{id} {}", Nanos::new(-e.amount.get()))),
                    _ => None,
                },
                _ => None,
            })
            .collect()
    }

    /// What the newest record earned, and lost again, by charge: `in -3`.
    pub fn earned(&self) -> Vec<String> {
        let mut earned = Vec::new();
        let Some(record) = self.records.last() else {
            return earned;
        };
        for effect in &record.outcome.effects {
            if let Effect::Entry(entry) = effect
                && entry.account == Account::Revenue
            {
                let code = entry.charge.and_then(|charge| record.charge_code(charge));
                earned.push(format!("{} {}", code.unwrap_or("?"), entry.amount));
            }
        }
        earned
    }

    /// Sum of everything ever posted to an account of an asset.
    pub fn posted(&self, name: &str, wanted: &Account) -> Nanos {
        let effects = self.records.iter().flat_map(|r| &r.outcome.effects);
        let amounts = effects.filter_map(|effect| match effect {
            Effect::Entry(e) if e.account == *wanted && e.asset == asset(name) => Some(e.amount.get()),
            _ => None,
        });
        Nanos::new(amounts.sum())
    }
}

/// When the event of a command happened, where it has one and that is said; as the engine finds it.
fn happened(command: &Command, original: Option<&Original>) -> Option<Timestamp> {
    match command {
        Command::Usage(event) => event.time,
        Command::Backfill(backfill) => backfill.event.time,
        Command::Authorize(authorize) => authorize.event.time,
        Command::RateUnpriced(rate) => Some(rate.event.time.unwrap_or(rate.received)),
        Command::Amend(amend) => amend.event.time.or(original.map(|o| o.standing.time)),
        _ => None,
    }
}

/// The event that a command corrects.
fn corrected_event(command: &Command) -> Option<EventRef> {
    match command {
        Command::Void(void) => Some(void.event.clone()),
        Command::Amend(amend) => Some(amend.event.reference()),
        Command::Refund(refund) => match &refund.target {
            RefundTarget::Event { event, .. } => Some(event.clone()),
            RefundTarget::Grant { .. } => None,
        },
        _ => None,
    }
}

/// A span of so many seconds.
pub fn seconds(seconds: u32) -> Span {
    Span::seconds(seconds)
}
