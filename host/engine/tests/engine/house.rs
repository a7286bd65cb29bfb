//! An engine over a store of choice, with the per-token plan and a price list that is easy to work out by hand:
//! model `one` costs 1 usd per million input tokens and 10 per million output tokens; `two` is in the second list only.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use farebox_engine::{Ask, Config, Done, Engine, ManualClock, NewRevision, Reply, Request, Round};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_ledger::Wallet;
use farebox_money::{Asset, Nanos};
use farebox_record::command::{
    AboveHold, Authorize, AuthorizeMode, Command, Finality, Grant, PutCustomer, Settle, Subscribe,
    default_source,
};
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::ids::{CallId, CustomerId, EventId, GrantId, Hash, PlanName, SubscriptionId, TenantId};
use farebox_record::outcome::Answer;
use farebox_record::plan::{AppliesTo, Category, EventRef};
use farebox_record::state::{Cadence, Shortfall};
use farebox_record::time::Span;
use farebox_runtime::Runtime;
use farebox_store::Store;

/// Prices of the first revision, in usd per million tokens.
pub const FIRST: &str =
    r#"{"providers": {"test": {"models": {"one": {"prices": {"input": "1", "output": "10"}}}}}}"#;
/// Twice as dear, and with another model.
pub const SECOND: &str = r#"{"providers": {"test": {"models": {
    "one": {"prices": {"input": "2", "output": "20"}},
    "two": {"prices": {"input": "4", "output": "40"}}}}}}"#;

/// One runtime for the process, as in production: each reserves address space. It keeps what it compiled, as production does.
pub fn runtime() -> Runtime {
    static RUNTIME: OnceLock<(Runtime, tempfile::TempDir)> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let cache = tempfile::tempdir().unwrap();
        let config = farebox_runtime::Config {
            cache_dir: Some(cache.path().to_path_buf()),
            ..farebox_runtime::Config::default()
        };
        (Runtime::new(config).unwrap(), cache)
    });
    made.0.clone()
}

/// Waits until something that happens beside the lanes is so.
pub async fn eventually(mut is_so: impl FnMut() -> bool) {
    for _ in 0..1_200 {
        if is_so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("it never came to be so");
}

/// The component, built once.
pub fn per_token() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans/per-token");
        build_plan(&dir, &BuildOptions::default()).unwrap().component
    })
}

/// See the module.
pub struct House {
    pub engine: Engine,
    pub clock: Arc<ManualClock>,
    pub tenant: TenantId,
}

/// Lanes, and how much each does at once: drawn anew for each engine, since nothing may depend on it. What was drawn stands in
/// the output of a test that fails.
fn drawn() -> (usize, Round) {
    let lanes = rand::random_range(1..=4);
    let round = Round {
        commands: [1, 7, 4_096][rand::random_range(0..3)],
        bytes: [1, 20_000, 4 << 20][rand::random_range(0..3)],
    };
    eprintln!("{lanes} lanes, {round:?}");
    (lanes, round)
}

impl House {
    /// Over `store`, with the plan in force and its clock standing at the start of 2026.
    pub fn over(store: Arc<dyn Store>) -> House {
        let house = House::without_plan(store);
        house.push();
        house.activate(FIRST);
        house
    }

    pub fn without_plan(store: Arc<dyn Store>) -> House {
        let (lanes, round) = drawn();
        House::in_rounds(store, lanes, round)
    }

    /// The same with rounds that are not drawn: for a test of what a round does.
    pub fn in_rounds(store: Arc<dyn Store>, lanes: usize, round: Round) -> House {
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        let config = Config {
            lanes,
            round,
            on_failure: Box::new(|why| eprintln!("failed: {why}")),
        };
        let engine = Engine::start(config, store, runtime(), Arc::clone(&clock) as _).unwrap();
        House {
            engine,
            clock,
            tenant: TenantId::new("default").unwrap(),
        }
    }

    pub fn push(&self) -> Hash {
        self.engine
            .push_component(&self.tenant, &plan(), per_token())
            .unwrap()
            .hash
    }

    pub fn activate(&self, prices: &str) -> farebox_engine::Activated {
        let component = Hash::of(per_token());
        self.engine
            .activate(
                &self.tenant,
                &plan(),
                &NewRevision::at_once(component, prices),
                None,
            )
            .unwrap()
    }

    pub async fn ask(&self, customer: &str, ask: Ask) -> Reply {
        let customer = CustomerId::new(customer).unwrap();
        self.engine
            .call_one(&self.tenant, Request { customer, ask })
            .await
            .unwrap()
    }

