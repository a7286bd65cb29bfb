//! What can go wrong while a plan runs. None of it is a price.

use wasmtime::{PoolConcurrencyLimitError, Trap};

use crate::limits::Limits;

/// Why a call gave no answer that can be used.
///
/// Most are defects of the plan: the same input will fail again. [`Fault::TimedOut`]
/// and [`Fault::NoRoom`] are troubles of the machine and say nothing about the plan: try again later.
/// [`Fault::GivenUp`] and [`Fault::StateVersion`] were not evaluated at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It used up its fuel: an endless loop, or far too much work.
    #[error(
        "the plan used up its fuel ({limit} = {max}); a price takes a few thousand: look for a loop that does not end \
         or for work that grows with the parameters, and measure it with `farebox plan test`"
    )]
    OutOfFuel {
        /// Name of the limit.
        limit: &'static str,
        /// Its value, about one per instruction.
        max: u64,
    },
    /// It ran into the wall clock, twice.
    #[error(
        "the call did not end within {max} ms of wall-clock time ({limit}), which fuel should have prevented: the \
         machine stalled, or the plan found work that fuel underestimates; nothing was priced, so try again"
    )]
    TimedOut {
        /// Name of the limit.
        limit: &'static str,
        /// Its value in milliseconds.
        max: u64,
    },
    /// It asked for more memory than there is.
    #[error(
        "the plan asked for more memory than it has ({limit} = {max}); keep the prepared parameters and the state \
         small, and do not collect what can be computed on the way"
    )]
    OutOfMemory {
        /// Name of the limit.
        limit: &'static str,
        /// Its value in bytes.
        max: u64,
    },
    /// Its calls went too deep.
    #[error("the plan's calls went too deep ({limit} = {max}); replace the recursion by a loop")]
    StackOverflow {
        /// Name of the limit.
        limit: &'static str,
        /// Its value in bytes.
        max: u64,
    },
    /// It trapped: a panic, a division by zero, an access outside its memory.
    #[error(
        "the plan trapped: {message}; a panic ends like this too (an index, an `unwrap`, an overflow, a full arena): \
         run the same event through `farebox plan test`, and answer with a rejection instead"
    )]
    Trapped {
        /// What the engine calls it.
        message: String,
    },
    /// Its answer breaks a rule of the contract.
    #[error(
        "the plan's answer breaks the rule `{rule}`: {detail}; plans built with the SDK keep it, see wit/plan.wit"
    )]
    BadAnswer {
        /// Name of the rule.
        rule: &'static str,
        /// What was found.
        detail: String,
    },
    /// Something in its answer is too large.
    #[error("the plan's answer is too large: {actual}, and {limit} is {max}")]
    TooLarge {
        /// Name of the limit.
        limit: &'static str,
        /// What was found: bytes or a count, as the limit's name says.
        actual: String,
        /// What is allowed.
        max: u64,
    },
    /// More calls at once than there are instances.
    #[error(
        "all instances are in use ({limit} = {max}); fewer threads may evaluate at once, or the limit be raised"
    )]
    NoRoom {
        /// Name of the limit.
        limit: &'static str,
        /// How many there are.
        max: u64,
    },
    /// A state is kept in another version, and the plan does not take it over.
    #[error(
        "the state is kept in version {from}, and the plan, which keeps it in version {to}, does not take it over: {reason}"
    )]
    StateVersion {
        /// The version that it is kept in.
        from: u32,
        /// The described one.
        to: u32,
        /// What the plan says.
        reason: String,
    },
    /// The triggers before it in its batch failed so often that it was not tried.
    #[error("not evaluated: {max} triggers of the same batch failed before it ({limit})")]
    GivenUp {
        /// Name of the limit.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
}

