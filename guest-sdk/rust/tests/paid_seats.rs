//! What seats pay and get back, worked out by hand: 30 a seat, for a month of 30 days.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use farebox_plan::{Instant, Nanos, PaidSeats, Period, Proration, SeatsDue, Share};
use proptest::prelude::*;

const START: Instant = Instant::from_micros(0);
const FEE: Nanos = Nanos::units(30);

/// What is left of the month at the beginning of its day.
fn from_day(day: i64) -> Share {
    let month = Period {
        start: START,
        end: START.plus_days(30),
        index: 7,
    };
    month.rest(START.plus_days(day))
}

/// A subscription's seats, with how many there are.
struct Team(PaidSeats, u32);

impl Team {
    fn paid(seats: u32) -> Team {
        Team(PaidSeats::paid(7, seats, FEE), seats)
    }

    fn change(&mut self, day: i64, after: u32, proration: Proration, fee: Nanos) -> SeatsDue {
        let due = self
            .0
            .change(self.1, after, proration, fee, from_day(day))
            .unwrap();
        self.1 = after;
        due
    }

    /// With proration: what is charged and what comes back.
    fn now(&mut self, day: i64, after: u32) -> [String; 2] {
        let due = self.change(day, after, Proration::Now, FEE);
        [due.charged.to_string(), due.back.to_string()]
    }

    /// Without: nothing is due.
    fn quietly(&mut self, day: i64, after: u32) {
        assert_eq!(
            self.change(day, after, Proration::AtPeriodEnd, FEE),
            SeatsDue::default()
        );
    }
}

#[test]
fn what_was_paid_comes_back_as_far_as_it_is_left() {
    let mut team = Team::paid(2);
    assert_eq!(team.now(10, 5), ["60", "0"], "3 x 30 x 2/3");
    assert_eq!(team.now(15, 6), ["15", "0"], "30 / 2");
    assert_eq!(team.now(20, 2), ["0", "40"], "4 x 30 / 3");
    assert_eq!(team.now(25, 0), ["0", "10"], "2 x 30 / 6");
    assert_eq!(team.now(25, 3), ["15", "0"]);
    assert_eq!(team.now(25, 0), ["0", "15"]);
}

#[test]
fn nothing_comes_back_for_seats_that_nobody_paid() {
    let mut team = Team::paid(1);
    team.quietly(0, 100);
    assert_eq!(team.now(0, 1), ["0", "0"]);
    assert_eq!(team.now(15, 0), ["0", "15"]);
}

#[test]
fn the_last_to_come_is_the_first_to_go() {
    let mut team = Team::paid(1);
    team.quietly(0, 100);
    assert_eq!(team.now(10, 110), ["200", "0"], "10 x 30 x 2/3");
    assert_eq!(team.now(20, 100), ["0", "100"], "10 x 30 / 3");
    assert_eq!(team.now(20, 2), ["0", "0"]);
    assert_eq!(team.now(20, 0), ["0", "10"]);
    // Paid to another plan: those that come are paid to this one.
    let mut team = Team(PaidSeats::free(7, 5), 5);
    assert_eq!(team.now(10, 7), ["40", "0"]);
    assert_eq!(team.now(20, 4), ["0", "20"]);
    assert_eq!(team.now(20, 0), ["0", "0"]);
}

#[test]
fn a_seat_that_was_left_without_proration_is_paid_already() {
    let mut team = Team::paid(10);
    team.quietly(5, 4);
    assert_eq!(team.now(10, 10), ["0", "0"]);
    assert_eq!(team.now(10, 12), ["40", "0"]);
    team.quietly(15, 4);
    assert_eq!(team.now(20, 3), ["0", "10"], "one goes, eight were left");
    team.quietly(20, 11);
    assert_eq!(team.now(20, 12), ["10", "0"]);
    // Of those that nobody paid, none is left behind.
    let mut team = Team::paid(1);
    team.quietly(0, 3);
    team.quietly(0, 0);
    assert_eq!(team.now(15, 2), ["15", "0"]);
}

#[test]
fn each_seat_comes_back_at_its_own_price() {
    let mut team = Team::paid(2);
    let dearer = Nanos::units(40);
    assert_eq!(
        team.change(15, 3, Proration::Now, dearer).charged,
        Nanos::units(20)
    );
    let back = |team: &mut Team, after| team.change(15, after, Proration::Now, dearer).back;
    assert_eq!(back(&mut team, 1), Nanos::units(35), "20, and 15 of 30");
    assert_eq!(back(&mut team, 0), Nanos::units(15));
}

#[test]
fn what_is_included_comes_once_with_a_seat() {
    let mut team = Team::paid(2);
    let new = |team: &mut Team, after| team.change(10, after, Proration::Now, FEE).new;
    assert_eq!(new(&mut team, 5), 3);
    assert_eq!(new(&mut team, 1), 0);
    assert_eq!(
        new(&mut team, 4),
        0,
        "four went, and what they had brought stayed"
    );
    assert_eq!(new(&mut team, 7), 2);
    // Also where a seat costs nothing.
    let mut team = Team(PaidSeats::paid(7, 1, Nanos::ZERO), 1);
    for (after, brings) in [(3, 2), (1, 0), (3, 0), (4, 1)] {
        assert_eq!(team.change(10, after, Proration::Now, Nanos::ZERO).new, brings);
    }
}

