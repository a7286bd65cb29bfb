//! What is too large to be kept: it is refused by its limit's name, and everything beside it goes on.

use std::num::NonZeroU32;
use std::sync::Arc;

use farebox_engine::Reply;
use farebox_ledger::Refusal;
use farebox_record::command::{Authorize, AuthorizeMode, Command};
use farebox_record::ids::CustomerId;
use farebox_record::outcome::{Answer, Effect, UnpricedReason};
use farebox_record::state::{Part, SubjectTimer};
use farebox_record::time::Span;
use farebox_runtime::Limits;
use farebox_store::limits::PART_KEY_BYTES_MAX;
use farebox_store::{LossyStore, MemoryStore, Store};

use crate::deadlines;
use crate::house::{House, usage};
use crate::pooled::until;

/// What the stores of these tests take. The components that the tests push fit, too.
const RECORD_BYTES_MAX: usize = 64 << 10;

/// The same with so many bytes of attributes that no plan reads.
fn with_notes(mut command: Command, bytes: usize) -> Command {
    if let Command::Usage(event) = &mut command {
        for index in 0..bytes / 1_000 {
            event
                .attributes
                .insert(format!("note-{index}").into(), "x".repeat(1_000).into());
        }
    }
    command
}

fn is_too_large(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(Refusal::RecordTooLarge { bytes, max: RECORD_BYTES_MAX }) if *bytes > RECORD_BYTES_MAX)
}

/// One in five of forty calls, all of one call, is too large.
async fn the_others_are_charged(store: Arc<dyn Store>) {
    let house = House::over(store);
    house.customer("ada", "100").await;
    let calls = (0..40).map(|n| {
        let bytes = if n % 5 == 3 { 150_000 } else { 0 };
        with_notes(usage(&format!("e{n}"), "one", 1_000_000), bytes)
    });
    let replies = house.replies("ada", calls).await;
    for (n, reply) in replies.iter().enumerate() {
        let charged = matches!(reply, Reply::Done(done) if matches!(done.answer, Answer::Charged { .. }) && !done.replayed);
        assert_eq!(
            (charged, is_too_large(reply)),
            (n % 5 != 3, n % 5 == 3),
            "{n}: {reply:?}"
        );
    }
    // 32 of them at 1 usd.
    assert_eq!(house.balance("ada").await.0, "68");
    // The id is not used up.
    house.done("ada", usage("e3", "one", 1_000_000)).await;
    assert_eq!(house.balance("ada").await.0, "67");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_is_refused_alone() {
    the_others_are_charged(Arc::new(MemoryStore::with_record_bytes_max(RECORD_BYTES_MAX))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_where_versions_are_lost() {
    for seed in 0..8 {
        let inner = MemoryStore::with_record_bytes_max(RECORD_BYTES_MAX);
        the_others_are_charged(Arc::new(LossyStore::new(
            inner,
            seed,
            NonZeroU32::new(3).unwrap(),
        )))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_cannot_be_kept_has_no_answer_and_the_wallet_goes_on() {
    // The claim fits once; the deadline's record holds its event twice.
    let store = MemoryStore::with_record_bytes_max(RECORD_BYTES_MAX);
    let house = deadlines::house(Arc::new(store)).await;
    house
        .done(
            "ada",
            with_notes(deadlines::claim("large", "c1", "resolution"), 45_000),
        )
        .await;
    house
        .done("ada", deadlines::claim("small", "c2", "resolution"))
        .await;
    until(&house, "2026-01-02T00:00:00Z").await;
    // Of two deadlines of one instant the one of the lesser subject comes first, and keeps nothing behind it from its turn.
    assert_eq!(house.balance("ada").await.0, "9");
    let history = house
        .engine
        .history(&house.tenant, &CustomerId::new("ada").unwrap(), None, 10);
    let effects = history
        .unwrap()
        .into_iter()
        .flat_map(|record| record.outcome.effects);
    let kept = effects.into_iter().find_map(|effect| match effect {
        Effect::UnpricedKept(kept) => Some(kept.reason),
        _ => None,
    });
    assert!(
        matches!(&kept, Some(UnpricedReason::PlanFailed { code, .. }) if code == "record_too_large"),
        "{kept:?}"
    );
    for n in 0..20 {
        house
            .done(
                "ada",
                deadlines::claim(&format!("later-{n}"), &format!("d{n}"), "resolution"),
            )
            .await;
    }
    assert_eq!(house.balance("ada").await.0, "9");
    // To take it back is to keep it twice as well.
    assert!(is_too_large(&house.reply("ada", deadlines::void("large")).await));
    house.done("ada", deadlines::void("small")).await;
    assert_eq!(house.balance("ada").await.0, "10");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_has_a_name_of_bounded_length() {
    let house = deadlines::house(Arc::new(MemoryStore::new())).await;
    let long = "c".repeat(257);
    let Command::Usage(event) = deadlines::claim("a", &long, "resolution") else {
        panic!("a claim is usage");
    };
    let authorize = Command::Authorize(Authorize {
        event: event.clone(),
        mode: AuthorizeMode::Settle,
        ttl: Span::seconds(60),
    });
    let refused = house.reply("ada", authorize).await;
    let Reply::Refused(Refusal::InvalidEvent(rejection)) = &refused else {
        panic!("{refused:?}");
    };
    let said = format!("{rejection:?}");
    assert!(
        said.contains("conversation") && said.contains("subject_bytes_max"),
        "{said}"
    );
    // What happened is kept, without a price.
    let kept = house.done("ada", Command::Usage(event)).await;
    assert!(matches!(kept.answer, Answer::Unpriced { .. }), "{kept:?}");
    house
        .done("ada", deadlines::claim("b", &"c".repeat(256), "resolution"))
        .await;
    until(&house, "2026-01-02T00:00:00Z").await;
    assert_eq!(house.balance("ada").await.0, "9");
    house.engine.stop().unwrap();
}

#[test]
fn the_longest_names_fit_a_key() {
    let limits = Limits::default();
    let longest = |bytes: usize| "n".repeat(bytes);
    let name = longest(farebox_record::ids::NAME_BYTES_MAX);
    let subject = longest(limits.subject_bytes_max);
    let timer = SubjectTimer {
        subscription: name.parse().unwrap(),
        key: longest(limits.name_bytes_max),
        subject: subject.clone(),
    };
    let event = farebox_record::plan::EventRef {
        source: name.parse().unwrap(),
        id: name.parse().unwrap(),
    };
    for part in [
        Part::SubjectTimer(timer),
        Part::Subject(name.parse().unwrap(), subject),
        Part::Term(name.parse().unwrap(), u32::MAX),
        Part::HoldUsage(event.clone()),
        Part::GiveBacks(event),
    ] {
        let bytes = part.key().len();
        assert!(bytes <= PART_KEY_BYTES_MAX, "{bytes} bytes: {part:?}");
    }
}
