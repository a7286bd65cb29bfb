//! Between the contract and a plan: columns in, an event at a time, lists out.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::exports::farebox::plan::pricing as wit;
use crate::plan::SubjectChange;
use crate::span;
use crate::usage::Usage;
use crate::{Change, Memory, Order, Outcome, Plan, Rejection, Subject, Transition, Vocabulary, json};

/// A plan as a component exports it; see [`export!`](crate::export).
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

impl<P: Plan> wit::Guest for Exported<P> {
    fn describe() -> wit::Description {
        describe::<P>()
    }

    fn prepare(parameters: String) -> Result<Vec<u8>, Vec<wit::ParameterError>> {
        let wrong = |errors: Vec<crate::ParameterError>| -> Vec<wit::ParameterError> {
            let wit_error = |error: crate::ParameterError| wit::ParameterError {
                pointer: error.pointer,
                message: error.message,
            };
            errors.into_iter().map(wit_error).collect()
        };
        let parameters = json::parse(&parameters).map_err(|error| wrong(vec![error]))?;
        let prepared = P::prepare(parameters).map_err(wrong)?;
        postcard::to_allocvec(&prepared).map_err(|error| {
            wrong(vec![
                crate::Pointer::root().error(format!("cannot be encoded: {error}")),
            ])
        })
    }

    fn evaluate(batch: wit::Batch) -> wit::Outcomes {
        let vocabulary = P::describe().vocabulary;
        let mut session = Session::<P>::new(&batch, vocabulary.charges.len());
        for row in 0..batch.triggers.len() {
            session.usage(&vocabulary, row);
        }
        session.finish()
    }

    fn transition(batch: wit::Batch, time: i64, change: wit::Change) -> wit::Outcomes {
        let vocabulary = P::describe().vocabulary;
        let mut session = Session::<P>::new(&batch, vocabulary.charges.len());
        let transition = Transition {
            change: Change::from_wit(change, &vocabulary),
            time: crate::Instant::from_micros(time),
            batch: &batch,
            context: &batch.contexts[0],
        };
        let subject = (!batch.subjects.is_empty()).then_some(0);
        session.answer(0, 0, subject, time, |prepared, memory, outcome| {
            P::transition(prepared, &transition, memory, outcome)
        });
        session.finish()
    }

    fn explain(batch: wit::Batch) -> Result<Vec<wit::Step>, wit::Rejection> {
        let vocabulary = P::describe().vocabulary;
        let mut session = Session::<P>::new(&batch, vocabulary.charges.len());
        session.outcome.steps = Some(Vec::new());
        session.usage(&vocabulary, 0);
        let steps = session.outcome.steps.take().unwrap_or_default();
        match session.finish().results.pop() {
            Some(Err(rejection)) => Err(rejection),
            _ => Ok(steps),
        }
    }

    fn migrate(from: u32, state: Vec<u8>) -> Result<Vec<u8>, String> {
        let encoded = match state.split_first() {
            None => return Ok(state),
            Some((&SUBSCRIPTION, state)) => encode(SUBSCRIPTION, &P::migrate_state(from, state)?, Vec::new()),
            Some((&(SUBJECT | SUBJECT_OF), _)) => match own_subject(&state, tag::<P>()) {
                Some(own) => encode_subject(&P::migrate_subject(from, own)?, tag::<P>(), Vec::new()),
                None => return Ok(state),
            },
            Some(_) => return Err("the state was not made by this kind of plan".to_string()),
        };
        encoded.map_err(|error| format!("the new state cannot be encoded: {error}"))
    }
}

fn describe<P: Plan>() -> wit::Description {
    let description = P::describe();
    let Vocabulary {
        assets,
        events,
        measures,
        attributes,
        charges,
    } = description.vocabulary;
    let asset = |described: &crate::AssetLabel| wit::AssetDescription {
        name: described.asset.name().to_string(),
        label: described.label.to_string(),
    };
    let charge = |described: &crate::ChargeLabel| wit::ChargeDescription {
        code: described.code.name().to_string(),
        label: described.label.to_string(),
        unit: described.unit.to_string(),
    };
    wit::Description {
        name: description.name.to_string(),
        version: description.version.to_string(),
        summary: description.summary.to_string(),
        assets: assets.iter().map(asset).collect(),
        event_types: events.iter().map(|event| event.name().to_string()).collect(),
        measures: measures
            .iter()
            .map(|measure| measure.name().to_string())
            .collect(),
        attributes: attributes
            .iter()
            .map(|attribute| attribute.name().to_string())
            .collect(),
        charges: charges.iter().map(charge).collect(),
        parameters_schema: P::PARAMETERS_SCHEMA.to_string(),
        subject_attribute: description.subject.map(|attribute| attribute.name().to_string()),
        state_version: description.state_version,
        order: match description.order {
            Order::Independent => wit::Order::Independent,
            Order::Cumulative => wit::Order::Cumulative,
            Order::Sequential => wit::Order::Sequential,
        },
        wants_cost: description.wants_cost,
        wants_balances: description.wants_balances,
    }
}

