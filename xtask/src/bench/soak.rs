//! A soak: for as long as one has time, at four fifths of what the server can do, in parts, each with its rate, times and memory.
//! What is flat is well; what grows tells itself.

use super::report::Measured;
use super::{BATCHES, Bench, EVENTS, SENDERS, float, value_of};
use crate::server::Server;
use crate::terminal::Part;

/// Parts that are told.
const PARTS: u64 = 10;
/// Of the rate that was measured before, this many percent are sent.
const PERCENT: u64 = 80;

impl Bench<'_> {
    /// Sends events for so many minutes, at four fifths of the rate that was measured; then that is measured again, behind all
    /// of them.
    pub(super) fn soak(&self, server: &Server, measured: &[Measured]) -> anyhow::Result<Vec<Measured>> {
        let minutes = self.options.soak;
        if minutes == 0 {
            return Ok(Vec::new());
        }
        let rate = (whole(value_of(measured, EVENTS)?) * PERCENT / 100).max(1);
        let part = Part::silent("soak");
        let (mut all, mut sent) = (vec![Measured::new("soak_rate", float(rate), "1/s")], 0);
        for number in 1..=PARTS {
            let name = format!("soak_{number:02}");
            let mut command = self.against(server, "events", SENDERS, &name);
            let seconds = (minutes * 60 / PARTS).to_string();
            command.args(["--connections", "4", "--batch", "2000", "--seconds", &seconds]);
            command.args(["--rate", &rate.to_string(), "--name", &name]);
            let told = self.ask(&mut command)?;
            sent += whole(value_of(&told, &format!("{name}_sent"))?);
            all.extend(told.into_iter().filter(|one| !one.name.ends_with("_bytes")));
            let resident = float(server.resident_mib()?);
            all.push(Measured::new(format!("{name}_resident"), resident, "MiB"));
            part.now(&format!("{number} of {PARTS}, {sent} events"));
        }
        part.done();
        if let Some(load) = BATCHES.iter().find(|load| load.name == EVENTS) {
            let again = super::Batches {
                name: "events_again_4x2000",
                ..*load
            };
            all.extend(self.events(server, again)?);
        }
        let before = measured.iter().chain(&all);
        let ids = before.filter(|one| one.is_sum() && one.name != "ids_sent");
        let ids: u64 = ids.map(|one| whole(one.value)).sum();
        let first = value_of(measured, "ids_sent").map_or(0, whole);
        all.push(Measured::new("ids_in_the_end", float(ids + first), ""));
        Ok(all)
    }
}

/// Counts are small and whole.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement, far below 2^52"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
