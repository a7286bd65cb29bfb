//! What is owed, naively: bought value pays it, it is written off, and it turns out not to be owed.

use crate::reference::{Model, Source};

/// An amount of debt or of a receivable that was written off.
#[derive(Debug, Clone)]
pub struct WriteOff {
    pub of: Source,
    pub asset: &'static str,
    pub at: i64,
    pub amount: i128,
}

/// What became of an amount that is not owed after all.
pub struct Relieved {
    pub unpaid: i128,
    pub written_off: i128,
    /// It was paid with bought value, and comes back as such.
    pub paid: i128,
}

impl Model {
    /// Bought value that came into a grant, or came back to it, pays debt first. Tells how much.
    pub fn pay_debt(&mut self, id: &str, came: i128) -> i128 {
        let grant = self.grant_of(id);
        let pays = grant.category == 2 && !grant.waiting && !grant.dead;
        let owed = self.debt.entry(grant.asset).or_default();
        let paid = if pays { came.min(*owed) } else { 0 };
        *owed -= paid;
        self.grant_mut(id).free -= paid;
        paid
    }

    fn owed(&mut self, of: &Source, asset: &'static str) -> &mut i128 {
        match of {
            Source::Debt => self.debt.entry(asset).or_default(),
            Source::Receivable => self.receivable.entry(asset).or_default(),
            Source::Grant(_) => unreachable!("value is not owed"),
        }
    }

    pub fn write_off(&mut self, of: Source, asset: &'static str, amount: i128) {
        *self.owed(&of, asset) -= amount;
        *self.adjusted.entry(asset).or_default() -= amount;
        let at = self.now;
        self.written_off.push(WriteOff {
            of,
            asset,
            at,
            amount,
        });
    }

    /// An amount that is owed since `since` is not: first what nobody paid, which is no more than `all` that the event made the
    /// customer owe without what was written off since; then what was written off since then, the
    /// oldest first, as if it never had been.
    pub fn relieve(
        &mut self,
        of: &Source,
        asset: &'static str,
        (since, all): (i64, i128),
        amount: i128,
    ) -> Relieved {
        let is_since = |w: &&WriteOff| w.of == *of && w.asset == asset && w.at >= since;
        let off: i128 = self.written_off.iter().filter(is_since).map(|w| w.amount).sum();
        let owed = self.owed(of, asset);
        let unpaid = amount.min(*owed).min((all - off).max(0));
        *owed -= unpaid;
        let mut paid = amount - unpaid;
        for write_off in &mut self.written_off {
            if write_off.of == *of && write_off.asset == asset && write_off.at >= since {
                let undone = paid.min(write_off.amount);
                write_off.amount -= undone;
                paid -= undone;
            }
        }
        let written_off = amount - unpaid - paid;
        *self.adjusted.entry(asset).or_default() += written_off;
        Relieved {
            unpaid,
            written_off,
            paid,
        }
    }

    /// What was paid and is not owed comes back in a grant of its own, and pays what is owed besides. Tells which, and how
    /// much paid.
    pub fn return_paid(&mut self, asset: &'static str, amount: i128) -> Option<(String, i128)> {
        (amount > 0).then(|| {
            let id = self.open_returned(asset, amount);
            let paid = self.pay_debt(&id, amount);
            (id, paid)
        })
    }

    /// What of the grants that an event gave is still free goes with it.
    pub fn take_given(&mut self, event: &str) {
        for grant in self
            .grants
            .iter_mut()
            .filter(|g| g.event.as_deref() == Some(event))
        {
            let free = std::mem::take(&mut grant.free);
            *self.given[usize::from(grant.category)]
                .entry(grant.asset)
                .or_default() -= free;
        }
    }
}
