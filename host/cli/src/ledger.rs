//! `farebox ledger`: proving the ledger of a stopped server.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use farebox_record::time::Timestamp;
use farebox_store::Store as _;

use crate::cli::{Data, Global};
use crate::data;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress;
use crate::verify::verify;

/// What can be done with a ledger.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  farebox ledger verify --data /var/lib/farebox")]
pub enum LedgerCommand {
    /// Prove every balance from its history, and every price by asking its plan again
    ///
    /// Opens the data folder of a stopped server, folds each wallet again from its first record on, and checks that
    /// records follow on each other and sum to zero, that the stored wallet is what they give and breaks no rule, that
    /// each id is answered once and found again, and that the recorded revisions still give the recorded prices. Where the
    /// first records are archived, they are read from --archive-dir; without it wallets are folded from the newest snapshot.
    /// Changes no wallet. Exits with 1 and lists every violation by place where anything is wrong.
    #[command(after_help = "Examples:
  farebox ledger verify
  farebox ledger verify --data /var/lib/farebox --json | jq .violations")]
    Verify(Data),
}

impl LedgerCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let LedgerCommand::Verify(folder) = self;
        let settings = global.offline(folder)?;
        data::existing(&settings.data)?;
        let store = data::open(&settings.data, settings.store_options())?;
        let runtime = data::runtime(&settings.data, true)?;
        let bar = progress::spinner("verifying");
        let base = store.base()?;
        let report = verify(
            &store,
            base.as_ref(),
            &runtime,
            machine_time(),
            &|wallets, records| {
                bar.set_message(format!("{wallets} wallets, {records} records"));
            },
        );
        bar.finish_and_clear();
        let report = report?;
        drop(base);
        store.close()?;
        Ok(report.output())
    }
}

fn machine_time() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::from_micros(now.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
}
