//! Packs sealed segments behind the answers, on a thread of its own that takes a bounded share of one processor.
//!
//! **Invariant: a segment is removed only when its packed form is durable, under its name, and proven**: every byte reads
//! back as it was, every frame in it is sound and chained, and the next segment goes on where it ends. What cannot be
//! proven stays as it is and is named in the log; packing never stops the store.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::frame::BLOCK_BYTES;
use super::packed::unread;
use super::place::Damage;
use super::segments::{Form, Segments, Span};
use super::walk::{From, Tail};
use crate::contract::StoreError;
use crate::disk::{DiskFile, read_up_to};
use crate::limits::{PACK_BLOCK_BYTES, PACK_CPU_PERCENT_MAX};
use crate::threads;

/// Whether sealed segments are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Behind the answers, within [`PACK_CPU_PERCENT_MAX`].
    On,
    /// They stay as they were written. What is packed already is read as ever.
    Off,
}

/// Packs what is sealed.
#[derive(Debug)]
pub(crate) struct Packer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    packing: Packing,
}

#[derive(Debug)]
struct Shared {
    segments: Arc<Segments>,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    /// Segments that end at or before this position are complete.
    sealed: u64,
    /// Up to here all was looked at.
    looked: u64,
    stop: bool,
}

impl Packer {
    /// `sealed`: everything before this position is in segments that nobody writes to any more.
    pub(crate) fn start(
        segments: Arc<Segments>,
        packing: Packing,
        sealed: u64,
    ) -> Result<Packer, StoreError> {
        let packer = Packer::by_hand(segments, packing, sealed);
        if packing == Packing::On {
            let shared = packer.shared.clone();
            *packer.thread.lock() = Some(threads::spawn("farebox-pack", move || shared.run())?);
        }
        Ok(packer)
    }

    /// Without a thread: a segment is packed when it is asked for with [`Packer::pack_one`].
    pub(crate) fn by_hand(segments: Arc<Segments>, packing: Packing, sealed: u64) -> Packer {
        let work = Work {
            sealed,
            ..Work::default()
        };
        let shared = Shared {
            segments,
            work: Mutex::new(work),
            changed: Condvar::new(),
        };
        Packer {
            shared: Arc::new(shared),
            thread: Mutex::new(None),
            packing,
        }
    }

    /// Looks at the next sealed segment that was not looked at, and packs it at full speed. False: there is none, or
    /// nothing is to be packed.
    pub(crate) fn pack_one(&self) -> Result<bool, StoreError> {
        let next = match self.packing {
            Packing::On => self.shared.look(&mut self.shared.work.lock()),
            Packing::Off => None,
        };
        let Some(span) = next else { return Ok(false) };
        pack(&self.shared.segments, span, &mut || Ok(())).map(|_| true)
    }

    /// Segments up to this position are complete from now on.
    pub(crate) fn sealed(&self, end: u64) {
        let mut work = self.shared.work.lock();
        work.sealed = work.sealed.max(end);
        self.shared.changed.notify_all();
    }

    /// Packs what is sealed now, at full speed. The answer is how many segments.
    pub(crate) fn pack_now(&self) -> Result<u64, StoreError> {
        let sealed = self.shared.work.lock().sealed;
        let mut packed = 0;
        for span in self
            .shared
            .segments
            .spans()
            .into_iter()
            .filter(|span| span.end <= sealed)
        {
            packed += u64::from(pack(&self.shared.segments, span, &mut || Ok(()))?.is_some());
        }
        Ok(packed)
    }

    /// Ends the thread within a block's time; what it was packing is packed another time.
    pub(crate) fn stop(&self) {
        self.shared.work.lock().stop = true;
        self.shared.changed.notify_all();
        threads::join(self.thread.lock().take());
    }
}

impl Shared {
    fn run(&self) {
        while let Some(span) = self.next() {
            let mut begun = Instant::now();
            let packed = pack(&self.segments, span, &mut || self.pause(&mut begun));
            match packed {
                Ok(_) => {}
                Err(_) if self.work.lock().stop => {}
                Err(error @ StoreError::Damaged { .. }) => {
                    tracing::error!(%error, "a segment is not what was written; it is left as it is");
                }
                Err(error) => {
                    tracing::warn!(%error, "a segment was not packed; the next start tries again");
                }
            }
        }
    }

