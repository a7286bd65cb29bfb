//! What a load cost the machine: bytes that its disk wrote, time of its processors that the server took, and time that they
//! were given to others.
//!
//! Processor time is the steadiest number of a load: it hardly changes with what else the machine does. And where the machine
//! is a virtual one, its host tells how long it had no processor though it wanted one: times measured then say little.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

use super::device::Device;
use super::float;
use super::report::Measured;
use crate::server::Server;

/// Place of the time that others had, among the numbers of all processors: user, nice, system, idle, iowait, irq, softirq,
/// steal (`proc_stat(5)`). Those of guests behind it are in user and nice already.
const STOLEN: usize = 7;

/// Counts that only grow, read at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    written: Option<u64>,
    server: Duration,
    machine: Ticks,
}

/// Of all processors together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    all: u64,
    stolen: u64,
}

impl Spent {
    /// Up to now.
    pub fn now(device: Option<&Device>, server: &Server) -> anyhow::Result<Spent> {
        // First: it waits until the disk has everything.
        let written = device.map(Device::written).transpose()?;
        let statistics = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        Ok(Spent {
            written,
            server: server.processor_time()?,
            machine: Ticks::of(&statistics)?,
        })
    }

    /// What was spent from `before` until this, by a load of so many events, calls beside it and work behind it among it.
    #[expect(clippy::float_arithmetic, reason = "a measurement, no money")]
    pub fn since(&self, before: &Spent, name: &str, events: f64) -> Vec<Measured> {
        let events = events.max(1.0);
        let written = self.written.zip(before.written);
        let written = written.map(|(now, then)| float(now.saturating_sub(then)) / events);
        let server = self.server.saturating_sub(before.server).as_secs_f64() * 1e6 / events;
        let stolen = self.machine.stolen_since(before.machine);
        let mut all = vec![
            Measured::new(format!("{name}_processor"), server, "us"),
            Measured::new(format!("{name}_stolen"), stolen, "%"),
        ];
        all.extend(written.map(|bytes| Measured::new(format!("{name}_written"), bytes, "bytes")));
        all
    }
}

impl Ticks {
    /// From the text of `/proc/stat`, whose first line is of all processors.
    fn of(statistics: &str) -> anyhow::Result<Ticks> {
        let line = statistics.lines().next().unwrap_or_default();
        let numbers = line
            .strip_prefix("cpu ")
            .with_context(|| format!("not of all processors: {line}"))?;
        let numbers: Vec<u64> = numbers
            .split_whitespace()
            .take(STOLEN + 1)
            .map(|number| number.parse().with_context(|| format!("not a number: {number}")))
            .collect::<anyhow::Result<_>>()?;
        let stolen = *numbers
            .get(STOLEN)
            .with_context(|| format!("no time of others in {line}"))?;
        Ok(Ticks {
            all: numbers.iter().sum(),
            stolen,
        })
    }

    /// Percent of the time since then.
    #[expect(clippy::float_arithmetic, reason = "a measurement, no money")]
    fn stolen_since(self, before: Ticks) -> f64 {
        let all = float(self.all.saturating_sub(before.all)).max(1.0);
        float(self.stolen.saturating_sub(before.stolen)) * 100.0 / all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_gave_to_others_is_a_share_of_all_time() {
        let before = Ticks::of("cpu  100 0 50 800 10 0 0 40 7 0\ncpu0 1 2 3\n").unwrap();
        assert_eq!(
            before,
            Ticks {
                all: 1_000,
                stolen: 40
            }
        );
        let now = Ticks::of("cpu  200 0 100 900 10 0 0 90 9 0\n").unwrap();
        assert!((now.stolen_since(before) - 50.0 * 100.0 / 300.0).abs() < 1e-9);
        assert!(now.stolen_since(now).abs() < 1e-9);
        assert!(Ticks::of("cpu0 1 2 3 4 5 6 7 8\n").is_err());
        assert!(Ticks::of("cpu  1 2 3 4\n").is_err());
        assert!(Ticks::of("").is_err());
    }

    #[test]
    fn a_load_is_told_what_it_spent_for_each_event() {
        let at = |written, millis, all, stolen| Spent {
            written,
            server: Duration::from_millis(millis),
            machine: Ticks { all, stolen },
        };
        let (before, now) = (at(Some(1_000), 500, 100, 0), at(Some(601_000), 60_500, 500, 20));
        let told = |all: Vec<Measured>| -> Vec<(String, f64)> {
            all.into_iter().map(|one| (one.name, one.value)).collect()
        };
        let one = |name: &str, value| (name.to_string(), value);
        let expected = [one("load_processor", 30.0), one("load_stolen", 5.0)];
        let with_bytes = [&expected[..], &[one("load_written", 0.3)]].concat();
        assert_eq!(told(now.since(&before, "load", 2e6)), with_bytes);
        // A device that does not count: no number rather than a wrong one.
        let nothing = at(None, 60_500, 500, 20);
        assert_eq!(told(nothing.since(&before, "load", 2e6)), expected);
    }
}
