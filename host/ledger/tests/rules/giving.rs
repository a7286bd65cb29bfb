//! Give-backs: a plan's answer takes back what an earlier event was charged, to where it came from, all of it or nothing.

mod bounds;
mod less;
mod noted;

use farebox_record::command::{AboveHold, Command, Finality, RateUnpriced};
use farebox_record::correction::AdjustTarget;
use farebox_record::outcome::Verdict;
use farebox_record::outcome::{Account, Effect, Pricing};
use farebox_record::plan::{Category, Charge, GrantOrder, Priced};
use farebox_record::state::Shortfall;

use crate::world::World;
use crate::world::bound::{Bound, limit};
use crate::world::make::*;
use crate::world::say::say;
use crate::world::t;

/// 0.99 of `resolution` for the ticket `r`, out of 10 bought.
fn resolved() -> World {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(usage("r"), resolution()).unwrap();
    world
}

fn resolution() -> Verdict {
    priced(&[charge("resolution", "usd", "0.99")])
}

fn reopened(event: &str) -> Charge {
    back(event, "resolution", "usd", "-0.99")
}

fn left(world: &World, event: &str) -> Vec<String> {
    let original = world.original(&reference(event)).unwrap();
    let slices = original.standing.slices.iter();
    slices
        .map(|s| format!("{} {} {:?}", s.code, s.amount, s.from))
        .collect()
}

/// What is kept without a price says exactly this of the answer.
fn check_unpostable(world: &mut World, command: Command, charges: &[Charge], why: &str) {
    let (before, codes) = (world.has("usd"), charges.len());
    let said = say(&world.ask(command, priced(charges)));
    let expected = format!("unpriced: PlanFailed {{ code: \"unpostable\", message: {why:?} }}");
    assert_eq!(said, expected, "{codes} charges");
    assert_eq!(world.has("usd"), before);
    assert_eq!(world.entries(), Vec::<String>::new());
}

#[test]
fn a_give_back_comes_before_what_is_charged_with_it() {
    let mut world = resolved();
    assert_eq!(world.has("usd"), "9.01 0 0 0");
    let said = say(&world.ask(usage("o"), priced(&[charge("work", "usd", "0.3"), reopened("r")])));
    assert_eq!(said, "charged");
    assert_eq!(
        world.entries(),
        [
            "usd revenue -0.99",
            "usd available:g 0.99",
            "usd available:g -0.3",
            "usd revenue 0.3",
        ]
    );
    // Each entry names its charge: the second of the answer gives back, the first takes.
    let record = world.records.last().unwrap();
    let codes: Vec<_> = record
        .outcome
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Entry(entry) => Some(entry.charge.unwrap()),
            _ => None,
        })
        .collect();
    assert_eq!(codes, [1, 1, 0, 0]);
    assert_eq!(record.outcome.earlier, Vec::<String>::new());
    assert_eq!(world.has("usd"), "9.7 0 0 0");
    assert_eq!(left(&world, "r"), Vec::<String>::new());
    assert_eq!(left(&world, "o"), ["work 0.3 Grant(\"g\")"]);
}

/// The wallet is empty: only what comes back can pay.
#[test]
fn what_comes_back_pays_for_what_is_charged() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "0.99").put());
    world.ask(usage("r"), resolution()).unwrap();
    let answer = priced(&[reopened("r"), charge("work", "usd", "0.9")]);
    world.ask(usage("o"), answer).unwrap();
    assert_eq!(world.has("usd"), "0.09 0 0 0");
    // One-shot, where nothing may be owed: 0.09 and 0.9 are needed for 0.95.
    world
        .ask(usage("r2"), priced(&[charge("resolution", "usd", "0.09")]))
        .unwrap();
    let some = back("r2", "resolution", "usd", "-0.09");
    let said = say(&world.ask(
        one_shot("p"),
        priced(&[some.clone(), charge("work", "usd", "0.1")]),
    ));
    assert_eq!(said, "denied: InsufficientFunds, 0.09 of 0.1 usd");
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(left(&world, "r2").len(), 1, "denied, it gave nothing back");
    assert_eq!(
        say(&world.ask(one_shot("q"), priced(&[some, charge("work", "usd", "0.05")]))),
        "allowed"
    );
    assert_eq!(world.has("usd"), "0.04 0 0 0");
}

