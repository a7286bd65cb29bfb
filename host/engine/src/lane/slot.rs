//! A wallet in a lane: its commands, what is known, and what is in flight.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use farebox_ledger::{Wallet, standing_of};
use farebox_record::command::Due;
use farebox_record::correction::{Original, StandingStatus};
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::Effect;
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_record::state::{SliceSource, SubjectState};
use farebox_record::time::Timestamp;
use farebox_runtime::Verdict;
use farebox_store::{Commit, FastMap, IdHash, Keep, NewRecord, Origin, WalletKey};

use crate::committer::{Flight, Landed};
use crate::lane::Sought;
use crate::lane::folded::WorstCase;
use crate::lane::folds::Folds;
use crate::lane::job::{Job, Task, id_hashes_with};
use crate::lane::pricing::Asking;
use crate::limits::{EVENTS_AHEAD_MAX, SUBJECTS_PER_LOAD_MAX, UNPRICED_RATED_MAX};
use crate::refold::Refolded;
use crate::request::Reply;

/// Subjects whose state one wallet keeps in memory while it rests, besides one for each of its holds: a quote needs those.
const SUBJECTS_KEPT_MAX: usize = 1_024;
/// Closed terms that one wallet keeps in memory while it rests.
const TERMS_KEPT_MAX: usize = 64;

/// See the module.
#[derive(Default)]
pub(crate) struct Slot {
    /// None while a loader fetches it.
    pub wallet: Option<Wallet>,
    /// Commands, in order.
    pub queue: VecDeque<Job>,
    /// Something may be due even though no command came, or is, and waits for its next turn.
    pub touched: bool,
    /// When it was last used, in drains.
    pub used: u64,
    /// Items of the agenda that were handled since somebody last asked to catch up, those of lost flights left out.
    pub caught_up: u64,
    /// An overdue item whose record is larger than the store takes, with what its plan answered.
    pub oversized: Option<Due>,
    /// One whose record is so without that too. It waits for as long as the wallet stays in memory.
    pub stuck: Option<Due>,
    /// What the next flight carries.
    draft: Draft,
    /// Version that the newest shipped record leaves behind.
    shipped: u64,
    /// How often the wallet was loaded again after a loss.
    epoch: u64,
    /// Flights that have not come back.
    in_flight: usize,
    /// Records that are not durable yet, by id.
    flying: FastMap<IdHash, Arc<Record>>,
    /// Answers of loaders about ids, until they are used.
    known: FastMap<IdHash, Option<Arc<Record>>>,
    /// The id or subject that the head of the queue waits for.
    waiting: bool,
    /// States of subjects, as of the newest record.
    subjects: FastMap<(SubscriptionId, String), SubjectState>,
    /// What its open holds leave behind where each turns out at its worst.
    folds: Folds,
    /// Closed terms of subscriptions, as of the newest record; none for those that are forgotten.
    terms: FastMap<(SubscriptionId, u32), Option<TermState>>,
    /// The event that the head of the queue corrects, as a loader found it, with those that it gave back of.
    original: Option<(EventRef, Option<Box<Original>>, Vec<Original>)>,
    /// Events that the plan's answer about the head of the queue gives back of; a loader must bring them first.
    wanted: Vec<EventRef>,
    /// Events that will be wanted next, each with when a timer was set for it.
    ahead: Vec<(EventRef, Timestamp)>,
    /// What a loader found of such events.
    named: Option<(Vec<EventRef>, Vec<Original>)>,
    /// Corrections that wait, out of the queue, until the events behind theirs are folded again.
    aside: Vec<(EventRef, Job)>,
    /// What the head of the queue looks for and cannot have: it is archived.
    archived: Option<Sought>,
    /// The head of the queue waits until all flights are back.
    landing: bool,
    /// Commands of lost flights, in order, until all flights are back.
    lost: Vec<Job>,
    losing: bool,
    /// Events that no record charges yet, and that others which wait for a price give back of.
    awaited: HashSet<EventRef>,
    /// One of them came: those that wait for it can be rated when it is durable.
    arrived: bool,
    /// A loader is asked for events that wait for a price, or is to be asked when the wallet is here.
    rating: bool,
    rate_later: bool,
}

