//! What falls due for a wallet, in order of instant; at one instant in the order of [`DueItem`]'s variants.

use farebox_record::command::{Due, DueItem};
use farebox_record::time::Timestamp;

use crate::wallet::Wallet;

impl Wallet {
    /// The next thing that is due at or before `until`. Handled by a [`farebox_record::command::Command::Due`] of its
    /// own, before any other command of that time: an event exactly at a boundary comes after it.
    pub fn overdue(&self, until: Timestamp) -> Option<Due> {
        let (instant, item) = self.next_due()?;
        (*instant <= until).then(|| Due {
            instant: *instant,
            item: item.clone(),
        })
    }

    /// Whether handling this item needs the plan.
    pub fn needs_plan(item: &DueItem) -> bool {
        matches!(item, DueItem::Renewal(_) | DueItem::Timer { .. })
    }
}