#[test]
fn what_burnt_last_comes_back_first() {
    let mut world = World::new();
    world.ok(grant("promo", "usd", "3").category(Category::Promotional).put());
    world.ok(grant("paid", "usd", "10").put());
    // 3 promotional and 2 paid.
    world
        .ask(usage("r"), priced(&[charge("resolution", "usd", "5")]))
        .unwrap();
    world
        .ask(usage("o"), priced(&[back("r", "resolution", "usd", "-4")]))
        .unwrap();
    assert_eq!(
        world.entries(),
        [
            "usd revenue -2",
            "usd available:paid 2",
            "usd revenue -2",
            "usd available:promo 2",
        ]
    );
    // A refund of the rest gives back 1, and no more.
    let refund = |id, amount| refund_event(id, "r", amount);
    let more = say(&world.act(refund("f1", Some("1.01"))));
    assert!(
        more.starts_with("refused: amount is more than the event took"),
        "{more}"
    );
    assert_eq!(say(&world.act(refund("f2", None))), "corrected, reversed usd 1");
    assert_eq!(world.has("usd"), "13 0 0 0");
}

#[test]
fn only_the_named_code_and_asset_come_back() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    let both = priced(&[charge("resolution", "usd", "1"), charge("work", "usd", "2")]);
    world.ask(usage("r"), both).unwrap();
    world
        .ask(usage("o"), priced(&[back("r", "work", "usd", "-1.5")]))
        .unwrap();
    assert_eq!(
        left(&world, "r"),
        ["resolution 1 Grant(\"g\")", "work 0.5 Grant(\"g\")"]
    );
    assert_eq!(world.has("usd"), "8.5 0 0 0");
}

#[test]
fn what_cannot_be_given_back_is_named_and_nothing_of_the_answer_is_done() {
    let mut world = resolved();
    let work = charge("work", "usd", "0.3");
    let mut check = |command: Command, charges: &[Charge], why: &str| {
        check_unpostable(&mut world, command, charges, why);
    };
    check(
        usage("a"),
        &[work.clone(), back("r", "resolution", "usd", "-1")],
        "charge 1 of its answer gives back 1 usd of `resolution` of event r, which took 0.99 usd for it that it has not given \
         back",
    );
    check(
        usage("b"),
        &[
            work.clone(),
            reopened("r"),
            back("r", "resolution", "usd", "-0.01"),
        ],
        "charge 1 of its answer gives back 1 usd of `resolution` of event r, which took 0.99 usd for it that it has not given \
         back",
    );
    check(
        usage("c"),
        &[back("r", "work", "usd", "-0.1")],
        "charge 0 of its answer gives back 0.1 usd of `work` of event r, which took 0 usd for it that it has not given back",
    );
    check(
        usage("d"),
        &[back("r", "resolution", "credits", "-0.1")],
        "charge 0 of its answer gives back 0.1 credits of `resolution` of event r, which took 0 credits for it that it has not \
         given back",
    );
    check(
        usage("e"),
        &[reopened("nobody")],
        "charge 0 of its answer gives back of event nobody (source api), which is not known",
    );
    check(
        usage("f"),
        &[reopened("f")],
        "charge 0 of its answer gives back of event f, which is the one that is priced",
    );
    check(
        usage("h"),
        &[reopened("a")],
        "charge 0 of its answer gives back of event a, which waits for a price",
    );
    check(
        usage("i"),
        &vec![back("r", "resolution", "usd", "-0.01"); 9],
        "9 charges give back, and an answer has room for 8 (limit GIVE_BACKS_PER_ANSWER_MAX)",
    );
    world.ask(hold("held"), usd("1")).unwrap();
    check_unpostable(
        &mut world,
        usage("j"),
        &[reopened("held")],
        "charge 0 of its answer gives back of event held, which is still held",
    );
    world.ok(void("r"));
    check_unpostable(
        &mut world,
        usage("k"),
        &[work, reopened("r")],
        "charge 1 of its answer gives back of event r, which was voided",
    );
}

/// It named an event that came later; asked again behind that, it is posted.
#[test]
fn what_waited_for_the_event_that_it_names_is_rated() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(usage("o"), priced(&[reopened("r")])).unwrap();
    let sequence = world.wallet.header().sequence;
    world.ask(usage("r"), resolution()).unwrap();
    let rate = Command::RateUnpriced(RateUnpriced {
        sequence,
        received: world.now,
        event: event("o"),
    });
    assert_eq!(say(&world.ask(rate, priced(&[reopened("r")]))), "charged");
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(world.wallet.header().unpriced, 0);
}

