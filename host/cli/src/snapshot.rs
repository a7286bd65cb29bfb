//! `farebox journal snapshot`: the state at a position of the journal, proven before it counts.

use std::num::NonZeroU64;

use clap::Args;
use farebox_engine::LedgerFold;
use farebox_engine::projection::RecordFollow;
use farebox_store::{Beginning, Proof, SnapshotPlan, snapshot};
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
    /// Begin with the first record instead of the newest snapshot
    #[arg(long)]
    from_first_record: bool,
}

impl Snapshot {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let settings = global.offline(&self.data)?;
        data::existing(&settings.data)?;
        let follow = RecordFollow::default();
        let plan = SnapshotPlan {
            dir: &settings.data,
            archive_dir: settings.archive_dir.as_deref(),
            fold: &LedgerFold,
            follow: Some(&follow),
            beginning: match self.from_first_record {
                true => Beginning::FirstRecord,
                false => Beginning::Newest,
            },
            proof: self.prove_one_in.map_or(Proof::All, |n| Proof::OneIn(n.get())),
            disk_free_bytes_min: settings.disk_free_bytes_min,
        };
        let bar = progress::steps("folding");
        let result = snapshot(&plan, &mut |doing, done, total| {
            bar.set_prefix(doing);
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        let report = result?;
        let rows = [
            ("records folded", report.records),
            ("wallets and control planes", report.wallets),
            ("folded once more", report.wallets_proven),
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
            "path": report.path, "applied": report.applied, "from": report.from, "records": report.records,
            "wallets": report.wallets, "wallets_proven": report.wallets_proven, "rows": report.rows,
            "bytes": report.bytes,
        });
        let next = format!("{path}\n`farebox journal rebuild` begins here from now on.");
        Ok(Output::new(format!("{text}\n\n{next}"), json))
    }
}
