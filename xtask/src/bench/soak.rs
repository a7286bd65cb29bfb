//! A soak: for as long as one has time, at four fifths of what the server can do, in parts, each with its rate and times, and
//! with what it took of memory, processors and the disk. What is flat is well; what grows tells itself.

use super::report::{AGAIN, EVENTS, MOST, Measured, SOAK};
use super::{BATCHES, Batches, Bench, SENDERS, SETTLING, float, value_of};
use crate::server::Server;
use crate::terminal::Part;

/// Parts that are told.
const PARTS: u64 = 10;
/// Of the rate at full speed, this many percent are sent.
const PERCENT: u64 = 80;
/// Events are sent at full speed before for as long as a part lasts, and for so many seconds at least: what answers leave for
/// later (compressing, merging) has to fall into it, or more is found than can be gone on with.
const MOST_SECONDS_MIN: u64 = 30;
/// A load lasts a fifth longer than it is told, because it warms up first.
const WITHOUT_WARM_UP: (u64, u64) = (5, 6);

impl Bench<'_> {
    /// Sends events at full speed for as long as a part lasts, then for so many minutes at four fifths of that rate; then what
    /// `events_4x2000` measures is measured again, behind all of them.
    pub(super) fn soak(&self, server: &Server, measured: &mut Vec<Measured>) -> anyhow::Result<()> {
        let minutes = self.options.soak;
        if minutes == 0 {
            return Ok(());
        }
        let part = Part::silent("soak");
        let (share, of) = WITHOUT_WARM_UP;
        let seconds = (minutes * 60 * share / of / PARTS).max(1);
        let most = self.stretch(server, MOST, seconds.max(MOST_SECONDS_MIN), None, measured)?;
        std::thread::sleep(SETTLING);
        let rate = (whole(most) * PERCENT / 100).max(1);
        measured.push(Measured::new(SOAK, float(rate), "1/s"));
        for number in 1..=PARTS {
            let name = format!("soak_{number:02}");
            self.stretch(server, &name, seconds, Some(rate), measured)?;
            let resident = float(server.resident_mib()?);
            measured.push(Measured::new(format!("{name}_resident"), resident, "MiB"));
            part.now(&format!("{number} of {PARTS}, {:.0} events", sent(measured)));
        }
        std::thread::sleep(SETTLING);
        part.done();
        if let Some(load) = BATCHES.iter().find(|load| load.name == EVENTS) {
            let again = Batches { name: AGAIN, ..*load };
            measured.extend(self.events(server, again)?);
        }
        measured.push(Measured::new("ids_in_the_end", sent(measured), ""));
        Ok(())
    }

    /// Sends events at this rate, or as fast as it goes, and tells what that took. Gives the rate that there was.
    fn stretch(
        &self,
        server: &Server,
        name: &str,
        seconds: u64,
        rate: Option<u64>,
        measured: &mut Vec<Measured>,
    ) -> anyhow::Result<f64> {
        let mut command = self.against_for(seconds, server, "events", SENDERS, name);
        command.args(["--connections", "4", "--batch", "2000", "--name", name]);
        if let Some(rate) = rate {
            command.args(["--rate", &rate.to_string()]);
        }
        let before = self.spent(server)?;
        let told = self.ask(&mut command)?;
        let (rate, events) = (value_of(&told, name)?, value_of(&told, &format!("{name}_sent"))?);
        measured.extend(told);
        measured.extend(self.spent(server)?.since(&before, name, events));
        Ok(rate)
    }
}

/// Events that were sent so far.
fn sent(measured: &[Measured]) -> f64 {
    let sums = measured.iter().filter(|one| one.is_sum());
    sums.map(|one| one.value).sum()
}

/// Rates are far below 2^52.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement, far below 2^52"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
