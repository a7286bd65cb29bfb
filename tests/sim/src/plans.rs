//! The plans of the simulation: tokens at list price, a pool that remembers, outcomes with deadlines, and a
//! running total. Built once per process.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::Context as _;
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_record::ids::PlanName;
use farebox_runtime::{Config, Limits, Runtime};

/// Plan of `llm.call`.
pub const TOKENS: &str = "tokens";
/// Plan of `tool.call`.
pub const POOL: &str = "pool";

/// Price lists of [`TOKENS`], in usd per million tokens.
pub const TOKENS_PARAMETERS: [&str; 3] = [
    r#"{"providers": {"test": {"models": {"one": {"prices": {"input": "1", "output": "10"}}}}}}"#,
    r#"{"providers": {"test": {"models": {"one": {"prices": {"input": "2", "output": "20"}},
        "two": {"prices": {"input": "4", "output": "40"}}}}}}"#,
    r#"{"providers": {"test": {"models": {"one": {"prices": {"input": "0.333", "output": "7.77"}},
        "two": {"prices": {"input": "0.07", "output": "0.1"}}}}}}"#,
];
/// Price lists of [`POOL`]. Under the last one it prices events, and has no answer to what happens to a subscription: that is
/// kept, and told again when another one is in force.
pub const POOL_PARAMETERS: [&str; 3] = [
    r#"{"low": "0.5", "high": "1.5", "dollars": "0.01"}"#,
    r#"{"low": "0.333", "high": "0.7", "dollars": "0.0299"}"#,
    r#"{"low": "0.5", "high": "1.5", "dollars": "0.01", "deaf": true}"#,
];

/// Plan of `outcome.claimed`, `outcome.confirmed` and `outcome.objected`.
pub const OUTCOMES: &str = "outcomes";
/// Price list of [`OUTCOMES`]; it never changes. [`crate::outcomes`] knows what it says.
pub const OUTCOMES_PARAMETERS: &str = r#"{"outcomes": {"resolution": "1", "handoff": "0.50"}, "counts_after_hours": 1,
    "reversal_days": 3}"#;

/// Plan of `api.call`.
pub const TOTALS: &str = "totals";
/// Price list of [`TOTALS`]; it never changes. [`crate::totals`] knows what it says.
pub const TOTALS_PARAMETERS: &str = r#"{"fee": "0", "credits": "0", "rollover_max": "0", "credits_per_dollar": 100,
    "price": "0.10", "beyond": [{"above": "100", "price": "0.05"}], "minimum": "0", "call_max": "5000"}"#;

/// All components.
#[derive(Debug)]
pub struct Components {
    /// Of [`TOKENS`].
    pub tokens: Vec<u8>,
    /// Of [`POOL`].
    pub pool: Vec<u8>,
    /// The same a version later: it keeps its states in another form.
    pub later_pool: Vec<u8>,
    /// Of [`OUTCOMES`].
    pub outcomes: Vec<u8>,
    /// Of [`TOTALS`].
    pub totals: Vec<u8>,
}

/// Builds what was not built before.
///
/// # Errors
/// When a plan does not compile; the message holds what cargo said.
pub fn components() -> anyhow::Result<&'static Components> {
    static BUILT: OnceLock<Result<Components, String>> = OnceLock::new();
    let build = |folder: &str| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        build_plan(&dir, &BuildOptions::default())
            .map(|built| built.component)
            .map_err(|error| error.to_string())
    };
    let built = BUILT.get_or_init(|| {
        Ok(Components {
            tokens: build("../../example-plans/per-token")?,
            pool: build("pool")?,
            later_pool: build("later-pool")?,
            outcomes: build("../../example-plans/per-outcome")?,
            totals: build("../../host/kit/tests/plans/commitment")?,
        })
    });
    built.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// The runtime of this process: each reserves address space, so all episodes share one. What it compiled is kept in a
/// folder, because every start of an engine admits its plans anew.
///
/// # Errors
/// When this machine cannot run plans.
pub fn runtime() -> anyhow::Result<Runtime> {
    static RUNTIME: OnceLock<Result<(Runtime, tempfile::TempDir), String>> = OnceLock::new();
    let start = || -> anyhow::Result<(Runtime, tempfile::TempDir)> {
        let cache = tempfile::tempdir().context("a folder for compiled plans")?;
        let config = Config {
            cache_dir: Some(cache.path().to_path_buf()),
            limits: Limits {
                // Of no interest here, and everything else may be slow on a machine that runs other tests too.
                compile_seconds_max: 600,
                epoch_deadline_ms: 600_000,
                ..Limits::default()
            },
            ..Config::default()
        };
        Ok((Runtime::new(config)?, cache))
    };
    let started = RUNTIME.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    let (runtime, _) = started.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(runtime.clone())
}

/// One of the names above.
#[expect(clippy::expect_used, reason = "called with the constants of this file")]
pub fn plan_name(name: &str) -> PlanName {
    PlanName::new(name).expect("a name")
}