/// The first byte of every state says whose it is: `migrate` is called with nothing but bytes. And no state is ever
/// empty, which on the way in means "new" and on the way out "forget".
const SUBSCRIPTION: u8 = 1;
/// A subject's from before it said whose it is.
const SUBJECT: u8 = 2;
/// A subject's, with the [`tag`] of the plan behind it: subjects outlive a change of plan, and what one plan remembers of a
/// conversation means nothing to another.
const SUBJECT_OF: u8 = 3;

/// What tells the states of plans apart: FNV-1a of the plan's own name.
type Tag = [u8; 4];

fn tag<P: Plan>() -> Tag {
    let name = P::describe().name;
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash.to_le_bytes()
}

/// A subject's state without what stands before it; none where another plan made it.
fn own_subject(state: &[u8], tag: Tag) -> Option<&[u8]> {
    match state.split_first() {
        Some((&SUBJECT, own)) => Some(own),
        Some((&SUBJECT_OF, tagged)) => tagged.strip_prefix(&tag),
        _ => None,
    }
}

fn encode_subject<S: Serialize>(state: &S, tag: Tag, mut bytes: Vec<u8>) -> postcard::Result<Vec<u8>> {
    bytes.push(SUBJECT_OF);
    bytes.extend_from_slice(&tag);
    postcard::to_extend(state, bytes)
}

fn encode<S: Serialize>(kind: u8, state: &S, mut bytes: Vec<u8>) -> postcard::Result<Vec<u8>> {
    bytes.push(kind);
    postcard::to_extend(state, bytes)
}

/// What goes wrong here is a defect of the host (bytes that this component never made) or of a type that postcard
/// cannot carry. Neither is a rejection; both trap, and the host keeps the event.
#[cold]
#[expect(clippy::needless_pass_by_value, reason = "what `unwrap_or_else` hands over")]
#[expect(clippy::panic, reason = "a trap is how a plan reports a defect")]
fn defect(what: &str, error: postcard::Error) -> ! {
    panic!("{what}: {error}")
}

fn decode<S: DeserializeOwned>(what: &str, bytes: &[u8]) -> S {
    postcard::from_bytes(bytes).unwrap_or_else(|error| defect(what, error))
}

/// The latest bytes of a state: as they came, or as an earlier trigger of the batch left them.
#[derive(Clone, Copy)]
enum Latest {
    Given(wit::Span),
    Written(wit::Span),
}

/// One batch on its way through a plan.
struct Session<'b, P: Plan> {
    batch: &'b wit::Batch,
    /// Decoded parameters, by span: contexts with the same parameters share one.
    prepared: Vec<(wit::Span, P::Prepared)>,
    /// Per context and per subject; empty for plans that remember nothing there.
    states: Vec<Latest>,
    subjects: Vec<Latest>,
    /// The plan's own, where there are subjects.
    tag: Tag,
    outcome: Outcome,
    results: Vec<Result<wit::Priced, wit::Rejection>>,
    bytes: Vec<u8>,
    changes: Vec<wit::SubjectChange>,
}

