//! A rating that is on its way while its event is corrected, step by step on an engine without threads.
//! Prices of model `two`: none at first, then 4 usd per million input tokens.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use farebox_engine::{Ask, Config, Engine, ManualClock, NewRevision, Reply, Request, Work};
use farebox_record::command::Command;
use farebox_record::correction::{Amend, Void};
use farebox_record::ids::{CallId, CustomerId, Hash, TenantId};
use farebox_record::outcome::Answer;
use farebox_store::MemoryStore;

use crate::house::{FIRST, SECOND, event, grant, hold, per_token, plan, put, runtime, subscribe, usage};

struct Hands {
    engine: Engine,
    tenant: TenantId,
}

impl Hands {
    fn new() -> Hands {
        let config = Config {
            lanes: 1,
            on_failure: Box::new(|why| panic!("{why}")),
            ..Config::default()
        };
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        let store = Arc::new(MemoryStore::default());
        let hands = Hands {
            engine: Engine::by_hand(config, store, runtime(), clock).unwrap(),
            tenant: TenantId::new("default").unwrap(),
        };
        let pushed = hands
            .engine
            .push_component(&hands.tenant, &plan(), per_token())
            .unwrap();
        assert_eq!(pushed.hash, Hash::of(per_token()));
        hands.activate(FIRST);
        for command in [put(), grant("start", "10"), subscribe()] {
            assert!(matches!(
                hands.ask(Ask::Command(Box::new(command))),
                Reply::Done(_)
            ));
        }
        hands
    }

    fn activate(&self, prices: &str) {
        let component = Hash::of(per_token());
        self.engine
            .activate(
                &self.tenant,
                &plan(),
                &NewRevision::at_once(component, prices),
                None,
            )
            .unwrap();
    }

    /// Asks, and then does everything that waits.
    fn ask(&self, ask: Ask) -> Reply {
        let customer = CustomerId::new("ada").unwrap();
        let mut call = pin!(self.engine.call_one(&self.tenant, Request { customer, ask }));
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
        while let Some(work) = self.engine.waiting().first() {
            self.engine.step(*work);
        }
        match call.as_mut().poll(&mut context) {
            Poll::Ready(reply) => reply.unwrap(),
            Poll::Pending => panic!("nothing waits, and there is no answer"),
        }
    }

    fn available(&self) -> String {
        let Reply::Wallet(wallet) = self.ask(Ask::Read) else {
            panic!("no wallet")
        };
        assert_eq!(wallet.header().unpriced, 0);
        wallet.balances()[0].available.to_string()
    }
}

#[track_caller]
fn check(correction: Command, available: &str) {
    let hands = Hands::new();
    let waits = usage("e", "two", 1_000_000);
    let Reply::Done(done) = hands.ask(Ask::Command(Box::new(waits))) else {
        panic!("not kept")
    };
    assert!(matches!(done.answer, Answer::Unpriced(_)), "{:?}", done.answer);
    // Now there is a price. The lane asks what waits for one, and before it hears, the event is corrected.
    hands.activate(SECOND);
    hands.engine.step(Work::Lane(0));
    assert_eq!(hands.engine.waiting()[0], Work::Load);
    let Reply::Done(done) = hands.ask(Ask::Command(Box::new(correction))) else {
        panic!("not corrected")
    };
    assert!(matches!(done.answer, Answer::Corrected(_)), "{:?}", done.answer);
    assert_eq!(hands.available(), available);
}

#[test]
fn an_event_that_is_voided_while_its_price_is_on_the_way_costs_nothing() {
    let void = Void {
        event: hold("e"),
        id: CallId::new("void").unwrap(),
        reason: None,
    };
    check(Command::Void(void), "10");
}

#[test]
fn an_event_that_is_replaced_while_its_price_is_on_the_way_is_charged_once() {
    let amend = Amend {
        event: event("e", "two", &[("input_tokens", 500_000)]),
        id: CallId::new("amend").unwrap(),
    };
    // 0.5 * 4 usd.
    check(Command::Amend(amend), "8");
}
