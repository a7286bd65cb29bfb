//! What seats pay and get back, without a host: 30 usd and 3,000 credits a seat, in periods of 30 days.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use farebox_plan::testing::{Bill, Harness};
use farebox_plan::{Change, Nanos, Proration};
use proptest::prelude::*;
use seats_plus_credits::SeatsPlusCredits;

const DEAL: &str = include_str!("../parameters/example.json");

struct Team(Harness<SeatsPlusCredits>);

impl Team {
    fn starts(seats: u32) -> Team {
        let mut team = Team(Harness::new(DEAL).unwrap());
        team.0.seats = seats;
        team.0.start().unwrap();
        team
    }

    /// The next period begins, and the plan is not told.
    fn misses_a_renewal(&mut self) -> &mut Team {
        let plan = &mut self.0;
        plan.period.start = plan.period.end;
        plan.period.end = plan.period.start.plus_days(30);
        plan.period.index += 1;
        self.on(0)
    }

    fn on(&mut self, day: i64) -> &mut Team {
        self.0.now = self.0.period.start.plus_days(day);
        self
    }

    fn told(&mut self, change: Change) -> Vec<String> {
        lines(&self.0.change(change).unwrap())
    }

    fn seats(&mut self, after: u32) -> Vec<String> {
        let change = changed(self.0.seats, after, Proration::Now);
        self.told(change)
    }

    fn quietly(&mut self, after: u32) {
        let change = changed(self.0.seats, after, Proration::AtPeriodEnd);
        assert_eq!(self.told(change), NOTHING);
    }

    /// Its renewal is told late, with the seats that there were when the period began.
    fn is_renewed_late(&mut self, seats: u32) -> Vec<String> {
        let now = std::mem::replace(&mut self.0.seats, seats);
        let told = self.told(renewed());
        self.0.seats = now;
        told
    }
}

const NOTHING: [&str; 0] = [];

fn changed(before: u32, after: u32, proration: Proration) -> Change {
    Change::SeatsChanged {
        before,
        after,
        proration,
    }
}

fn renewed() -> Change {
    Change::Renewed {
        remaining: Vec::new(),
    }
}

fn taken_over(proration: Proration) -> Change {
    Change::PlanChanged {
        previous_plan: "another".to_string(),
        previous_since: farebox_plan::Instant::from_micros(0),
        remaining: Vec::new(),
        proration,
    }
}

/// What is paid, and what is given.
fn lines(bill: &Bill) -> Vec<String> {
    let charges = bill
        .charges
        .iter()
        .map(|charge| format!("pays {} {}", charge.amount, charge.asset));
    let grants = bill
        .grants
        .iter()
        .map(|grant| format!("gets {} {}", grant.amount, grant.asset));
    charges.chain(grants).collect()
}

#[test]
fn each_seat_gives_back_what_is_left_of_its_fee() {
    let mut team = Team::starts(2);
    assert_eq!(team.on(10).seats(3), ["pays 20 usd", "gets 2000 credits"]);
    assert_eq!(team.on(15).seats(4), ["pays 15 usd", "gets 1500 credits"]);
    assert_eq!(team.on(20).seats(0), ["gets 40 usd"]);
    assert_eq!(team.seats(1), ["pays 10 usd"], "its credits stayed");
}

#[test]
fn a_period_pays_for_the_seats_that_there_are_when_it_begins() {
    let mut team = Team::starts(1);
    team.quietly(3);
    assert_eq!(
        lines(&team.0.renew().unwrap()),
        ["pays 90 usd", "gets 9000 credits"]
    );
    assert_eq!(team.on(15).seats(0), ["gets 45 usd"]);
}

#[test]
fn who_comes_from_another_plan_gives_back_what_was_paid_to_this_one() {
    let mut team = Team::starts(3);
    team.on(15);
    assert_eq!(
        team.told(taken_over(Proration::Now)),
        ["pays 45 usd", "gets 4500 credits"]
    );
    assert_eq!(team.on(20).seats(2), ["gets 10 usd"]);
    assert_eq!(team.told(taken_over(Proration::AtPeriodEnd)), NOTHING);
    assert_eq!(team.seats(1), NOTHING);
    assert_eq!(team.seats(2), ["pays 10 usd", "gets 1000 credits"]);
    // A period that begins with the plan is paid to it.
    team.on(0);
    assert_eq!(
        team.told(taken_over(Proration::AtPeriodEnd)),
        ["pays 60 usd", "gets 6000 credits"]
    );
    assert_eq!(team.on(15).seats(0), ["gets 30 usd"]);
}

#[test]
fn seats_of_a_pause_are_paid_when_it_goes_on() {
    let mut team = Team::starts(2);
    team.told(Change::Paused);
    assert_eq!(
        team.on(15).seats(3),
        ["pays 15 usd", "gets 1500 credits"],
        "April was paid"
    );
    team.misses_a_renewal();
    assert_eq!(team.seats(9), NOTHING);
    assert_eq!(team.seats(4), NOTHING);
    assert_eq!(
        team.on(15).told(Change::Resumed),
        ["pays 60 usd", "gets 6000 credits"]
    );
    assert_eq!(team.seats(0), ["gets 60 usd"]);
    // Back in the same period, nobody pays again.
    team.told(Change::Paused);
    assert_eq!(team.told(Change::Resumed), NOTHING);
}

