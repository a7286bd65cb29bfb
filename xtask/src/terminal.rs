//! Talk for people, on stderr; stdout is for data.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// One part of a longer task: shows that it runs, and says how long it took.
#[derive(Debug)]
pub struct Part {
    name: String,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Part {
    /// Starts a part that prints lines of its own: a heading, no spinner.
    pub fn announced(name: &str) -> Part {
        eprintln!("==> {name}");
        Part {
            name: name.to_string(),
            started: Instant::now(),
            bar: None,
        }
    }

    /// Starts a part that is silent: a spinner on a terminal, a heading elsewhere.
    pub fn silent(name: &str) -> Part {
        if !std::io::stderr().is_terminal() {
            return Part::announced(name);
        }
        let bar = ProgressBar::new_spinner().with_message(name.to_string());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Part {
            name: name.to_string(),
            started: Instant::now(),
            bar: Some(bar),
        }
    }

    /// What it does at the moment.
    pub fn now(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {what}", self.name)),
            None => eprintln!("    {what}"),
        }
    }

    /// It is over: says how long it took.
    pub fn done(self) -> Duration {
        let took = self.started.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("    {}: {}", self.name, seconds(took));
        took
    }
}

/// `12.3 s`.
pub fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}

/// Thousands apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(19_366), "19,366");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(seconds(Duration::from_millis(12_345)), "12.3 s");
    }
}
