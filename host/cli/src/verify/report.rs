//! What a verification found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use farebox_engine::projection::{Accounts, BookAccount, Closing};
use farebox_store::WalletKey;
use serde_json::{Value, json};

use crate::output::{Output, table};

/// Counts, sums, and everything that is not as it must be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Tenants.
    pub tenants: u64,
    /// Customers' wallets.
    pub wallets: u64,
    /// Records of wallets.
    pub records: u64,
    /// Records of control planes.
    pub control_records: u64,
    /// Entries of all records; per record and asset they sum to zero.
    pub entries: u64,
    /// Ids that records answer for.
    pub ids: u64,
    /// What all wallets come to, per asset and account.
    pub books: Closing,
    /// Whether the books that the server keeps were compared with that. Not where they are made of records that are not at
    /// hand, and not all of them where a wallet cannot be folded.
    pub books_compared: bool,
    /// Records that the ledger decided again, with the same outcome; those of earlier formats are not.
    pub decided: u64,
    /// Answers of plans that are in records.
    pub priced: u64,
    /// Of those, the ones that were asked for again and came out the same.
    pub reevaluated: u64,
    /// Of those, the ones that are failures of a plan, and so no prices.
    pub failures: u64,
    /// Where wallets were folded from a snapshot on, because their first records are archived and not at hand: its position.
    pub from: Option<u64>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whose: tenant and wallet.
    pub wallet: WalletKey,
    /// Which of its records; none: its state.
    pub sequence: Option<u64>,
    /// Stable name of the rule that is broken.
    pub rule: &'static str,
    /// What is wrong.
    pub what: String,
}

impl Report {
    pub(super) fn found(
        &mut self,
        wallet: &WalletKey,
        sequence: Option<u64>,
        rule: &'static str,
        what: impl Into<String>,
    ) {
        self.findings.push(Finding {
            wallet: wallet.clone(),
            sequence,
            rule,
            what: what.into(),
        });
    }

    /// As a command's result; it fails where anything is wrong.
    pub fn output(&self) -> Output {
        let output = Output::new(self.text(), self.json());
        if self.findings.is_empty() {
            output
        } else {
            output.failed()
        }
    }

    fn text(&self) -> String {
        let counts = [
            ("tenants", self.tenants),
            ("wallets", self.wallets),
            ("records", self.records),
            ("control records", self.control_records),
            ("entries", self.entries),
            ("ids", self.ids),
            ("records decided again, equal", self.decided),
            ("answers of plans", self.priced),
            ("  evaluated again, equal", self.reevaluated),
            ("  failures, no prices", self.failures),
        ];
        let rows = counts
            .iter()
            .map(|(name, count)| vec![(*name).to_string(), count.to_string()]);
        let mut text = table(&["checked", "number"], &[1], rows);
        for (asset, accounts) in &self.books {
            let rows = BookAccount::ALL.into_iter();
            let rows =
                rows.map(|account| vec![account.as_str().to_string(), accounts.get(account).to_string()]);
            text.push_str("\n\n");
            text.push_str(&table(&[asset.as_str(), "all wallets"], &[1], rows));
        }
        if !self.books_compared {
            text.push_str(
                "\n\nThe books were not compared with that, or not all of them: records are in an archive (--archive-dir), or a \
                 wallet is broken.",
            );
        }
        match self.findings.len() {
            0 => match self.from {
                None => text.push_str("\n\nEverything follows from the history."),
                Some(position) => {
                    let _ = write!(
                        text,
                        "\n\nEverything follows from the snapshot at {position} and the history behind it.\n\
                         Older history is in an archive: with --archive-dir all of it is verified."
                    );
                }
            },
            count => {
                let _ = write!(text, "\n\n{count} violations:"); // writing to a String cannot fail
                for finding in &self.findings {
                    let _ = write!(
                        text,
                        "\n  {} [{}] {}",
                        finding.place(),
                        finding.rule,
                        finding.what
                    );
                }
            }
        }
        text
    }

    fn json(&self) -> Value {
        let of = |accounts: &Accounts| -> BTreeMap<&str, String> {
            let all = BookAccount::ALL.into_iter();
            all.map(|account| (account.as_str(), accounts.get(account).to_string()))
                .collect()
        };
        let books: BTreeMap<&str, _> = (self.books.iter())
            .map(|(asset, accounts)| (asset.as_str(), of(accounts)))
            .collect();
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|f| {
                json!({
                    "tenant": f.wallet.tenant(), "wallet": f.wallet.wallet(), "sequence": f.sequence,
                    "rule": f.rule, "what": f.what,
                })
            })
            .collect();
        json!({
            "sound": self.findings.is_empty(),
            "tenants": self.tenants, "wallets": self.wallets, "records": self.records,
            "control_records": self.control_records, "entries": self.entries, "ids": self.ids,
            "books": books, "books_compared": self.books_compared,
            "decided": self.decided, "priced": self.priced, "reevaluated": self.reevaluated, "failures": self.failures,
            "from": self.from,
            "violations": findings,
        })
    }
}

impl Finding {
    fn place(&self) -> String {
        match self.sequence {
            Some(sequence) => format!("{:?} record {sequence}", self.wallet),
            None => format!("{:?}", self.wallet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_listed_by_place() {
        let mut report = Report {
            wallets: 2,
            records: 7,
            priced: 3,
            decided: 7,
            reevaluated: 2,
            books_compared: true,
            ..Report::default()
        };
        let mut usd = Accounts::default();
        usd.add(BookAccount::Purchases, "-20".parse().unwrap());
        usd.add(BookAccount::Available, "7.5".parse().unwrap());
        usd.add(BookAccount::Revenue, "12.5".parse().unwrap());
        report.books.insert("usd".parse().unwrap(), usd);
        report.found(
            &WalletKey::new("default", "acme"),
            Some(4),
            "price",
            "the plan answers differently",
        );
        report.found(
            &WalletKey::new("default", "acme"),
            None,
            "state",
            "the stored wallet is not the fold",
        );
        let output = report.output();
        assert!(output.failed.is_some());
        insta::assert_snapshot!(output.text);
        insta::assert_snapshot!(format!("{:#}", output.json));
    }
}
