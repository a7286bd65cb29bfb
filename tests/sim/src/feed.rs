//! A reader of each tenant's change feed who trusts nobody: it reads on from where it was, through every crash, and compares
//! what it is told with what the records are news of ([`crate::news`]).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};
use farebox_engine::Engine;
use farebox_engine::projection::{Change, FeedCursor, FeedError, FeedQuery, Kind};
use farebox_record::control::ControlRecord;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::time::{Span, Timestamp};
use rand::Rng as _;
use rand::rngs::SmallRng;

use crate::history::History;
use crate::news::{Before, control_news};

/// For how long the feed promises to keep an item.
const KEPT: Span = Span::days(35);

/// Names an item: whose record, its sequence, and which item of it.
type Name = (Option<CustomerId>, u64, usize);

/// See the module.
#[derive(Debug, Default)]
pub struct Readers(BTreeMap<TenantId, Reader>);

#[derive(Debug, Default)]
struct Reader {
    /// From where it reads on.
    place: Option<FeedCursor>,
    /// What it was told, each with its place.
    told: BTreeMap<Name, (FeedCursor, Change)>,
    /// What it was too late for.
    missed: BTreeSet<Name>,
}

/// What was read.
type Items = Vec<(FeedCursor, Change)>;

impl Readers {
    /// Reads on, reads everything again, and compares both with the records, all of which the feed has followed. Tells how
    /// many items the whole feed has. `tidied` is the latest time by which what is no longer kept may have been removed.
    ///
    /// # Errors
    /// What is missing, told twice, told wrongly, or told in another order.
    pub fn check(
        &mut self,
        engine: &Engine,
        tenant: &TenantId,
        tidied: Timestamp,
        histories: &[History],
        control: &[ControlRecord],
        random: &mut SmallRng,
    ) -> anyhow::Result<u64> {
        let expected = expected(histories, control);
        let oldest = tidied.saturating_sub(KEPT);
        let shown_since = engine.now(tenant).saturating_sub(KEPT);
        let reader = self.0.entry(tenant.clone()).or_default();
        reader.read_on(engine, tenant, &expected, oldest, random)?;
        let query = FeedQuery {
            limit: random.random_range(5..300),
            ..FeedQuery::default()
        };
        let (items, _) = read(engine, tenant, query)?.context("a feed from its beginning is refused")?;
        reader
            .compare(&items, &expected, oldest, shown_since)
            .and_then(|()| reader.resume(engine, tenant, &items, shown_since, random))
            .with_context(|| format!("the feed of {tenant}"))?;
        Ok(items.len() as u64)
    }
}

impl Reader {
    fn read_on(
        &mut self,
        engine: &Engine,
        tenant: &TenantId,
        expected: &BTreeMap<Name, Change>,
        oldest: Timestamp,
        random: &mut SmallRng,
    ) -> anyhow::Result<()> {
        let mut query = FeedQuery {
            after: self.place,
            limit: random.random_range(1..60),
            ..FeedQuery::default()
        };
        let (items, place) = match read(engine, tenant, query.clone())? {
            Some(read) => read,
            None => {
                let old = |(name, change): &(&Name, &Change)| {
                    change.at < oldest && !self.told.contains_key(*name) && !self.missed.contains(*name)
                };
                let missed: Vec<Name> = expected
                    .iter()
                    .filter(old)
                    .map(|(name, _)| name.clone())
                    .collect();
                ensure!(
                    !missed.is_empty(),
                    "{tenant}: the feed behind {:?} is refused, and nothing there is old",
                    self.place
                );
                self.missed.extend(missed);
                query.after = None;
                read(engine, tenant, query)?.context("a feed from its beginning is refused")?
            }
        };
        self.place = Some(place);
        for (name, item) in named(items)? {
            if let Some(before) = self.told.insert(name.clone(), item) {
                bail!("{tenant}: {name:?} was told twice, before as {before:?}");
            }
        }
        for (name, change) in expected {
            let told = self.told.get(name).map(|(_, change)| change);
            ensure!(
                told == Some(change) || (told.is_none() && self.missed.contains(name)),
                "{tenant}: whoever reads on was told {told:?} for {name:?}, and it is {change:?}"
            );
        }
        let stray = self.told.keys().find(|name| !expected.contains_key(*name));
        ensure!(
            stray.is_none(),
            "{tenant}: {stray:?} was told, and no record says it"
        );
        Ok(())
    }

