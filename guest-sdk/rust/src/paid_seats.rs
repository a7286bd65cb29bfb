//! Seats whose fee was paid, so that nothing comes back that nobody paid.

use farebox_money::Nanos;
use serde::{Deserialize, Serialize};

use crate::{Overflow, Proration, Share};

/// Most layers that are kept apart. Each turn from seats that are paid to seats that are not, within one period, needs one.
const LAYERS_MAX: usize = 8;

/// For how many seats the fee of a period was paid, and at which price. Kept in a state, it tells a change of seats what is
/// owed for it.
///
/// - Who comes with proration pays the rest of the period; who goes with proration gets the rest of what was paid back.
/// - Who comes without proration pays nothing in this period, so nothing comes back for that seat.
/// - Who goes without proration leaves a seat that is paid: the next one who comes has it.
/// - Of several seats the last to come is the first to go.
///
/// What comes back is never more than what was paid: amounts are differences of what all seats are worth at that moment,
/// so that rounding does not add up either.
///
/// ```
/// use farebox_plan::{Instant, Nanos, PaidSeats, Period, Proration};
/// let start = Instant::from_micros(0);
/// let month = Period { start, end: start.plus_days(30), index: 0 };
/// let (fee, half) = (Nanos::units(30), month.rest(start.plus_days(15)));
///
/// let mut seats = PaidSeats::paid(month.index, 1, fee);
/// // 99 come without proration, and all but two go with proration: nobody paid for those.
/// assert!(seats.change(1, 100, Proration::AtPeriodEnd, fee, half).unwrap().charged.is_zero());
/// assert!(seats.change(100, 2, Proration::Now, fee, half).unwrap().back.is_zero());
/// // The first was paid, the second was not.
/// assert_eq!(seats.change(2, 0, Proration::Now, fee, half).unwrap().back, Nanos::units(15));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidSeats {
    period: u32,
    /// From the seats that were there first to those that came last.
    layers: Vec<Layer>,
    /// Seats among the last that nobody has any more, and that are paid.
    vacant: u32,
    /// Seats that went, and whose included value stayed.
    spare: u32,
    /// So many of the first are paid only when the plan is told late that the period began.
    unanswered: u32,
    /// What comes back for some of those, once they are paid.
    owed: Nanos,
}

/// Seats that came together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Layer {
    seats: u32,
    /// For a seat and a whole period. None: nobody paid.
    fee: Option<Nanos>,
}

/// What follows from a change of seats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeatsDue {
    /// What is to be paid for the rest of the period.
    pub charged: Nanos,
    /// For how many seats that is.
    pub seats: u32,
    /// How many of them bring what is included. Others take the place of seats that went, and whose included value stayed.
    pub new: u32,
    /// What comes back.
    pub back: Nanos,
}

impl PaidSeats {
    /// So many seats were paid in a period, to its end.
    pub fn paid(period: u32, seats: u32, fee: Nanos) -> PaidSeats {
        let layer = Layer {
            seats,
            fee: Some(fee),
        };
        PaidSeats::of(period, layer, 0)
    }

    /// So many seats are there in a period, and nobody paid for them: it was paid to another plan, say.
    pub fn free(period: u32, seats: u32) -> PaidSeats {
        PaidSeats::of(period, Layer { seats, fee: None }, 0)
    }

    /// So many seats are there in a period of whose beginning the plan was not told yet. It will be, and then they are paid: see
    /// [`answered`](PaidSeats::answered).
    pub fn expected(period: u32, seats: u32, fee: Nanos) -> PaidSeats {
        let layer = Layer {
            seats,
            fee: Some(fee),
        };
        PaidSeats::of(period, layer, seats)
    }

    fn of(period: u32, layer: Layer, unanswered: u32) -> PaidSeats {
        PaidSeats {
            period,
            layers: vec![layer],
            vacant: 0,
            spare: 0,
            unanswered,
            owed: Nanos::ZERO,
        }
    }

    /// Whether this is about the period of that index.
    pub fn is_of(&self, period: u32) -> bool {
        self.period == period
    }

    /// There are more or fewer seats, of which each costs `fee` for a whole period, with `rest` of the period left.
    pub fn change(
        &mut self,
        before: u32,
        after: u32,
        proration: Proration,
        fee: Nanos,
        rest: Share,
    ) -> Result<SeatsDue, Overflow> {
        // In a pause the plan may have left changes to the return.
        self.follow(self.seats().saturating_sub(self.vacant), before);
        let due = match proration {
            Proration::Now if after > before => self.add(after - before, fee, rest)?,
            Proration::Now => self.remove(before - after, rest)?,
            Proration::AtPeriodEnd => {
                self.follow(before, after);
                SeatsDue::default()
            }
        };
        self.limit();
        Ok(due)
    }

    /// Seats come and go, and nobody pays or gets anything for it.
    fn follow(&mut self, before: u32, after: u32) {
        let more = self.fill(after.saturating_sub(before));
        self.push(more, None);
        self.vacant = self.vacant.saturating_add(before.saturating_sub(after));
        self.forget_free_vacant();
    }

