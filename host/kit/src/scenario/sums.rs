//! Sums per asset, and how they are told from what was expected.

use std::fmt::Display;

use farebox_money::{Asset, Nanos};

use super::value::Money;

/// How much per asset.
pub(super) type Sums = Vec<(Asset, Nanos)>;

/// Adds to the sum of an asset.
pub(super) fn add(sums: &mut Sums, asset: &Asset, amount: Nanos) {
    match sums.iter_mut().find(|(known, _)| known == asset) {
        Some((_, sum)) => *sum = Nanos::new(sum.get().saturating_add(amount.get())),
        None => sums.push((asset.clone(), amount)),
    }
}

/// The sums of amounts.
pub(super) fn sums<'a>(amounts: impl Iterator<Item = (&'a Asset, Nanos)>) -> Sums {
    let mut sums = Sums::new();
    for (asset, amount) in amounts {
        add(&mut sums, asset, amount);
    }
    sums
}

/// Whether the sums are all that was expected: nothing in an asset that is not named.
pub(super) fn equal(expected: &[Money], found: &[(Asset, Nanos)]) -> bool {
    let fits = expected.iter().all(|money| {
        let sum = found
            .iter()
            .find(|(asset, _)| *asset == money.asset)
            .map_or(Nanos::ZERO, |(_, amount)| *amount);
        sum == money.amount
    });
    let named = |asset: &Asset| expected.iter().any(|money| money.asset == *asset);
    let complete = found
        .iter()
        .all(|(asset, amount)| named(asset) || amount.is_zero());
    fits && complete
}

/// Sums, in words.
pub(super) fn amounts(sums: &[(Asset, Nanos)]) -> String {
    list(sums.iter().map(|(asset, amount)| format!("{amount} {asset}")))
}

/// What was expected and what came, item by item.
pub(super) fn told(
    name: &str,
    expected: impl IntoIterator<Item = impl Display>,
    found: impl IntoIterator<Item = impl Display>,
) -> String {
    format!("{name}: expected {}, found {}", list(expected), list(found))
}

/// Items, in words.
pub(super) fn list(items: impl IntoIterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}
