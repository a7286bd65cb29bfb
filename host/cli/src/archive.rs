//! `farebox journal archive`: old segments of the journal, moved to another folder.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use farebox_ledger::limits::LATE_WINDOW;
use farebox_record::time::Span;
use farebox_store::limits::{ARCHIVE_RETENTION_DAYS_DEFAULT, ARCHIVE_RETENTION_DAYS_MIN};
use farebox_store::{ArchivePlan, Ended, archive};
use serde_json::json;

use crate::cli::{Data, Global};
use crate::data;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::progress;

// What is archived must not be needed for a late event or its correction.
const _: () = assert!(
    LATE_WINDOW.as_micros() + Span::days(2).as_micros() <= Span::days(ARCHIVE_RETENTION_DAYS_MIN).as_micros()
);

/// What is archived, and where to.
#[derive(Debug, Args)]
pub struct Archive {
    #[command(flatten)]
    data: Data,
    /// Folder of the archive: made, or added to
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Move only what is older than so many days; at least 37
    #[arg(long, value_name = "DAYS", default_value_t = ARCHIVE_RETENTION_DAYS_DEFAULT)]
    retention_days: u32,
}

impl Archive {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let settings = global.offline(&self.data)?;
        data::existing(&settings.data)?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        let plan = ArchivePlan {
            dir: &settings.data,
            to: &self.to,
            retention_days: self.retention_days,
            now,
        };
        let bar = progress::bytes("archiving");
        let result = archive(&plan, &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        let report = result?;
        let rows = [
            ("segments moved", report.segments_archived),
            ("segments that were there", report.segments_before),
            ("records verified in the copies", report.records_verified),
            ("bytes written to the archive", report.bytes_written),
            ("bytes given back in the data folder", report.bytes_removed),
        ];
        let text = table(
            &["archived", "number"],
            &[1],
            rows.map(|(name, n)| vec![name.to_string(), n.to_string()]),
        );
        let (ended, why) = match report.ended {
            Ended::Retention => (
                "retention",
                "the next segment has records that are not old enough",
            ),
            Ended::Snapshot => (
                "snapshot",
                "the next segment does not lie behind the newest snapshot: `farebox journal snapshot` makes a newer one",
            ),
            Ended::NotPacked => (
                "not_packed",
                "the next segment is written to, or not compressed yet",
            ),
        };
        let mut next = format!("It ends there because {why}.");
        if report.until > 0 && settings.archive_dir.as_deref() != Some(&*self.to) {
            let to = self.to.display();
            next = format!(
                "{next}\nNext: `archive_dir = \"{to}\"` in farebox.toml, so that old history can be read"
            );
        }
        let json = json!({
            "segments_archived": report.segments_archived, "segments_before": report.segments_before,
            "records_verified": report.records_verified, "bytes_written": report.bytes_written,
            "bytes_removed": report.bytes_removed, "until": report.until, "snapshot": report.snapshot,
            "ended": ended,
        });
        Ok(Output::new(format!("{text}\n\n{next}"), json))
    }
}
