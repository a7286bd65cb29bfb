//! Who sends which request, and what becomes of it: decided before anything is sent, by rules and a seed.
//!
//! - Request *i* belongs to one of N customers. Half of all requests go to the first quarter of them, as customers
//!   of real services differ in size; the others are spread evenly.
//! - Each customer has three favourite models of the price list; each request uses one of them.
//! - The maximum of an authorize is the prompt as it is and, for the answer, the next power of two at or above what
//!   was generated (at least 16), or the model's own limit where the price list names one and it is smaller.
//! - Of 1,000 requests 30 are debited at once (one-shot), 10 settle after their hold expired, 10 are released, 10
//!   are forgotten, and 940 are settled in time. Of 1,000 authorizes 30 are sent twice, and of 1,000 settlements
//!   30.
//! - Budgets follow from what a customer is about to spend (the worst cases of its requests at the first price
//!   list): the last customer pays afterwards and has no grant; every fifth one gets a quarter of that and runs
//!   dry; the others get four times as much. A tenth of each budget is promotional. Amounts are rounded up to
//!   cents.

use rust_decimal::{Decimal, RoundingStrategy};

use super::dice::{Dice, Question};
use super::prices::PriceList;
use super::trace::Request;

/// Everything that is going to happen.
#[derive(Debug, Clone)]
pub struct Script {
    /// Who pays.
    pub customers: Vec<Customer>,
    /// In order of time.
    pub turns: Vec<Turn>,
}

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Its id: `customer-07`.
    pub id: String,
    /// How it pays.
    pub budget: Budget,
}

/// How a customer pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Budget {
    /// From grants.
    Prepaid {
        /// Given away.
        promotional: Decimal,
        /// Bought.
        paid: Decimal,
    },
    /// Afterwards: what it uses becomes debt.
    Postpaid,
}

impl Budget {
    /// All that it was granted.
    pub fn granted(&self) -> Decimal {
        match self {
            Budget::Prepaid { promotional, paid } => *promotional + *paid,
            Budget::Postpaid => Decimal::ZERO,
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The event's id: `request-000123`.
    pub id: String,
    /// When, in microseconds of the trace.
    pub at_us: u64,
    /// Index of who pays.
    pub customer: usize,
    /// Which model.
    pub model: String,
    /// Tokens of the prompt.
    pub context: u32,
    /// Tokens of the answer.
    pub generated: u32,
    /// The longest answer that is authorized.
    pub max_output: u32,
    /// What becomes of it.
    pub ending: Ending,
    /// What is sent twice.
    pub retries: Retries,
}

/// What becomes of a request once it is authorized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Settled with what it really used.
    Settle,
    /// Settled after its hold expired, within the grace.
    SettleLate,
    /// Given back: the call failed.
    Release,
    /// Nobody comes back: the hold expires.
    Forget,
    /// Never held: priced, checked and debited at once.
    OneShot,
}

/// What is sent twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retries {
    /// The authorize.
    pub authorize: bool,
    /// The settlement or the release.
    pub settle: bool,
}

const ONE_SHOT: u64 = 30;
const LATE: u64 = 10;
const RELEASED: u64 = 10;
const FORGOTTEN: u64 = 10;
const RETRIED: u64 = 30;
const FAVOURITES: u64 = 3;
const MAX_OUTPUT_LEAST: u32 = 16;

/// Writes the script of a trace.
pub fn write(trace: &[Request], list: &PriceList, customers: usize, dice: Dice) -> anyhow::Result<Script> {
    let models = list.writers();
    anyhow::ensure!(!models.is_empty(), "the price list has no model that writes text");
    anyhow::ensure!(customers > 0, "at least one customer is needed");
    let turns: Vec<Turn> = trace
        .iter()
        .zip(0u64..)
        .map(|(request, index)| turn(request, index, list, &models, customers, dice))
        .collect();
    let mut spending = vec![Decimal::ZERO; customers];
    for turn in &turns {
        spending[turn.customer] +=
            list.worst_case(&turn.model, turn.context.into(), turn.max_output.into())?;
    }
    let customers = spending
        .into_iter()
        .enumerate()
        .map(|(index, spending)| Customer {
            id: format!("customer-{:02}", index + 1),
            budget: budget(index, customers, spending),
        });
    Ok(Script {
        customers: customers.collect(),
        turns,
    })
}

