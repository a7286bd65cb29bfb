//! Chance that can be repeated: every choice is a function of the seed, the question and the number of what it is
//! about.
//!
//! No generator is passed around, so the choices for one request do not depend on how many were made before it, and
//! concurrency changes none of them. Integers only.

/// What is chosen. Each question has dice of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Question {
    /// Which customer sends a request.
    Customer = 1,
    /// Which models a customer uses.
    Favourites = 2,
    /// Which of them a request uses.
    Model = 3,
    /// How a request ends.
    Ending = 4,
    /// Whether its authorize is sent again.
    RetryAuthorize = 5,
    /// Whether its settlement is sent again.
    RetrySettle = 6,
    /// The time to the next request of a made-up trace.
    Gap = 7,
    /// The size of a prompt of a made-up trace.
    Context = 8,
    /// The size of an answer of a made-up trace.
    Generated = 9,
}

/// Seeded dice.
#[derive(Debug, Clone, Copy)]
pub struct Dice {
    seed: u64,
}

impl Dice {
    /// Dice that fall the same way whenever the seed is the same.
    pub const fn new(seed: u64) -> Dice {
        Dice { seed }
    }

    /// 64 even bits for a question about a thing.
    pub fn roll(self, question: Question, about: u64) -> u64 {
        let question = mix(self.seed ^ mix(question as u64));
        mix(question ^ mix(about))
    }

    /// A number below `bound` (0 where that is 0).
    pub fn below(self, question: Question, about: u64, bound: u64) -> u64 {
        let wide = u128::from(self.roll(question, about)) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// True `share` times in a thousand.
    pub fn per_mille(self, question: Question, about: u64, share: u64) -> bool {
        self.below(question, about, 1000) < share
    }
}

/// The finaliser of SplitMix64: every bit of the input moves half of the bits of the output.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_choices() {
        let (a, b) = (Dice::new(7), Dice::new(7));
        assert!((0..100).all(|i| a.roll(Question::Model, i) == b.roll(Question::Model, i)));
        assert_ne!(a.roll(Question::Model, 1), a.roll(Question::Customer, 1));
        assert_ne!(a.roll(Question::Model, 1), Dice::new(8).roll(Question::Model, 1));
    }

    #[test]
    fn shares_are_kept() {
        let dice = Dice::new(1);
        let hits = (0..100_000)
            .filter(|i| dice.per_mille(Question::Ending, *i, 30))
            .count();
        assert!((2_700..3_300).contains(&hits), "{hits}");
        assert_eq!(dice.below(Question::Ending, 1, 0), 0);
        assert!((0..1_000).all(|i| dice.below(Question::Ending, i, 7) < 7));
    }
}
