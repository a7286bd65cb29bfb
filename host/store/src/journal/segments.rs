//! The segment files: their names, headers and open handles.
//!
//! A segment's first block says which journal it belongs to, where it begins and how long it is, so that a file that was
//! cut, lost, swapped or copied from elsewhere is told by name before any frame is read.
//!
//! A segment is a file in one of two forms, as it was written or packed ([`super::packed`]). Nobody outside asks which:
//! [`Segments::file`] reads both alike. Where both are there, a crash came between the two steps of packing, and the
//! one that was written counts.
//!
//! The first segments may be in an archive ([`super::elsewhere`]); then they are known all the same, and read there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::archived::Archived;
use super::elsewhere::Elsewhere;
use super::frame::{BLOCK_BUFFER_BYTES, BLOCK_BYTES, JournalId, Layout, array_at, u32_at, u64_at};
use super::look_up::Recent;
use super::packed::{self, PackedFile, unread};
use super::place::{Damage, refused};
use crate::contract::StoreError;
use crate::disk::{Disk, DiskFile, OsDisk, read_up_to, write_whole};
use crate::limits::{JOURNAL_LIST_ATTEMPTS_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SEGMENTS_OPEN_MAX};

/// Behind it the number of the layout of all its frames.
const MAGIC: [u8; 7] = *b"FBXSEG\0";
const HEADER_BYTES: usize = 44;
/// A segment under construction; no segment until it is renamed.
const UNFINISHED: &str = "unfinished.tmp";
/// The packed form of a segment under construction.
const PACKING: &str = "packing.tmp";
/// Zeros are written this many at a time.
const FILL_BYTES: usize = 1 << 20;

/// All segments of a journal.
#[derive(Debug)]
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    journal: JournalId,
    /// By first position.
    spans: RwLock<BTreeMap<u64, Held>>,
    open: Mutex<BTreeMap<u64, Arc<dyn DiskFile>>>,
    /// Held while a segment is packed.
    packing: Mutex<()>,
    elsewhere: Elsewhere,
    pub(super) recent: Recent,
}

/// A segment as it is held.
#[derive(Debug, Clone, Copy)]
struct Held {
    bytes: u64,
    form: Form,
    /// None: its header was not looked at yet.
    layout: Option<Layout>,
}

/// How a segment lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// As it was written.
    Written,
    /// In compressed blocks.
    Packed,
    /// In compressed blocks, in the archive.
    Archived,
}

/// Who else may be at work in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nobody: what a crash left unfinished is removed.
    Alone,
    /// A server that runs: nothing is touched.
    Beside,
}

/// Where one segment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub base: u64,
    pub end: u64,
}

impl Segments {
    /// The segments of a journal that somebody may be writing to, packing and archiving at this moment. None: there is no
    /// journal in the folder.
    pub(crate) fn list_beside(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        archive: Option<&Path>,
    ) -> Result<Option<Segments>, StoreError> {
        let mut attempts = 1;
        loop {
            match Segments::list(disk.clone(), folder, archive, Access::Beside) {
                // A segment that is packed or archived while its folder is listed can be seen under no name.
                Err(_) if attempts < JOURNAL_LIST_ATTEMPTS_MAX => attempts += 1,
                listed => return listed,
            }
        }
    }