#[test]
fn it_pays_the_debt_of_its_event_first() {
    let mut world = World::owing(&[("usd", Shortfall::Unlimited)]);
    world.ok(grant("g", "usd", "0.4").put());
    world.ask(usage("r"), resolution()).unwrap();
    assert_eq!(world.has("usd"), "0 0 0.59 0");
    world
        .ask(usage("o"), priced(&[back("r", "resolution", "usd", "-0.7")]))
        .unwrap();
    assert_eq!(
        world.entries(),
        [
            "usd revenue -0.59",
            "usd debt 0.59",
            "usd revenue -0.11",
            "usd available:g 0.11",
        ]
    );
    assert_eq!(world.has("usd"), "0.11 0 0 0");
}

#[test]
fn a_fee_comes_back_from_the_statement() {
    let mut world = World::new();
    world
        .ask(usage("r"), priced(&[fee("setup", "usd", "5")]))
        .unwrap();
    assert_eq!(world.has("usd"), "0 0 0 5");
    world
        .ask(usage("o"), priced(&[back("r", "setup", "usd", "-2")]))
        .unwrap();
    assert_eq!(world.has("usd"), "0 0 0 3");
    // Taken back, it is on the statement again.
    let said = say(&world.act(void("o")));
    assert_eq!(said, "corrected, charged usd 2");
    assert_eq!(world.has("usd"), "0 0 0 5");
}

#[test]
fn what_has_expired_becomes_breakage_and_costs_nothing_when_it_is_taken_again() {
    let mut world = World::new();
    world.ok(grant("short", "usd", "0.6").expires(100).put());
    world.ok(grant("g", "usd", "10").put());
    // 0.6 of the short one, 0.39 of the other.
    world.ask(usage("r"), resolution()).unwrap();
    world.now = t(200);
    world.ask(usage("o"), priced(&[reopened("r")])).unwrap();
    assert_eq!(
        world.entries(),
        [
            "usd revenue -0.39",
            "usd available:g 0.39",
            "usd revenue -0.6",
            "usd breakage 0.6",
        ]
    );
    assert_eq!(world.has("usd"), "10 0 0 0");
    // The customer got 0.39 back, so it pays 0.39 anew; the rest goes back the way it came.
    world.ok(void("o"));
    assert_eq!(
        world.entries(),
        [
            "usd breakage -0.6",
            "usd revenue 0.6",
            "usd available:g -0.39",
            "usd revenue 0.39",
        ]
    );
    assert_eq!(world.has("usd"), "9.61 0 0 0");
    assert_eq!(world.posted("usd", &Account::Breakage), n("0"));
    assert_eq!(
        left(&world, "r"),
        ["resolution 0.6 Grant(\"short\")", "resolution 0.39 Grant(\"g\")",]
    );
    // And it can be given back once more.
    world.ask(usage("o2"), priced(&[reopened("r")])).unwrap();
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(world.posted("usd", &Account::Breakage), n("0.6"));
}

