//! The fold: each record's entries into lines.

use std::collections::{BTreeMap, BTreeSet};

use farebox_money::{Asset, Nanos};
use farebox_record::Record;
use farebox_record::command::{Command, Due, DueItem, RetryTransition};
use farebox_record::correction::{Consequence, Original, RefundTarget, Standing};
use farebox_record::ids::GrantId;
use farebox_record::outcome::{Account, Answer, Effect, Entry, Pricing, Verdict};
use farebox_record::plan::{Charge, Collect, EventRef};
use farebox_record::portion::PortionKey;
use farebox_record::time::{Period, Timestamp};

use crate::grants::Grants;
use crate::limits::STATEMENT_LINES_MAX;
use crate::line::{Key, Line, LineKind, Part};
use crate::moved::{Balances, Moved, add};
use crate::statement::StatementError;

/// Lines in the making. Sums do not depend on the order in which records are taken in.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    /// What the entries moved, summed up without looking at what they are about: what the lines are checked against.
    pub moved: Balances,
    /// How many records there were.
    pub records: u64,
    lines: BTreeMap<Asset, BTreeMap<Key, Line>>,
    count: usize,
    grants: Grants,
}

impl Fold {
    /// Takes a record in.
    pub fn take(&mut self, record: &Record) -> Result<(), StatementError> {
        self.records += 1;
        self.grants.learn(record);
        let all = entries(record);
        for (entry, _) in &all {
            if let Some(moved) = Moved::by(entry) {
                add(&mut self.moved, &entry.asset, moved)?;
            }
        }
        self.quantities(record)?;
        if let Some(key) = whole(record) {
            for (entry, _) in all {
                if let Some(moved) = Moved::by(entry) {
                    self.post(record, &entry.asset, &key, moved)?;
                }
            }
            return Ok(());
        }
        // What belongs to other events than the record's own has lines of its own.
        for whose in [Whose::Own, Whose::Behind] {
            let entries = all.iter().filter(|(_, of)| *of == whose);
            let entries: Vec<&Entry> = entries.map(|(entry, _)| *entry).collect();
            self.entries(record, &entries, whose)?;
        }
        Ok(())
    }

    fn entries(&mut self, record: &Record, entries: &[&Entry], whose: Whose) -> Result<(), StatementError> {
        let mut rest = entries;
        // The charge of the entry before: what comes back as a grant of its own follows its charge.
        let mut charge = None;
        while let [entry, behind @ ..] = rest {
            rest = behind;
            if let Some(index) = entry.charge {
                charge = Some(index);
                self.charged(record, entry, index, whose)?;
                continue;
            }
            match behind.first().filter(|next| is_counterpart(entry, next)) {
                Some(next) => {
                    rest = &behind[1..];
                    self.pair(record, entry, next)?;
                }
                None => self.single(record, entry, charge, whose)?,
            }
        }
        Ok(())
    }

    /// An entry of a charge.
    fn charged(
        &mut self,
        record: &Record,
        entry: &Entry,
        index: u16,
        whose: Whose,
    ) -> Result<(), StatementError> {
        let key = charge_key(record, index, collected(&entry.account), whose);
        let asset = &entry.asset;
        match &entry.account {
            Account::Held(_) => {
                // A call takes from its hold: the hold gives it back, and the call takes it.
                self.hold_gives(record, asset, entry.amount)?;
                self.post(record, asset, &key, Moved::free(entry.amount))
            }
            Account::Breakage => {
                // It comes back to a grant that has expired meanwhile.
                self.post(record, asset, &key, Moved::free(entry.amount))?;
                let expired = Key {
                    sequence: record.sequence,
                    ..Key::of(LineKind::Expiry)
                };
                self.post(record, asset, &expired, Moved::free(negative(entry.amount)?))
            }
            _ => match Moved::by(entry) {
                Some(moved) => self.post(record, asset, &key, moved),
                None => Ok(()),
            },
        }
    }

    /// Two entries of no charge that belong together: what one account gives, the other takes.
    fn pair(&mut self, record: &Record, from: &Entry, to: &Entry) -> Result<(), StatementError> {
        use Account as A;
        let asset = &from.asset;
        match (&from.account, &to.account) {
            (A::Available(grant), A::Purchases | A::Promotional | A::Included) => {
                let key = Key::of_grant(LineKind::Grant, grant);
                self.post(record, asset, &key, Moved::free(from.amount))
            }
            (A::Available(grant), A::Breakage) => {
                let key = expiry_of(grant);
                self.post(record, asset, &key, Moved::free(from.amount))
            }
            (A::Held(grant), A::Breakage) => {
                let key = expiry_of(grant);
                self.hold_gives(record, asset, from.amount)?;
                self.post(record, asset, &key, Moved::free(from.amount))
            }
            // A portion of a grant is opened: what one grant gives, the other has.
            (A::Available(_), A::Available(_)) => Ok(()),
            (A::Available(_), A::Debt) => {
                for moved in [Moved::by(from), Moved::by(to)].into_iter().flatten() {
                    self.post(record, asset, &Key::of(LineKind::DebtPaid), moved)?;
                }
                Ok(())
            }
            _ => {
                self.single(record, from, None, Whose::Own)?;
                self.single(record, to, None, Whose::Own)
            }
        }
    }