    /// Reads which segments there are. `archive` is where those are read that were archived. None: the folder holds no
    /// journal yet.
    pub(crate) fn list(
        disk: Arc<dyn Disk>,
        folder: &Path,
        archive: Option<&Path>,
        access: Access,
    ) -> Result<Option<Segments>, StoreError> {
        let elsewhere = Elsewhere::of(folder, archive)?;
        let known = elsewhere.known();
        let mut forms = BTreeMap::new();
        for path in disk.list(folder).map_err(refused("listing", folder))? {
            match path.file_name().and_then(|name| name.to_str()) {
                Some(UNFINISHED | PACKING) if access == Access::Alone => {
                    disk.remove(&path).map_err(refused("removing", &path))?;
                }
                Some(name) => {
                    if let Some((base, form)) = segment_of(name) {
                        let kept = forms.entry(base).or_insert(form);
                        *kept = form.min(*kept);
                    }
                }
                None => {}
            }
        }
        let (mut spans, mut journal, mut expected) = (BTreeMap::new(), None, 0);
        if let Some(known) = &known {
            spans.extend(held_elsewhere(known));
            (journal, expected) = (Some(known.journal), known.end());
            // Where they are here still, a crash came before they were removed.
            forms = forms.split_off(&expected);
            if forms.is_empty() {
                let missing = folder.join(file_name(expected, Form::Written));
                return Err(Damage::new("this segment is missing").at(&missing, 0));
            }
        }
        for (base, form) in forms {
            if base != expected {
                let missing = folder.join(file_name(expected, Form::Written));
                return Err(Damage::new("this segment is missing").at(&missing, 0));
            }
            let mut path = folder.join(file_name(base, form));
            let (form, file) = match disk.open(&path) {
                // Packed since it was listed.
                Err(error) if access == Access::Beside && error.kind() == std::io::ErrorKind::NotFound => {
                    path = folder.join(file_name(base, Form::Packed));
                    (Form::Packed, disk.open(&path).map_err(refused("opening", &path))?)
                }
                opened => (form, opened.map_err(refused("opening", &path))?),
            };
            let Stated {
                journal: id,
                bytes,
                layout,
            } = match form {
                Form::Written => written_header(&*file, &path, base)?,
                Form::Packed | Form::Archived => packed_header(file, &path, base)?,
            };
            if *journal.get_or_insert(id) != id {
                return Err(Damage::new("the segment belongs to another journal").at(&path, 8));
            }
            let layout = Some(layout);
            spans.insert(base, Held { bytes, form, layout });
            expected = base + bytes;
        }
        Ok(journal.map(|journal| Segments {
            disk,
            folder: folder.to_path_buf(),
            journal,
            spans: RwLock::new(spans),
            open: Mutex::default(),
            packing: Mutex::default(),
            elsewhere,
            recent: Recent::default(),
        }))
    }

    /// Segments whose packed copies are open, to be read like any others. They need not begin at 0.
    pub(crate) fn of_copies(journal: JournalId, folder: &Path, copies: Vec<(Span, PackedFile)>) -> Segments {
        let (mut spans, mut open) = (BTreeMap::new(), BTreeMap::new());
        for (span, packed) in copies {
            let (bytes, form, layout) = (span.end - span.base, Form::Packed, None);
            spans.insert(span.base, Held { bytes, form, layout });
            open.insert(span.base, Arc::new(packed) as Arc<dyn DiskFile>);
        }
        Segments {
            disk: Arc::new(OsDisk),
            folder: folder.to_path_buf(),
            journal,
            spans: RwLock::new(spans),
            open: Mutex::new(open),
            packing: Mutex::default(),
            elsewhere: Elsewhere::nothing(folder),
            recent: Recent::default(),
        }
    }

