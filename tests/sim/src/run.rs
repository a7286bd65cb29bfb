//! Episodes, one after another; and after a failure, the shortest way back to it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::episode::{EPISODE_OPERATIONS, Episode};
use crate::report::Tally;

/// What is not as it must be, and how to see it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Seed of its episode.
    pub seed: u64,
    /// Fewest operations found that show it.
    pub operations: u64,
    /// What is wrong.
    pub what: String,
}

impl Failure {
    /// What to type to see it again.
    pub fn command(&self) -> String {
        format!("cargo xtask sim --seed {} --ops {}", self.seed, self.operations)
    }
}

/// A seed that nobody has used yet: the microseconds since 1970.
pub fn drawn_seed() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(0)
}

/// The seed of an episode. The first has the run's own, so that any episode can be had again as the first of another run.
pub fn seed_of(seed: u64, episode: u64) -> u64 {
    if episode == 0 {
        return seed;
    }
    // SplitMix64: neighbouring numbers have nothing in common.
    let mut mixed = seed.wrapping_add(episode.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Runs so many operations, in episodes. `goes_on` is asked before each but the first, with what was done so far.
///
/// # Errors
/// The first failure, as short as it can be had.
pub fn run(
    seed: u64,
    operations: u64,
    goes_on: &mut dyn FnMut(u64, &Tally) -> bool,
) -> Result<(Tally, [u8; 32]), Box<Failure>> {
    let mut tally = Tally::default();
    let mut digest = blake3::Hasher::new();
    for episode in 0.. {
        let left = operations
            .saturating_sub(tally.operations)
            .min(EPISODE_OPERATIONS);
        if left == 0 || (episode > 0 && !goes_on(episode, &tally)) {
            break;
        }
        let (more, hash) =
            one(seed_of(seed, episode), left).map_err(|failure| Box::new(shortest(failure)))?;
        tally.add(&more);
        digest.update(&hash);
    }
    Ok((tally, *digest.finalize().as_bytes()))
}

/// One episode. A panic is a failure like any other; where it struck is not known, so all of its operations are named.
fn one(seed: u64, operations: u64) -> Result<(Tally, [u8; 32]), Failure> {
    let failure = |operations, what| Failure {
        seed,
        operations,
        what,
    };
    match catch_unwind(AssertUnwindSafe(|| Episode::run(seed, operations))) {
        Ok((tally, Ok(hash))) => Ok((tally, hash)),
        Ok((_, Err((done, error)))) => Err(failure(done, format!("{error:#}"))),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(failure(operations, format!("panicked: {text}")))
        }
    }
}

/// Fewer operations may show it too: each run ends with a look at everything. The first half is tried first.
fn shortest(mut failure: Failure) -> Failure {
    let mut good = 0;
    while good + 1 < failure.operations {
        let middle = good + (failure.operations - good) / 2;
        match one(failure.seed, middle) {
            Ok(_) => good = middle,
            Err(shorter) if shorter.operations < failure.operations => failure = shorter,
            Err(_) => break,
        }
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_can_be_had_again_as_the_first_of_a_run() {
        assert_eq!(seed_of(77, 0), 77);
        let third = seed_of(77, 2);
        assert_ne!(third, seed_of(77, 1));
        assert_eq!(seed_of(third, 0), third);
        let failure = Failure {
            seed: third,
            operations: 9,
            what: "x".into(),
        };
        assert_eq!(
            failure.command(),
            format!("cargo xtask sim --seed {third} --ops 9")
        );
    }
}