    /// An entry of no charge that stands alone: value that a correction opens a grant for, or a hold's.
    fn single(
        &mut self,
        record: &Record,
        entry: &Entry,
        charge: Option<u16>,
        whose: Whose,
    ) -> Result<(), StatementError> {
        let Some(moved) = Moved::by(entry) else {
            return Ok(());
        };
        let key = match (&record.command, charge) {
            (Command::Void(_) | Command::Amend(_) | Command::Refund(_), Some(index)) => {
                charge_key(record, index, collected(&entry.account), whose)
            }
            _ => Key::of(LineKind::Holds),
        };
        self.post(record, &entry.asset, &key, moved)
    }

    /// Value goes back from held to free; `amount` is what the held account lost, so it is negative.
    fn hold_gives(&mut self, record: &Record, asset: &Asset, amount: Nanos) -> Result<(), StatementError> {
        let moved = Moved {
            available: negative(amount)?,
            held: amount,
            ..Moved::default()
        };
        self.post(record, asset, &Key::of(LineKind::Holds), moved)
    }

    /// Counts what charges are for. A charge of nothing has a line too: what was used is shown, free or not.
    fn quantities(&mut self, record: &Record) -> Result<(), StatementError> {
        if counts(record) {
            for (index, charge) in charges(record).iter().enumerate() {
                let Ok(index) = u16::try_from(index) else { continue };
                let key = charge_key(record, index, charge.price.collect, Whose::Own);
                self.count(record, &charge.price.asset, &key, charge.quantity)?;
            }
        }
        // Where its plan had no answer, it counts as what it was settled for last.
        let answered = matches!(
            record.seen.pricing.as_ref().map(|pricing| &pricing.verdict),
            Some(Verdict::Priced(_))
        );
        if let Some(standing) = concluded(record).filter(|_| !answered) {
            for line in &standing.lines {
                let key = Key {
                    subscription: standing.priced.as_ref().map(|by| by.subscription.clone()),
                    period: standing.priced.as_ref().map(|by| parts(by.period)),
                    code: Some(line.code.to_string()),
                    ..Key::of(LineKind::Usage)
                };
                self.count(record, &line.asset, &key, line.quantity)?;
            }
        }
        if let (Command::Void(_) | Command::Amend(_), Some(original)) =
            (&record.command, record.seen.original.as_deref())
        {
            for line in &original.standing.lines {
                let key = correction_key(record, Part::Back, Some(line.code.to_string()));
                self.count(record, &line.asset, &key, negative(line.quantity)?)?;
            }
        }
        Ok(())
    }

    fn count(
        &mut self,
        record: &Record,
        asset: &Asset,
        key: &Key,
        quantity: Nanos,
    ) -> Result<(), StatementError> {
        let line = self.line(record, asset, key)?;
        let so_far = line.quantity.unwrap_or_default();
        line.quantity = Some(so_far.checked_add(quantity).ok_or(StatementError::Overflow)?);
        Ok(())
    }

    fn post(
        &mut self,
        record: &Record,
        asset: &Asset,
        key: &Key,
        moved: Moved,
    ) -> Result<(), StatementError> {
        let line = self.line(record, asset, key)?;
        line.moved = line.moved.plus(moved)?;
        Ok(())
    }

    fn line(&mut self, record: &Record, asset: &Asset, key: &Key) -> Result<&mut Line, StatementError> {
        let lines = self.lines.entry(asset.clone()).or_default();
        if !lines.contains_key(key) {
            self.count += 1;
            if self.count > STATEMENT_LINES_MAX {
                return Err(StatementError::TooManyLines);
            }
        }
        let line = lines.entry(key.clone()).or_insert_with(|| key.line());
        if key.sequence != 0 {
            line.label = said(record).map(str::to_string);
            line.event = corrected(record);
        }
        if key.sequence != 0 || key.grant.is_some() {
            let instant = record.instant();
            line.at = Some(line.at.map_or(instant, |at| at.min(instant)));
        }
        Ok(line)
    }