    /// A new journal with its first segment, durable.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        folder: &Path,
        archive: Option<&Path>,
        segment_bytes: u64,
    ) -> Result<Segments, StoreError> {
        let mut journal = [0; 16];
        getrandom::fill(&mut journal).map_err(|error| StoreError::Io {
            doing: "drawing the journal's id".into(),
            source: std::io::Error::other(error.to_string()),
        })?;
        let segments = Segments {
            disk,
            folder: folder.to_path_buf(),
            journal,
            spans: RwLock::default(),
            open: Mutex::default(),
            packing: Mutex::default(),
            elsewhere: Elsewhere::of(folder, archive)?,
            recent: Recent::default(),
        };
        segments.add(0, segment_bytes)?;
        Ok(segments)
    }

    pub(crate) fn journal(&self) -> JournalId {
        self.journal
    }

    /// Writes a segment full of zeros, makes it durable and only then gives it its name: a segment file is always whole.
    pub(crate) fn add(&self, base: u64, bytes: u64) -> Result<(), StoreError> {
        let unfinished = self.folder.join(UNFINISHED);
        let path = self.folder.join(file_name(base, Form::Written));
        let file = self
            .disk
            .create(&unfinished)
            .map_err(refused("creating", &unfinished))?;
        let mut fill = vec![0; FILL_BYTES.min(usize::try_from(bytes).unwrap_or(FILL_BYTES))];
        let mut at = 0;
        while at < bytes {
            let part = usize::try_from(bytes - at).map_or(fill.len(), |left| left.min(fill.len()));
            write_whole(&*file, &fill[..part], at).map_err(refused("filling", &unfinished))?;
            at += part as u64;
        }
        fill.truncate(BLOCK_BUFFER_BYTES);
        encode_header(&mut fill, &self.journal, base, bytes);
        write_whole(&*file, &fill, 0).map_err(refused("writing", &unfinished))?;
        file.sync_all().map_err(refused("syncing", &unfinished))?;
        self.disk
            .rename(&unfinished, &path)
            .map_err(refused("naming", &path))?;
        self.sync_names()?;
        let (form, layout) = (Form::Written, Some(Layout::Blocks));
        self.spans.write().insert(base, Held { bytes, form, layout });
        keep_open(&mut self.open.lock(), base, file);
        Ok(())
    }

    /// Makes the names of the segments durable.
    pub(crate) fn sync_names(&self) -> Result<(), StoreError> {
        self.disk
            .sync_folder(&self.folder)
            .map_err(refused("syncing", &self.folder))
    }

    /// The file of a segment, in the form that it has now.
    pub(crate) fn path(&self, base: u64) -> PathBuf {
        let form = self.form(base).unwrap_or(Form::Written);
        let archived = (form == Form::Archived).then(|| self.elsewhere.path(base));
        archived
            .flatten()
            .unwrap_or_else(|| self.folder.join(file_name(base, form)))
    }

    /// What is known of segments that are in an archive.
    pub(crate) fn elsewhere(&self) -> &Elsewhere {
        &self.elsewhere
    }

    /// Where the first segment begins that is not archived.
    pub(crate) fn archived_until(&self) -> u64 {
        self.elsewhere.known().map_or(0, |known| known.end())
    }

    /// Whether every segment can be read: none is archived, or the archive was named.
    pub(crate) fn is_whole(&self) -> bool {
        self.archived_until() == 0 || self.elsewhere.archive().is_some()
    }

    /// Looks whether segments were archived meanwhile, and lets go of their files, which take room until nobody holds them.
    pub(crate) fn look_elsewhere(&self) -> Result<(), StoreError> {
        let Some(known) = self.elsewhere.look()? else {
            return Ok(());
        };
        let mut spans = self.spans.write();
        let mut open = self.open.lock();
        for (base, held) in held_elsewhere(&known) {
            if spans
                .insert(base, held)
                .is_none_or(|before| before.form != held.form)
            {
                open.remove(&base);
            }
        }
        Ok(())
    }

    /// How a segment lies in its file. None: there is no such segment.
    pub(crate) fn form(&self, base: u64) -> Option<Form> {
        self.spans.read().get(&base).map(|held| held.form)
    }

    /// All segments, oldest first.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans
            .read()
            .iter()
            .map(|(&base, held)| Span {
                base,
                end: base + held.bytes,
            })
            .collect()
    }

    /// The segment in which a position lies.
    pub(crate) fn span_of(&self, position: u64) -> Option<Span> {
        let spans = self.spans.read();
        let (&base, held) = spans.range(..=position).next_back()?;
        let end = base + held.bytes;
        (position < end).then_some(Span { base, end })
    }

    /// Where the last segment ends.
    pub(crate) fn end(&self) -> u64 {
        self.spans
            .read()
            .last_key_value()
            .map_or(0, |(base, held)| base + held.bytes)
    }

    /// A segment's bytes at their offsets in the segment, whatever its form.
    pub(crate) fn file(&self, base: u64) -> Result<Arc<dyn DiskFile>, StoreError> {
        if let Some(file) = self.open.lock().get(&base) {
            return Ok(file.clone());
        }
        let (form, file) = self.open_now(base)?;
        let mut open = self.open.lock();
        // In another form by now: whoever changed it puts the new handle there, which must stay.
        if self.form(base).is_none_or(|now| now == form) {
            keep_open(&mut open, base, file.clone());
        }
        Ok(file)
    }

    /// How the records of a segment's frames lie in them.
    pub(crate) fn layout(&self, base: u64) -> Result<Layout, StoreError> {
        if let Some(layout) = self.spans.read().get(&base).and_then(|held| held.layout) {
            return Ok(layout);
        }
        let path = self.path(base);
        let mut header = [0; HEADER_BYTES];
        let read = read_up_to(&*self.file(base)?, &mut header, 0).map_err(unread(&path))?;
        let stated = decode_header(&header[..read], base).map_err(|damage| damage.at(&path, 0))?;
        if let Some(held) = self.spans.write().get_mut(&base) {
            held.layout = Some(stated.layout);
        }
        Ok(stated.layout)
    }

    /// Puts segments in place of those that begin at or behind the end of the last frame and would have frames of another
    /// layout: an earlier Farebox has made them ahead.
    pub(crate) fn renew_ahead(&self, frames_end: u64) -> Result<(), StoreError> {
        for span in self.spans() {
            if span.base + BLOCK_BYTES >= frames_end && self.layout(span.base)? != Layout::Blocks {
                self.add(span.base, span.end - span.base)?;
            }
        }
        Ok(())
    }

    /// Opens a segment in the form that it has, though between the look and the opening it may be packed or archived.
    fn open_now(&self, base: u64) -> Result<(Form, Arc<dyn DiskFile>), StoreError> {
        let mut form = self.form(base).unwrap_or(Form::Written);
        loop {
            let gone = match self.open_form(base, form) {
                Err(StoreError::Io { doing, source }) if source.kind() == std::io::ErrorKind::NotFound => {
                    StoreError::Io { doing, source }
                }
                opened => {
                    let file = opened?;
                    if form == Form::Packed
                        && let Some(held) = self.spans.write().get_mut(&base)
                        && held.form == Form::Written
                    {
                        held.form = Form::Packed;
                    }
                    return Ok((form, file));
                }
            };
            form = match form {
                Form::Written => Form::Packed,
                Form::Packed => {
                    self.look_elsewhere()?;
                    match self.form(base) {
                        Some(Form::Archived) => Form::Archived,
                        _ => return Err(gone),
                    }
                }
                Form::Archived => return Err(gone),
            };
        }
    }

    fn open_form(&self, base: u64, form: Form) -> Result<Arc<dyn DiskFile>, StoreError> {
        if form == Form::Archived {
            return self.elsewhere.open(&*self.disk, self.journal, base);
        }
        let path = self.folder.join(file_name(base, form));
        let file = self.disk.open(&path).map_err(refused("opening", &path))?;
        match form {
            Form::Packed => Ok(Arc::new(PackedFile::open(file, &path)?.1)),
            Form::Written | Form::Archived => Ok(file),
        }
    }

    /// Puts the packed form of a sealed segment in place of the written one. `prove` is shown the packed file before it
    /// gets its name. The answer is the bytes of the new file; none: it is packed already.
    ///
    /// Whatever step a crash comes behind, the written segment is there whole, or the packed one is, or both are.
    pub(crate) fn pack(
        &self,
        base: u64,
        pause: &mut dyn FnMut() -> std::io::Result<()>,
        prove: impl FnOnce(&dyn DiskFile, &dyn DiskFile) -> Result<(), StoreError>,
    ) -> Result<Option<u64>, StoreError> {
        let _one_at_a_time = self.packing.lock();
        let Some(Held {
            bytes,
            form: Form::Written,
            ..
        }) = self.spans.read().get(&base).copied()
        else {
            return Ok(None);
        };
        let written = self.file(base)?;
        let (unfinished, path) = (
            self.folder.join(PACKING),
            self.folder.join(file_name(base, Form::Packed)),
        );
        let into = self
            .disk
            .create(&unfinished)
            .map_err(refused("creating", &unfinished))?;
        packed::write(&*into, self.journal, base, bytes, &*written, pause)
            .map_err(refused("packing a segment into", &unfinished))?;
        into.sync_all().map_err(refused("syncing", &unfinished))?;
        let size = into.size().map_err(refused("reading the size of", &unfinished))?;
        let (_, packed) = PackedFile::open(into, &unfinished)?;
        prove(&*written, &packed)?;
        self.disk
            .rename(&unfinished, &path)
            .map_err(refused("naming", &path))?;
        self.disk
            .sync_folder(&self.folder)
            .map_err(refused("syncing", &self.folder))?;
        // From here on new readers take the packed file; those that hold the written one read it to their end.
        if let Some(held) = self.spans.write().get_mut(&base) {
            held.form = Form::Packed;
        }
        keep_open(&mut self.open.lock(), base, Arc::new(packed));
        let old = self.folder.join(file_name(base, Form::Written));
        self.disk.remove(&old).map_err(refused("removing", &old))?;
        self.disk
            .sync_folder(&self.folder)
            .map_err(refused("syncing", &self.folder))?;
        Ok(Some(size))
    }

    /// Removes what packing left unfinished.
    pub(crate) fn forget_packing(&self) {
        let _one_at_a_time = self.packing.lock();
        let unfinished = self.folder.join(PACKING);
        if unfinished.exists()
            && let Err(error) = self.disk.remove(&unfinished)
        {
            tracing::warn!(%error, path = %unfinished.display(), "an unfinished file stays until the next start");
        }
    }
}

