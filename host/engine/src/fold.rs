//! How a store replays: the one place where opaque records meet the ledger again.

use farebox_ledger::Wallet;
use farebox_record::Record;
use farebox_record::codec;
use farebox_record::control::{ControlRecord, ControlState};
use farebox_store::{Fold, Folded, FoldedRecord, Image, WalletKey};

/// Folds wallets with the ledger, and control planes with their own state.
#[derive(Debug, Clone, Copy, Default)]
pub struct LedgerFold;

impl Fold for LedgerFold {
    fn fold(
        &self,
        wallet: &WalletKey,
        image: &Image,
        records: &[FoldedRecord<'_>],
    ) -> Result<Folded, String> {
        match wallet.is_control() {
            true => fold_control(image, records),
            false => fold_wallet(image, records),
        }
        .map_err(|what| format!("{wallet:?}: {what}"))
    }
}

fn parts(image: &Image) -> impl Iterator<Item = (&[u8], &[u8])> {
    image
        .parts
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_slice()))
}

/// The wallet of an image.
pub(crate) fn wallet_of(image: &Image) -> Result<Wallet, String> {
    Wallet::from_parts(parts(image)).map_err(|e| e.to_string())
}

/// The control plane of an image.
pub(crate) fn control_of(image: &Image) -> Result<ControlState, String> {
    ControlState::from_parts(parts(image)).map_err(|e| e.to_string())
}

fn fold_wallet(image: &Image, records: &[FoldedRecord<'_>]) -> Result<Folded, String> {
    let mut wallet = wallet_of(image)?;
    for stored in records {
        let record = Record::decode(stored.body).map_err(|e| format!("record {}: {e}", stored.sequence))?;
        wallet.replay(&record, stored.body).map_err(|e| e.to_string())?;
    }
    let due = wallet.next_due().map(|(at, _)| at.as_micros());
    Ok(Folded {
        parts: wallet.take_changes(),
        due,
    })
}

fn fold_control(image: &Image, records: &[FoldedRecord<'_>]) -> Result<Folded, String> {
    let mut state = control_of(image)?;
    let mut changes = std::collections::BTreeMap::new();
    for stored in records {
        let record: ControlRecord =
            codec::decode(stored.body).map_err(|e| format!("record {}: {e}", stored.sequence))?;
        changes.extend(state.fold(&record, stored.body));
    }
    Ok(Folded {
        parts: changes.into_iter().collect(),
        due: None,
    })
}
