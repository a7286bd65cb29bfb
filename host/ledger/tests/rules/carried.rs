//! Behind every so many records a wallet carries its balances forward, so that the balances of a time that is past are at hand.

use farebox_ledger::limits::CARRIED_RECORDS;
use farebox_ledger::{Wallet, append};
use farebox_money::Nanos;
use farebox_record::codec;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::outcome::Seen;
use farebox_record::plan::{Category, Collect};
use farebox_record::state::{Carried, CustomerAccounts, Part, Shortfall};

use crate::world::World;
use crate::world::make::*;

/// Usage that the wallet covers, usage beyond it, a fee, a hold, and a grant that is good only later.
fn world() -> World {
    let mut world = World::owing(&[("usd", Shortfall::Unlimited)]);
    world.ok(grant("g", "usd", "100").put());
    world.ok(grant("later", "usd", "7").effective(1_000_000).put());
    world.ask(usage("a"), usd("130")).unwrap(); // 30 of debt
    world.ok(grant("gift", "usd", "20").category(Category::Promotional).put()); // pays no debt
    world.ask(hold("h"), usd("4")).unwrap();
    let mut fee = charge("fee", "usd", "9");
    fee.price.collect = Collect::Invoice;
    world.ask(usage("b"), priced(&[fee])).unwrap();
    world
}

/// Repeats what changes nothing until the wallet has so many records.
fn fill(wallet: &mut Wallet, at: farebox_record::time::Timestamp, until: u64) {
    let (tenant, customer) = (TenantId::new("acme").unwrap(), CustomerId::new("c").unwrap());
    while wallet.header().sequence < until {
        let again = customer_again();
        let seen = Seen::nothing(1, at);
        append(wallet, &tenant, &customer, again, seen, at).unwrap();
    }
}

fn carried(wallet: &mut Wallet) -> Vec<(u64, Carried)> {
    let changes = wallet.take_changes().into_iter();
    changes
        .filter_map(|(key, value)| match Part::from_key(&key).unwrap() {
            Part::Carried(sequence) => Some((sequence, codec::decode(&value.unwrap()).unwrap())),
            _ => None,
        })
        .collect()
}

fn customer_again() -> farebox_record::command::Command {
    customer("again", &[("usd", Shortfall::Unlimited)])
}

#[test]
fn balances_are_carried_forward_behind_every_so_many_records_and_only_there() {
    let mut world = world();
    let mut wallet = world.wallet.clone();
    wallet.take_changes();
    fill(&mut wallet, world.now, CARRIED_RECORDS - 1);
    assert_eq!(carried(&mut wallet), []);
    fill(&mut wallet, world.now, CARRIED_RECORDS + 9);
    let amount = |units| Nanos::units(units);
    // 100 + 7 + 20 came in, 100 of 130 was paid, and 4 of the gift are held.
    let has = CustomerAccounts {
        available: amount(23),
        held: amount(4),
        debt: amount(-30),
        receivable: amount(-9),
    };
    let noted = Carried {
        instant: world.now,
        assets: [("usd".parse().unwrap(), has)].into(),
    };
    assert_eq!(carried(&mut wallet), [(CARRIED_RECORDS, noted)]);
    assert_eq!(wallet.customer_accounts(), world.wallet.customer_accounts());
    // What a store keeps of it does not come back as a part of the wallet.
    world.replay();
}