/// Of too many handles the oldest segment's goes: history is read from its newest end.
fn keep_open(open: &mut BTreeMap<u64, Arc<dyn DiskFile>>, base: u64, file: Arc<dyn DiskFile>) {
    open.insert(base, file);
    while open.len() > SEGMENTS_OPEN_MAX {
        open.pop_first();
    }
}

/// Archived segments as they are held.
fn held_elsewhere(known: &Archived) -> impl Iterator<Item = (u64, Held)> {
    let form = Form::Archived;
    known.segments.iter().map(move |entry| {
        let (bytes, layout) = (entry.end - entry.base, None);
        (entry.base, Held { bytes, form, layout })
    })
}

/// Twenty digits hold every u64, so that names sort as positions do.
pub(crate) fn file_name(base: u64, form: Form) -> String {
    match form {
        Form::Written => format!("{base:020}.journal"),
        Form::Packed | Form::Archived => format!("{base:020}.packed"),
    }
}

/// Which segment a file is by its name, and in which form.
fn segment_of(name: &str) -> Option<(u64, Form)> {
    let (digits, form) = match name.split_once('.')? {
        (digits, "journal") => (digits, Form::Written),
        (digits, "packed") => (digits, Form::Packed),
        _ => return None,
    };
    let base = (digits.len() == 20).then(|| digits.parse().ok())??;
    Some((base, form))
}

