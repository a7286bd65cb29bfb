//! Comparing answers, and putting them into words.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::event::Event;
use farebox_record::plan::{Collect, Priced};
use farebox_runtime::Verdict;

use crate::events::to_json;
use crate::probe::why;

/// How an answer differs from the one that is expected; none where it does not.
/// `elsewhere` says where the expected one comes: "alone".
pub(super) fn difference(expected: &Verdict, found: &Verdict, elsewhere: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let (expected, found) = match (expected, found) {
        (Verdict::Priced(expected), Verdict::Priced(found)) => (expected, found),
        _ => {
            return Some(format!(
                "it is {}, and {elsewhere} {}",
                in_words(found),
                in_words(expected)
            ));
        }
    };
    Some(if expected.charges != found.charges {
        format!("it costs {}, and {elsewhere} {}", said(found), said(expected))
    } else if expected.grants != found.grants {
        "it grants something else".into()
    } else if expected.timers != found.timers {
        "it sets other timers".into()
    } else {
        "it leaves another state behind".into()
    })
}

fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Priced(priced) => said(priced),
        Verdict::Rejected(_) | Verdict::Failed(_) => why(verdict).unwrap_or_default(),
    }
}

/// What charges come to: `tokens 0.2 usd, images 3 credits`.
pub(super) fn said(priced: &Priced) -> String {
    let charges = priced.charges.iter();
    let charges =
        charges.map(|charge| format!("{} {} {}", charge.code, charge.price.amount, charge.price.asset));
    let charges: Vec<String> = charges.collect();
    match charges.is_empty() {
        true => "nothing".into(),
        false => charges.join(", "),
    }
}

/// Sums of what is owed, by place in the chain, asset and how it is collected.
fn owed(priced: &Priced) -> BTreeMap<(usize, &Asset, bool), i128> {
    let mut sums = BTreeMap::new();
    for charge in priced
        .charges
        .iter()
        .filter(|charge| charge.price.amount.is_positive())
    {
        let prices = std::iter::once(&charge.price).chain(&charge.otherwise);
        for (place, price) in prices.enumerate() {
            let key = (place, &price.asset, price.collect == Collect::Invoice);
            *sums.entry(key).or_default() += price.amount.get();
        }
    }
    sums
}

/// The asset of which usage costs more than was quoted, with both amounts.
pub(super) fn above(usage: &Priced, quote: &Priced) -> Option<(Asset, Nanos, Nanos)> {
    let quoted = owed(quote);
    let owed = owed(usage).into_iter();
    let mut more = owed.filter_map(|(key, cost)| {
        let most = quoted.get(&key).copied().unwrap_or(0);
        (cost > most).then(|| (key.1.clone(), Nanos::new(cost), Nanos::new(most)))
    });
    more.next()
}

/// An event in the form in which the API takes it.
pub(super) fn words(event: &Event) -> String {
    to_json(event).to_string()
}
