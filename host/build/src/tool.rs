//! A program that builds plans of another language.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{BuildError, BuildOptions};

/// A program, and for which plan it is run.
pub(super) struct Tool<'a> {
    /// What it is called.
    pub program: &'static str,
    /// The environment's variable that names another one.
    pub chosen_by: &'static str,
    /// Where it comes from.
    pub hint: &'static str,
    /// The plan's name.
    pub plan: &'a str,
    /// Where it runs.
    pub dir: &'a Path,
}

impl Tool<'_> {
    /// Runs it to its end, and hands on what it said.
    pub fn run(
        &self,
        arguments: &[&str],
        environment: &[(&str, &Path)],
        options: &BuildOptions<'_>,
    ) -> Result<(), BuildError> {
        let program = std::env::var_os(self.chosen_by).unwrap_or_else(|| self.program.into());
        let output = Command::new(&program)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(self.dir)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| BuildError::Start {
                program: PathBuf::from(&program).display().to_string(),
                source,
                hint: self.hint,
            })?;
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        for line in said.iter().flat_map(|text| text.lines()) {
            (options.progress)(line);
        }
        match output.status.success() {
            true => Ok(()),
            false => Err(BuildError::Compile {
                name: self.plan.to_string(),
                tool: self.program,
                output: said.concat(),
            }),
        }
    }
}