#[derive(Default)]
struct Draft {
    records: Vec<NewRecord>,
    ids: Vec<IdHash>,
    answered: Vec<(Job, Option<Reply>)>,
    control: Option<u64>,
}

/// What is known of an id.
pub(crate) enum Known {
    /// No record answers for it.
    Absent,
    /// This one does.
    Present(Arc<Record>),
    /// One does that is archived, and not at hand.
    Archived,
    /// A loader must look.
    Unknown,
}

/// What a loader is to look for.
pub(crate) struct Wanted {
    pub events: Vec<EventRef>,
    pub ahead: Vec<(EventRef, Timestamp)>,
    pub behind: Vec<Arc<Record>>,
}

/// What comes of asking for a quote behind open holds.
pub(crate) enum Quote {
    /// What the plan says.
    Of(Verdict),
    /// Nothing yet: a loader must bring the states of these subjects, and of more maybe.
    Needs(Vec<String>),
    /// Nothing: it takes more time than there is.
    Slow,
}

impl Slot {
    /// Whether it can be let go of.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.in_flight == 0
            && self.wallet.is_some()
            && !self.rating
            && self.lost.is_empty()
            && self.aside.is_empty()
    }

    /// Whether commands can be carried out.
    pub fn can_run(&self) -> bool {
        self.wallet.is_some() && !self.waiting && !self.landing
    }

    /// A command comes in.
    pub fn take_in(&mut self, job: Job) {
        if matches!(job.task, Task::CatchUp) {
            self.caught_up = 0;
        }
        self.queue.push_back(job);
    }

    pub fn loaded(&mut self, wallet: Wallet) {
        self.shipped = wallet.header().sequence;
        self.wallet = Some(wallet);
        for job in std::mem::take(&mut self.lost).into_iter().rev() {
            self.queue.push_front(job);
        }
        self.losing = false;
        self.touched = true;
    }

    pub fn found(&mut self, id: IdHash, record: Option<Arc<Record>>) {
        self.waiting = false;
        self.known.insert(id, record);
    }

    pub fn is_archived(&mut self, sought: Sought) {
        self.waiting = false;
        self.archived = Some(sought);
    }

    /// Whether a loader said that an event is archived. Told once: the next to ask has it looked for again.
    pub fn take_archived_original(&mut self, event: &EventRef) -> bool {
        let is_it = matches!(&self.archived, Some(Sought::Original(archived)) if archived == event);
        if is_it {
            self.archived = None;
        }
        is_it
    }

    pub fn subject_loaded(&mut self, subscription: SubscriptionId, subject: String, state: SubjectState) {
        self.waiting = false;
        self.subjects.entry((subscription, subject)).or_insert(state);
    }

    pub fn subject(&self, subscription: &SubscriptionId, subject: &str) -> Option<&SubjectState> {
        self.subjects.get(&(subscription.clone(), subject.to_string()))
    }

    /// What is to be held for a call; none while the wallet is not here.
    pub fn quote(&mut self, worst: &WorstCase<'_>, asking: &Asking<'_>) -> Option<Quote> {
        let wallet = self.wallet.as_ref()?;
        let subjects = &self.subjects;
        let state = |name: &str| subjects.get(&(worst.subscription.clone(), name.to_string()));
        let mut fold = self.folds.take(worst, wallet);
        let missing = fold.missing(worst, wallet, |name| state(name).is_some(), SUBJECTS_PER_LOAD_MAX);
        let quote = match missing.is_empty() {
            true => {
                let states = |name: &str| state(name).cloned().unwrap_or_default();
                let quote = fold.quote(worst, asking, wallet, &states);
                quote.map_or(Quote::Slow, Quote::Of)
            }
            false => Quote::Needs(missing),
        };
        self.folds.keep(fold);
        Some(quote)
    }

    pub fn term_loaded(&mut self, subscription: SubscriptionId, number: u32, term: Option<TermState>) {
        self.waiting = false;
        self.terms.entry((subscription, number)).or_insert(term);
    }

    /// A closed term; none where a loader has to be asked.
    pub fn term(&self, subscription: &SubscriptionId, number: u32) -> Option<Option<&TermState>> {
        let known = self.terms.get(&(subscription.clone(), number))?;
        Some(known.as_ref())
    }

    pub fn original_loaded(
        &mut self,
        event: EventRef,
        original: Option<Box<Original>>,
        named: Vec<Original>,
    ) {
        self.waiting = false;
        self.original = Some((event, original, named));
    }

    pub fn named_loaded(&mut self, events: Vec<EventRef>, named: Vec<Original>) {
        self.waiting = false;
        self.named = Some((events, named));
    }

    /// Whether a loader has looked for this event, that an answer gives back of. `corrects` is the event that is corrected.
    pub fn looked_for(&self, event: &EventRef, corrects: Option<&EventRef>) -> bool {
        let corrected = self.original.iter().filter(|(of, ..)| Some(of) == corrects);
        let mut with_it = corrected.flat_map(|(.., named)| named);
        with_it.any(|original| original.standing.event.reference() == *event)
            || self.named.iter().any(|(events, _)| events.contains(event))
    }

    /// An answer about the head of the queue gives back of these events: they must be here when it is asked for again.
    pub fn want(&mut self, events: Vec<EventRef>) {
        self.wanted = events;
    }

    /// So will the timers behind the one that is the head of the agenda: what they need is looked for along with it.
    pub fn look_ahead(&mut self, until: Timestamp) {
        let Some(wallet) = &self.wallet else { return };
        self.ahead = wallet.overdue_events(until, EVENTS_AHEAD_MAX);
    }

    /// What the head of the queue wants to have looked for, what will be wanted next, and the records that may not be in the
    /// store yet, the newest first.
    pub fn wanted(&mut self) -> Option<Wanted> {
        if self.wanted.is_empty() {
            return None;
        }
        let mut behind: Vec<Arc<Record>> = self.flying.values().cloned().collect();
        behind.sort_by_key(|record| std::cmp::Reverse(record.sequence));
        behind.dedup_by_key(|record| record.sequence);
        Some(Wanted {
            events: std::mem::take(&mut self.wanted),
            ahead: std::mem::take(&mut self.ahead),
            behind,
        })
    }

    /// Whether the head of the queue wants something looked for.
    pub fn wants(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// What a loader said of these events, for as long as nothing is decided that they are in.
    pub fn named(&self, events: &[EventRef]) -> Vec<Original> {
        let known = self.named.iter().flat_map(|(_, named)| named);
        let asked = known.filter(|original| events.contains(&original.standing.event.reference()));
        asked.cloned().collect()
    }

    /// What a loader found of an event; none where it has to be asked.
    pub fn original(&self, event: &EventRef) -> Option<Option<&Original>> {
        let (found, original, _) = self.original.as_ref()?;
        (found == event).then_some(original.as_deref())
    }

    /// The event that is being corrected, and those that it gave back of; known until the correction is decided.
    pub fn take_original(&mut self) -> (Option<Box<Original>>, Vec<Original>) {
        match self.original.take() {
            Some((_, original, named)) => (original, named),
            None => (None, Vec::new()),
        }
    }

    /// A correction waits out of the queue. What is known of its event will be asked for again.
    pub fn put_aside(&mut self, event: EventRef, job: Job) {
        self.original = None;
        self.aside.push((event, job));
    }

    /// The events behind a correction are folded: it is the head of the queue now, or is so already.
    pub fn refolded(&mut self, event: &EventRef, folded: Refolded) {
        if let Some(index) = self.aside.iter().position(|(waiting, _)| waiting == event) {
            let (_, mut job) = self.aside.remove(index);
            job.folded = Some(folded);
            self.queue.push_front(job);
            return;
        }
        self.waiting = false;
        if let Some(job) = self.queue.front_mut()
            && job.corrects().as_ref() == Some(event)
        {
            job.folded = Some(folded);
        }
    }

    /// The head of the queue waits until everything that was decided is durable. False: it is.
    pub fn wait_to_land(&mut self) -> bool {
        self.landing = self.in_flight > 0 || !self.draft.records.is_empty();
        self.landing
    }

    /// The head of the queue waits for a loader.
    pub fn wait(&mut self) {
        self.waiting = true;
    }

    /// What is known of an id: flying records first, then what a loader said, then the store's filter.
    pub fn lookup(&mut self, id: IdHash, may_have_seen: impl FnOnce(IdHash) -> bool) -> Known {
        if let Some(record) = self.flying.get(&id) {
            return Known::Present(Arc::clone(record));
        }
        if matches!(&self.archived, Some(Sought::Record(archived)) if *archived == id) {
            self.archived = None;
            return Known::Archived;
        }
        match self.known.remove(&id) {
            Some(Some(record)) => Known::Present(record),
            Some(None) => Known::Absent,
            None if may_have_seen(id) => Known::Unknown,
            None => Known::Absent,
        }
    }

    /// Keeps what a loader said for another look: the command that asked is not decided yet.
    pub fn keep_absent(&mut self, id: IdHash) {
        self.known.insert(id, None);
    }

    /// Whether a loader should be asked for events that wait for a price.
    pub fn wants_unpriced(&mut self) -> bool {
        let Some(wallet) = &self.wallet else {
            self.rate_later = true;
            return false;
        };
        let wants = wallet.header().unpriced > 0 && !self.rating;
        self.rating |= wants;
        wants
    }

    pub fn rate_when_loaded(&mut self) -> bool {
        std::mem::take(&mut self.rate_later)
    }

    /// No record charges this event, and what gives back of it waits for a price.
    pub fn awaits(&mut self, event: EventRef) {
        if self.awaited.len() < UNPRICED_RATED_MAX {
            self.awaited.insert(event);
        }
    }

    /// Whether an event came that others wait for. Told once.
    pub fn take_arrived(&mut self) -> bool {
        std::mem::take(&mut self.arrived)
    }

    /// The loader brought the events that wait.
    pub fn unpriced_arrived(&mut self) {
        self.rating = false;
    }

    /// Notes a record with its bytes, and the answer to whoever asked; `id` is that of the job. The record's ids begin to age
    /// with it; those of a sandbox are kept for good, and beside that begin to age at `sandbox`, the machine's time.
    pub fn decided(
        &mut self,
        job: Job,
        id: Option<IdHash>,
        (record, body): (Record, Vec<u8>),
        reply: Option<Reply>,
        control: Option<u64>,
        sandbox: Option<Timestamp>,
    ) {
        if !self.awaited.is_empty()
            && let Some(standing) = standing_of(&record)
            && standing.status == StandingStatus::Charged
        {
            self.arrived |= self.awaited.remove(&standing.event.reference());
        }
        // What was found of events may not be so behind it.
        self.original = None;
        if let Some((events, named)) = &mut self.named {
            let changed = |event: &EventRef, known: Option<&Original>| changes(&record, event, known);
            events.retain(|event| {
                let known = named
                    .iter()
                    .find(|original| original.standing.event.reference() == *event);
                !changed(event, known)
            });
            named.retain(|original| events.contains(&original.standing.event.reference()));
        }
        for effect in &record.outcome.effects {
            if let Effect::SubjectPut(subscription, subject, kept) = effect {
                self.subjects
                    .insert((subscription.clone(), subject.clone()), kept.clone());
            }
            if let Effect::TermPut(subscription, term) = effect {
                let key = (subscription.clone(), term.number);
                self.terms.insert(key, Some((**term).clone()));
            }
        }
        if let Some(wallet) = &self.wallet {
            self.folds.follow(&record, wallet.header().chain);
        }
        let ids = id_hashes_with(&record, id);
        let record = Arc::new(record);
        for id in &ids {
            self.flying.insert(*id, Arc::clone(&record));
        }
        self.draft.ids.extend_from_slice(&ids);
        let mut ids = ids;
        if sandbox.is_some() {
            let of_usage = ids.iter().filter(|id| id.keep() == Keep::Window);
            let for_good: Vec<IdHash> = of_usage.map(|id| id.for_good()).collect();
            ids.extend(for_good);
        }
        self.draft.records.push(NewRecord {
            body,
            at: sandbox.unwrap_or(record.at).as_micros(),
            ids,
            origin: Origin::of(record),
        });
        self.draft.answered.push((job, reply));
        self.draft.control = self.draft.control.max(control);
    }

    /// Bytes of the record that was noted last.
    pub fn newest_record_bytes(&self) -> usize {
        self.draft.records.last().map_or(0, |record| record.body.len())
    }

    /// Notes an answer that changes nothing, but shows what may not be durable yet.
    pub fn answered(&mut self, job: Job, reply: Option<Reply>) {
        self.draft.answered.push((job, reply));
    }

    /// What is ready to be made durable.
    pub fn take_off(&mut self, key: &WalletKey) -> Option<Flight> {
        let draft = std::mem::take(&mut self.draft);
        if draft.answered.is_empty() {
            return None;
        }
        let Draft {
            records,
            ids,
            answered,
            control,
        } = draft;
        if records.is_empty() && self.in_flight == 0 {
            // Everything that these answers show is durable already.
            for (job, reply) in answered {
                job.answer(reply);
            }
            return None;
        }
        let commit = match (&mut self.wallet, records.is_empty()) {
            (Some(wallet), false) => {
                let expected = self.shipped;
                self.shipped = wallet.header().sequence;
                let due = wallet.next_due().map(|(at, _)| at.as_micros());
                Some(Commit {
                    wallet: key.clone(),
                    expected,
                    control,
                    records,
                    parts: wallet.take_changes(),
                    due,
                })
            }
            _ => None,
        };
        self.in_flight += 1;
        Some(Flight {
            wallet: key.clone(),
            epoch: self.epoch,
            commit,
            ids,
            sent: false,
            answered,
        })
    }

    /// Takes a flight back. True: the wallet must be loaded again.
    pub fn landed(&mut self, flight: Landed) -> bool {
        self.in_flight -= 1;
        for id in &flight.ids {
            self.flying.remove(id);
        }
        if let Some(lost) = flight.lost {
            if !self.losing {
                self.losing = true;
                self.wallet = None;
                self.epoch = flight.epoch + 1;
                // Nothing is decided but not shipped: a lane ships before it takes messages in.
                debug_assert!(
                    self.draft.answered.is_empty(),
                    "a lane ships before it takes messages"
                );
            }
            let taken_in = lost.len();
            let repeated = self.lost.len();
            self.lost
                .extend(lost.into_iter().filter(Job::is_repeated_when_lost));
            let dues = taken_in - (self.lost.len() - repeated);
            self.caught_up = self.caught_up.saturating_sub(dues as u64);
        }
        if self.in_flight == 0 {
            self.landing = false;
            if self.subjects.len() > SUBJECTS_KEPT_MAX {
                let holds = self.wallet.as_ref().map_or(0, |wallet| wallet.holds().count());
                if self.subjects.len() > SUBJECTS_KEPT_MAX + holds {
                    self.subjects.clear();
                }
            }
            if self.terms.len() > TERMS_KEPT_MAX {
                self.terms.clear();
            }
        }
        self.begins_anew()
    }

    /// Goes back to what is shipped: what was decided since is the head of the queue again. True: the wallet must be loaded
    /// again.
    pub fn take_back(&mut self) -> bool {
        let draft = std::mem::take(&mut self.draft);
        for (job, _) in draft.answered.into_iter().rev() {
            match job.is_repeated_when_lost() {
                true => self.queue.push_front(job),
                false => self.caught_up = self.caught_up.saturating_sub(1),
            }
        }
        self.wallet = None;
        self.losing = true;
        // Flights that are under way are of the old epoch: one that is lost takes none of the new one along.
        self.epoch += 1;
        self.begins_anew()
    }

    /// Whether nothing of an older epoch is under way any more, and the wallet can be loaded again. Forgets what was known.
    fn begins_anew(&mut self) -> bool {
        let reload = self.losing && self.in_flight == 0;
        if reload {
            self.flying.clear();
            self.known.clear();
            self.subjects.clear();
            self.folds.clear();
            self.terms.clear();
            self.original = None;
            self.wanted.clear();
            self.named = None;
            self.waiting = false;
        }
        reload
    }
}

/// Whether a record may change what is known of an event.
fn changes(record: &Record, event: &EventRef, known: Option<&Original>) -> bool {
    let charged = || standing_of(record).is_some_and(|standing| standing.event.reference() == *event);
    // A grant is looked for only where the wallet no longer has it.
    let needs = |grant: &GrantId| {
        known.is_some_and(|original| {
            let mut slices = original.standing.slices.iter();
            !original.ended.contains_key(grant)
                && slices.any(|slice| slice.from == SliceSource::Grant(grant.clone()))
        })
    };
    let mut effects = record.outcome.effects.iter();
    effects.any(|effect| match effect {
        Effect::StandingPut(of, _) | Effect::GiveBacksPut(of, _) => of == event,
        Effect::GrantEnded(grant) => needs(grant),
        _ => false,
    }) || charged()
}