    /// The whole feed: what is not too old, each where it was told before, and each wallet in order.
    fn compare(
        &self,
        items: &Items,
        expected: &BTreeMap<Name, Change>,
        oldest: Timestamp,
        shown_since: Timestamp,
    ) -> anyhow::Result<()> {
        let mut last: BTreeMap<Option<CustomerId>, (u64, usize)> = BTreeMap::new();
        let mut shown = BTreeMap::new();
        for (name, item) in named(items.clone())? {
            let (customer, sequence, index) = name.clone();
            let before = last.insert(customer, (sequence, index));
            ensure!(
                before.is_none_or(|before| before < (sequence, index)),
                "{name:?} comes behind {before:?}"
            );
            ensure!(
                self.told.get(&name).is_none_or(|(cursor, _)| *cursor == item.0),
                "{name:?} stands at {:?}, and was told at {:?}",
                item.0,
                self.told.get(&name)
            );
            shown.insert(name, item.1);
        }
        for (name, change) in expected.iter().filter(|(_, change)| change.at >= oldest) {
            let found = shown.remove(name);
            ensure!(
                found.as_ref() == Some(change),
                "it says {found:?} for {name:?}, and it is {change:?}"
            );
        }
        // Behind a clock that was set back, what is old by the later time may be there still, or not.
        shown.retain(|name, change| {
            let may_be = (shown_since..oldest).contains(&change.at);
            !may_be || expected.get(name) != Some(change)
        });
        ensure!(
            shown.is_empty(),
            "it says {} items beside what happened; the first is {:?}",
            shown.len(),
            shown.first_key_value()
        );
        Ok(())
    }

    /// From any item on, for everything, one customer or one kind: what comes behind it.
    fn resume(
        &self,
        engine: &Engine,
        tenant: &TenantId,
        items: &Items,
        shown_since: Timestamp,
        random: &mut SmallRng,
    ) -> anyhow::Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let (after, change) = &items[random.random_range(0..items.len())];
        let (customer, kind) = match random.random_range(0..3) {
            0 => (None, None),
            1 => (change.customer.clone(), None),
            _ => (None, Some(Kind::ALL[random.random_range(0..Kind::ALL.len())])),
        };
        let query = FeedQuery {
            after: Some(*after),
            limit: random.random_range(1..40),
            customer: customer.clone(),
            kind,
        };
        let Some((rest, _)) = read(engine, tenant, query)? else {
            return self.expects_refusal(after, shown_since);
        };
        let wanted = items.iter().filter(|(cursor, change)| {
            cursor > after
                && customer
                    .as_ref()
                    .is_none_or(|customer| change.customer.as_ref() == Some(customer))
                && kind.is_none_or(|kind| change.what.kind() == kind)
        });
        ensure!(
            rest.iter().eq(wanted),
            "behind {after:?} for {customer:?} and {kind:?} it says {rest:?}"
        );
        Ok(())
    }

    /// Places are in the order of commits, and times need not be: lanes decide side by side, and clocks are set back. So what
    /// comes right behind an item that is kept may itself be too old to be told, and then whoever reads on must hear of it.
    fn expects_refusal(&self, after: &FeedCursor, shown_since: Timestamp) -> anyhow::Result<()> {
        let behind = self.told.values().filter(|(cursor, _)| cursor > after);
        let next = behind.min_by_key(|(cursor, _)| *cursor);
        ensure!(
            next.is_some_and(|(_, change)| change.at < shown_since) || !self.missed.is_empty(),
            "behind {after:?} it is refused, and what comes next is kept since {shown_since}: {next:?}"
        );
        Ok(())
    }
}

/// All news of a tenant.
fn expected(histories: &[History], control: &[ControlRecord]) -> BTreeMap<Name, Change> {
    let mut expected = BTreeMap::new();
    for history in histories {
        let mut before = Before::default();
        for record in &history.records {
            for (index, change) in before.news(record).into_iter().enumerate() {
                expected.insert((change.customer.clone(), change.sequence, index), change);
            }
        }
    }
    for change in control.iter().filter_map(control_news) {
        expected.insert((None, change.sequence, 0), change);
    }
    expected
}

/// Reads page by page to the end, and tells from where to read on. None: refused, because something there is gone.
fn read(
    engine: &Engine,
    tenant: &TenantId,
    mut query: FeedQuery,
) -> anyhow::Result<Option<(Items, FeedCursor)>> {
    let mut items = Items::new();
    loop {
        let page = match engine.changes(tenant, &query) {
            Ok(page) => page,
            Err(FeedError::Expired) if items.is_empty() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        ensure!(
            page.changes.len() <= query.limit,
            "{tenant}: a page of more than {} items",
            query.limit
        );
        ensure!(
            query.after.is_none_or(|after| page.next >= after),
            "{tenant}: behind {:?} comes {:?}",
            query.after,
            page.next
        );
        items.extend(page.changes);
        query.after = Some(page.next);
        if !page.more {
            return Ok(Some((items, page.next)));
        }
    }
}

/// Items with their names. Those of a record stand together, at one place, counted from 0; places only grow.
fn named(items: Items) -> anyhow::Result<Vec<(Name, (FeedCursor, Change))>> {
    let mut named: Vec<(Name, (FeedCursor, Change))> = Vec::with_capacity(items.len());
    for (cursor, change) in items {
        let index = usize::from(cursor.index);
        let before = named.last();
        let follows = before.is_none_or(|((customer, sequence, last), (place, _))| {
            let same = (customer, *sequence) == (&change.customer, change.sequence);
            match same {
                true => place.position == cursor.position && last + 1 == index,
                false => place.position < cursor.position && index == 0,
            }
        });
        ensure!(
            follows && (before.is_some() || index == 0),
            "{change:?} at {cursor:?} does not follow on {before:?}"
        );
        named.push((
            (change.customer.clone(), change.sequence, index),
            (cursor, change),
        ));
    }
    Ok(named)
}
