//! Which segments may go, and what their frames say.

use std::collections::BTreeMap;

use super::{ArchivePlan, Ended, MICROS_PER_DAY};
use crate::contract::{IdHash, StoreError};
use crate::journal::archived::Archived;
use crate::journal::frame::Link;
use crate::journal::place::Damage;
use crate::journal::segments::{Form, Segments, Span};
use crate::journal::walk::From;

/// What the frames of a segment say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Looked {
    /// What the first frame is chained to.
    pub link: Link,
    pub frames_end: u64,
    /// What the frame behind them is chained to.
    pub last: Link,
    pub records: u64,
    /// Time of each tenant's newest record.
    pub newest: BTreeMap<String, i64>,
}

/// Takes a record's ids, with its position and time.
pub(super) type TakeIds<'a> = dyn FnMut(&[IdHash], u64, i64) -> Result<(), StoreError> + 'a;

/// Segments from `position` on that may go, oldest first, and why no further one may.
///
/// Of a segment in which all records are of sandboxes that are ahead, no record tells how old it is: it goes when one behind
/// it goes.
pub(super) fn choose(
    segments: &Segments,
    position: u64,
    snapshot: u64,
    plan: &ArchivePlan<'_>,
) -> Result<(Vec<Span>, Ended), StoreError> {
    let oldest = i64::from(plan.retention_days) * MICROS_PER_DAY;
    let before = plan.now.saturating_sub(oldest);
    let (mut chosen, mut undated) = (Vec::new(), Vec::new());
    for span in segments.spans().into_iter().filter(|span| span.base >= position) {
        if segments.form(span.base) != Some(Form::Packed) {
            return Ok((chosen, Ended::NotPacked));
        }
        if span.end > snapshot {
            return Ok((chosen, Ended::Snapshot));
        }
        undated.push(span);
        match newest_until(segments, span, plan.now)? {
            Some(newest) if newest < before => chosen.append(&mut undated),
            Some(_) => return Ok((chosen, Ended::Retention)),
            None => {}
        }
    }
    Ok((chosen, Ended::NotPacked))
}

/// Time of the newest record of a segment that is not later than now; none: all are.
fn newest_until(segments: &Segments, span: Span, now: i64) -> Result<Option<i64>, StoreError> {
    let mut newest = None;
    segments.walk(within(span), &mut |frame| {
        frame.records(segments, &mut |_, envelope| {
            if envelope.at <= now {
                newest = newest.max(Some(envelope.at));
            }
            Ok(())
        })
    })?;
    Ok(newest)
}

/// Reads every frame of a segment, which must go on where the list ends.
pub(super) fn look(
    segments: &Segments,
    span: Span,
    list: &Archived,
    ids: &mut TakeIds<'_>,
) -> Result<Looked, StoreError> {
    let mut first: Option<(Link, u64)> = None;
    let (mut records, mut newest) = (0, BTreeMap::<String, i64>::new());
    let tail = segments.walk(within(span), &mut |frame| {
        first.get_or_insert((frame.header.previous, frame.header.durable));
        frame.records(segments, &mut |position, envelope| {
            records += 1;
            let at = envelope.at;
            match newest.get_mut(envelope.tenant) {
                Some(newest) => *newest = at.max(*newest),
                None => {
                    newest.insert(envelope.tenant.to_string(), at);
                }
            }
            let of_record: Vec<_> = envelope.ids.iter().collect();
            ids(&of_record, position, at)
        })
    })?;
    let path = segments.path(span.base);
    let (Some((link, durable)), Some(last)) = (first, tail.link) else {
        return Err(Damage::new("there is no frame in this segment").at(&path, 0));
    };
    if (link, durable) != (list.link, list.frames_end()) {
        let what = "its first frame does not go on where the segment before it ended";
        return Err(Damage::new(what).at(&path, 0));
    }
    Ok(Looked {
        link,
        frames_end: tail.end,
        last,
        records,
        newest,
    })
}

/// The frames of one segment.
fn within(span: Span) -> From {
    From {
        position: span.base,
        link: None,
        durable: span.base,
        until: Some(span.end),
    }
}
