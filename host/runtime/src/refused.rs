//! Why a component or its parameters are not taken into service.

use crate::fault::Fault;

/// Why a plan was refused. Nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Something is larger than allowed.
    #[error("{what} is {actual}, and {limit} is {max}")]
    TooLarge {
        /// What is too large, for people, with its unit.
        what: String,
        /// Name of the limit.
        limit: &'static str,
        /// What was found.
        actual: u64,
        /// What is allowed.
        max: u64,
    },
    /// It is machine code of the engine, which is never accepted from outside.
    #[error("this is a precompiled file, not a component: machine code from outside is never run")]
    Precompiled,
    /// It is a core module, as compilers emit them.
    #[error("this is a core module, not a component")]
    CoreModule,
    /// It is cut short or not WebAssembly at all, or uses a proposal that is switched off.
    #[error("this is not a valid component: {reason} (at byte {offset})")]
    Malformed {
        /// What the validator says.
        reason: String,
        /// Where.
        offset: u64,
    },
    /// It imports something.
    #[error("the component imports `{import}`; a plan imports nothing")]
    Imports {
        /// The first import.
        import: String,
    },
    /// It does not export the contract.
    #[error("the component does not export `{expected}`: {found}")]
    Export {
        /// What was looked for.
        expected: String,
        /// What is there instead.
        found: String,
    },
    /// Its memory is not one memory with a maximum within the tier's.
    #[error("{reason} (memory_bytes_max = {max})")]
    Memory {
        /// What is wrong with it.
        reason: String,
        /// The largest maximum.
        max: u64,
    },
    /// It is a plan of tier `interpreted`, and such plans are switched off.
    #[error(
        "the component links modules within itself, as language runtimes do (tier `interpreted`); such plans are switched off \
         here"
    )]
    Interpreted,
    /// The compiler gave up on it.
    #[error("the component does not compile: {reason}")]
    Compile {
        /// What the compiler says.
        reason: String,
    },
    /// Compiling took longer, or more memory, than is allowed.
    #[error("compiling was stopped: {reason} ({limit} = {max})")]
    CompileLimit {
        /// What happened.
        reason: String,
        /// Name of the limit.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// A compilation that ran out of its time still occupies the only compiler.
    #[error("the compiler is busy with a component that ran out of its time; try again later")]
    CompilerBusy,
    /// What it describes breaks a rule.
    #[error("what `describe` says about {field} cannot be used: {reason}")]
    Description {
        /// Which part: `assets[1].name`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The parameters are wrong.
    #[error("the parameters are refused: {}", Pointers(.errors))]
    Parameters {
        /// What and where.
        errors: Vec<ParameterError>,
    },
    /// The plan failed while it was asked.
    #[error("`{during}` failed: {fault}")]
    Faulted {
        /// Which function.
        during: &'static str,
        /// What happened.
        fault: Fault,
    },
}

/// One thing that is wrong with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterError {
    /// Where: a JSON pointer, `/models/gpt-5/output`; empty: the whole.
    pub pointer: String,
    /// What was expected and what was found.
    pub message: String,
}

/// Prints parameter errors as one line.
struct Pointers<'a>(&'a [ParameterError]);

impl std::fmt::Display for Pointers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let place = if error.pointer.is_empty() {
                "(all)"
            } else {
                &error.pointer
            };
            write!(f, "{}{place}: {}", if i == 0 { "" } else { "; " }, error.message)?;
        }
        Ok(())
    }
}

impl Refused {
    /// Stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Refused::TooLarge { .. } => "too_large",
            Refused::Precompiled => "precompiled",
            Refused::CoreModule => "core_module",
            Refused::Malformed { .. } => "malformed",
            Refused::Imports { .. } => "imports",
            Refused::Export { .. } => "export",
            Refused::Memory { .. } => "memory",
            Refused::Interpreted => "interpreted",
            Refused::Compile { .. } => "compile",
            Refused::CompileLimit { .. } => "compile_limit",
            Refused::CompilerBusy => "compiler_busy",
            Refused::Description { .. } => "description",
            Refused::Parameters { .. } => "parameters",
            Refused::Faulted { fault, .. } => fault.code(),
        }
    }

    /// What the author of the plan can do.
    pub fn advice(&self) -> &'static str {
        match self {
            Refused::TooLarge { .. } => {
                "build in release with `farebox plan build`, which strips and optimises"
            }
            Refused::Precompiled => "upload the component from which it was compiled",
            Refused::CoreModule => "`farebox plan build` turns the core module into a component",
            Refused::Malformed { .. } => {
                "build it again with `farebox plan build`, and check that the upload was complete"
            }
            Refused::Imports { .. } => {
                "a plan has no clock, network, randomness or log; build for wasm32-unknown-unknown and remove the \
                 dependency that needs a system"
            }
            Refused::Export { .. } => {
                "implement the trait of the SDK, or export the world `plan` of wit/plan.wit"
            }
            Refused::Memory { .. } => {
                "`farebox plan build` sets initial and maximum memory of 4 pages and the SDK brings its allocator"
            }
            Refused::Interpreted => {
                "set interpreted_plans to on where the server runs, or write the plan in Rust, which is some hundred times faster"
            }
            Refused::Compile { .. } | Refused::CompileLimit { .. } => {
                "split very large functions, and look for generated code or tables that could be parameters"
            }
            Refused::CompilerBusy => "try again in a minute",
            Refused::Description { .. } => "correct what `describe` returns",
            Refused::Parameters { .. } => "correct the parameters at the places named",
            Refused::Faulted { .. } => "run `farebox plan check` on the plan",
        }
    }
}