    /// The first segment that was not looked at; waits for one. None: stop.
    fn next(&self) -> Option<Span> {
        let mut work = self.work.lock();
        loop {
            if work.stop {
                return None;
            }
            match self.look(&mut work) {
                Some(span) => return Some(span),
                None => self.changed.wait(&mut work),
            }
        }
    }

    /// The first sealed segment that was not looked at and is not packed.
    fn look(&self, work: &mut Work) -> Option<Span> {
        loop {
            let span = self.segments.span_of(work.looked)?;
            if span.end > work.sealed {
                return None;
            }
            work.looked = span.end;
            if self.segments.form(span.base) == Some(Form::Written) {
                return Some(span);
            }
        }
    }

    /// Rests as long as the last block's work demands. Fails when the store closes.
    fn pause(&self, begun: &mut Instant) -> io::Result<()> {
        let rest = begun.elapsed() * (100 - PACK_CPU_PERCENT_MAX) / PACK_CPU_PERCENT_MAX;
        let until = Instant::now() + rest.min(Duration::from_secs(1));
        let mut work = self.work.lock();
        while !work.stop && !self.changed.wait_until(&mut work, until).timed_out() {}
        if work.stop {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the store is closing"));
        }
        *begun = Instant::now();
        Ok(())
    }
}

/// Packs one sealed segment. None: it is packed already.
fn pack(
    segments: &Segments,
    span: Span,
    pause: &mut dyn FnMut() -> io::Result<()>,
) -> Result<Option<u64>, StoreError> {
    if segments.form(span.base) != Some(Form::Written) {
        return Ok(None);
    }
    prove_frames(segments, span)?;
    let packed = segments.pack(span.base, pause, |written, packed| {
        same(written, packed, span).map_err(unread(&segments.path(span.base)))
    });
    if packed.is_err() {
        segments.forget_packing();
    }
    let packed = packed?;
    if let Some(bytes) = packed {
        metrics::counter!("farebox_store_segments_packed_total").increment(1);
        metrics::counter!("farebox_store_packed_bytes_total").increment(bytes);
        tracing::debug!(
            base = span.base,
            from = span.end - span.base,
            to = bytes,
            "a segment is packed"
        );
    }
    Ok(packed)
}

/// Every frame of the segment is sound and chained, and the next segment goes on where they end.
fn prove_frames(segments: &Segments, span: Span) -> Result<(), StoreError> {
    let from = From {
        position: span.base,
        link: (span.base == 0).then(|| segments.journal()),
        durable: span.base,
        until: Some(span.end),
    };
    let Tail { end, link, .. } =
        segments.walk(from, &mut |frame| frame.records(segments, &mut |_, _| Ok(())))?;
    match segments.first_frame(span.end)? {
        None => {
            let what = "no frame goes on behind the segment before this one";
            Err(Damage::new(what).at(&segments.path(span.end), BLOCK_BYTES))
        }
        Some(next) if next.durable == end && Some(next.previous) == link => Ok(()),
        Some(_) => {
            let what = "the next segment does not go on where the frames of this one end";
            Err(Damage::new(what).at(&segments.path(span.base), end.saturating_sub(span.base)))
        }
    }
}

/// Compares both forms byte for byte.
fn same(written: &dyn DiskFile, packed: &dyn DiskFile, span: Span) -> io::Result<()> {
    let (mut left, mut right) = (vec![0; PACK_BLOCK_BYTES], vec![0; PACK_BLOCK_BYTES]);
    let mut at = 0;
    while at < span.end - span.base {
        let read = (
            read_up_to(written, &mut left, at)?,
            read_up_to(packed, &mut right, at)?,
        );
        if read.0 == 0 || read.0 != read.1 || left[..read.0] != right[..read.0] {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the packed form of the segment at {} differs near byte {at}",
                    span.base
                ),
            ));
        }
        at += read.0 as u64;
    }
    Ok(())
}
