//! One pass: from records to changed rows.

use std::collections::BTreeMap;

use farebox_record::Record;
use farebox_record::codec::{self, CodecError};
use farebox_record::control::{ControlEffect, ControlRecord, TenantKind};
use farebox_record::event::Attributes;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::plan::EventRef;
use farebox_record::time::Timestamp;
use farebox_store::{FastMap, Position, ProjectionChange, Projections, StoreError, StoredRecord};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::books::{Accounts, booked};
use super::change::{Change, FeedCursor};
use super::changes_of::{changes_of, control_changes_of};
use super::gathered::Gathered;
use super::known::Known;
use super::rows::{self, Every, UsageRow};
use super::usage::{Counted, Keeps, Sign, continued, revisions_of, usage_of};
use crate::clock::Clock;
use crate::limits::USAGE_COMBINATIONS_MAX;

/// What it is now for a tenant, as far as records have been taken in: where its sandbox stands, or what `clock` says.
pub(crate) fn now(
    store: &dyn Projections,
    clock: &dyn Clock,
    tenant: &TenantId,
) -> Result<Timestamp, StoreError> {
    let stands = read(store, &rows::clock(tenant))?;
    Ok(stands.unwrap_or_else(|| clock.now(tenant)))
}

/// Rows as they will be when the pass is written. What is not here is as the store has it. In no order: the store puts them in
/// theirs.
pub(crate) struct Pass<'s> {
    store: &'s dyn Projections,
    clock: &'s dyn Clock,
    /// Where clocks of sandboxes stand that are moved.
    clocks: BTreeMap<TenantId, Timestamp>,
    /// What it is now for tenants that were asked about.
    asked: BTreeMap<TenantId, Timestamp>,
    /// What is added to rows.
    gathered: Gathered,
    /// Written as they are: items of feeds.
    items: Vec<ProjectionChange>,
    notes: FastMap<Vec<u8>, Option<Counted>>,
    known: Known,
    books: FastMap<Vec<u8>, Accounts>,
    /// Attributes that revisions follow, and whether they are to be written.
    subjects: FastMap<Vec<u8>, (String, bool)>,
    /// How many combinations each bucket has, where one was added.
    combinations: FastMap<Vec<u8>, usize>,
    newest: Option<Timestamp>,
}

