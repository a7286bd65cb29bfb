//! The checks that run for ever find what they are for.

use farebox_ledger::{DecidedOtherwise, Violation, Wallet, WalletError, verify};
use farebox_money::Nanos;
use farebox_record::Record;
use farebox_record::codec;
use farebox_record::command::Command;
use farebox_record::outcome::Effect;
use farebox_record::spending::{LimitState, Used};
use farebox_record::state::{GrantState, Header, HoldState, Part};
use farebox_record::time::Span;

use crate::world::World;
use crate::world::bound::{Bound, limit};
use crate::world::make::{Shape, asset, grant, hold, n, priced, reference, subscribe, usage, usd};

/// 10 dollars, 4 of them used, 3 held; 2 of a hold on credit.
fn world() -> World {
    let mut world = World::owing(&[("usd", farebox_record::state::Shortfall::Unlimited)]);
    world.ok(grant("g", "usd", "10").put());
    world.ask(usage("e"), usd("4")).unwrap();
    world.ask(hold("h"), usd("3")).unwrap();
    world.ask(hold("credit"), usd("5")).unwrap();
    world
}

/// The same with limits, which count the 8 that are held.
fn limited() -> World {
    let mut world = world();
    world.ok(limit("l", "usd", "100").set());
    world.ok(limit("r", "usd", "100").rolling(3, 60).set());
    world
}

/// The wallet with one of its parts changed on disk.
fn damaged<T: serde_free::Part>(part: &Part, change: impl FnOnce(&mut T)) -> Wallet {
    damaged_of(&world(), part, change)
}

fn damaged_of<T: serde_free::Part>(world: &World, part: &Part, change: impl FnOnce(&mut T)) -> Wallet {
    let mut parts = world.parts();
    let bytes = parts.get_mut(&part.key()).unwrap();
    let mut value = T::read(bytes);
    change(&mut value);
    *bytes = value.write();
    Wallet::from_parts(parts.iter().map(|(k, v)| (&k[..], &v[..]))).unwrap()
}

/// Reading and writing of the parts that are damaged here.
mod serde_free {
    use super::{GrantState, Header, HoldState, LimitState, codec};

    pub trait Part {
        fn read(bytes: &[u8]) -> Self;
        fn write(&self) -> Vec<u8>;
    }

    macro_rules! part {
        ($($name:ident),*) => {$(
            impl Part for $name {
                fn read(bytes: &[u8]) -> $name {
                    codec::decode(bytes).unwrap()
                }
                fn write(&self) -> Vec<u8> {
                    codec::encode(self)
                }
            }
        )*};
    }
    part!(GrantState, Header, HoldState, LimitState);
}

#[test]
fn a_sound_wallet_has_nothing_to_tell() {
    assert_eq!(verify(&world().wallet), []);
}

#[test]
fn a_balance_that_was_changed_is_found() {
    let g = Part::Grant("g".parse().unwrap());
    let more = damaged(&g, |grant: &mut GrantState| grant.available = n("0.000000001"));
    assert_eq!(
        verify(&more),
        [Violation::Unbalanced {
            asset: asset("usd"),
            sum: n("0.000000001")
        }]
    );
    let header = damaged(&Part::Header, |header: &mut Header| {
        header.assets.get_mut("usd").unwrap().revenue = n("3");
    });
    assert_eq!(
        verify(&header),
        [Violation::Unbalanced {
            asset: asset("usd"),
            sum: n("-1")
        }]
    );
}

#[test]
fn a_hold_that_was_changed_is_found() {
    let part = Part::Hold(reference("h"));
    let less = damaged(&part, |hold: &mut HoldState| hold.pins[0].amount = n("2"));
    assert_eq!(
        verify(&less),
        [Violation::Held {
            grant: "g".parse().unwrap(),
            stored: n("6"),
            pinned: n("5")
        }]
    );
    let elsewhere = damaged(&part, |hold: &mut HoldState| {
        hold.pins[0].grant = "x".parse().unwrap();
    });
    assert_eq!(verify(&elsewhere).len(), 2);
    let credit = damaged(&Part::Hold(reference("credit")), |hold: &mut HoldState| {
        hold.overdraft[0].1 = n("1");
    });
    assert_eq!(
        verify(&credit),
        [Violation::Credit {
            asset: asset("usd"),
            stored: n("2"),
            pinned: n("1")
        }]
    );
    let unknown = damaged(&Part::Hold(reference("credit")), |hold: &mut HoldState| {
        hold.overdraft[0].0 = asset("credits");
    });
    assert_eq!(verify(&unknown).len(), 2);
}

#[test]
fn a_limit_that_was_changed_is_found() {
    let part = Part::Limit("l".parse().unwrap());
    let held = damaged_of(&limited(), &part, |limit: &mut LimitState| limit.held = n("7"));
    assert_eq!(
        verify(&held),
        [Violation::LimitHeld {
            limit: "l".parse().unwrap(),
            asset: asset("usd"),
            stored: n("7"),
            pinned: n("8")
        }]
    );
    for name in ["l", "r"] {
        let used = damaged_of(
            &limited(),
            &Part::Limit(name.parse().unwrap()),
            |limit: &mut LimitState| match &mut limit.used {
                Used::Calendar { amount, .. } => *amount = n("-1"),
                Used::Rolling(counted) => counted.push((0, n("-1"))),
            },
        );
        assert_eq!(
            verify(&used),
            [Violation::LimitUsed {
                limit: name.parse().unwrap(),
                asset: asset("usd"),
                used: n("-1")
            }]
        );
    }
    // What was used in another way than the history says is found by folding it again.
    let more = damaged_of(&limited(), &part, |limit: &mut LimitState| {
        if let Used::Calendar { amount, .. } = &mut limit.used {
            *amount = n("5");
        }
    });
    assert_eq!(verify(&more), []);
    assert!(!more.same_state(&limited().wallet));
}

