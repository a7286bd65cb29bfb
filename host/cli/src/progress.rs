//! Progress of long work, on standard error and only where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` bytes; the total is told with each step, since it may not be known at first.
pub fn bytes(what: &'static str) -> ProgressBar {
    styled(
        ProgressBar::new(0),
        "{prefix} [{bar:32}] {bytes} of {total_bytes} ({eta} left)",
        what,
    )
}

/// A bar over steps that take about the same time each.
pub fn steps(what: &'static str) -> ProgressBar {
    styled(
        ProgressBar::new(0),
        "{prefix} [{bar:32}] {percent}% ({eta} left)",
        what,
    )
}

/// Work whose length is not known; the message says where it is.
pub fn spinner(what: &'static str) -> ProgressBar {
    let bar = styled(ProgressBar::new_spinner(), "{spinner} {prefix} {msg}", what);
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

fn styled(bar: ProgressBar, template: &str, what: &'static str) -> ProgressBar {
    // A template that does not parse would only be a plainer bar.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style.progress_chars("=> ")).with_prefix(what)
}
