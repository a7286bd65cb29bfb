//! `farebox journal backup` and `restore`: a copy of everything that cannot be made again, and a data folder from it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use farebox_engine::LedgerFold;
use serde_json::json;

use crate::cli::{Data, Global};
use crate::data;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::progress;

/// What is backed up, and where to.
#[derive(Debug, Args)]
pub struct Backup {
    #[command(flatten)]
    data: Data,
    /// Folder for the backup: made, or brought up to date
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// What is restored, and where to.
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    data: Data,
    /// Folder of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

impl Backup {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let settings = global.offline(&self.data)?;
        data::existing(&settings.data)?;
        let bar = progress::bytes("copying");
        let result = farebox_store::backup(
            &settings.data,
            settings.archive_dir.as_deref(),
            &self.to,
            &mut |done, total| {
                bar.set_length(total);
                bar.set_position(done);
            },
        );
        bar.finish_and_clear();
        let report = result?;
        let rows = [
            ("segments copied", report.segments_copied),
            ("segments that were there", report.segments_kept),
            ("records verified in the copy", report.records_verified),
            ("components and parameters copied", report.blobs_copied),
            ("components and parameters that were there", report.blobs_kept),
            ("bytes written", report.bytes_written),
        ];
        let text = table(
            &["backup", "number"],
            &[1],
            rows.map(|(name, n)| vec![name.to_string(), n.to_string()]),
        );
        let to = self.to.display();
        let next = format!(
            "Everything answered before now is in {to}.\nNext: `farebox journal restore --from {to} --data NEW`"
        );
        let json = json!({
            "end": report.end,
            "segments_copied": report.segments_copied, "segments_kept": report.segments_kept,
            "records_verified": report.records_verified,
            "blobs_copied": report.blobs_copied, "blobs_kept": report.blobs_kept,
            "bytes_written": report.bytes_written,
        });
        Ok(Output::new(format!("{text}\n\n{next}"), json))
    }
}

impl Restore {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let settings = global.offline(&self.data)?;
        let bar = progress::bytes("copying");
        let result = farebox_store::restore(
            &self.from,
            &settings.data,
            settings.store_options(),
            Arc::new(LedgerFold),
            &mut |doing, done, total| {
                bar.set_prefix(doing);
                bar.set_length(total);
                bar.set_position(done);
            },
        );
        bar.finish_and_clear();
        let report = result?;
        data::private(&settings.data)?;
        let rows = [
            ("records", report.journal.records),
            ("wallets and control planes", report.journal.wallets),
            ("components and parameters", report.blobs),
            ("bytes written", report.bytes_written),
        ];
        let text = table(
            &["restored", "number"],
            &[1],
            rows.map(|(name, n)| vec![name.to_string(), n.to_string()]),
        );
        let folder = settings.data.display();
        let next = format!(
            "{folder} is a data folder.\nNext: `farebox ledger verify --data {folder}` proves every balance."
        );
        let json = json!({
            "restored": true, "end": report.journal.end, "records": report.journal.records,
            "wallets": report.journal.wallets, "blobs": report.blobs, "bytes_written": report.bytes_written,
        });
        Ok(Output::new(format!("{text}\n\n{next}"), json))
    }
}