    /// The plan is told late that the period began, and charges `charged` for the seats of then, at `fee` for each: what comes
    /// back for those that went meanwhile.
    pub fn answered(&mut self, fee: Nanos, charged: Nanos) -> Nanos {
        let paid = std::mem::take(&mut self.unanswered);
        if let Some(first) = self.layers.first_mut()
            && paid > 0
        {
            first.seats = first.seats.saturating_sub(paid);
            let layer = Layer {
                seats: paid,
                fee: Some(fee),
            };
            self.layers.insert(0, layer);
            self.tidy();
        }
        std::mem::replace(&mut self.owed, Nanos::ZERO).min(charged)
    }

    /// All seats are paid from now on, also those of whose period the plan was to be told late: what that is. Those that paid
    /// when they came do not pay again.
    pub fn pay_all(&mut self, seats: u32, fee: Nanos, rest: Share) -> Result<SeatsDue, Overflow> {
        let unanswered = std::mem::take(&mut self.unanswered);
        if let Some(first) = self.layers.first_mut() {
            first.seats = first.seats.saturating_sub(unanswered);
        }
        self.layers.retain(|layer| layer.fee.is_some());
        self.tidy();
        (self.owed, self.spare) = (Nanos::ZERO, 0);
        let paid = self.seats();
        self.vacant = paid.saturating_sub(seats);
        self.add(seats.saturating_sub(paid), fee, rest)
    }

    fn seats(&self) -> u32 {
        let seats = self.layers.iter().map(|layer| layer.seats);
        seats.fold(0, u32::saturating_add)
    }

    /// What seats cost for a whole period: those that are paid, and those that will be.
    fn worth(&self) -> Result<[Nanos; 2], Overflow> {
        let first = self.layers.first().and_then(|layer| layer.fee);
        let expected = first.unwrap_or(Nanos::ZERO).checked_times(self.unanswered);
        let all = self.layers.iter().try_fold(Nanos::ZERO, |sum, layer| {
            sum.checked_add(layer.fee.unwrap_or(Nanos::ZERO).checked_times(layer.seats)?)
        });
        let (all, expected) = (all.ok_or(Overflow)?, expected.ok_or(Overflow)?);
        Ok([all.checked_sub(expected).ok_or(Overflow)?, expected])
    }

    /// How much less the seats are worth now than they were, of what is left of the period.
    fn less(&self, before: [Nanos; 2], rest: Share) -> Result<[Nanos; 2], Overflow> {
        let [paid, expected] = self.worth()?;
        let less = |before, now| rest.of(before)?.checked_sub(rest.of(now)?).ok_or(Overflow);
        Ok([less(before[0], paid)?, less(before[1], expected)?])
    }

    fn add(&mut self, more: u32, fee: Nanos, rest: Share) -> Result<SeatsDue, Overflow> {
        let seats = self.fill(more);
        let before = self.worth()?;
        self.push(seats, Some(fee));
        let [less, _] = self.less(before, rest)?;
        let again = seats.min(self.spare);
        self.spare -= again;
        Ok(SeatsDue {
            charged: less.checked_neg().ok_or(Overflow)?,
            seats,
            new: seats - again,
            back: Nanos::ZERO,
        })
    }

    fn remove(&mut self, fewer: u32, rest: Share) -> Result<SeatsDue, Overflow> {
        let before = self.worth()?;
        self.pop(fewer);
        self.unanswered = self.unanswered.min(self.seats());
        let [back, owed] = self.less(before, rest)?;
        self.forget_free_vacant();
        self.owed = self.owed.checked_add(owed).ok_or(Overflow)?;
        Ok(SeatsDue {
            back,
            ..SeatsDue::default()
        })
    }

    /// Who comes has a seat that is vacant: how many find none.
    fn fill(&mut self, more: u32) -> u32 {
        let filled = more.min(self.vacant);
        self.vacant -= filled;
        more - filled
    }

    fn push(&mut self, seats: u32, fee: Option<Nanos>) {
        self.layers.push(Layer { seats, fee });
        self.tidy();
    }

    fn pop(&mut self, mut seats: u32) {
        for layer in self.layers.iter_mut().rev() {
            let gone = layer.seats.min(seats);
            layer.seats -= gone;
            seats -= gone;
            if layer.fee.is_some() {
                self.spare = self.spare.saturating_add(gone);
            }
        }
        self.tidy();
    }

    /// A vacant seat that nobody paid is no seat.
    fn forget_free_vacant(&mut self) {
        let mut vacant = self.vacant;
        for layer in self.layers.iter_mut().rev() {
            let here = layer.seats.min(vacant);
            vacant -= here;
            if layer.fee.is_none() {
                layer.seats -= here;
                self.vacant -= here;
            }
        }
        self.tidy();
    }

    /// Joins what need not be kept apart.
    fn tidy(&mut self) {
        self.layers.retain(|layer| layer.seats > 0);
        self.layers.dedup_by(|later, layer| {
            let same = later.fee == layer.fee;
            if same {
                layer.seats = layer.seats.saturating_add(later.seats);
            }
            same
        });
    }

    /// Where there is too much to keep apart, the seats that were there first are worth the least of their fees.
    fn limit(&mut self) {
        while self.layers.len() > LAYERS_MAX {
            let first = self.layers.remove(0);
            if let Some(second) = self.layers.first_mut() {
                second.seats = second.seats.saturating_add(first.seats);
                second.fee = first.fee.min(second.fee);
            }
            self.tidy();
        }
    }
}