impl<'b, P: Plan> Session<'b, P> {
    fn new(batch: &'b wit::Batch, charge_codes: usize) -> Session<'b, P> {
        let events = batch.triggers.len().max(1);
        let remembers = size_of::<P::State>() > 0;
        let states = batch
            .contexts
            .iter()
            .filter(|_| remembers)
            .map(|context| Latest::Given(context.state));
        Session {
            batch,
            prepared: Vec::with_capacity(1),
            states: states.collect(),
            subjects: batch
                .subjects
                .iter()
                .map(|subject| Latest::Given(subject.state))
                .collect(),
            tag: match batch.subjects.is_empty() {
                true => Tag::default(),
                false => tag::<P>(),
            },
            results: Vec::with_capacity(events),
            bytes: Vec::new(),
            changes: Vec::new(),
            // Last, so that its list of charges can grow in place: it is sized for a usual batch, not for the worst.
            outcome: Outcome::with_capacity(events * charge_codes.min(4)),
        }
    }

    /// Prices the trigger in a row of the batch.
    fn usage(&mut self, vocabulary: &Vocabulary, row: usize) {
        let batch = self.batch;
        let trigger = &batch.triggers[row];
        let context = trigger.context as usize;
        let usage = Usage {
            vocabulary,
            batch,
            context: &batch.contexts[context],
            trigger,
            row,
        };
        let subject = trigger.subject.map(|subject| subject as usize);
        self.answer(
            span::index(row),
            context,
            subject,
            trigger.time,
            |prepared, memory, outcome| match trigger.purpose {
                wit::Purpose::Usage => P::evaluate(prepared, &usage, memory, outcome),
                wit::Purpose::WorstCase => P::worst_case(prepared, &usage, memory, outcome),
            },
        );
    }

    /// Asks the plan, with the memory that the triggers before left, and takes down its answer.
    fn answer(
        &mut self,
        trigger: u32,
        context: usize,
        subject: Option<usize>,
        time: i64,
        ask: impl FnOnce(&P::Prepared, &mut Memory<P>, &mut Outcome) -> Result<(), Rejection>,
    ) {
        let prepared = self.prepare(self.batch.contexts[context].prepared);
        let mut memory = Memory {
            state: self.state(context),
            subject: self.subject(subject),
        };
        let mark = self.outcome.begin(trigger);
        let answer = ask(&self.prepared[prepared].1, &mut memory, &mut self.outcome);
        let result = match answer {
            Err(rejection) => {
                self.outcome.back_to(&mark);
                Err(rejection.into())
            }
            Ok(()) => {
                if let Some(subject) = subject {
                    self.keep_subject(trigger, subject, &memory.subject, time);
                }
                let state = self.keep_state(context, &memory.state);
                Ok(wit::Priced {
                    charges_end: span::index(self.outcome.charges.len()),
                    state,
                })
            }
        };
        self.results.push(result);
    }

    /// Which of the decoded parameters has that span.
    fn prepare(&mut self, span: wit::Span) -> usize {
        let same = |known: &wit::Span| (known.start, known.end) == (span.start, span.end);
        if let Some(index) = self.prepared.iter().position(|(known, _)| same(known)) {
            return index;
        }
        self.prepared.push((
            span,
            decode("prepared parameters", span::bytes(&self.batch.bytes, span)),
        ));
        self.prepared.len() - 1
    }

    fn latest(&self, latest: Latest) -> &[u8] {
        match latest {
            Latest::Given(span) => span::bytes(&self.batch.bytes, span),
            Latest::Written(span) => span::bytes(&self.bytes, span),
        }
    }

    fn state(&self, context: usize) -> P::State {
        match self.states.get(context).map(|latest| self.latest(*latest)) {
            None | Some([]) => P::State::default(),
            Some(bytes) => decode("state", &bytes[1..]),
        }
    }

    fn subject(&self, subject: Option<usize>) -> Subject<P::Subject> {
        let Some(index) = subject else {
            return Subject::none();
        };
        let name = span::text(&self.batch.text, self.batch.subjects[index].name).to_string();
        let own = own_subject(self.latest(self.subjects[index]), self.tag);
        Subject::new(name, own.map(|own| decode("subject", own)))
    }

    /// Appends a state; where it lies.
    fn write<S: Serialize>(&mut self, kind: u8, state: &S) -> wit::Span {
        let start = self.bytes.len();
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = encode(kind, state, bytes).unwrap_or_else(|error| defect("state", error));
        span::between(start, self.bytes.len())
    }

    fn write_subject(&mut self, state: &P::Subject) -> wit::Span {
        let start = self.bytes.len();
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = encode_subject(state, self.tag, bytes).unwrap_or_else(|error| defect("subject", error));
        span::between(start, self.bytes.len())
    }

    /// Writes the subscription's state if it changed. A new subscription has the default state before it has bytes.
    fn keep_state(&mut self, context: usize, state: &P::State) -> Option<wit::Span> {
        let before = *self.states.get(context)?;
        let span = self.write(SUBSCRIPTION, state);
        let unchanged = match self.latest(before) {
            [] => {
                let start = encode(SUBSCRIPTION, &P::State::default(), Vec::new());
                start.is_ok_and(|start| start == self.bytes[span.start as usize..])
            }
            before => before == &self.bytes[span.start as usize..],
        };
        if unchanged {
            self.bytes.truncate(span.start as usize);
            return None;
        }
        self.states[context] = Latest::Written(span);
        Some(span)
    }

    fn keep_subject(&mut self, trigger: u32, index: usize, subject: &Subject<P::Subject>, time: i64) {
        let (state, expires) = match (&subject.change, subject.get()) {
            (SubjectChange::Keep(until), Some(state)) => (self.write_subject(state), until.micros()),
            (SubjectChange::Forget, _) => (wit::Span { start: 0, end: 0 }, time),
            _ => return,
        };
        self.subjects[index] = Latest::Written(state);
        self.changes.push(wit::SubjectChange {
            trigger,
            state,
            expires,
        });
    }

    fn finish(self) -> wit::Outcomes {
        wit::Outcomes {
            results: self.results,
            charges: self.outcome.charges,
            bytes: self.bytes,
            give_backs: self.outcome.give_backs,
            grants: self.outcome.grants,
            timers: self.outcome.timers,
            subjects: self.changes,
        }
    }
}
