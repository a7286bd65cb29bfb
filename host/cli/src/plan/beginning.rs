//! What a new plan begins with: its source in a language, by a model, with a price list and a scenario that holds.

/// By which model a plan sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Model {
    /// A price per million tokens
    PerToken,
    /// Packs of prepaid credits that expire; actions cost credits
    Credits,
    /// A fee with included credits, of which some roll over; dollars beyond them
    Hybrid,
    /// A price for what came of a conversation, given back where somebody objects
    PerOutcome,
    /// A fee for each seat, with credits that all seats share
    SeatsPlusCredits,
}

/// In which language a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// With `cargo`; the fastest, and what the standard plans are written in
    Rust,
    /// With `npm`; carries its language's runtime, some hundred times slower
    Typescript,
    /// With `pip`; the same, and larger and slower still
    Python,
}

/// A file of a new plan: where it goes, and what is in it.
pub type File = (&'static str, &'static str);

/// A file that is the same for all models.
macro_rules! common {
    ($file:literal) => {
        include_str!(concat!("template/", $file, ".in"))
    };
}

/// Files of an SDK, which is written beside a plan in its language.
macro_rules! sdk {
    ($from:literal to $to:literal: $($file:literal)+) => {
        &[$((concat!($to, $file), include_str!(concat!("../../../../guest-sdk/", $from, $file)))),+]
    };
}

/// A file of an SDK's example that fits every plan.
macro_rules! example {
    ($file:literal) => {
        include_str!(concat!("../../../../guest-sdk/", $file))
    };
}

/// The files of one model.
macro_rules! model {
    ($model:literal, $scenario:literal) => {
        Sources {
            rust: include_str!(concat!("template/", $model, "/lib.rs.in")),
            typescript: include_str!(concat!("template/", $model, "/plan.ts.in")),
            python: include_str!(concat!("template/", $model, "/plan.py.in")),
            schema: include_str!(concat!("template/", $model, "/parameters.schema.json.in")),
            prices: include_str!(concat!("template/", $model, "/prices.json.in")),
            scenario: (
                concat!("scenarios/", $scenario),
                include_str!(concat!("template/", $model, "/scenario.toml.in")),
            ),
        }
    };
}

/// What differs from model to model.
struct Sources {
    rust: &'static str,
    typescript: &'static str,
    python: &'static str,
    schema: &'static str,
    prices: &'static str,
    scenario: File,
}

impl Model {
    fn sources(self) -> Sources {
        match self {
            Model::PerToken => model!("per-token", "first-call.toml"),
            Model::Credits => model!("credits", "first-pack.toml"),
            Model::Hybrid => model!("hybrid", "first-months.toml"),
            Model::PerOutcome => model!("per-outcome", "first-outcome.toml"),
            Model::SeatsPlusCredits => model!("seats-plus-credits", "third-seat.toml"),
        }
    }
}

const TYPESCRIPT_SDK: &[File] = sdk! {
    "typescript/" to "sdk/":
    "package.json" "src/bytes.ts" "src/change.ts" "src/contract.ts" "src/index.ts" "src/json.ts" "src/lists.ts" "src/memory.ts"
    "src/nanos.ts" "src/outcome.ts" "src/parameters.ts" "src/plan.ts" "src/progress.ts" "src/rejected.ts" "src/session.ts"
    "src/usage.ts"
};

const PYTHON_SDK: &[File] = sdk! {
    "python/" to "sdk/":
    "farebox_plan/__init__.py" "farebox_plan/change.py" "farebox_plan/encoding.py" "farebox_plan/memory.py"
    "farebox_plan/nanos.py" "farebox_plan/outcome.py" "farebox_plan/parameters.py" "farebox_plan/plan.py"
    "farebox_plan/progress.py" "farebox_plan/reading.py" "farebox_plan/rejected.py" "farebox_plan/session.py"
    "farebox_plan/usage.py"
};

/// The files of a new plan. In them `{name}` is its name, and `{sdk}` where its SDK is, but in those of the SDK itself, which are
/// as they are ([`is_of_sdk`]).
pub fn files(language: Language, model: Model) -> Vec<File> {
    let sources = model.sources();
    let mut files = match language {
        Language::Rust => vec![
            ("Cargo.toml", common!("Cargo.toml")),
            ("src/lib.rs", sources.rust),
            ("parameters.schema.json", sources.schema),
        ],
        Language::Typescript => vec![
            ("package.json", common!("typescript/package.json")),
            ("tsconfig.json", example!("typescript/example/tsconfig.json")),
            ("src/plan.ts", sources.typescript),
            ("parameters.schema.json", sources.schema),
            (".gitignore", common!("typescript/gitignore")),
        ],
        Language::Python => vec![
            ("pyproject.toml", common!("python/pyproject.toml")),
            ("requirements.txt", example!("python/example/requirements.txt")),
            ("src/plan.py", sources.python),
            ("src/parameters.schema.json", sources.schema),
            (".gitignore", common!("python/gitignore")),
        ],
    };
    files.push(("plan.toml", common!("plan.toml")));
    files.push(("parameters/prices.json", sources.prices));
    files.push(sources.scenario);
    files.extend(match language {
        Language::Rust => &[],
        Language::Typescript => TYPESCRIPT_SDK,
        Language::Python => PYTHON_SDK,
    });
    files
}

/// Whether a file is one of the SDK.
pub fn is_of_sdk(file: &str) -> bool {
    file.starts_with("sdk/")
}