#[test]
fn what_was_written_off_comes_back_as_nothing_and_is_written_off_again() {
    let mut world = World::owing(&[("usd", Shortfall::Unlimited)]);
    world.ask(usage("r"), resolution()).unwrap();
    world.ok(adjust("w", AdjustTarget::Debt, "0.99"));
    world.ask(usage("o"), priced(&[reopened("r")])).unwrap();
    assert_eq!(world.entries(), ["usd revenue -0.99", "usd adjustments 0.99"]);
    assert_eq!(world.has("usd"), "0 0 0 0");
    world.ok(void("o"));
    assert_eq!(world.entries(), ["usd adjustments -0.99", "usd revenue 0.99"]);
    assert_eq!(world.has("usd"), "0 0 0 0");
    // It stands as written off: a refund of the event brings nothing.
    world.ok(refund_event("f", "r", None));
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn a_void_takes_again_what_was_given() {
    let mut world = resolved();
    world
        .ask(usage("o"), priced(&[reopened("r"), charge("work", "usd", "0.3")]))
        .unwrap();
    let said = say(&world.act(void("o")));
    assert_eq!(said, "corrected, reversed usd 0.3, charged usd 0.99");
    assert_eq!(world.has("usd"), "9.01 0 0 0");
    assert_eq!(left(&world, "r"), ["resolution 0.99 Grant(\"g\")"]);
    assert_eq!(say(&world.act(void("r"))), "corrected, reversed usd 0.99");
    assert_eq!(world.has("usd"), "10 0 0 0");
}

/// Both are taken back: neither may have cost anything, in whatever order.
#[test]
fn of_an_event_that_was_voided_nothing_is_taken_again() {
    let mut world = resolved();
    world
        .ask(usage("o"), priced(&[back("r", "resolution", "usd", "-0.5")]))
        .unwrap();
    assert_eq!(say(&world.act(void("r"))), "corrected, reversed usd 0.49");
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(say(&world.act(void("o"))), "corrected");
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(world.posted("usd", &Account::Revenue), n("0"));
}

#[test]
fn an_amendment_moves_the_difference_alone() {
    let mut world = resolved();
    world.ask(usage("r2"), resolution()).unwrap();
    world.ask(usage("o"), priced(&[reopened("r")])).unwrap();
    assert_eq!(world.has("usd"), "9.01 0 0 0");
    let amended = |id: &str| {
        let Command::Amend(mut amend) = amend("o") else {
            unreachable!()
        };
        amend.id = farebox_record::ids::CallId::new(id).unwrap();
        Command::Amend(amend)
    };
    // The same again moves nothing.
    world.ask(amended("a1"), priced(&[reopened("r")])).unwrap();
    assert_eq!(world.entries(), Vec::<String>::new());
    // Less: 0.59 are taken again.
    world
        .ask(amended("a2"), priced(&[back("r", "resolution", "usd", "-0.4")]))
        .unwrap();
    assert_eq!(world.entries(), ["usd available:g -0.59", "usd revenue 0.59"]);
    // More: 0.2 come back.
    world
        .ask(amended("a3"), priced(&[back("r", "resolution", "usd", "-0.6")]))
        .unwrap();
    assert_eq!(world.entries(), ["usd revenue -0.2", "usd available:g 0.2"]);
    // Of the other one: that comes back before this is taken again.
    world.ask(amended("a4"), priced(&[reopened("r2")])).unwrap();
    assert_eq!(
        world.entries(),
        [
            "usd revenue -0.99",
            "usd available:g 0.99",
            "usd available:g -0.6",
            "usd revenue 0.6",
        ]
    );
    assert_eq!(world.has("usd"), "9.01 0 0 0");
    // More than it took: refused, and nothing is done.
    let said = say(&world.ask(amended("a5"), priced(&[back("r", "resolution", "usd", "-1")])));
    assert_eq!(
        said,
        "refused: the plan failed: charge 0 of its answer gives back 1 usd of `resolution` of event r, which took 0.99 usd for \
         it that it has not given back"
    );
    world.ok(void("o"));
    assert_eq!(world.has("usd"), "8.02 0 0 0");
}

#[test]
fn an_event_that_others_gave_back_of_is_not_amended() {
    let mut world = resolved();
    world.ask(usage("o"), priced(&[reopened("r")])).unwrap();
    let said = say(&world.ask(amend("r"), priced(&[charge("resolution", "usd", "2")])));
    assert!(
        said.contains("event o gave back of it; void that event first"),
        "{said}"
    );
    world.ok(void("o"));
    world
        .ask(amend("r"), priced(&[charge("resolution", "usd", "2")]))
        .unwrap();
    assert_eq!(world.has("usd"), "8 0 0 0");
}

#[test]
fn a_hold_relies_on_no_give_back_and_its_last_settlement_posts_it() {
    let mut world = resolved();
    let answer = priced(&[reopened("r"), charge("work", "usd", "0.3")]);
    assert_eq!(
        say(&world.ask(hold("h"), answer.clone())),
        "allowed, held usd 0.3"
    );
    assert_eq!(world.has("usd"), "8.71 0.3 0 0");
    assert_eq!(
        say(&world.ask(part("h", "p"), answer.clone())),
        "refused: the plan failed: charge 0 of its answer gives back, which only a final settlement can; settle with `final` \
         true"
    );
    assert_eq!(say(&world.ask(settle("h"), answer)), "settled, posted usd 0.3");
    assert_eq!(world.has("usd"), "9.7 0 0 0");
    assert_eq!(left(&world, "h"), ["work 0.3 Grant(\"g\")"]);
    world.ok(void("h"));
    assert_eq!(world.has("usd"), "9.01 0 0 0");
}

#[test]
fn a_settlement_that_cannot_give_back_is_kept() {
    let mut world = resolved();
    world.ask(hold("h"), usd("1")).unwrap();
    let said = say(&world.ask(settle("h"), priced(&[back("r", "resolution", "usd", "-2")])));
    assert_eq!(
        said,
        "unpriced: PlanFailed { code: \"unpostable\", message: \"charge 0 of its answer gives back 2 usd of `resolution` of \
         event r, which took 0.99 usd for it that it has not given back\" }"
    );
    assert_eq!(world.has("usd"), "9.01 0 0 0");
}

/// It costs more than its hold has. What comes back does not cover that: denied, it is not given either.
#[test]
fn a_settlement_above_its_hold_gives_nothing_back() {
    let mut world = resolved();
    world.ask(hold("h"), usd("1")).unwrap();
    let answer = priced(&[reopened("r"), charge("tokens", "usd", "1.5")]);
    let denied = settling("h", "s1", Finality::Final, AboveHold::Deny);
    let said = say(&world.ask(denied, answer.clone()));
    assert!(said.starts_with("refused: "), "{said}");
    assert_eq!(world.has("usd"), "8.01 1 0 0");
    world.ask(settle("h"), answer).unwrap();
    assert_eq!(world.has("usd"), "8.5 0 0 0");
}

#[test]
fn what_is_asked_about_no_event_cannot_give_back() {
    let mut world = resolved();
    let subscribed = world.ask(
        subscribe("s", farebox_record::state::Cadence::Monthly),
        priced(&[reopened("r")]),
    );
    assert_eq!(
        say(&subscribed),
        "refused: the plan failed: charge 0 of its answer gives back, which only an answer to an event can"
    );
}

/// A limit of 2 within the month: what comes back frees what was counted in it, and what is taken again counts.
#[test]
fn a_spending_limit_counts_less() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ok(limit("month", "usd", "2").set());
    let used = |world: &World| {
        let used = &world.wallet.limits().next().unwrap().1.used;
        format!("{used:?}")
    };
    world.ask(usage("r"), resolution()).unwrap();
    let counted = used(&world);
    world.ask(usage("o"), priced(&[reopened("r")])).unwrap();
    assert_ne!(used(&world), counted);
    // 2 fit again, and would not beside 0.99.
    assert_eq!(say(&world.ask(hold("h"), usd("2"))), "allowed, held usd 2");
    world.ok(release("h"));
    world.ok(void("o"));
    assert!(say(&world.ask(hold("h2"), usd("1.02"))).starts_with("denied by month"));
    assert_eq!(say(&world.ask(hold("h3"), usd("1.01"))), "allowed, held usd 1.01");
}

