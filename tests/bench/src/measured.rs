//! A number with its name.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// A number that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    name: String,
    value: f64,
    unit: &'static str,
}

impl Measured {
    /// A time, shown in microseconds.
    pub fn micros(name: impl Into<String>, nanos: u64) -> Measured {
        Measured {
            name: name.into(),
            value: per(nanos, 1_000),
            unit: "us",
        }
    }

    /// A time, shown in nanoseconds.
    pub fn nanos(name: impl Into<String>, nanos: u64) -> Measured {
        Measured {
            name: name.into(),
            value: per(nanos, 1),
            unit: "ns",
        }
    }

    /// How many in a second.
    pub fn per_second(name: impl Into<String>, count: u64, time: Duration) -> Measured {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
        let rate = u128::from(count) * 1_000_000_000 / u128::from(nanos);
        Measured {
            name: name.into(),
            value: per(u64::try_from(rate).unwrap_or(u64::MAX), 1),
            unit: "1/s",
        }
    }

    /// Bytes in a second, shown in KiB.
    pub fn kib_per_second(name: impl Into<String>, bytes: u64, time: Duration) -> Measured {
        let rate = Measured::per_second(name, bytes >> 10, time);
        Measured {
            unit: "KiB/s",
            ..rate
        }
    }

    /// A number of things.
    pub fn count(name: impl Into<String>, count: u64) -> Measured {
        Measured {
            name: name.into(),
            value: per(count, 1),
            unit: "",
        }
    }

    /// As a line.
    pub fn json(&self) -> Value {
        json!({"name": self.name, "value": self.value, "unit": self.unit})
    }
}

/// p50 and p99 of times in nanoseconds, and how many there were in a second.
pub fn spread(name: &str, times: &Histogram<u64>, time: Duration) -> Vec<Measured> {
    vec![
        Measured::micros(format!("{name}_p50"), times.value_at_quantile(0.5)),
        Measured::micros(format!("{name}_p99"), times.value_at_quantile(0.99)),
        Measured::per_second(format!("{name}_rate"), times.len(), time),
    ]
}

/// Times in nanoseconds, up to a minute, to three digits.
pub fn times() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

/// Nanoseconds since a moment.
pub fn nanos_since(start: std::time::Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "a measurement for people, no money"
)]
fn per(number: u64, by: u64) -> f64 {
    number as f64 / by as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_units() {
        assert_eq!(
            Measured::micros("a", 1_500).json(),
            json!({"name": "a", "value": 1.5, "unit": "us"})
        );
        let rate = Measured::per_second("b", 500, Duration::from_millis(250));
        assert_eq!(rate.json(), json!({"name": "b", "value": 2000.0, "unit": "1/s"}));
    }

    #[test]
    fn percentiles_are_those_of_the_times() {
        let mut times = times().unwrap();
        for micros in 1..=100 {
            times.record(micros * 1_000).unwrap();
        }
        let spread = spread("x", &times, Duration::from_secs(1));
        let value = |index: usize| spread[index].json()["value"].as_f64().unwrap();
        assert!((49.9..50.2).contains(&value(0)), "{}", value(0));
        assert!((98.9..99.2).contains(&value(1)), "{}", value(1));
        assert_eq!(spread[2].json()["value"], 100.0);
    }
}
