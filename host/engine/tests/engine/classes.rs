use farebox_record::command::Identity;
use farebox_record::ids::{CallId, CustomerId, GrantId, LimitName, SubscriptionId, TenantId};
use farebox_record::record::identity_hash;
use farebox_store::{IdHash, Keep};

use crate::house::hold;

/// One of each kind.
fn all() -> Vec<Identity> {
    let call = || CallId::new("id").unwrap();
    vec![
        Identity::Event(hold("e")),
        Identity::Settle(hold("e"), call()),
        Identity::Extend(hold("e"), call()),
        Identity::Release(hold("e"), call()),
        Identity::Grant(GrantId::new("g").unwrap()),
        Identity::Subscription(SubscriptionId::new("s").unwrap()),
        Identity::Customer(call()),
        Identity::HoldEnd(hold("e")),
        Identity::Rated(hold("e")),
        Identity::Change(SubscriptionId::new("s").unwrap(), call()),
        Identity::Adjustment(call()),
        Identity::Payment(call()),
        Identity::Refund(call()),
        Identity::Void(hold("e"), call()),
        Identity::Amend(hold("e"), call()),
        Identity::LateSettle(hold("e")),
        Identity::Retried(1),
        Identity::Limit(LimitName::new("l").unwrap(), call()),
        Identity::Backfilled(hold("e")),
    ]
}

/// How long each kind is to be known, and its place in [`all`]: a kind that is new does not compile until it stands in both.
fn expected(identity: &Identity) -> (usize, Keep) {
    match identity {
        Identity::Event(_) => (0, Keep::Window),
        Identity::Settle(..) => (1, Keep::Window),
        Identity::Extend(..) => (2, Keep::Window),
        Identity::Release(..) => (3, Keep::Window),
        Identity::Grant(_) => (4, Keep::ForGood),
        Identity::Subscription(_) => (5, Keep::ForGood),
        Identity::Customer(_) => (6, Keep::ForGood),
        Identity::HoldEnd(_) => (7, Keep::Window),
        Identity::Rated(_) => (8, Keep::Window),
        Identity::Change(..) => (9, Keep::ForGood),
        Identity::Adjustment(_) => (10, Keep::ForGood),
        Identity::Payment(_) => (11, Keep::ForGood),
        Identity::Refund(_) => (12, Keep::ForGood),
        Identity::Void(..) => (13, Keep::ForGood),
        Identity::Amend(..) => (14, Keep::ForGood),
        Identity::LateSettle(_) => (15, Keep::Window),
        Identity::Retried(_) => (16, Keep::ForGood),
        Identity::Limit(..) => (17, Keep::ForGood),
        Identity::Backfilled(_) => (18, Keep::ForGood),
    }
}

/// The record's hash says how long the id is kept where the store looks for it.
#[test]
fn ids_of_money_in_are_kept_for_good_and_ids_of_usage_for_the_window() {
    let (tenant, customer) = (TenantId::new("t").unwrap(), CustomerId::new("c").unwrap());
    let all = all();
    assert_eq!(all.len(), 19);
    for (place, identity) in all.iter().enumerate() {
        let keep = IdHash(identity_hash(&tenant, &customer, identity)).keep();
        assert_eq!((place, keep), expected(identity), "{identity:?}");
    }
}
