//! What a plan that wants balances is shown.

use std::collections::BTreeMap;

use farebox_ledger::append;
use farebox_record::command::{AboveHold, Authorize, AuthorizeMode, Finality, Grant, PutCustomer, Settle};
use farebox_record::event::{Attributes, Measures};
use farebox_record::ids::{CallId, CustomerId, EventId, GrantId, Hash, RevisionHash};
use farebox_record::outcome::Seen;
use farebox_record::plan::{AppliesTo, AssetDescription, Category, Charge, Collect, Price, Priced};
use farebox_record::time::Span;

use super::*;

fn usd() -> Asset {
    Asset::new("usd").unwrap()
}

fn event(id: &str) -> Event {
    Event {
        source: farebox_record::command::default_source(),
        id: EventId::new(id).unwrap(),
        event_type: "llm.call".parse().unwrap(),
        time: None,
        measures: Measures::EMPTY,
        attributes: Attributes::EMPTY,
    }
}

fn costs(amount: &str) -> Pricing {
    let charge = Charge {
        code: "tokens".into(),
        price: Price {
            asset: usd(),
            amount: amount.parse().unwrap(),
            collect: Collect::Balance,
        },
        quantity: Nanos::units(1),
        otherwise: Vec::new(),
        gives_back: None,
    };
    Pricing {
        revision: RevisionHash {
            component: Hash::of(b"component"),
            parameters: Hash::of(b"parameters"),
        },
        subscription: SubscriptionId::new("s").unwrap(),
        period: Period {
            start: Timestamp::EPOCH,
            end: Timestamp::from_micros(i64::MAX),
            index: 0,
        },
        term: None,
        seats: 1,
        cost: None,
        event_types: Vec::new(),
        subject_attribute: None,
        state_version: 0,
        verdict: Verdict::Priced(Priced {
            charges: vec![charge],
            ..Priced::default()
        }),
    }
}

fn decide(wallet: &mut Wallet, command: Command, pricing: Option<Pricing>) {
    let seen = Seen {
        pricing,
        ..Seen::nothing(0, Timestamp::EPOCH)
    };
    let (tenant, customer) = (TenantId::new("t").unwrap(), CustomerId::new("c").unwrap());
    append(wallet, &tenant, &customer, command, seen, Timestamp::EPOCH).unwrap();
}

fn authorize(id: &str) -> Command {
    Command::Authorize(Authorize {
        event: event(id),
        ttl: Span::seconds(900),
        mode: AuthorizeMode::Hold,
    })
}

fn curious() -> Description {
    Description {
        name: "curious".into(),
        version: "1".into(),
        summary: "Wants balances.".into(),
        assets: vec![AssetDescription {
            asset: usd(),
            label: "US dollars".into(),
        }],
        event_types: Vec::new(),
        measures: Vec::new(),
        attributes: Vec::new(),
        charges: Vec::new(),
        parameters_schema: "{}".into(),
        subject_attribute: None,
        state_version: 0,
        wants_cost: false,
        wants_balances: true,
        order: Order::Independent,
    }
}

#[test]
fn what_an_event_holds_itself_counts_as_free_for_its_own_price() {
    let mut wallet = Wallet::default();
    let put = PutCustomer {
        id: CallId::new("put").unwrap(),
        name: None,
        shortfall: BTreeMap::new(),
    };
    decide(&mut wallet, Command::PutCustomer(put), None);
    let grant = Grant {
        id: GrantId::new("g").unwrap(),
        asset: usd(),
        amount: "10".parse().unwrap(),
        category: Category::Paid,
        priority: 0,
        effective: None,
        expires: None,
        applies_to: AppliesTo::default(),
        label: None,
        each: None,
    };
    decide(&mut wallet, Command::Grant(grant), None);
    decide(&mut wallet, authorize("a"), Some(costs("6")));
    decide(&mut wallet, authorize("b"), Some(costs("1")));
    let shown = |wallet: &Wallet, id: &str| {
        let shown = balances_for(wallet, &curious(), &event(id).reference());
        shown.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    // 10 less the 6 and the 1 that are held: 3, and each call's own hold beside them.
    assert_eq!(shown(&wallet, "new"), ["3"]);
    assert_eq!(shown(&wallet, "a"), ["9"]);
    assert_eq!(shown(&wallet, "b"), ["4"]);
    // A part of 2 was taken of the 6: the call as a whole had 9 before it all the same.
    let part = Settle {
        hold: event("a").reference(),
        id: CallId::new("part").unwrap(),
        measures: Measures::EMPTY,
        attributes: Attributes::EMPTY,
        finality: Finality::Partial,
        above: AboveHold::AllowDebt,
    };
    decide(&mut wallet, Command::Settle(part), Some(costs("2")));
    assert_eq!(shown(&wallet, "a"), ["9"]);
    let silent = Description {
        wants_balances: false,
        ..curious()
    };
    assert_eq!(balances_for(&wallet, &silent, &event("a").reference()), []);
}
