//! What was promised and not used.

use farebox_money::Nanos;

use crate::{Asset, Category, Overflow, RemainingGrant};

/// What is left of the included value of a subscription in one asset: what a plan may let roll over at
/// [`Change::Renewed`](crate::Change::Renewed), by a grant of its own. What was bought or given away stays in the wallet
/// anyway and does not count.
///
/// ```
/// use farebox_plan::{Asset, Category, Nanos, RemainingGrant, unused};
/// const CREDITS: Asset = Asset::new(0, "credits");
/// let left = |category, remaining| RemainingGrant {
///     asset: CREDITS,
///     category,
///     label: "Credits".to_string(),
///     granted: Nanos::units(1000),
///     remaining: Nanos::units(remaining),
///     expires: None,
/// };
/// let remaining = [left(Category::Included, 300), left(Category::Included, 450), left(Category::Paid, 80)];
/// let rollover = unused(&remaining, CREDITS).unwrap().min(Nanos::units(500));
/// assert_eq!(rollover, Nanos::units(500)); // 750 are left, at most 500 roll over
/// ```
pub fn unused(remaining: &[RemainingGrant], asset: Asset) -> Result<Nanos, Overflow> {
    let included = remaining
        .iter()
        .filter(|grant| grant.asset == asset && grant.category == Category::Included);
    Nanos::checked_sum(included.map(|grant| grant.remaining)).ok_or(Overflow)
}

/// What is missing up to a minimum; nothing where it is reached.
///
/// ```
/// use farebox_plan::{Nanos, shortfall};
/// let minimum = Nanos::units(50);
/// assert_eq!(shortfall(minimum, Nanos::units(30)), Ok(Nanos::units(20)));
/// assert_eq!(shortfall(minimum, Nanos::units(50)), Ok(Nanos::ZERO));
/// assert_eq!(shortfall(minimum, Nanos::units(80)), Ok(Nanos::ZERO));
/// ```
pub fn shortfall(minimum: Nanos, used: Nanos) -> Result<Nanos, Overflow> {
    let missing = minimum.checked_sub(used).ok_or(Overflow)?;
    Ok(missing.max(Nanos::ZERO))
}
