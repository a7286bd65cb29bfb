//! Where value comes from, and where it goes when its time is over.

use farebox_record::outcome::Account;
use farebox_record::plan::Category::{self, Included, Paid, Promotional};

use crate::world::World;
use crate::world::make::{Shape, grant, hold, n, refund_grant, release, settle, usage, usd};
use crate::world::say::say;

#[test]
fn each_category_has_its_own_contra_account() {
    let cases: [(Category, &str); 3] = [
        (Paid, "purchases"),
        (Promotional, "promotional"),
        (Included, "included"),
    ];
    for (category, contra) in cases {
        let mut world = World::new();
        world.ok(grant("g", "usd", "10").category(category).put());
        assert_eq!(
            world.entries(),
            ["usd available:g 10".to_string(), format!("usd {contra} -10")]
        );
    }
}

#[test]
fn paid_and_promotional_never_mix() {
    let mut world = World::new();
    world.ok(grant("bought", "usd", "10").put());
    world.ok(grant("given", "usd", "5").category(Promotional).put());
    world.ok(grant("plan", "usd", "2").category(Included).put());
    world.ask(usage("e"), usd("11")).unwrap();
    assert_eq!(world.burnt(), ["given 5", "plan 2", "bought 4"]);
    assert_eq!(world.posted("usd", &Account::Purchases), n("-10"));
    assert_eq!(world.posted("usd", &Account::Promotional), n("-5"));
    assert_eq!(world.posted("usd", &Account::Included), n("-2"));
    assert_eq!(world.posted("usd", &Account::Revenue), n("11"));
}

#[test]
fn a_grant_that_makes_no_sense_is_refused() {
    let cases = [
        (grant("g", "usd", "0"), "refused: amount must be more than zero"),
        (grant("g", "usd", "-1"), "refused: amount must be more than zero"),
        (
            grant("g", "usd", "1000000000000000001"),
            "refused: amount is more than 10^18 (limit GRANT_NANOS_MAX)",
        ),
        (
            grant("g", "usd", "1").expires(0),
            "refused: expires_at must be later than effective_at and now",
        ),
        (
            grant("g", "usd", "1").effective(50).expires(50),
            "refused: expires_at must be later than effective_at and now",
        ),
    ];
    for (grant, said) in cases {
        assert_eq!(say(&World::new().act(grant.put())), said);
    }
    for good in [
        grant("g", "usd", "0.000000001"),
        grant("g", "usd", "1000000000000000000"),
        grant("g", "usd", "1").effective(50).expires(51),
    ] {
        assert_eq!(say(&World::new().act(good.put())), "granted");
    }
}

#[test]
fn expiry_is_a_posted_entry() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").expires(100).put());
    world.ask(usage("e"), usd("4")).unwrap();
    world.advance(99);
    assert_eq!(world.has("usd"), "6 0 0 0");
    world.advance(1);
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(world.entries(), ["usd available:g -6", "usd breakage 6"]);
    assert_eq!(world.wallet.grants().count(), 0);
}

#[test]
fn an_event_at_the_instant_of_expiry_comes_after_it() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").expires(100).put());
    world.now = crate::world::t(100);
    world.ask(usage("e"), usd("4")).unwrap();
    assert_eq!(world.has("usd"), "0 0 4 0");
    assert_eq!(world.posted("usd", &Account::Breakage), n("10"));
}

#[test]
fn a_grant_used_up_is_gone_and_expires_silently() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").expires(100).put());
    world.ask(usage("e"), usd("10")).unwrap();
    assert_eq!(world.wallet.grants().count(), 0);
    world.advance(200);
    assert_eq!(world.handled, []);
    assert_eq!(world.posted("usd", &Account::Breakage), n("0"));
}

#[test]
fn a_grant_expiring_under_a_hold_stays_good_for_the_hold() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").expires(100).put());
    world.ask(hold("h"), usd("4")).unwrap();
    world.advance(100);
    assert_eq!(world.entries(), ["usd available:g -6", "usd breakage 6"]);
    assert_eq!(world.has("usd"), "0 4 0 0");
    // Nothing else can use it ...
    assert_eq!(
        say(&world.ask(hold("h2"), usd("1"))),
        "denied: InsufficientFunds, 0 of 1 usd"
    );
    // ... the hold can, and what it leaves is breakage: never value again.
    assert_eq!(say(&world.ask(settle("h"), usd("3"))), "settled, posted usd 3");
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(world.posted("usd", &Account::Breakage), n("7"));
    assert_eq!(world.wallet.grants().count(), 0);
}

#[test]
fn released_value_of_an_expired_grant_is_breakage() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").expires(100).put());
    world.ok(grant("good", "usd", "1").priority(1).put());
    world.ask(hold("h"), usd("11")).unwrap();
    world.advance(100);
    assert_eq!(say(&world.act(release("h"))), "released, returned usd 1");
    assert_eq!(
        world.entries(),
        [
            "usd held:g -10",
            "usd breakage 10",
            "usd held:good -1",
            "usd available:good 1",
        ]
    );
    assert_eq!(world.has("usd"), "1 0 0 0");
}

#[test]
fn a_hold_and_its_grant_expire_at_one_instant() {
    // The hold's end comes first: what it gives back expires with the rest.
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").expires(900).put());
    world.ask(hold("h"), usd("4")).unwrap();
    world.advance(900);
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(world.entries(), ["usd available:g -10", "usd breakage 10"]);
}

#[test]
fn a_waiting_grant_is_nothing_yet() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").effective(100).expires(200).put());
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(
        say(&world.ask(hold("h"), usd("1"))),
        "denied: InsufficientFunds, 0 of 1 usd"
    );
    world.advance(100);
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(say(&world.ask(hold("h2"), usd("1"))), "allowed, held usd 1");
    world.act(release("h2")).unwrap();
    world.advance(100);
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn a_wallet_touched_late_lives_through_everything_in_between() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").effective(100).expires(200).put());
    world.advance(1_000);
    assert_eq!(world.handled.len(), 2);
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(world.posted("usd", &Account::Breakage), n("10"));
}

#[test]
fn an_id_of_a_grant_that_is_there_is_refused() {
    // The caller's own repetition is answered from its record; this is an id that a plan or the host has taken.
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    assert_eq!(
        say(&world.act(grant("g", "usd", "3").put())),
        "refused: the wallet has a grant g already; take another id"
    );
    assert_eq!(world.has("usd"), "10 0 0 0");
}

#[test]
fn a_future_grant_that_is_paid_back_is_gone() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "5").effective(100).put());
    world.ok(refund_grant("r", "g", None));
    assert_eq!(world.wallet.grants().count(), 0);
    world.advance(200);
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(world.posted("usd", &Account::Purchases), n("0"));
}
