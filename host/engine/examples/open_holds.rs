//! What it costs to authorize calls that are open together, on one wallet and a plan with a memory.
//!
//! ```text
//! farebox plan build tests/sim/pool
//! cargo run --release -p farebox-engine --example open_holds -- \
//!     target/plans/sim-pool.wasm '{"low":"1","high":"2","dollars":"0.1"}' 1000
//! ```
//!
//! Calls have the type `tool.call` and one measure, `steps`. All of them are sent at once; the store is in memory, so what is
//! measured is the engine, the plan and the ledger. The last argument names the attribute of a subject, if calls are to be
//! about one of a hundred subjects.
#![expect(clippy::float_arithmetic, reason = "durations for people, no money")]
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use farebox_engine::{Ask, Config, Engine, NewRevision, Reply, Request, SystemClock};
use farebox_money::Nanos;
use farebox_record::command::{Authorize, AuthorizeMode, Command, PutCustomer, Subscribe, default_source};
use farebox_record::event::{Event, Measures};
use farebox_record::ids::{CallId, CustomerId, EventId, PlanName, SubscriptionId, TenantId};
use farebox_record::outcome::Answer;
use farebox_record::state::{Cadence, Shortfall};
use farebox_record::time::Span;
use farebox_runtime::Runtime;
use farebox_store::MemoryStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: open_holds <component> <parameters> [<calls> [<subject attribute>]]";
    let component = std::fs::read(arguments.next().ok_or(usage)?)?;
    let parameters = arguments.next().ok_or(usage)?;
    let calls: usize = arguments.next().map_or(Ok(1_000), |n| n.parse())?;
    let attribute = arguments.next();

    let config = Config {
        lanes: 1,
        on_failure: Box::new(|why| eprintln!("failed: {why}")),
        ..Config::default()
    };
    let runtime = Runtime::new(farebox_runtime::Config::default())?;
    let store = Arc::new(MemoryStore::new());
    let engine = Engine::start(config, store, runtime, Arc::new(SystemClock::default()))?;
    let tenant = TenantId::new("default")?;
    let plan = PlanName::new("plan")?;
    let hash = engine.push_component(&tenant, &plan, &component)?.hash;
    let activated = engine.activate(&tenant, &plan, &NewRevision::at_once(hash, &parameters), None)?;

    let credit = ["usd", "credits"].map(|asset| asset.parse().map(|asset| (asset, Shortfall::Unlimited)));
    let put = PutCustomer {
        id: CallId::new("create")?,
        name: None,
        shortfall: credit.into_iter().collect::<Result<BTreeMap<_, _>, _>>()?,
    };
    let subscribe = Subscribe {
        id: SubscriptionId::new("s")?,
        plan,
        seats: 0,
        anchor: None,
        cadence: Cadence::Monthly,
        above_hold: Default::default(),
    };
    let customer = CustomerId::new("ada")?;
    let ask = |command| Request {
        customer: customer.clone(),
        ask: Ask::Command(Box::new(command)),
    };
    for command in [Command::PutCustomer(put), Command::Subscribe(subscribe)] {
        engine.call(&tenant, vec![ask(command)]).await?;
    }

    let mut requests = Vec::with_capacity(calls);
    for n in 0..calls {
        let subject = attribute
            .iter()
            .map(|name| (name.clone(), format!("subject-{}", n % 100)));
        let event = Event {
            source: default_source(),
            id: EventId::new(&format!("call-{n:06}"))?,
            event_type: "tool.call".parse()?,
            time: None,
            measures: Measures::from([("steps".to_string(), Nanos::units(3))]),
            attributes: subject.collect(),
        };
        requests.push(ask(Command::Authorize(Authorize {
            event,
            ttl: Span::seconds(3_600),
            mode: AuthorizeMode::Hold,
        })));
    }
    let began = Instant::now();
    let replies = engine.call(&tenant, requests).await?;
    let took = began.elapsed();
    let allowed =
        |reply: &Reply| matches!(reply, Reply::Done(done) if matches!(done.answer, Answer::Allowed(_)));
    let allowed = replies.iter().filter(|reply| allowed(reply)).count();
    let revision = engine
        .controls()
        .revision(&activated.activation.revision)
        .cloned();
    let prices = revision.map_or(0, |revision| revision.health().answered);
    println!(
        "{calls} calls at once, {allowed} allowed: {:.1} ms, {prices} prices",
        took.as_secs_f64() * 1e3
    );
    engine.stop()?;
    Ok(())
}
