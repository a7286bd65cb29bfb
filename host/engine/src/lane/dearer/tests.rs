#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use farebox_money::Nanos;
use farebox_record::ids::GrantId;
use farebox_record::outcome::Effect;
use farebox_record::plan::{AppliesTo, Category, EventRef};
use farebox_record::state::{GrantPhase, GrantState};
use farebox_record::time::Timestamp;

use super::*;

/// Charges such as `tokens 80 credits | 8 usd`, by commas.
fn priced(charges: &str) -> Priced {
    let price = |text: &str| {
        let (amount, asset) = text.split_once(' ').unwrap();
        Price {
            asset: asset.parse().unwrap(),
            amount: Nanos::units(amount.parse().unwrap()),
            collect: Collect::Balance,
        }
    };
    let charge = |text: &str| {
        let (code, prices) = text.split_once(' ').unwrap();
        let mut prices = prices.split(" | ").map(price);
        let first = prices.next().unwrap();
        Charge {
            code: code.into(),
            quantity: first.amount,
            gives_back: first.amount.is_negative().then(|| EventRef {
                source: "api".parse().unwrap(),
                id: "earlier".parse().unwrap(),
            }),
            price: first,
            otherwise: prices.collect(),
        }
    };
    Priced {
        charges: charges.split(", ").map(charge).collect(),
        ..Priced::default()
    }
}

fn text(priced: &Priced) -> String {
    let price = |price: &Price| format!("{} {}", price.amount, price.asset);
    let charge = |charge: &Charge| {
        let chain: Vec<String> = prices(charge).map(price).collect();
        format!("{} {}", charge.code, chain.join(" | "))
    };
    let charges: Vec<String> = priced.charges.iter().map(charge).collect();
    charges.join(", ")
}

/// A wallet with a grant that is good for one code only.
fn with_limited_grant() -> Wallet {
    let grant = GrantState {
        asset: "usd".parse().unwrap(),
        amount: Nanos::units(120),
        available: Nanos::ZERO,
        held: Nanos::ZERO,
        category: Category::Paid,
        priority: 0,
        effective: Timestamp::EPOCH,
        expires: None,
        applies_to: AppliesTo {
            codes: vec!["second".to_string()],
            attributes: BTreeMap::new(),
        },
        label: None,
        subscription: None,
        phase: GrantPhase::Active,
        portions: None,
        portion_of: None,
    };
    let mut wallet = Wallet::default();
    let opened = Effect::GrantOpened(GrantId::new("limited").unwrap(), Box::new(grant));
    wallet.fold(&opened).unwrap();
    wallet
}

#[track_caller]
fn check_with(wallet: &Wallet, committed: &str, folded: &str, expected: &str) {
    let held = covering_both(priced(committed), priced(folded), wallet);
    assert_eq!(text(&held), expected);
}

#[track_caller]
fn check(committed: &str, folded: &str, expected: &str) {
    check_with(&Wallet::default(), committed, folded, expected);
}

#[test]
fn the_dearer_one_is_held_as_it_was_stated() {
    check("steps 80 usd", "steps 140 usd", "steps 140 usd");
    // A price that falls with use.
    check("steps 80 usd", "steps 40 usd", "steps 80 usd");
    check(
        "steps 80 usd",
        "steps 80 usd, fee 1 usd",
        "steps 80 usd, fee 1 usd",
    );
    check("fee 0 credits", "steps 80 usd", "steps 80 usd");
    check(
        "steps 80 credits | 8 usd",
        "steps 140 credits | 8 usd",
        "steps 140 credits | 8 usd",
    );
    // Two charges of one code, compared in their order.
    check("in 3 usd, in 5 usd", "in 4 usd, in 5 usd", "in 4 usd, in 5 usd");
}

#[test]
fn of_each_asset_the_larger_need_is_held() {
    // The sum of the numbers would say 80.
    check(
        "pool 80 credits",
        "pool 20 credits, beyond 6 usd",
        "pool 80 credits, beyond 6 usd",
    );
    check(
        "beyond 6 usd, pool 20 credits",
        "pool 80 credits",
        "beyond 6 usd, pool 80 credits",
    );
    // Tiers with codes of their own: 140, and not 80 and 120.
    check(
        "first 80 usd",
        "first 20 usd, second 120 usd",
        "first 20 usd, second 120 usd",
    );
    check(
        "first 80 usd, fee 1 credits",
        "first 20 usd, second 120 usd",
        "fee 1 credits, first 20 usd, second 120 usd",
    );
}

#[test]
fn what_moves_between_assets_is_held_charge_by_charge() {
    // With enough credits the folded one needs more, without any the committed one.
    check(
        "steps 80 credits | 10 usd",
        "steps 140 credits | 8 usd",
        "steps 140 credits | 10 usd",
    );
    check(
        "steps 140 credits | 8 usd",
        "steps 80 credits | 10 usd",
        "steps 140 credits | 10 usd",
    );
    // Another chain is another charge.
    check(
        "steps 80 credits | 10 usd",
        "steps 9 usd",
        "steps 9 usd, steps 80 credits | 10 usd",
    );
}

/// Holding the folded quote alone would pin 120 of value that is good for `second` only: `first` would find 20.
#[test]
fn where_a_grant_is_good_for_some_codes_only_each_code_is_held() {
    check_with(
        &with_limited_grant(),
        "first 80 usd",
        "first 20 usd, second 120 usd",
        "first 80 usd, second 120 usd",
    );
}

#[test]
fn what_a_quote_gives_back_is_not_relied_on() {
    check("steps 80 usd", "steps 81 usd, off -1 usd", "steps 81 usd");
    check("steps 80 usd, off -1 usd", "steps 79 usd", "steps 80 usd");
    check("off -1 usd", "steps 80 usd", "steps 80 usd");
}
