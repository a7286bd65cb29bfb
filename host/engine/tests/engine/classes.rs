use farebox_record::command::Identity;
use farebox_record::ids::{CallId, CustomerId, GrantId, SubscriptionId, TenantId};
use farebox_record::record::identity_hash;
use farebox_store::{IdHash, Keep};

use crate::house::hold;

/// The record's hash says how long the id is kept where the store looks for it.
#[test]
fn ids_of_money_in_are_kept_for_good_and_ids_of_usage_for_the_window() {
    let (tenant, customer) = (TenantId::new("t").unwrap(), CustomerId::new("c").unwrap());
    let call = || CallId::new("id").unwrap();
    let keep = |identity| IdHash(identity_hash(&tenant, &customer, &identity)).keep();
    for identity in [
        Identity::Grant(GrantId::new("g").unwrap()),
        Identity::Subscription(SubscriptionId::new("s").unwrap()),
        Identity::Customer(call()),
    ] {
        assert_eq!(keep(identity.clone()), Keep::ForGood, "{identity:?}");
    }
    for identity in [
        Identity::Event(hold("e")),
        Identity::Settle(hold("e"), call()),
        Identity::Extend(hold("e"), call()),
        Identity::Release(hold("e"), call()),
        Identity::HoldEnd(hold("e")),
        Identity::Rated(hold("e")),
    ] {
        assert_eq!(keep(identity.clone()), Keep::Window, "{identity:?}");
    }
}
