//! `farebox journal snapshot`: the state at a position of the journal, proven before it counts.

use std::num::NonZeroU64;

use clap::Args;
use farebox_engine::LedgerFold;
use farebox_store::{Proof, Store as _};
use serde_json::json;

use crate::cli::{Data, Global};
use crate::data;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::progress;

/// What a snapshot is taken of, and how much of it is proven.
#[derive(Debug, Args)]
pub struct Snapshot {
    #[command(flatten)]
    data: Data,
    /// Prove one wallet in so many instead of all
    #[arg(long, value_name = "N")]
    prove_one_in: Option<NonZeroU64>,
}

impl Snapshot {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let settings = global.offline(&self.data)?;
        data::existing(&settings.data)?;
        let store = data::open(&settings.data, settings.store_options())?;
        let proof = self.prove_one_in.map_or(Proof::All, |n| Proof::OneIn(n.get()));
        let bar = progress::spinner("proving");
        let result = store.snapshot(&LedgerFold, proof, &mut |wallets| {
            bar.set_message(format!("{wallets} wallets"));
        });
        bar.finish_and_clear();
        let report = result?;
        store.close()?;
        let rows = [
            ("wallets and control planes", report.wallets),
            ("proven from their first record on", report.wallets_proven),
            ("rows", report.rows),
            ("bytes", report.bytes),
        ];
        let text = table(
            &["snapshot", "number"],
            &[1],
            rows.map(|(name, n)| vec![name.to_string(), n.to_string()]),
        );
        let path = report.path.display();
        let json = json!({
            "path": report.path, "applied": report.applied, "wallets": report.wallets,
            "wallets_proven": report.wallets_proven, "rows": report.rows, "bytes": report.bytes,
        });
        let next = format!("{path}\n`farebox journal rebuild` begins here from now on.");
        Ok(Output::new(format!("{text}\n\n{next}"), json))
    }
}