impl Fault {
    /// Stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::OutOfFuel { .. } => "out_of_fuel",
            Fault::TimedOut { .. } => "timed_out",
            Fault::OutOfMemory { .. } => "out_of_memory",
            Fault::StackOverflow { .. } => "stack_overflow",
            Fault::Trapped { .. } => "trapped",
            Fault::BadAnswer { .. } => "bad_answer",
            Fault::TooLarge { .. } => "too_large",
            Fault::NoRoom { .. } => "no_room",
            Fault::StateVersion { .. } => "state_version",
            Fault::GivenUp { .. } => "given_up",
        }
    }

    /// Whether the plan is to blame, so that the same input would fail again anywhere.
    pub fn is_of_the_plan(&self) -> bool {
        !matches!(
            self,
            Fault::TimedOut { .. }
                | Fault::NoRoom { .. }
                | Fault::StateVersion { .. }
                | Fault::GivenUp { .. }
        )
    }

    /// A rule broken, with what was found.
    pub(crate) fn rule(rule: &'static str, detail: impl Into<String>) -> Fault {
        Fault::BadAnswer {
            rule,
            detail: detail.into(),
        }
    }

    /// A limit exceeded, or nothing.
    pub(crate) fn check(limit: &'static str, actual: usize, max: usize) -> Result<(), Fault> {
        if actual > max {
            return Err(Fault::TooLarge {
                limit,
                actual: actual.to_string(),
                max: max as u64,
            });
        }
        Ok(())
    }
}

/// Which allowance of fuel a call had; its name goes into the error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fuel {
    pub(crate) limit: &'static str,
    pub(crate) max: u64,
}

/// What an error of the engine means, when the plan's memory was (not) refused to grow during the call.
pub(crate) fn classify(error: &wasmtime::Error, fuel: Fuel, grow_refused: bool, limits: &Limits) -> Fault {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::OutOfFuel => Fault::OutOfFuel {
                limit: fuel.limit,
                max: fuel.max,
            },
            Trap::Interrupt => Fault::TimedOut {
                limit: "epoch_deadline_ms",
                max: limits.epoch_deadline_ms,
            },
            Trap::StackOverflow => Fault::StackOverflow {
                limit: "stack_bytes",
                max: limits.stack_bytes as u64,
            },
            Trap::StringOutOfBounds
            | Trap::ListOutOfBounds
            | Trap::InvalidDiscriminant
            | Trap::UnalignedPointer
            | Trap::InvalidChar => Fault::rule("canonical-abi", trap.to_string()),
            _ if grow_refused => Fault::OutOfMemory {
                limit: "memory_bytes_max",
                max: limits.memory_bytes_max as u64,
            },
            _ => Fault::Trapped {
                message: trap.to_string(),
            },
        };
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Fault::NoRoom {
            limit: "instances_max",
            max: u64::from(limits.instances_max),
        };
    }
    let text = format!("{error:#}");
    // The engine's error for this has no public type; the hostile tests hold the text.
    if text.contains("fuel allocated for hostcalls") {
        return Fault::TooLarge {
            limit: "lifted_bytes_max",
            actual: "more than that".into(),
            max: limits.lifted_bytes_max as u64,
        };
    }
    // What is left are answers that cannot be read: pointers outside the memory, text that is not UTF-8.
    Fault::rule("canonical-abi", text.chars().take(300).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_did_is_not_blamed_on_the_plan() {
        let limits = Limits::default();
        let fuel = Fuel {
            limit: "fuel_per_call",
            max: 7,
        };
        let of = |trap: Trap| classify(&wasmtime::Error::from(trap), fuel, false, &limits);
        assert!(!of(Trap::Interrupt).is_of_the_plan());
        assert!(of(Trap::OutOfFuel).is_of_the_plan());
        assert_eq!(
            of(Trap::OutOfFuel),
            Fault::OutOfFuel {
                limit: "fuel_per_call",
                max: 7
            }
        );
        assert_eq!(of(Trap::UnreachableCodeReached).code(), "trapped");
        let grown = classify(
            &wasmtime::Error::from(Trap::UnreachableCodeReached),
            fuel,
            true,
            &limits,
        );
        assert_eq!(grown.code(), "out_of_memory");
    }
}
