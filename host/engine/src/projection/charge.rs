//! Which charge an entry pays.

use farebox_record::Record;
use farebox_record::outcome::{Entry, Verdict};

/// The code of the charge that an entry of the record pays; none where it pays none.
pub(crate) fn charge_code<'r>(record: &'r Record, entry: &Entry) -> Option<&'r str> {
    let index = usize::from(entry.charge?);
    match &record.seen.pricing.as_ref()?.verdict {
        Verdict::Priced(priced) => priced.charges.get(index).map(|charge| charge.code.as_str()),
        Verdict::Rejected(_) | Verdict::Failed { .. } => None,
    }
}
