//! A house with the simulator's plan, which remembers. A period brings 60 credits and a fee of 5 usd on the statement; a step
//! costs 1 credit as long as fewer than 100 were made in the period, 2 beyond, and 0.1 usd where there are no credits. Half of
//! what is left at a renewal rolls over. Every three days it gives 2 credits that are good for two days.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use farebox_engine::{NewRevision, ask_again};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_ledger::Wallet;
use farebox_money::Nanos;
use farebox_record::Record;
use farebox_record::command::{AboveHold, Authorize, AuthorizeMode, Command, Finality, Settle, Subscribe};
use farebox_record::control::OpenHolds;
use farebox_record::event::Event;
use farebox_record::ids::{CallId, Hash, PlanName, SubscriptionId};
use farebox_record::outcome::{Answer, Line, Verdict};
use farebox_record::state::Cadence;
use farebox_store::{Store, WalletKey};

use crate::house::{House, amounts, event, grant, hold, put, runtime, seconds};

/// The prices of the module's doc.
pub const PRICES: &str = r#"{"low": "1", "high": "2", "dollars": "0.1"}"#;

/// The component, built once.
pub fn pool() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sim/pool");
        build_plan(&folder, &BuildOptions::default()).unwrap().component
    })
}

pub fn named(plan: &str) -> PlanName {
    PlanName::new(plan).unwrap()
}

/// Puts the plan in force under a name.
pub fn activate(house: &House, plan: &str, prices: &str, open_holds: OpenHolds) {
    let engine = &house.engine;
    engine
        .push_component(&house.tenant, &named(plan), pool())
        .unwrap();
    engine
        .activate(
            &house.tenant,
            &named(plan),
            &NewRevision {
                open_holds,
                ..NewRevision::at_once(Hash::of(pool()), prices)
            },
            None,
        )
        .unwrap();
}

/// A house with the plan in force as `pool`, and a customer that has bought so many credits and is on it.
pub async fn house(store: Arc<dyn Store>, credits: &str) -> House {
    let house = House::without_plan(store);
    activate(&house, "pool", PRICES, OpenHolds::Quoted);
    house.done("ada", put()).await;
    if credits != "0" {
        house.done("ada", bought("bought", credits)).await;
    }
    house.done("ada", subscribe("pool", Cadence::Monthly)).await;
    house
}

/// Credits for money.
pub fn bought(id: &str, credits: &str) -> Command {
    let mut command = grant(id, credits);
    if let Command::Grant(grant) = &mut command {
        grant.asset = "credits".parse().unwrap();
    }
    command
}

/// The subscription `s`, from now on.
pub fn subscribe(plan: &str, cadence: Cadence) -> Command {
    Command::Subscribe(Subscribe {
        id: SubscriptionId::new("s").unwrap(),
        plan: named(plan),
        seats: 0,
        anchor: None,
        cadence,
        above_hold: Default::default(),
    })
}

pub fn steps(id: &str, steps: i64) -> Event {
    let mut event = event(id, "any", &[("steps", steps)]);
    event.event_type = "tool.call".parse().unwrap();
    event
}

pub fn steps_at(id: &str, count: i64, time: &str) -> Event {
    let mut event = steps(id, count);
    event.time = Some(time.parse().unwrap());
    event
}

/// At most so many steps, held for 15 minutes.
pub fn authorize(event: Event) -> Command {
    Command::Authorize(Authorize {
        event,
        ttl: seconds(900),
        mode: AuthorizeMode::Hold,
    })
}

pub fn settle(id: &str, used: i64, above: AboveHold) -> Command {
    Command::Settle(Settle {
        hold: hold(id),
        id: CallId::new("end").unwrap(),
        measures: amounts(&[("steps", used)]),
        attributes: Default::default(),
        finality: Finality::Final,
        above,
    })
}

/// What the command set aside, took or charged, as text: `20 credits`.
pub async fn amount(house: &House, command: Command) -> Vec<String> {
    let done = house.done("ada", command).await;
    match &done.answer {
        Answer::Allowed(allowed) => allowed.held.iter().map(|(a, n)| format!("{n} {a}")).collect(),
        Answer::Settled(settled) => settled.posted.iter().map(|(a, n)| format!("{n} {a}")).collect(),
        Answer::Charged { charges, .. } => charges.iter().map(line).collect(),
        other => panic!("{other:?}"),
    }
}

fn line(line: &Line) -> String {
    format!("{} {}", line.amount, line.asset)
}

/// The clock moves to this instant, and what fell due meanwhile is handled.
pub async fn until(house: &House, time: &str) {
    house.clock.advance_to(time.parse().unwrap());
    house.wallet("ada").await;
}

/// Available, held, owed for usage and owed for fees, of an asset.
pub async fn balance(house: &House, asset: &str) -> String {
    let wallet = house.wallet("ada").await;
    let balances = wallet.balances();
    let of = balances.iter().find(|b| b.asset.as_str() == asset);
    let parts = of.map_or([Nanos::ZERO; 4], |b| [b.available, b.held, b.debt, b.receivable]);
    parts.map(|n| n.to_string()).join(" ")
}

/// What is free of the grants with this label, in order of their names.
pub async fn free(house: &House, label: &str) -> Vec<String> {
    let wallet = house.wallet("ada").await;
    let labelled = wallet.grants().filter(|(_, g)| g.label.as_deref() == Some(label));
    labelled.map(|(_, g)| g.available.to_string()).collect()
}

/// Asks the plans again for every answer in the customer's records, and tells how many there are.
pub fn proved(house: &House, store: &dyn Store) -> usize {
    let controls = house.engine.controls();
    let mut wallet = Wallet::default();
    let mut records = store
        .history(&WalletKey::new("default", "ada"), None, 1_000)
        .unwrap();
    records.reverse();
    let mut proved = 0;
    for stored in records {
        let record = Record::decode(&stored.body).unwrap();
        if let Some(pricing) = &record.seen.pricing {
            let revision = controls.revision(&pricing.revision).unwrap();
            let again = ask_again(&runtime(), revision, &record, &wallet, |_, _| Default::default()).unwrap();
            let same = match (&pricing.verdict, &again) {
                (Verdict::Priced(then), farebox_runtime::Verdict::Priced(now)) => then == now,
                (Verdict::Rejected(then), farebox_runtime::Verdict::Rejected(now)) => then == now,
                _ => false,
            };
            assert!(same, "record {}: {again:?}", record.sequence);
            proved += 1;
        }
        wallet.replay(&record, &stored.body).unwrap();
    }
    proved
}