fn turn(
    request: &Request,
    index: u64,
    list: &PriceList,
    models: &[&str],
    customers: usize,
    dice: Dice,
) -> Turn {
    let customer = customer(index, customers, dice);
    let model = model(index, customer, models, dice).to_string();
    let enough = request.generated.next_power_of_two().max(MAX_OUTPUT_LEAST);
    let most = list.max_output(&model).unwrap_or(u32::MAX);
    Turn {
        id: format!("request-{index:06}"),
        at_us: request.at_us,
        customer,
        context: request.context,
        generated: request.generated,
        max_output: enough.min(most),
        model,
        ending: ending(dice.below(Question::Ending, index, 1000)),
        retries: Retries {
            authorize: dice.per_mille(Question::RetryAuthorize, index, RETRIED),
            settle: dice.per_mille(Question::RetrySettle, index, RETRIED),
        },
    }
}

fn customer(index: u64, customers: usize, dice: Dice) -> usize {
    let all = u64::try_from(customers).unwrap_or(u64::MAX);
    let large = (all / 4).max(1);
    let coin = dice.below(Question::Customer, index * 2, 2);
    let among = if coin == 0 { large } else { all };
    usize::try_from(dice.below(Question::Customer, index * 2 + 1, among)).unwrap_or(0)
}

fn model<'m>(index: u64, customer: usize, models: &[&'m str], dice: Dice) -> &'m str {
    let which = dice.below(Question::Model, index, FAVOURITES);
    let favourite = u64::try_from(customer).unwrap_or(0) * FAVOURITES + which;
    let chosen = dice.below(
        Question::Favourites,
        favourite,
        u64::try_from(models.len()).unwrap_or(1),
    );
    models[usize::try_from(chosen).unwrap_or(0)]
}

fn ending(roll: u64) -> Ending {
    let shares = [
        (ONE_SHOT, Ending::OneShot),
        (LATE, Ending::SettleLate),
        (RELEASED, Ending::Release),
        (FORGOTTEN, Ending::Forget),
    ];
    let mut below = 0;
    for (share, ending) in shares {
        below += share;
        if roll < below {
            return ending;
        }
    }
    Ending::Settle
}

fn budget(index: usize, customers: usize, spending: Decimal) -> Budget {
    if index + 1 == customers && customers > 1 {
        return Budget::Postpaid;
    }
    let cents = |amount: Decimal| amount.round_dp_with_strategy(2, RoundingStrategy::ToPositiveInfinity);
    let whole = match (index + 1).is_multiple_of(5) {
        true => spending / Decimal::from(4),
        false => spending * Decimal::from(4),
    };
    let whole = cents(whole).max(Decimal::new(2, 2));
    let promotional = cents(whole / Decimal::TEN);
    Budget::Prepaid {
        promotional,
        paid: whole - promotional,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::generate::generate;

    const LIST: &str = r#"{"providers":{"p":{"models":{
        "small":{"prices":{"input":"0.1","output":"0.5"},"max_output_tokens":600},
        "large":{"prices":{"input":"5","output":"25"}}}}}}"#;

    fn script(seed: u64) -> Script {
        let trace = generate(Dice::new(seed), 5_000);
        write(&trace, &PriceList::parse(LIST).unwrap(), 40, Dice::new(seed)).unwrap()
    }

    #[test]
    fn the_same_seed_writes_the_same_script() {
        assert_eq!(script(3).turns, script(3).turns);
        assert_eq!(script(3).customers, script(3).customers);
        assert_ne!(script(3).turns, script(4).turns);
    }

    #[test]
    fn every_ending_and_every_kind_of_budget_occurs() {
        let script = script(1);
        let count = |ending| script.turns.iter().filter(|t| t.ending == ending).count();
        for ending in [
            Ending::OneShot,
            Ending::SettleLate,
            Ending::Release,
            Ending::Forget,
        ] {
            assert!(count(ending) > 20, "{ending:?}");
        }
        assert!(count(Ending::Settle) > 4_500);
        assert_eq!(
            script.customers.last().map(|c| &c.budget),
            Some(&Budget::Postpaid)
        );
        let large = script.turns.iter().filter(|t| t.customer < 10).count();
        assert!((2_900..3_400).contains(&large), "{large}"); // a half, and a quarter of the other half
    }

    #[test]
    fn maximums_cover_the_answer_unless_the_model_is_shorter() {
        for turn in script(2).turns {
            let short = turn.model == "small" && turn.generated > 600;
            assert!(turn.max_output >= turn.generated || short, "{turn:?}");
            assert!(turn.max_output >= 16);
        }
    }

    #[test]
    fn budgets_are_whole_cents() {
        let check = |index, expected: &str| {
            let granted = budget(index, 40, Decimal::new(12_341, 4)).granted();
            assert_eq!(granted.to_string(), expected);
        };
        check(0, "4.94");
        check(4, "0.31");
        check(39, "0");
    }
}
