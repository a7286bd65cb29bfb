//! Records for the tests of this folder, with as little in them as each needs.

use farebox_money::{Asset, Nanos};
use farebox_record::Record;
use farebox_record::command::{Authorize, AuthorizeMode, Command, RateUnpriced, default_source};
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::ids::{CustomerId, GrantId, Hash, RevisionHash, TenantId};
use farebox_record::outcome::{
    Account, Allowed, Answer, Effect, Entry, Outcome, Pricing, Seen, Settled, Verdict,
};
use farebox_record::plan::{Category, Charge, Collect, EventRef, Price, Priced};
use farebox_record::state::{GrantPhase, GrantState, HoldState};
use farebox_record::time::{Period, Span, Timestamp};

/// 2026-11-23T09:30:00Z.
pub(super) fn noon() -> Timestamp {
    "2026-11-23T09:30:00Z".parse().unwrap()
}

pub(super) fn usd() -> Asset {
    Asset::new("usd").unwrap()
}

pub(super) fn amount(text: &str) -> Nanos {
    text.parse().unwrap()
}

pub(super) fn grant_id() -> GrantId {
    GrantId::new("g").unwrap()
}

pub(super) fn revision() -> RevisionHash {
    RevisionHash {
        component: Hash([1; 32]),
        parameters: Hash([2; 32]),
    }
}

pub(super) fn measures(tokens: &str) -> Measures {
    Measures::from([("tokens".to_string(), amount(tokens))])
}

pub(super) fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    pairs
        .iter()
        .map(|(a, b)| (a.to_string(), b.to_string()))
        .collect()
}

pub(super) fn event(tokens: &str) -> Event {
    Event {
        source: default_source(),
        id: "e".parse().unwrap(),
        event_type: "llm.call".parse().unwrap(),
        time: None,
        measures: measures(tokens),
        attributes: attributes(&[("model", "one")]),
    }
}

pub(super) fn reference() -> EventRef {
    event("1").reference()
}

pub(super) fn record(command: Command, answer: Answer, effects: Vec<Effect>) -> Record {
    Record {
        tenant: TenantId::new("t").unwrap(),
        customer: CustomerId::new("ada").unwrap(),
        sequence: 5,
        previous: Hash::default(),
        at: noon(),
        command,
        seen: Seen::nothing(1, noon()),
        outcome: Outcome {
            answer,
            earlier: Vec::new(),
            effects,
        },
    }
}

/// With a plan's answer: charges of these codes, amounts in usd, and quantities.
pub(super) fn with_price(mut record: Record, charges: &[(&str, &str, &str)]) -> Record {
    let charge = |(code, price, quantity): &(&str, &str, &str)| Charge {
        code: (*code).into(),
        price: Price {
            asset: usd(),
            amount: amount(price),
            collect: Collect::Balance,
        },
        quantity: amount(quantity),
        otherwise: Vec::new(),
        gives_back: None,
    };
    let verdict = Verdict::Priced(Priced {
        charges: charges.iter().map(charge).collect(),
        ..Priced::default()
    });
    record.seen.pricing = Some(pricing(verdict));
    record
}

pub(super) fn period() -> Period {
    Period {
        start: noon(),
        end: noon().saturating_add(Span::days(30)),
        index: 0,
    }
}

fn pricing(verdict: Verdict) -> Pricing {
    Pricing {
        revision: revision(),
        subscription: "s".parse().unwrap(),
        period: period(),
        term: None,
        seats: 0,
        cost: None,
        event_types: Vec::new(),
        subject_attribute: Some("chat".into()),
        state_version: 1,
        verdict,
    }
}

pub(super) fn entry(account: Account, value: &str, charge: Option<u16>) -> Effect {
    Effect::Entry(Entry {
        account,
        asset: usd(),
        amount: amount(value),
        charge,
    })
}

/// A charge's revenue, taken from grant `g`.
pub(super) fn charged(value: &str, charge: u16) -> Vec<Effect> {
    let taken = amount(value).checked_neg().unwrap().to_string();
    vec![
        entry(Account::Available(grant_id()), &taken, Some(charge)),
        entry(Account::Revenue, value, Some(charge)),
    ]
}

pub(super) fn answered() -> Answer {
    Answer::Charged {
        charges: Vec::new(),
        balances: Vec::new(),
    }
}

pub(super) fn authorize(mode: AuthorizeMode) -> Command {
    Command::Authorize(Authorize {
        event: event("100"),
        ttl: Span::seconds(60),
        mode,
    })
}

pub(super) fn allowed(expires: Option<Timestamp>) -> Answer {
    Answer::Allowed(Box::new(Allowed {
        held: Vec::new(),
        expires,
        quote: Vec::new(),
        revision: revision(),
        balances: Vec::new(),
    }))
}

pub(super) fn rate(tokens: &str) -> Command {
    Command::RateUnpriced(RateUnpriced {
        sequence: 4,
        received: noon(),
        event: event(tokens),
    })
}

pub(super) fn settled(ended: bool) -> Answer {
    Answer::Settled(Box::new(Settled {
        charges: Vec::new(),
        posted: Vec::new(),
        returned: Vec::new(),
        held: Vec::new(),
        debt: Vec::new(),
        waived: Vec::new(),
        ended,
        late: false,
        revision: revision(),
        balances: Vec::new(),
    }))
}

pub(super) fn hold_put() -> Effect {
    let hold = HoldState {
        event: event("100"),
        time: noon(),
        opened: noon(),
        expires: noon().saturating_add(Span::seconds(60)),
        expired: None,
        revision: revision(),
        subscription: "s".parse().unwrap(),
        period: period(),
        quoted: Vec::new(),
        pins: Vec::new(),
        overdraft: Vec::new(),
        taken: Vec::new(),
        codes: Vec::new(),
        term: 0,
    };
    Effect::HoldPut(reference(), Box::new(hold))
}

pub(super) fn grant_opened(value: &str) -> Effect {
    let state = GrantState {
        asset: usd(),
        amount: amount(value),
        available: Nanos::ZERO,
        held: Nanos::ZERO,
        category: Category::Paid,
        priority: 0,
        effective: noon(),
        expires: None,
        applies_to: Default::default(),
        label: None,
        subscription: None,
        phase: GrantPhase::Active,
        portions: None,
        portion_of: None,
    };
    Effect::GrantOpened(grant_id(), Box::new(state))
}
