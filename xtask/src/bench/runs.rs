//! Several runs of one load: the median of each number, and between which values it was.

use super::report::Measured;

/// Asks so often, and gives the median of each number with its spread. `run` is told which run it is.
pub fn repeat(
    runs: u32,
    mut run: impl FnMut(u32) -> anyhow::Result<Vec<Measured>>,
) -> anyhow::Result<Vec<Measured>> {
    let mut all: Vec<Vec<Measured>> = Vec::new();
    for number in 0..runs {
        for measured in run(number)? {
            match all.iter_mut().find(|same| same[0].name == measured.name) {
                Some(same) => same.push(measured),
                None => all.push(vec![measured]),
            }
        }
    }
    Ok(all.into_iter().map(median).collect())
}

/// What was counted over all runs is their sum.
fn median(mut same: Vec<Measured>) -> Measured {
    same.sort_by(|a, b| a.value.total_cmp(&b.value));
    let (low, high) = (same[0].value, same[same.len() - 1].value);
    if same[0].is_sum() {
        let sum = same.iter().map(|one| one.value).sum();
        return Measured {
            value: sum,
            ..same.swap_remove(0)
        };
    }
    let middle = same.swap_remove(same.len() / 2);
    Measured {
        spread: (low < high).then_some((low, high)),
        ..middle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_the_median_with_its_spread() {
        let rates = [30.0, 10.0, 20.0];
        let measured = repeat(3, |run| {
            let rate = rates[run as usize];
            Ok(vec![
                Measured::new("rate", rate, "1/s"),
                Measured::new("rate_sent", rate, ""),
                Measured::new("bytes", 7.0, ""),
            ])
        });
        let told: Vec<_> = (measured.unwrap().into_iter())
            .map(|one| (one.name, one.value, one.spread))
            .collect();
        let one = |name: &str, value, spread| (name.to_string(), value, spread);
        assert_eq!(
            told,
            [
                one("rate", 20.0, Some((10.0, 30.0))),
                one("rate_sent", 60.0, None),
                one("bytes", 7.0, None),
            ]
        );
    }
}
