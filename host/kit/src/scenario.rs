//! Scenario files: what a plan should do, dated step by dated step, written so that an accountant can check them.

pub mod action;
mod command;
mod coverage;
pub mod expect;
pub mod format;
mod observe;
mod refused;
mod run;
mod shown;
mod stage;
mod sums;
mod value;

pub use command::Unsupported;
pub use coverage::{Coverage, Trigger};
pub use format::{Action, Scenario, ScenarioError, ShortfallPolicy, Step};
pub use run::{Report, RunError, StepReport, Subject, run};
pub use shown::ShownError;
pub use value::{At, Count, Money};

#[cfg(test)]
mod tests {
    use super::Scenario;

    #[test]
    fn the_scenarios_of_the_plans_are_read() {
        let plans = ["/../../example-plans", "/tests/plans"]
            .map(|folder| std::fs::read_dir(format!("{}{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap());
        let mut files = 0;
        for plan in plans.into_iter().flatten() {
            for file in std::fs::read_dir(plan.unwrap().path().join("scenarios"))
                .into_iter()
                .flatten()
            {
                let path = file.unwrap().path();
                let read = Scenario::parse(&std::fs::read_to_string(&path).unwrap());
                assert!(read.is_ok(), "{}: {}", path.display(), read.unwrap_err());
                files += 1;
            }
        }
        assert!(files > 20, "{files}");
    }
}