impl<'s> Pass<'s> {
    /// `known` is what the pass before left.
    pub(crate) fn new(store: &'s dyn Projections, clock: &'s dyn Clock, known: Known) -> Pass<'s> {
        Pass {
            store,
            clock,
            clocks: BTreeMap::new(),
            asked: BTreeMap::new(),
            gathered: Gathered::default(),
            items: Vec::new(),
            notes: FastMap::default(),
            known,
            books: FastMap::default(),
            subjects: FastMap::default(),
            combinations: FastMap::default(),
            newest: None,
        }
    }

    /// Takes a record in. Each comes once, in commit order.
    pub(crate) fn take(&mut self, position: Position, stored: &StoredRecord) -> Result<(), StoreError> {
        if stored.wallet.is_control() {
            let record: ControlRecord = decode(&stored.body)?;
            self.newest = self.newest.max(Some(record.at));
            self.clocks
                .extend(clock_of(&record).map(|now| (record.tenant.clone(), now)));
            self.feed(&record.tenant, position, control_changes_of(&record));
            return Ok(());
        }
        let decoded;
        let record = match stored.origin.get::<Record>() {
            Some(record) => record,
            None => {
                decoded = Record::decode(&stored.body).map_err(|error| unreadable(&error))?;
                &decoded
            }
        };
        debug_assert_eq!(
            Record::decode(&stored.body).as_ref(),
            Ok(record),
            "a record is what its body says"
        );
        self.newest = self.newest.max(Some(record.at));
        self.feed(&record.tenant, position, changes_of(record));
        self.book(record)?;
        self.count(record)
    }

    /// When the newest of its records was made.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// What the pass changes, and what the next one can know once that is written.
    ///
    /// # Errors
    /// What the store cannot read.
    pub(crate) fn finish(mut self) -> Result<(Vec<ProjectionChange>, Known), StoreError> {
        self.add_gathered()?;
        let mut changes = self.items;
        let clocks = self.clocks.iter();
        changes.extend(clocks.map(|(tenant, now)| (rows::clock(tenant), Some(encode(now)))));
        let notes = self.notes.into_iter();
        changes.extend(notes.map(|(key, note)| (key, note.map(|counted| codec::encode(&counted)))));
        let subjects = self.subjects.into_iter().filter(|(_, (_, is_new))| *is_new);
        changes.extend(subjects.map(|(key, (name, _))| (key, Some(encode(&name)))));
        let books = self.books.into_iter();
        changes.extend(books.map(|(key, moved)| (key, Some(encode(&moved)))));
        changes.extend(self.known.changes());
        Ok((changes, self.known.bounded()))
    }

    fn feed(&mut self, tenant: &TenantId, position: Position, changes: Vec<Change>) {
        for (index, change) in (0..u16::MAX).zip(changes) {
            let key = rows::item(tenant, FeedCursor { position, index });
            self.items.push((key, Some(encode(&change))));
        }
    }

    /// Adds what a record posted to the books of its day.
    fn book(&mut self, record: &Record) -> Result<(), StoreError> {
        let day = self.known.days.next(Some(self.store), record)?;
        for (asset, moved) in booked(record) {
            let key = rows::booked(&record.tenant, day, &asset);
            if !self.books.contains_key(&key) {
                let known = read(self.store, &key)?.unwrap_or_default();
                self.books.insert(key.clone(), known);
            }
            *self.books.entry(key).or_default() += &moved;
        }
        Ok(())
    }

    fn count(&mut self, record: &Record) -> Result<(), StoreError> {
        let (tenant, customer) = (&record.tenant, &record.customer);
        let before = match continued(record) {
            Some(event) => self.note(tenant, customer, &event)?,
            None => None,
        };
        let keeps = self.keeps(record)?;
        let usage = usage_of(record, before, &keeps);
        for (event, note) in usage.notes {
            // Most calls are settled at once: nothing was noted of them, and nothing has to go.
            if note.is_some() || self.note(tenant, customer, &event)?.is_some() {
                self.notes.insert(rows::note(tenant, customer, &event), note);
            }
        }
        if let Some(taken) = &usage.taken {
            self.take_out(tenant, customer, taken)?;
        }
        if let Some(added) = usage.added {
            self.gathered.add(tenant, customer, added);
        }
        for (before, now) in usage.others {
            self.take_out(tenant, customer, &before)?;
            self.gathered.add(tenant, customer, now);
        }
        Ok(())
    }

    /// Takes out what an event counted for. What is nothing then depends on what was added before.
    fn take_out(
        &mut self,
        tenant: &TenantId,
        customer: &CustomerId,
        counted: &Counted,
    ) -> Result<(), StoreError> {
        self.add_gathered()?;
        self.change(tenant, customer, Sign::Minus, counted)
    }

    fn add_gathered(&mut self) -> Result<(), StoreError> {
        for (tenant, customer, counted) in self.gathered.take() {
            self.change(&tenant, &customer, Sign::Plus, &counted)?;
        }
        Ok(())
    }

    fn now(&mut self, tenant: &TenantId) -> Result<Timestamp, StoreError> {
        if let Some(now) = self.clocks.get(tenant).or_else(|| self.asked.get(tenant)) {
            return Ok(*now);
        }
        let now = now(self.store, self.clock, tenant)?;
        self.asked.insert(tenant.clone(), now);
        Ok(now)
    }

    fn note(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        event: &EventRef,
    ) -> Result<Option<Counted>, StoreError> {
        let key = rows::note(tenant, customer, event);
        match self.notes.get(&key) {
            Some(note) => Ok(note.clone()),
            None => read(self.store, &key),
        }
    }

    /// The attributes that the revisions behind a record follow. Each revision is noted when it first prices something: a refund
    /// long after knows by that which attribute told no rows apart.
    fn keeps(&mut self, record: &Record) -> Result<Keeps, StoreError> {
        let mut subjects = BTreeMap::new();
        if let Some(pricing) = &record.seen.pricing
            && let Some(name) = &pricing.subject_attribute
        {
            let key = rows::subject(&record.tenant, &pricing.revision);
            if !self.subjects.contains_key(&key) {
                let is_new = self.store.projection(&key)?.is_none();
                self.subjects.insert(key, (name.clone(), is_new));
            }
            subjects.insert(pricing.revision, name.clone());
        }
        for revision in revisions_of(record) {
            let key = rows::subject(&record.tenant, &revision);
            let known = match self.subjects.get(&key) {
                Some((name, _)) => Some(name.clone()),
                None => read(self.store, &key)?,
            };
            if let Some(name) = known {
                subjects.insert(revision, name);
            }
        }
        Ok(Keeps::Rows(subjects))
    }

    /// Changes the sums of the minute, the hour and the day of an event, where they are kept.
    fn change(
        &mut self,
        tenant: &TenantId,
        customer: &CustomerId,
        sign: Sign,
        counted: &Counted,
    ) -> Result<(), StoreError> {
        let now = self.now(tenant)?;
        let combination = counted.attributes.as_ref().map(rows::combination);
        for every in Every::ALL {
            let time = every.floor(counted.time);
            if every.oldest_kept(now).is_some_and(|oldest| time < oldest) {
                continue;
            }
            let bucket = rows::bucket(every, tenant, customer, time);
            let row = self.row(&bucket, combination, counted.attributes.as_ref())?;
            row.totals.change(sign, &counted.totals);
        }
        Ok(())
    }

    /// The row that an event counts in. A bucket that has told enough combinations apart tells no further ones apart, so an
    /// event that is taken out of it again is found where it was put in.
    fn row(
        &mut self,
        bucket: &[u8],
        combination: Option<rows::Combination>,
        attributes: Option<&Attributes>,
    ) -> Result<&mut UsageRow, StoreError> {
        if let Some(combination) = combination {
            let key = rows::own(bucket, &combination);
            if self.known.has(self.store, &key)? || self.has_room(bucket)? {
                let fresh = || UsageRow {
                    attributes: attributes.cloned(),
                    ..UsageRow::default()
                };
                return Ok(self.known.row(key, fresh));
            }
        }
        let key = rows::other(bucket);
        self.known.has(self.store, &key)?;
        Ok(self.known.row(key, UsageRow::default))
    }

    /// Whether a combination that is new to a bucket may have a row of its own from now on.
    fn has_room(&mut self, bucket: &[u8]) -> Result<bool, StoreError> {
        let known = match self.combinations.get(bucket) {
            Some(known) => *known,
            None => {
                let other = rows::other(bucket);
                let rows = self.store.projections(bucket, None, USAGE_COMBINATIONS_MAX + 1)?;
                rows.iter().filter(|(key, _)| *key != other).count()
            }
        };
        let free = known < USAGE_COMBINATIONS_MAX;
        self.combinations
            .insert(bucket.to_vec(), known + usize::from(free));
        Ok(free)
    }
}

/// Where a sandbox's clock stands, if a record says so.
fn clock_of(record: &ControlRecord) -> Option<Timestamp> {
    record.effects.iter().find_map(|effect| match effect {
        ControlEffect::TenantPut(tenant) => match tenant.kind {
            TenantKind::Sandbox { now } => Some(now),
            TenantKind::Live => None,
        },
        _ => None,
    })
}

/// The value of a key.
pub(crate) fn read<T: DeserializeOwned>(
    store: &dyn Projections,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    store.projection(key)?.map(|bytes| decode(&bytes)).transpose()
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode(value)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    codec::decode(bytes).map_err(|error| unreadable(&error))
}

fn unreadable(error: &CodecError) -> StoreError {
    StoreError::State {
        what: format!("what is made of the records, or one of them: {error}"),
    }
}