#[test]
fn until_the_beginning_of_a_period_is_answered_only_those_who_came_since_get_something_back() {
    let mut team = Team(PaidSeats::expected(7, 2, FEE), 2);
    assert_eq!(team.now(10, 5), ["60", "0"]);
    assert_eq!(
        team.now(20, 1),
        ["0", "30"],
        "three of those four; the other waits"
    );
    assert_eq!(team.now(25, 2), ["5", "0"]);
    // Two are charged: a third of a fee was left.
    assert_eq!(team.0.answered(FEE, Nanos::units(60)), Nanos::units(10));
    assert_eq!(team.0.answered(FEE, Nanos::units(60)), Nanos::ZERO, "once");
    assert_eq!(team.now(25, 0), ["0", "10"]);
}

#[test]
fn what_is_answered_at_a_lower_price_gives_back_no_more_than_that() {
    let mut team = Team(PaidSeats::expected(7, 2, FEE), 2);
    assert_eq!(team.now(0, 0), ["0", "0"]);
    assert_eq!(team.0.answered(Nanos::units(1), Nanos::units(2)), Nanos::units(2));
    let mut team = Team(PaidSeats::expected(7, 2, FEE), 2);
    assert_eq!(team.now(15, 3), ["15", "0"]);
    assert_eq!(team.0.answered(Nanos::units(10), Nanos::units(20)), Nanos::ZERO);
    assert_eq!(team.now(15, 0), ["0", "25"], "15, and twice half of 10");
}

#[test]
fn who_pays_for_all_pays_not_again_for_those_who_came_since() {
    let mut seats = Team(PaidSeats::expected(7, 2, FEE), 2);
    assert_eq!(seats.now(10, 3), ["20", "0"]);
    seats.quietly(12, 6);
    let due = seats.0.pay_all(6, FEE, from_day(15)).unwrap();
    assert_eq!((due.charged, due.seats, due.new), (Nanos::units(75), 5, 5));
    assert_eq!(seats.now(15, 0), ["0", "90"]);
    let mut fewer = Team(PaidSeats::expected(7, 1, FEE), 1);
    assert_eq!(fewer.now(0, 5), ["120", "0"]);
    assert_eq!(fewer.0.pay_all(3, FEE, from_day(10)), Ok(SeatsDue::default()));
    fewer.1 = 3;
    assert_eq!(fewer.now(15, 5), ["15", "0"], "one of four was left");
}

#[test]
fn changes_of_which_nothing_was_told_are_made_up_for() {
    let mut seats = PaidSeats::paid(7, 2, FEE);
    let due = seats.change(6, 1, Proration::Now, FEE, from_day(15)).unwrap();
    assert_eq!(due.back, Nanos::units(15), "one of the two");
    let due = seats.change(0, 1, Proration::Now, FEE, from_day(15)).unwrap();
    assert_eq!(due.charged, Nanos::ZERO);
}

#[test]
fn of_too_many_turns_the_first_seats_are_worth_the_least() {
    let mut team = Team::paid(1);
    for turn in 0..10 {
        team.quietly(10, team.1 + 1);
        assert_eq!(team.now(10, team.1 + 1), ["20", "0"], "turn {turn}");
    }
    // Eight are kept apart: the last four that were paid, three between them, and all others together.
    assert_eq!(team.now(10, 0), ["0", "80"]);
}

/// How many seats there are afterwards, how many hours later, with proration or without, and at which price in nanos.
type Step = (u32, i64, bool, i128);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let price = prop_oneof![Just(1), Just(30_000_000_000), 0..1_000_000_000_000_i128];
    prop::collection::vec((0..30_u32, 0..48_i64, any::<bool>(), price), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever happens in a period, and however it is rounded.
    #[test]
    fn what_comes_back_is_never_more_than_what_was_paid(
        begun in 0..3_usize, first in 0..30_u32, fee in 0..50_000_000_000_i128, steps in steps(), answered in 0..40_usize,
    ) {
        let fee = Nanos::new(fee);
        let whole = fee.checked_times(first).unwrap().get();
        let (mut seats, mut paid) = match begun {
            0 => (PaidSeats::paid(7, first, fee), whole),
            1 => (PaidSeats::expected(7, first, fee), 0),
            _ => (PaidSeats::free(7, first), 0),
        };
        let (mut hours, mut before) = (0, first);
        for (number, (after, later, prorated, price)) in steps.into_iter().enumerate() {
            hours += later;
            let proration = if prorated { Proration::Now } else { Proration::AtPeriodEnd };
            let rest = Period { start: START, end: START.plus_days(30), index: 7 }.rest(START.plus_seconds(hours * 3_601));
            let due = seats.change(before, after, proration, Nanos::new(price), rest).unwrap();
            prop_assert!(!due.charged.is_negative() && !due.back.is_negative());
            prop_assert!(prorated || due == SeatsDue::default());
            prop_assert!(due.seats <= after.saturating_sub(before) && due.new <= due.seats);
            paid += due.charged.get() - due.back.get();
            prop_assert!(paid >= 0, "step {}: {}", number, paid);
            if begun == 1 && number == answered {
                paid += whole - seats.answered(fee, Nanos::new(whole)).get();
                prop_assert!(paid >= 0, "answered: {}", paid);
            }
            before = after;
        }
    }
}