    /// Grants that expired and whose opening was not among the records.
    pub fn unknown_grants(&self) -> BTreeSet<GrantId> {
        let lines = self.lines.values().flat_map(BTreeMap::values);
        let named = lines.filter_map(|line| line.grant.clone());
        named.filter(|grant| !self.grants.knows(grant)).collect()
    }

    /// Learns of grants from a record outside of the range.
    pub fn learn(&mut self, record: &Record) {
        self.grants.learn(record);
    }

    /// The lines of an asset, in order: by kind, then by time, then what is summed up by subscription, period and code.
    pub fn lines_of(&self, asset: &Asset) -> Vec<Line> {
        let nothing = |line: &Line| line.moved.is_zero() && line.quantity.is_none_or(Nanos::is_zero);
        let mut lines: Vec<Line> = (self.lines.get(asset).into_iter())
            .flat_map(BTreeMap::values)
            .filter(|line| !nothing(line))
            .map(|line| self.grants.described(line))
            .collect();
        lines.sort_by_key(|line| (line.kind, line.at)); // stable: else in the order of keys
        lines
    }

    /// Assets that have lines.
    pub fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.lines.keys()
    }
}

/// Whose event an entry of a record is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The record's own, or none.
    Own,
    /// One behind the event that the record corrects, which costs something else.
    Behind,
}

/// The entries of a record, each with whose it is: where a correction prices other events anew, an event's standing closes
/// the entries that are about it.
fn entries(record: &Record) -> Vec<(&Entry, Whose)> {
    let own = match record.seen.consequence.as_deref() {
        Some(Consequence::Refolded(_)) => corrected(record),
        Some(Consequence::Reversed(_)) | None => None,
    };
    let mut whose = Whose::Own;
    let mut entries = Vec::new();
    for effect in record.outcome.effects.iter().rev() {
        match (effect, &own) {
            (Effect::StandingPut(event, _), Some(own)) if event == own => whose = Whose::Own,
            (Effect::StandingPut(..), Some(_)) => whose = Whose::Behind,
            (Effect::Entry(entry), _) => entries.push((entry, whose)),
            _ => {}
        }
    }
    entries.reverse();
    entries
}

/// The one line of commands that have no more.
fn whole(record: &Record) -> Option<Key> {
    let kind = match &record.command {
        Command::Adjust(_) => LineKind::Adjustment,
        Command::Pay(_) => LineKind::Payment,
        Command::Refund(refund) => match &refund.target {
            RefundTarget::Grant { .. } => LineKind::Refund,
            RefundTarget::Event { .. } => return None,
        },
        _ => return None,
    };
    Some(Key {
        sequence: record.sequence,
        ..Key::of(kind)
    })
}

/// The line of what expires of a grant. Portions have one together: a team has many, with the same name.
fn expiry_of(grant: &GrantId) -> Key {
    match PortionKey::of(grant) {
        Some(_) => Key::of(LineKind::Expiry),
        None => Key::of_grant(LineKind::Expiry, grant),
    }
}

/// The line of a charge; `index` is the one that entries name.
fn charge_key(record: &Record, index: u16, collect: Collect, whose: Whose) -> Key {
    let code = record.charge_code(index).map(str::to_string);
    if whose == Whose::Behind {
        return Key {
            kind: LineKind::Repriced,
            ..correction_key(record, Part::Back, code)
        };
    }
    let part = match usize::from(index) < charges(record).len() {
        true => Part::Charged,
        false => Part::Back,
    };
    let kind = match &record.command {
        Command::Void(_) | Command::Amend(_) | Command::Refund(_) => {
            return correction_key(record, part, code);
        }
        // The end of a call that was settled in part is about that call, whatever it is called for.
        Command::Due(due) if is_fee(due) => LineKind::Fee,
        Command::RetryTransition(RetryTransition { missed, .. }) if is_fee(&missed.due) => LineKind::Fee,
        Command::RetryChange(retry) if is_fee(&retry.missed.transition.due) => LineKind::Fee,
        Command::Subscribe(_) | Command::ChangeSubscription(_) => LineKind::Fee,
        _ if record.is_late() => LineKind::Late,
        _ if collect == Collect::Invoice => LineKind::Fee,
        _ => LineKind::Usage,
    };
    let pricing = record.seen.pricing.as_ref();
    Key {
        subscription: pricing.map(|pricing| pricing.subscription.clone()),
        period: pricing.map(period_of).map(parts),
        code,
        ..Key::of(kind)
    }
}

