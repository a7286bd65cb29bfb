//! The change feed: what happened, in order, from anywhere on.

use std::sync::Arc;

use farebox_engine::projection::{FeedCursor, FeedError, FeedPage, FeedQuery, Kind};
use farebox_record::time::Timestamp;
use farebox_store::MemoryStore;

use crate::following::followed;
use crate::house::{House, authorize, grant, put, seconds, subscribe, usage};

async fn feed(house: &House, query: FeedQuery) -> FeedPage {
    followed(house).await;
    let query = FeedQuery {
        limit: query.limit.max(1),
        ..query
    };
    house.engine.changes(&house.tenant, &query).unwrap()
}

pub async fn all(house: &House) -> Vec<(FeedCursor, &'static str)> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let query = FeedQuery {
            after,
            limit: 3,
            ..FeedQuery::default()
        };
        let page = feed(house, query).await;
        let kinds = page
            .changes
            .iter()
            .map(|(cursor, change)| (*cursor, change.what.kind().as_str()));
        seen.extend(kinds);
        if !page.more {
            return seen;
        }
        after = Some(page.next);
    }
}

fn texts(seen: &[(FeedCursor, &'static str)]) -> Vec<&'static str> {
    seen.iter().map(|(_, kind)| *kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_tells_what_happened_in_order_and_resumes_anywhere() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.done("ada", put()).await;
    house.done("ada", usage("early", "one", 100_000)).await; // 0.1 usd, when somebody prices it
    house.done("ada", subscribe()).await;
    for _ in 0..400 {
        if house.wallet("ada").await.header().unpriced == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    house.done("ada", authorize("no", 1_000, 0)).await; // in debt
    house.done("ada", grant("start", "1")).await; // pays it
    house.done("ada", authorize("long", 100_000, 0)).await;
    house.clock.advance(seconds(61));
    house.wallet("ada").await;
    let expected = [
        "revision_activated",
        "usage_unpriced",
        "subscription_started",
        "usage_rated",
        "debt_incurred",
        "denied",
        "grant_received",
        "debt_paid",
        "hold_expired",
    ];
    let seen = all(&house).await;
    assert_eq!(texts(&seen), expected);
    for at in 0..seen.len() {
        let after = Some(seen[at].0);
        let rest = feed(
            &house,
            FeedQuery {
                after,
                limit: 100,
                ..FeedQuery::default()
            },
        )
        .await;
        let rest: Vec<_> = rest.changes.iter().map(|(cursor, _)| *cursor).collect();
        assert_eq!(
            rest,
            seen[at + 1..]
                .iter()
                .map(|(cursor, _)| *cursor)
                .collect::<Vec<_>>()
        );
    }
    let only = FeedQuery {
        kind: Some(Kind::Denied),
        limit: 10,
        ..FeedQuery::default()
    };
    assert_eq!(feed(&house, only).await.changes.len(), 1);
    let of = |name: &str| FeedQuery {
        customer: Some(name.parse().unwrap()),
        limit: 10,
        ..FeedQuery::default()
    };
    assert_eq!(feed(&house, of("ada")).await.changes.len(), 8);
    let nobody = feed(&house, of("ben")).await;
    assert!(nobody.changes.is_empty() && !nobody.more);
    assert!(nobody.next >= seen[8].0, "everything before it was looked at");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_behind_which_something_is_gone_is_refused() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "1").await;
    let first = feed(
        &house,
        FeedQuery {
            limit: 1,
            ..FeedQuery::default()
        },
    )
    .await;
    house.clock.advance(farebox_record::time::Span::days(36));
    house.done("ada", grant("later", "1")).await;
    let behind = FeedQuery {
        after: Some(first.next),
        limit: 10,
        ..FeedQuery::default()
    };
    followed(&house).await;
    // Whether or not what is too old was removed already.
    for _ in 0..2 {
        let refused = house.engine.changes(&house.tenant, &behind);
        assert!(matches!(refused, Err(FeedError::Expired)), "{refused:?}");
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    }
    let kept = feed(
        &house,
        FeedQuery {
            limit: 10,
            ..FeedQuery::default()
        },
    )
    .await;
    assert!(!kept.changes.is_empty());
    let young: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
    assert!(kept.changes.iter().all(|(_, change)| change.at > young));
    let ahead = FeedCursor::behind(farebox_engine::projection::Position(u64::MAX));
    let ahead = house.engine.changes(
        &house.tenant,
        &FeedQuery {
            after: Some(ahead),
            limit: 1,
            ..FeedQuery::default()
        },
    );
    assert!(matches!(ahead, Err(FeedError::Ahead)), "{ahead:?}");
    house.engine.stop().unwrap();
}
