//! `farebox journal`: the journal of a server, and copies of it.

use std::sync::Arc;

use clap::Subcommand;
use farebox_engine::LedgerFold;
use farebox_engine::limits::ID_WINDOW_DAYS;
use farebox_record::time::Span;
use farebox_store::{JournalReport, JournalStore, StoreError, verify_journal};
use serde_json::json;

use crate::archive::Archive;
use crate::backup::{Backup, Restore};
use crate::cli::{Data, Global};
use crate::data;
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};
use crate::progress;
use crate::snapshot::Snapshot;

/// What can be done with a journal.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  farebox journal verify --data /var/lib/farebox")]
pub enum JournalCommand {
    /// Read every byte of the journal, and prove that it is what was written
    ///
    /// Checks the checksum and chain of every frame, and that each wallet's records are numbered without a gap. What was
    /// archived is read from --archive-dir; without it, frames are checked from there on, and wallets from the newest
    /// snapshot on. Changes nothing. The server must not run. Exits with 1 at the first damage.
    #[command(after_help = "Examples:
  farebox journal verify
  farebox journal verify --data /var/lib/farebox --json")]
    Verify(Data),
    /// Make the state anew from the journal
    ///
    /// The journal is the truth; what lies beside it follows from it. Where there is a snapshot, the journal behind it is
    /// enough. The old state is moved aside before and removed
    /// when the new one is durable. The server must not run.
    #[command(after_help = "Examples:
  farebox journal rebuild
  farebox journal verify && farebox journal rebuild --data /var/lib/farebox")]
    Rebuild(Data),
    /// Keep the state in a file, from which `rebuild` begins, while the server runs or not
    ///
    /// Made of the journal's files alone: of the snapshot before, and the records behind it. Kept only if every frame is
    /// sound, and if every wallet (or one in so many), folded once more, is what it holds.
    #[command(after_help = "Examples:
  farebox journal snapshot
  farebox journal snapshot --data /var/lib/farebox --prove-one-in 100")]
    Snapshot(Snapshot),
    /// Move old segments to an archive, while the server runs or not
    ///
    /// Moves complete, compressed segments that lie behind the newest snapshot and whose newest record is older than the
    /// retention. Each is copied, synced, and read back byte for byte and record by record before it is removed; a run that
    /// is interrupted is run again. The state and the ids need them no longer; what reads old history (entries, statements,
    /// corrections, repeated requests) reads them where the setting archive_dir says, and is told otherwise.
    #[command(after_help = "Examples:
  farebox journal snapshot && farebox journal archive --to /mnt/archive/farebox
  farebox journal archive --data /var/lib/farebox --to /mnt/archive/farebox --retention-days 800")]
    Archive(Archive),
    /// Copy everything that cannot be made again to a folder, while the server runs or not
    ///
    /// What was answered before the command began is in the copy. The first backup copies everything, later ones what is
    /// new; each frame of the journal is read back from the copy before it counts, and an interrupted backup leaves the
    /// one before it whole. Copies of the folder, to another disk or another place, are yours to make.
    #[command(after_help = "Examples:
  farebox journal backup --to /mnt/backup/farebox
  farebox journal backup --data /var/lib/farebox --to /mnt/backup/farebox --json")]
    Backup(Backup),
    /// Make a new data folder from a backup
    ///
    /// Checks every file against the backup's manifest, reads the whole journal in its new place, and makes the state
    /// from it. The folder must not be there yet, or be empty; it gets its name when all of it is proven.
    #[command(after_help = "Examples:
  farebox journal restore --from /mnt/backup/farebox --data /var/lib/farebox
  farebox journal restore --from /mnt/backup/farebox --data drill && farebox ledger verify --data drill")]
    Restore(Restore),
}

impl JournalCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self {
            JournalCommand::Verify(folder) => verify(global, folder),
            JournalCommand::Rebuild(folder) => rebuild(global, folder),
            JournalCommand::Snapshot(snapshot) => snapshot.run(global),
            JournalCommand::Archive(archive) => archive.run(global),
            JournalCommand::Backup(backup) => backup.run(global),
            JournalCommand::Restore(restore) => restore.run(global),
        }
    }
}

fn verify(global: &Global, folder: &Data) -> Result<Output, Failure> {
    let settings = global.offline(folder)?;
    data::existing(&settings.data)?;
    let bar = progress::bytes("reading");
    let archive = settings.archive_dir.as_deref();
    let window = Span::days(ID_WINDOW_DAYS).as_micros();
    let result = verify_journal(&settings.data, archive, window, &mut |read, total| {
        bar.set_length(total);
        bar.set_position(read);
    });
    bar.finish_and_clear();
    match result {
        Ok(report) => Ok(sound(&report)),
        // The check did its work: what it found is its answer.
        Err(error @ StoreError::Damaged { .. }) => Err(Failure::new(
            Exit::Refused,
            "damaged",
            error.to_string(),
        )
        .hint(
            "a backup of this file is needed; what lies before the damage is sound, and the server will not \
                 start on a part of it",
        )),
        Err(other) => Err(other.into()),
    }
}

fn sound(report: &JournalReport) -> Output {
    let rows = [
        ("segments", report.segments),
        ("  in the archive", report.segments_archived),
        ("frames", report.frames),
        ("bytes", report.bytes),
        ("records", report.records),
        ("wallets and control planes", report.wallets),
        ("ids", report.ids),
        ("ids answered twice", report.ids_repeated),
        ("bytes of a torn tail", report.torn_tail_bytes),
    ];
    let text = table(
        &["found", "number"],
        &[1],
        rows.map(|(name, n)| vec![name.to_string(), n.to_string()]),
    );
    let mut verdict = match report.ids_repeated {
        0 => "The journal is what was written.",
        _ => {
            "The journal is what was written, but ids were answered twice: `farebox ledger verify` names them."
        }
    }
    .to_string();
    if report.from > 0 {
        verdict = format!(
            "{verdict}\nFrames were read from {} on, and wallets followed from the snapshot at {} on: what is older is in an \
             archive.\nWith --archive-dir all of it is read.",
            report.from, report.wallets_from
        );
    }
    let json = json!({
        "sound": report.ids_repeated == 0,
        "segments": report.segments, "frames": report.frames, "bytes": report.bytes, "records": report.records,
        "wallets": report.wallets, "ids": report.ids, "ids_repeated": report.ids_repeated,
        "torn_tail_bytes": report.torn_tail_bytes, "end": report.end,
        "segments_archived": report.segments_archived, "from": report.from, "wallets_from": report.wallets_from,
    });
    let output = Output::new(format!("{text}\n\n{verdict}"), json);
    if report.ids_repeated == 0 {
        output
    } else {
        output.failed()
    }
}

fn rebuild(global: &Global, folder: &Data) -> Result<Output, Failure> {
    let settings = global.offline(folder)?;
    data::existing(&settings.data)?;
    let bar = progress::bytes("folding");
    let mut bytes = 0;
    let result = JournalStore::rebuild(
        &settings.data,
        settings.store_options(),
        Arc::new(LedgerFold),
        &mut |done, total| {
            bytes = total;
            bar.set_length(total);
            bar.set_position(done);
        },
    );
    bar.finish_and_clear();
    result?;
    let text = format!(
        "The state is made anew from {bytes} bytes of journal.\nNext: `farebox ledger verify` proves it from history."
    );
    Ok(Output::new(
        text,
        json!({ "rebuilt": true, "journal_bytes": bytes }),
    ))
}