/// The line of a correction: what came back stands under the period of the event that is corrected.
fn correction_key(record: &Record, part: Part, code: Option<String>) -> Key {
    let kind = match &record.command {
        Command::Amend(_) => LineKind::Amendment,
        Command::Refund(_) => LineKind::Refund,
        _ => LineKind::Void,
    };
    let original = |original: &Original| {
        let by = original.standing.priced.as_ref()?;
        Some((by.subscription.clone(), by.period))
    };
    let told = match part {
        Part::Back => record.seen.original.as_deref().and_then(original),
        Part::Charged => (record.seen.pricing.as_ref()).map(|p| (p.subscription.clone(), period_of(p))),
    };
    let (subscription, period) = told.unzip();
    Key {
        sequence: record.sequence,
        part,
        subscription,
        period: period.map(parts),
        code,
        ..Key::of(kind)
    }
}

/// The period that a price belongs to: for a late event the one that was over.
fn period_of(pricing: &Pricing) -> Period {
    pricing.term.as_ref().map_or(pricing.period, |term| term.period)
}

fn parts(period: Period) -> (Timestamp, Timestamp, u32) {
    (period.start, period.end, period.index)
}

fn collected(account: &Account) -> Collect {
    match account {
        Account::Receivable => Collect::Invoice,
        _ => Collect::Balance,
    }
}

/// Two entries of no charge in one asset that cancel each other.
fn is_counterpart(entry: &Entry, next: &Entry) -> bool {
    next.charge.is_none() && next.asset == entry.asset && next.amount.checked_neg() == Some(entry.amount)
}

fn charges(record: &Record) -> &[Charge] {
    match record.seen.pricing.as_ref().map(|pricing| &pricing.verdict) {
        Some(Verdict::Priced(priced)) => &priced.charges,
        _ => &[],
    }
}

/// Whether what is charged then is for the subscription, and for no event of it.
fn is_fee(due: &Due) -> bool {
    !matches!(
        due.item,
        DueItem::HoldExpiry(_) | DueItem::Timer { about: Some(_), .. }
    )
}

/// Whether the charges of the plan's answer were carried out for good: a quote is none, and neither is a part of a call.
fn counts(record: &Record) -> bool {
    match (&record.command, &record.outcome.answer) {
        (Command::Authorize(_), Answer::Allowed(allowed)) => allowed.expires.is_none(),
        (Command::Settle(_), Answer::Settled(settled)) => settled.ended,
        (
            Command::Usage(_) | Command::Backfill(_) | Command::RetryTransition(_) | Command::RetryChange(_),
            Answer::Charged { .. },
        ) => true,
        // A call that was settled in part ended without a last settlement; its plan was asked about the whole of it.
        (Command::Release(_), _) => concluded(record).is_some(),
        (Command::Due(due), _) if matches!(due.item, DueItem::HoldExpiry(_)) => concluded(record).is_some(),
        (Command::Due(_), _) => {
            let kept = |effect: &Effect| matches!(effect, Effect::UnpricedKept(_));
            !record.outcome.effects.iter().any(kept)
        }
        (
            Command::Subscribe(_)
            | Command::ChangeSubscription(_)
            | Command::RateUnpriced(_)
            | Command::Void(_)
            | Command::Amend(_),
            _,
        ) => true,
        _ => false,
    }
}

/// The event of a hold that was settled in part, where the record ends it.
fn concluded(record: &Record) -> Option<&Standing> {
    match &record.command {
        Command::Release(_) | Command::Due(_) => {}
        _ => return None,
    }
    record.outcome.effects.iter().find_map(|effect| match effect {
        Effect::StandingPut(_, standing) => Some(&**standing),
        _ => None,
    })
}

/// What a command says to the people who read the statement.
fn said(record: &Record) -> Option<&str> {
    match &record.command {
        Command::Adjust(adjust) => Some(&adjust.reason),
        Command::Refund(refund) => Some(&refund.reason),
        Command::Pay(pay) => pay.label.as_deref(),
        Command::Void(void) => void.reason.as_deref(),
        _ => None,
    }
}

/// The event that a command corrects.
fn corrected(record: &Record) -> Option<EventRef> {
    match &record.command {
        Command::Void(void) => Some(void.event.clone()),
        Command::Amend(amend) => Some(amend.event.reference()),
        Command::Refund(refund) => match &refund.target {
            RefundTarget::Event { event, .. } => Some(event.clone()),
            RefundTarget::Grant { .. } => None,
        },
        _ => None,
    }
}

fn negative(amount: Nanos) -> Result<Nanos, StatementError> {
    amount.checked_neg().ok_or(StatementError::Overflow)
}