    /// Replies to all of these, in one call.
    pub async fn replies(&self, customer: &str, commands: impl Iterator<Item = Command>) -> Vec<Reply> {
        let requests = commands.map(|command| Request {
            customer: CustomerId::new(customer).unwrap(),
            ask: Ask::Command(Box::new(command)),
        });
        self.engine.call(&self.tenant, requests.collect()).await.unwrap()
    }

    pub async fn reply(&self, customer: &str, command: Command) -> Reply {
        self.ask(customer, Ask::Command(Box::new(command))).await
    }

    pub async fn done(&self, customer: &str, command: Command) -> Done {
        match self.reply(customer, command).await {
            Reply::Done(done) => done,
            other => panic!("{other:?}"),
        }
    }

    pub async fn wallet(&self, customer: &str) -> Arc<Wallet> {
        match self.ask(customer, Ask::Read).await {
            Reply::Wallet(wallet) => wallet,
            other => panic!("{other:?}"),
        }
    }

    /// A customer with a balance, on the plan.
    pub async fn customer(&self, name: &str, usd: &str) {
        self.done(name, put()).await;
        if usd != "0" {
            self.done(name, grant("start", usd)).await;
        }
        self.done(name, subscribe()).await;
    }

    /// Available and held, in that order.
    pub async fn balance(&self, customer: &str) -> (String, String) {
        let wallet = self.wallet(customer).await;
        let balances = wallet.balances();
        let usd = balances.iter().find(|b| b.asset.as_str() == "usd").unwrap();
        (usd.available.to_string(), usd.held.to_string())
    }
}

pub fn plan() -> PlanName {
    PlanName::new("tokens").unwrap()
}

pub fn usd() -> Asset {
    Asset::new("usd").unwrap()
}

pub fn put() -> Command {
    let shortfall: BTreeMap<Asset, Shortfall> = BTreeMap::new();
    Command::PutCustomer(PutCustomer {
        id: CallId::new("create").unwrap(),
        name: None,
        shortfall,
    })
}

pub fn grant(id: &str, amount: &str) -> Command {
    Command::Grant(Grant {
        id: GrantId::new(id).unwrap(),
        asset: usd(),
        amount: amount.parse().unwrap(),
        category: Category::Paid,
        priority: 0,
        effective: None,
        expires: None,
        applies_to: AppliesTo::default(),
        label: None,
        each: None,
    })
}

pub fn subscribe() -> Command {
    Command::Subscribe(Subscribe {
        id: SubscriptionId::new("tokens").unwrap(),
        plan: plan(),
        seats: 0,
        anchor: None,
        cadence: Cadence::Monthly,
        above_hold: Default::default(),
    })
}

pub fn event(id: &str, model: &str, measures: &[(&str, i64)]) -> Event {
    Event {
        source: default_source(),
        id: EventId::new(id).unwrap(),
        event_type: "llm.call".parse().unwrap(),
        time: None,
        measures: amounts(measures),
        attributes: Attributes::from([("model".to_string(), model.to_string())]),
    }
}

pub fn amounts(measures: &[(&str, i64)]) -> Measures {
    measures
        .iter()
        .map(|(name, units)| (name.to_string(), Nanos::units(*units)))
        .collect()
}

/// At most this many tokens in and out of model `one`.
pub fn authorize(id: &str, input: i64, output: i64) -> Command {
    Command::Authorize(Authorize {
        event: event(id, "one", &[("input_tokens", input), ("output_tokens", output)]),
        ttl: Span::seconds(60),
        mode: AuthorizeMode::Hold,
    })
}

pub fn usage(id: &str, model: &str, input: i64) -> Command {
    Command::Usage(event(id, model, &[("input_tokens", input)]))
}

pub fn hold(id: &str) -> EventRef {
    EventRef {
        source: default_source(),
        id: EventId::new(id).unwrap(),
    }
}

pub fn settle(id: &str, input: i64, output: i64) -> Command {
    Command::Settle(Settle {
        hold: hold(id),
        id: CallId::new("settle").unwrap(),
        measures: amounts(&[("input_tokens", input), ("output_tokens", output)]),
        attributes: Attributes::EMPTY,
        finality: Finality::Final,
        above: AboveHold::AllowDebt,
    })
}

pub fn is_allowed(reply: &Reply) -> bool {
    matches!(
        reply,
        Reply::Done(Done {
            answer: Answer::Allowed(_),
            ..
        })
    )
}

pub fn is_denied(reply: &Reply) -> bool {
    matches!(
        reply,
        Reply::Done(Done {
            answer: Answer::Denied(_),
            ..
        })
    )
}

pub fn seconds(n: u32) -> Span {
    Span::seconds(n)
}
