//! A batch as it crosses into a plan: a few long lists instead of many short ones.

use std::borrow::Cow;

use crate::bindings::{self, Span};

/// The lists of a batch. Names of subjects are kept apart until the batch is lowered, because the contract puts them
/// behind the attributes of all triggers.
#[derive(Default, Debug)]
pub(crate) struct Columns {
    pub(crate) bytes: Vec<u8>,
    pub(crate) contexts: Vec<bindings::Context>,
    pub(crate) subjects: Vec<bindings::Subject>,
    pub(crate) balances: Vec<i64>,
    pub(crate) triggers: Vec<bindings::Trigger>,
    pub(crate) measures: Vec<i64>,
    /// The attributes, end to end.
    pub(crate) text: String,
    pub(crate) text_ends: Vec<u32>,
    /// The names of subjects, end to end; their spans count from its beginning.
    pub(crate) names: String,
}

/// Columns in the form of the contract.
pub(crate) struct Lowered<'a> {
    columns: &'a Columns,
    text: Cow<'a, str>,
    subjects: Cow<'a, [bindings::Subject]>,
}

/// Where something ends. Batches are cut long before this saturates; if one were not, the plan would see an invalid
/// span and trap.
pub(crate) fn offset(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Columns {
    /// Empties it and keeps its memory.
    pub(crate) fn clear(&mut self) {
        let Columns {
            bytes,
            contexts,
            subjects,
            balances,
            triggers,
            measures,
            text,
            text_ends,
            names,
        } = self;
        bytes.clear();
        contexts.clear();
        subjects.clear();
        balances.clear();
        triggers.clear();
        measures.clear();
        text.clear();
        text_ends.clear();
        names.clear();
    }

    /// Bytes that cross into the plan's memory.
    pub(crate) fn bytes_crossing(&self) -> usize {
        self.bytes.len()
            + self.text.len()
            + self.names.len()
            + self.contexts.len() * 48
            + self.subjects.len() * 16
            + self.triggers.len() * 56
            + (self.balances.len() + self.measures.len()) * 8
            + self.text_ends.len() * 4
    }

    /// Appends to the bytes.
    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) -> Span {
        let start = offset(self.bytes.len());
        self.bytes.extend_from_slice(bytes);
        Span {
            start,
            end: offset(self.bytes.len()),
        }
    }

    /// Appends a subject.
    pub(crate) fn add_subject(&mut self, name: &str, state: &[u8]) -> u32 {
        let index = offset(self.subjects.len());
        let start = offset(self.names.len());
        self.names.push_str(name);
        let name = Span {
            start,
            end: offset(self.names.len()),
        };
        let state = self.add_bytes(state);
        self.subjects.push(bindings::Subject { name, state });
        index
    }

    /// How long the name of a subject is.
    pub(crate) fn subject_bytes(&self, index: u32) -> usize {
        let name = self.subjects.get(index as usize).map(|subject| &subject.name);
        name.map_or(0, |name| name.end.saturating_sub(name.start) as usize)
    }

    /// In the form of the contract. Copies text only where there are subjects.
    pub(crate) fn lower(&self) -> Lowered<'_> {
        if self.subjects.is_empty() {
            let (text, subjects) = (
                Cow::Borrowed(self.text.as_str()),
                Cow::Borrowed(self.subjects.as_slice()),
            );
            return Lowered {
                columns: self,
                text,
                subjects,
            };
        }
        let mut text = String::with_capacity(self.text.len() + self.names.len());
        text.push_str(&self.text);
        text.push_str(&self.names);
        let shift = offset(self.text.len());
        let moved = |span: Span| Span {
            start: span.start.saturating_add(shift),
            end: span.end.saturating_add(shift),
        };
        let subjects = self.subjects.iter().map(|s| bindings::Subject {
            name: moved(s.name),
            state: s.state,
        });
        let subjects = Cow::Owned(subjects.collect());
        Lowered {
            columns: self,
            text: Cow::Owned(text),
            subjects,
        }
    }

    /// Fills `into` with one trigger and what belongs to it; `state` and `subject` stand for what the triggers before
    /// it left behind, where they did.
    pub(crate) fn alone(
        &self,
        index: usize,
        state: Option<&[u8]>,
        subject: Option<&[u8]>,
        shape: Shape,
        into: &mut Columns,
    ) {
        into.clear();
        let mut trigger = self.triggers[index];
        let context = self.contexts[trigger.context as usize];
        let prepared = into.add_bytes(slice(&self.bytes, context.prepared));
        let state = into.add_bytes(state.unwrap_or_else(|| slice(&self.bytes, context.state)));
        let balances = context.balances as usize;
        into.balances
            .extend_from_slice(&self.balances[balances..balances + shape.balances]);
        into.contexts.push(bindings::Context {
            prepared,
            state,
            balances: 0,
            ..context
        });
        trigger.context = 0;
        trigger.subject = trigger.subject.map(|at| {
            let of = self.subjects[at as usize];
            let name = self
                .names
                .get(of.name.start as usize..of.name.end as usize)
                .unwrap_or_default();
            into.add_subject(name, subject.unwrap_or_else(|| slice(&self.bytes, of.state)))
        });
        into.triggers.push(trigger);
        into.measures
            .extend_from_slice(&self.measures[index * shape.measures..(index + 1) * shape.measures]);
        let ends = &self.text_ends[index * shape.attributes..(index + 1) * shape.attributes];
        let first = index * shape.attributes;
        let begin = if first == 0 { 0 } else { self.text_ends[first - 1] };
        if let Some(end) = ends.last() {
            into.text
                .push_str(self.text.get(begin as usize..*end as usize).unwrap_or_default());
            into.text_ends.extend(ends.iter().map(|end| end - begin));
        }
    }
}

/// How many of each list belong to one trigger or context.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) measures: usize,
    pub(crate) attributes: usize,
    pub(crate) balances: usize,
}

fn slice(bytes: &[u8], span: Span) -> &[u8] {
    bytes
        .get(span.start as usize..span.end as usize)
        .unwrap_or_default()
}

impl Lowered<'_> {
    /// What is passed to the plan.
    pub(crate) fn batch(&self) -> bindings::Batch<'_> {
        let columns = self.columns;
        bindings::Batch {
            bytes: &columns.bytes,
            contexts: &columns.contexts,
            subjects: &self.subjects,
            balances: &columns.balances,
            triggers: &columns.triggers,
            measures: &columns.measures,
            text: &self.text,
            text_ends: &columns.text_ends,
        }
    }
}