/// Replays the history with one record changed.
fn replay(changed: usize, change: impl FnOnce(&mut Record)) -> Result<(), Violation> {
    let mut records = world().records;
    change(&mut records[changed]);
    let mut wallet = Wallet::default();
    for record in &records {
        wallet.replay(record, &record.encode())?;
    }
    Ok(())
}

#[test]
fn a_history_that_was_changed_does_not_replay() {
    assert_eq!(replay(2, |_| ()), Ok(()));
    let chain = |sequence, what| Err(Violation::Chain { sequence, what });
    assert_eq!(replay(2, |r| r.sequence = 4), chain(4, "its sequence"), "a gap");
    // Any change at all is seen by the next record.
    assert_eq!(
        replay(1, |r| r.seen.control = 2),
        chain(3, "the hash of the record before it")
    );
    assert_eq!(
        replay(2, |r| r.at = crate::world::t(-1)),
        chain(3, "its time, which steps back")
    );
    let unbalanced = replay(2, |r| {
        let entry = r.outcome.effects.iter_mut().find_map(|effect| match effect {
            Effect::Entry(entry) => Some(entry),
            _ => None,
        });
        entry.unwrap().amount = n("-5");
    });
    assert_eq!(
        unbalanced,
        Err(Violation::Record {
            sequence: 3,
            asset: asset("usd"),
            sum: n("-1")
        })
    );
    let unknown = replay(2, |r| {
        r.outcome.effects.push(Effect::GrantEnded("x".parse().unwrap()));
    });
    assert!(
        matches!(unknown, Err(Violation::Effect { sequence: 3, .. })),
        "{unknown:?}"
    );
}

#[test]
fn an_amount_out_of_range_is_an_error_and_not_a_wrap() {
    let mut wallet = world().wallet;
    let effect = |amount| {
        Effect::Entry(farebox_record::outcome::Entry {
            account: farebox_record::outcome::Account::Revenue,
            asset: asset("usd"),
            amount: Nanos::new(amount),
            charge: None,
        })
    };
    assert_eq!(
        wallet.fold(&effect(i128::MAX)),
        Err(WalletError::Overflow { asset: asset("usd") })
    );
}

#[test]
fn parts_that_cannot_be_read_are_an_error() {
    let mut parts = world().parts();
    parts.get_mut(&Part::Header.key()).unwrap().truncate(3);
    let read = Wallet::from_parts(parts.iter().map(|(k, v)| (&k[..], &v[..])));
    assert!(matches!(read, Err(WalletError::Codec { .. })), "{read:?}");
    let key: &[u8] = &[0x7f, 1];
    assert!(Wallet::from_parts([(key, &[][..])]).is_err());
}

#[test]
#[should_panic(expected = "the store's time stepped back")]
fn time_that_steps_back_stops_the_process() {
    let mut world = world();
    world.now = crate::world::t(-1);
    let _ = world.act(usage("late"));
}

#[test]
fn wallets_that_differ_in_any_part_are_not_the_same() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world
        .ask(subscribe("s", Default::default()), priced(&[]))
        .unwrap();
    world.ok(limit("l", "credits", "5").set());
    world.ask(hold("h"), priced(&[])).unwrap();
    let parts = world.parts();
    // Header, grant, hold, subscription, limit.
    assert_eq!(parts.len(), 5);
    for gone in parts.keys() {
        let kept = parts.iter().filter(|(key, _)| *key != gone);
        let other = Wallet::from_parts(kept.map(|(key, value)| (&key[..], &value[..]))).unwrap();
        let part = Part::from_key(gone).unwrap();
        assert!(!other.same_state(&world.wallet), "without {part:?}");
        assert!(!world.wallet.same_state(&other), "without {part:?}");
    }
    assert!(world.stored().same_state(&world.wallet));
}

#[test]
fn what_was_decided_is_decided_again_and_nothing_else() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    let before = world.wallet.clone();
    world.ask(usage("a"), usd("2")).unwrap();
    let record = world.records.last().unwrap().clone();
    let again = |record: &Record| {
        let mut wallet = before.clone();
        let decided = wallet.decide_again(record, &record.encode());
        (decided, wallet)
    };
    let (decided, wallet) = again(&record);
    assert_eq!(decided, Ok(()));
    assert!(wallet.same_state(&world.wallet), "it is one record further");
    // Five times the price.
    let mut dearer = record.clone();
    for effect in &mut dearer.outcome.effects {
        if let Effect::Entry(entry) = effect {
            entry.amount = Nanos::new(5 * entry.amount.get());
        }
    }
    let outcome = Box::new(record.outcome.clone());
    assert_eq!(again(&dearer).0, Err(DecidedOtherwise::Outcome(outcome)));
    // An hour ahead it would not have been taken in.
    let mut ahead = record;
    if let Command::Usage(event) = &mut ahead.command {
        event.time = Some(ahead.at.saturating_add(Span::seconds(3_600)));
    }
    let refused = again(&ahead).0;
    assert!(
        matches!(refused, Err(DecidedOtherwise::Refused(_))),
        "{refused:?}"
    );
}