/// Journal and length of a segment in its file as it was written.
fn written_header(file: &dyn DiskFile, path: &Path, base: u64) -> Result<Stated, StoreError> {
    let size = file.size().map_err(refused("reading the size of", path))?;
    let mut block = vec![0; BLOCK_BUFFER_BYTES];
    let read = read_up_to(file, &mut block, 0).map_err(refused("reading", path))?;
    let stated = decode_header(&block[..read], base).map_err(|damage| damage.at(path, 0))?;
    if size != stated.bytes {
        let what = format!("the segment was {} bytes long and is now {size}", stated.bytes);
        return Err(Damage::new(what).at(path, size.min(stated.bytes)));
    }
    Ok(stated)
}

/// The same of a packed one. The header inside must say the same as the one outside.
fn packed_header(file: Arc<dyn DiskFile>, path: &Path, base: u64) -> Result<Stated, StoreError> {
    let (header, packed) = PackedFile::open(file, path)?;
    if header.base != base {
        let what = format!("the segment belongs at {}, not at {base}", header.base);
        return Err(Damage::new(what).at(path, 24));
    }
    let mut block = vec![0; BLOCK_BUFFER_BYTES];
    let read = read_up_to(&packed, &mut block, 0).map_err(unread(path))?;
    let inside = decode_header(&block[..read], base).map_err(|damage| damage.at(path, BLOCK_BYTES))?;
    if (inside.journal, inside.bytes) == (header.journal, header.bytes) {
        Ok(inside)
    } else {
        Err(Damage::new("the packed segment holds another segment").at(path, 0))
    }
}

/// What a segment says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Stated {
    journal: JournalId,
    bytes: u64,
    layout: Layout,
}

fn encode_header(block: &mut [u8], journal: &JournalId, base: u64, bytes: u64) {
    block[0..7].copy_from_slice(&MAGIC);
    block[7] = Layout::Blocks as u8;
    block[8..24].copy_from_slice(journal);
    block[24..32].copy_from_slice(&base.to_le_bytes());
    block[32..40].copy_from_slice(&bytes.to_le_bytes());
    let crc = crc32c::crc32c(&block[0..40]);
    block[40..44].copy_from_slice(&crc.to_le_bytes());
}

fn decode_header(block: &[u8], base: u64) -> Result<Stated, Damage> {
    let block = block
        .first_chunk::<HEADER_BYTES>()
        .ok_or_else(|| Damage::new("the segment's header is cut off"))?;
    if block[0..7] != MAGIC || crc32c::crc32c(&block[0..40]) != u32_at(block, 40) {
        return Err(Damage::new("this is no segment's header"));
    }
    let (stated, bytes) = (u64_at(block, 24), u64_at(block, 32));
    if stated != base {
        return Err(Damage::new(format!(
            "the segment belongs at {stated}, not at {base}"
        )));
    }
    if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) || bytes % BLOCK_BYTES != 0 {
        return Err(Damage::new(format!("the segment says that it has {bytes} bytes")));
    }
    Ok(Stated {
        journal: array_at(block, 8),
        bytes,
        layout: Layout::numbered(block[7].into())?,
    })
}
