//! Which charge an entry pays.

use farebox_record::Record;
use farebox_record::outcome::Entry;

/// The code of the charge that an entry of the record pays; none where it pays none.
pub(crate) fn charge_code<'r>(record: &'r Record, entry: &Entry) -> Option<&'r str> {
    record.charge_code(entry.charge?)
}