#[test]
fn a_pause_that_begins_with_a_period_leaves_its_seats_to_the_return() {
    let mut team = Team::starts(2);
    team.misses_a_renewal().told(Change::Paused);
    assert_eq!(team.on(10).seats(1), NOTHING);
    assert_eq!(
        team.on(15).told(Change::Resumed),
        ["pays 15 usd", "gets 1500 credits"]
    );
}

#[test]
fn who_comes_before_a_renewal_is_answered_pays_at_once() {
    let mut team = Team::starts(2);
    team.misses_a_renewal();
    assert_eq!(team.on(10).seats(5), ["pays 60 usd", "gets 6000 credits"]);
    // Three of them paid, and get a third; of the two that did not, one goes and waits.
    assert_eq!(team.on(20).seats(1), ["gets 30 usd"]);
    assert_eq!(
        team.on(25).is_renewed_late(2),
        ["pays 60 usd", "gets 6000 credits", "gets 10 usd"]
    );
    assert_eq!(team.seats(0), ["gets 5 usd"]);
    assert_eq!(
        lines(&team.0.renew().unwrap()),
        NOTHING,
        "the next one has no seats"
    );
}

#[test]
fn what_waits_for_an_answer_ends_with_the_period() {
    let mut team = Team::starts(2);
    team.misses_a_renewal();
    assert_eq!(team.on(15).seats(1), NOTHING);
    assert_eq!(
        lines(&team.0.renew().unwrap()),
        ["pays 30 usd", "gets 3000 credits"]
    );
    assert_eq!(team.on(15).seats(0), ["gets 15 usd"]);
}

#[test]
fn a_pause_that_the_plan_was_not_told_of_is_made_up_for_at_the_return() {
    let mut team = Team::starts(2);
    team.misses_a_renewal();
    assert_eq!(team.on(10).seats(3), ["pays 20 usd", "gets 2000 credits"]);
    assert_eq!(team.seats(1), ["gets 20 usd"]);
    assert_eq!(team.on(15).seats(2), ["pays 15 usd"]);
    // Two are there, of whom one has paid.
    assert_eq!(team.told(Change::Resumed), ["pays 15 usd", "gets 1500 credits"]);
    assert_eq!(team.seats(0), ["gets 30 usd"]);
    // The renewal of which it had not been told either is paid by now.
    assert_eq!(team.is_renewed_late(2), NOTHING);
}

#[test]
fn an_end_gives_nothing_back() {
    let mut team = Team::starts(2);
    let remaining = Vec::new();
    assert_eq!(team.on(10).told(Change::Cancelled { remaining }), NOTHING);
}

/// What happens, and how many hours after what was before.
#[derive(Debug, Clone)]
enum Step {
    Seats(u32, bool),
    Pause,
    Resume,
    Renew,
    Miss,
    RenewLate,
}

fn step() -> impl Strategy<Value = (Step, i64)> {
    let step = prop_oneof![
        6 => (0..20_u32, any::<bool>()).prop_map(|(seats, prorated)| Step::Seats(seats, prorated)),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
        1 => Just(Step::Renew),
        1 => Just(Step::Miss),
        1 => Just(Step::RenewLate),
    ];
    (step, 0..100_i64)
}

fn money(bill: &Bill) -> (i128, i128) {
    let dollars = |asset: &str| asset == "usd";
    let paid = bill
        .charges
        .iter()
        .filter(|charge| dollars(&charge.asset))
        .map(|charge| charge.amount.get());
    let back = bill
        .grants
        .iter()
        .filter(|grant| dollars(&grant.asset))
        .map(|grant| grant.amount.get());
    (paid.sum(), back.sum())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, in each period as far as it has gone.
    #[test]
    fn nothing_comes_back_that_was_not_paid(first in 0..20_u32, steps in prop::collection::vec(step(), 1..40)) {
        let mut team = Team(Harness::new(&DEAL.replace("\"30\"", "\"29.999999997\"")).unwrap());
        team.0.seats = first;
        let mut paid = money(&team.0.start().unwrap()).0;
        let (mut is_paused, mut begun) = (false, None);
        for (step, hours) in steps {
            let now = team.0.now.plus_seconds(hours * 3_601);
            team.0.now = now.min(team.0.period.end.plus_seconds(-1));
            let bill = match step {
                Step::Seats(after, prorated) => {
                    let proration = if prorated { Proration::Now } else { Proration::AtPeriodEnd };
                    team.0.change(changed(team.0.seats, after, proration))
                }
                Step::Pause if !is_paused => {
                    is_paused = true;
                    team.0.change(Change::Paused)
                }
                Step::Resume if is_paused => {
                    is_paused = false;
                    team.0.change(Change::Resumed)
                }
                Step::Renew if !is_paused => {
                    (paid, begun) = (0, None);
                    team.0.renew()
                }
                Step::Miss => {
                    paid = 0;
                    begun = (!is_paused).then_some(team.0.seats);
                    team.misses_a_renewal();
                    continue;
                }
                Step::RenewLate => match begun.take() {
                    Some(seats) => {
                        let now = std::mem::replace(&mut team.0.seats, seats);
                        let bill = team.0.change(renewed());
                        team.0.seats = now;
                        bill
                    }
                    None => continue,
                },
                _ => continue,
            };
            let (more, back) = money(&bill.unwrap());
            paid += more - back;
            prop_assert!(paid >= 0, "{}", Nanos::new(paid));
        }
    }
}
