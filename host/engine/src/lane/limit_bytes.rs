//! Bytes that spending limits add to the records of a wallet.

use farebox_ledger::Wallet;

/// How large spending limits may make a wallet's records, roughly: each record counts towards each limit, and one of a
/// round may announce its thresholds.
#[derive(Default)]
pub(super) struct LimitBytes {
    pub each: usize,
    pub once: usize,
}

impl LimitBytes {
    pub fn of(wallet: &Wallet) -> LimitBytes {
        const BESIDES_NAMES: usize = 64;
        let mut bytes = LimitBytes::default();
        for (name, limit) in wallet.limits() {
            let scope = limit.terms.scope.0.iter();
            let level: usize = scope.map(|(name, value)| name.len() + value.len() + 2).sum();
            let named = name.as_str().len() + BESIDES_NAMES;
            bytes.each += named;
            bytes.once += limit.terms.thresholds.len() * (named + level + BESIDES_NAMES);
        }
        bytes
    }
}