/// A giver is given back of itself: what it gave stays its own.
#[test]
fn a_chain_of_give_backs_keeps_each_link() {
    let mut world = resolved();
    world
        .ask(usage("o"), priced(&[reopened("r"), charge("work", "usd", "0.3")]))
        .unwrap();
    world
        .ask(usage("p"), priced(&[back("o", "work", "usd", "-0.1")]))
        .unwrap();
    assert_eq!(world.has("usd"), "9.8 0 0 0");
    // 0.2 of the work are left, and 0.99 are charged anew.
    assert_eq!(
        say(&world.act(void("o"))),
        "corrected, reversed usd 0.2, charged usd 0.99"
    );
    assert_eq!(world.has("usd"), "9.01 0 0 0");
    world.ok(void("p"));
    assert_eq!(world.has("usd"), "9.01 0 0 0");
}

/// The plan gives value with the same answer: that is the last of the three.
#[test]
fn grants_come_last() {
    let mut world = resolved();
    let orders: Vec<GrantOrder> = vec![order("usd", "1")];
    let answer = Verdict::Priced(Priced {
        charges: vec![charge("work", "usd", "10.5"), reopened("r")],
        grants: orders,
        ..Priced::default()
    });
    // 9.01 + 0.99 cover 10 of it; the grant comes behind the debt that the rest is.
    let seen: Pricing = pricing(answer);
    world.decide(usage("o"), Some(seen)).unwrap();
    assert_eq!(world.has("usd"), "1 0 0.5 0");
}

#[test]
fn history_gives_the_same_wallet() {
    let mut world = resolved();
    world.ask(usage("o"), priced(&[reopened("r")])).unwrap();
    world.crash();
    world.replay();
    world.ok(void("o"));
    assert_eq!(world.has("usd"), "9.01 0 0 0");
    world.crash();
    world.replay();
}
