//! A made-up trace, for where there is no real one: seeded, integers only.
//!
//! Its shape follows what is published of chat services:
//! - sizes are about log-normal: `median * 2^(z * spread / 64)`, where `z` is a sum of twelve uniform numbers (about
//!   normal, with a standard deviation of one) and powers of two are interpolated within an octave. Prompts: median
//!   1,020 tokens, spread 84 (a factor of 2.5), 2 to 14,000. Answers: median 129, spread 70 (a factor of 2.1), 7 to
//!   1,000.
//! - gaps between requests are even between 0 and 400 ms, so 5 requests a second; every 250th request starts a
//!   burst of 50 with gaps between 0 and 10 ms.

use super::dice::{Dice, Question};
use super::trace::Request;

/// As many as a real hour of the Azure conversation trace has, about.
pub const REQUESTS: u64 = 15_000;

const BURST_EVERY: u64 = 250;
const BURST_LENGTH: u64 = 50;
const GAP_US_MAX: u64 = 400_000;
const BURST_GAP_US_MAX: u64 = 10_000;

/// A quantity about log-normal around its median.
struct Sizes {
    question: Question,
    median: u64,
    /// Of one standard deviation, in 64ths of an octave.
    spread: i64,
    least: u64,
    most: u64,
}

const CONTEXT: Sizes = Sizes {
    question: Question::Context,
    median: 1_020,
    spread: 84,
    least: 2,
    most: 14_000,
};
const GENERATED: Sizes = Sizes {
    question: Question::Generated,
    median: 129,
    spread: 70,
    least: 7,
    most: 1_000,
};

/// So many requests; the same for the same seed.
pub fn generate(dice: Dice, requests: u64) -> Vec<Request> {
    let mut at_us = 0;
    (0..requests)
        .map(|index| {
            if index > 0 {
                let in_burst = index >= BURST_EVERY && index % BURST_EVERY < BURST_LENGTH;
                let most = if in_burst { BURST_GAP_US_MAX } else { GAP_US_MAX };
                at_us += dice.below(Question::Gap, index, most + 1);
            }
            Request {
                at_us,
                context: CONTEXT.draw(dice, index),
                generated: GENERATED.draw(dice, index),
            }
        })
        .collect()
}

impl Sizes {
    fn draw(&self, dice: Dice, index: u64) -> u32 {
        // Twelve numbers of 0..128: the sum has mean 762 and variance 12 * (128^2 - 1) / 12, so deviation 128.
        let sum: u64 = (0..12)
            .map(|part| dice.below(self.question, index * 12 + part, 128))
            .sum();
        let deviations_128 = i64::try_from(sum).unwrap_or(762) - 762;
        let octaves_64 = deviations_128 * self.spread / 128;
        let size = times_power_of_two(self.median, octaves_64).clamp(self.least, self.most);
        u32::try_from(size).unwrap_or(u32::MAX)
    }
}

/// `value * 2^(octaves_64 / 64)`, straight between whole octaves.
fn times_power_of_two(value: u64, octaves_64: i64) -> u64 {
    let (whole, part) = (
        octaves_64.div_euclid(64),
        octaves_64.rem_euclid(64).unsigned_abs(),
    );
    let scaled = value * (64 + part);
    let shift = u32::try_from(whole.unsigned_abs()).unwrap_or(u32::MAX);
    if whole >= 0 {
        scaled.checked_shl(shift).unwrap_or(u64::MAX) / 64
    } else {
        scaled.checked_shr(shift).unwrap_or(0) / 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_trace() {
        assert_eq!(generate(Dice::new(5), 500), generate(Dice::new(5), 500));
        assert_ne!(generate(Dice::new(5), 500), generate(Dice::new(6), 500));
        let (short, long) = (generate(Dice::new(5), 100), generate(Dice::new(5), 500));
        assert_eq!(short, long[..100]);
    }

    #[test]
    fn its_shape_is_as_documented() {
        let trace = generate(Dice::new(1), 10_000);
        let median = |mut values: Vec<u32>| {
            values.sort_unstable();
            values[values.len() / 2]
        };
        let context = median(trace.iter().map(|r| r.context).collect());
        let generated = median(trace.iter().map(|r| r.generated).collect());
        assert!((950..1_100).contains(&context), "{context}");
        assert!((120..140).contains(&generated), "{generated}");
        assert!(trace.iter().all(|r| (7..=1_000).contains(&r.generated)));
        assert!(trace.windows(2).all(|pair| pair[0].at_us <= pair[1].at_us));
        let burst = trace[299].at_us - trace[250].at_us;
        assert!(burst < 49 * BURST_GAP_US_MAX + 1, "{burst}");
    }

    #[test]
    fn powers_of_two_by_hand() {
        assert_eq!(times_power_of_two(100, 0), 100);
        assert_eq!(times_power_of_two(100, 64), 200);
        assert_eq!(times_power_of_two(100, -64), 50);
        assert_eq!(times_power_of_two(100, 32), 150);
    }
}
