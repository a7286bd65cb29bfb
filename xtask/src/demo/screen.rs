//! Watching the replay: a live view on a terminal, a line now and then elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Paragraph, Row, Sparkline, Table};
use rust_decimal::Decimal;
use tokio::sync::Notify;

use super::View;
use super::script::{Budget, Script};
use super::tally::{SharedTally, Tally, milliseconds};
use crate::terminal::grouped;

/// Time between two pictures.
const PICTURE_EVERY: Duration = Duration::from_millis(200);
/// Time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Somebody who watches. Ends when closed or dropped, and leaves the terminal as it was.
#[derive(Debug)]
pub struct Watching {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    closed: AtomicBool,
    interrupted: Notify,
}

/// Starts to watch.
pub(super) fn watch(view: View, script: Arc<Script>, tally: Arc<SharedTally>, wall: Duration) -> Watching {
    let shared = Arc::new(Shared::default());
    let seen = Scene { script, tally, wall };
    let of_thread = Arc::clone(&shared);
    let thread = std::thread::spawn(move || match view {
        View::Live => live(&seen, &of_thread),
        View::Lines => lines(&seen, &of_thread),
    });
    Watching {
        shared,
        thread: Some(thread),
    }
}

impl Watching {
    /// Resolves when the person at the terminal wants to stop.
    pub async fn interrupted(&self) {
        tokio::select! {
            () = self.shared.interrupted.notified() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }

    /// Stops watching; returns when the terminal is as it was.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join(); // a watcher that panicked has put the terminal back and said why
        }
    }
}

struct Scene {
    script: Arc<Script>,
    tally: Arc<SharedTally>,
    wall: Duration,
}

fn lines(scene: &Scene, shared: &Shared) {
    loop {
        std::thread::park_timeout(LINE_EVERY);
        if shared.closed.load(Ordering::SeqCst) {
            return;
        }
        let mut tally = scene.tally.lock();
        let rate = tally.per_second().last().copied().unwrap_or(0);
        eprintln!(
            "    {:>3} s: {} decisions ({rate}/s), {} denied, {} usd, revisions {}, authorize p50 {} p99 {}, failed {}",
            tally.started.elapsed().as_secs(),
            grouped(tally.decisions()),
            grouped(tally.denied),
            tally.revenue.round_dp(2),
            tally.by_revision.len(),
            milliseconds(&tally.authorize_us, 0.5),
            milliseconds(&tally.authorize_us, 0.99),
            tally.failed,
        );
    }
}

fn live(scene: &Scene, shared: &Shared) {
    // Also puts a hook in place that restores the terminal before a panic is printed.
    let Ok(mut terminal) = ratatui::try_init() else {
        return lines(scene, shared);
    };
    while !shared.closed.load(Ordering::SeqCst) {
        if terminal.draw(|frame| draw(frame, scene)).is_err() {
            break;
        }
        if event::poll(PICTURE_EVERY).unwrap_or(false)
            && event::read().is_ok_and(|event| wants_to_stop(&event))
        {
            shared.interrupted.notify_one();
        }
    }
    ratatui::restore();
}

fn wants_to_stop(event: &Event) -> bool {
    let Event::Key(key) = event else {
        return false;
    };
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (control_c || key.code == KeyCode::Char('q'))
}

fn draw(frame: &mut Frame<'_>, scene: &Scene) {
    let mut tally = scene.tally.lock();
    let [head, progress, middle, rate, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(10),
        Constraint::Length(7),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let [numbers, customers] =
        Layout::horizontal([Constraint::Length(46), Constraint::Min(30)]).areas(middle);
    let title = Line::from(vec![
        Span::from(" Farebox ").bold().reversed(),
        Span::from("  every call authorized, priced and debited in one durable step"),
    ]);
    frame.render_widget(title, head);
    draw_progress(frame, progress, scene, &tally);
    frame.render_widget(table_of(numbers_of(&tally)), numbers);
    draw_customers(frame, customers, scene, &tally);
    let per_second = tally.per_second();
    let latest = per_second.last().copied().unwrap_or(0);
    let width = usize::from(rate.width.saturating_sub(2));
    let shown = &per_second[per_second.len().saturating_sub(width)..];
    let block = Block::bordered().title(format!(" decisions a second: {latest} "));
    frame.render_widget(
        Sparkline::default()
            .block(block)
            .data(shown)
            .style(Style::new().fg(Color::Cyan)),
        rate,
    );
    frame.render_widget(
        Line::from(" q stops").style(Style::new().add_modifier(Modifier::DIM)),
        foot,
    );
}

fn draw_progress(frame: &mut Frame<'_>, area: Rect, scene: &Scene, tally: &Tally) {
    let over = tally.started.elapsed().min(scene.wall).as_millis();
    let percent = over * 100 / scene.wall.as_millis().max(1);
    let label = format!(
        "{} of {} requests",
        grouped(tally.decisions()),
        grouped(scene.script.turns.len() as u64)
    );
    let percent = u16::try_from(percent.min(100)).unwrap_or(100);
    frame.render_widget(
        Gauge::default()
            .percent(percent)
            .label(label)
            .gauge_style(Color::Cyan),
        area,
    );
}

fn numbers_of(tally: &Tally) -> Vec<(&'static str, String)> {
    let times = |which| format!("{} / {}", milliseconds(which, 0.5), milliseconds(which, 0.99));
    let in_force = match tally.by_revision.len() {
        0 | 1 => "the first price list",
        _ => "the second price list",
    };
    vec![
        ("prices in force", in_force.to_string()),
        ("revenue", format!("{} usd", tally.revenue.round_dp(6))),
        ("allowed", grouped(tally.allowed)),
        ("denied", grouped(tally.denied)),
        ("charged", grouped(tally.charged)),
        ("  after expiry", grouped(tally.late)),
        (
            "released, expired",
            format!("{}, {}", grouped(tally.released), grouped(tally.forgotten)),
        ),
        ("sent twice", grouped(tally.retried)),
        ("authorize p50 / p99", times(&tally.authorize_us)),
        ("settle p50 / p99", times(&tally.settle_us)),
        ("failed", grouped(tally.failed)),
    ]
}

fn table_of(rows: Vec<(&'static str, String)>) -> Paragraph<'static> {
    let line = |(name, value): (&str, String)| Line::from(format!("{name:<20}{value:>22}"));
    Paragraph::new(rows.into_iter().map(line).collect::<Vec<_>>()).block(Block::bordered().title(" so far "))
}

fn draw_customers(frame: &mut Frame<'_>, area: Rect, scene: &Scene, tally: &Tally) {
    let rows = scene
        .script
        .customers
        .iter()
        .zip(&tally.available)
        .map(|(customer, available)| {
            let granted = match &customer.budget {
                Budget::Prepaid { promotional, paid } => (*promotional + *paid).to_string(),
                Budget::Postpaid => "pays later".to_string(),
            };
            let left = available.map_or("-".to_string(), |left| format!("{:.4}", left.round_dp(4)));
            let low = available.is_some_and(|left| left * Decimal::TEN < customer.budget.granted());
            let style = if low {
                Style::new().fg(Color::Yellow)
            } else {
                Style::new()
            };
            Row::new([
                customer.id.clone(),
                format!("{granted:>12}"),
                format!("{left:>14}"),
            ])
            .style(style)
        });
    // Those that run dry are every fifth; show them first, the others as far as there is room.
    let mut rows: Vec<(usize, Row<'_>)> = rows.enumerate().collect();
    rows.sort_by_key(|(index, _)| ((index + 1) % 5 != 0, *index));
    let widths = [
        Constraint::Length(14),
        Constraint::Length(12),
        Constraint::Length(14),
    ];
    let header = Row::new(["customer", "     granted", "     available"])
        .style(Style::new().add_modifier(Modifier::BOLD));
    let table = Table::new(rows.into_iter().map(|(_, row)| row), widths)
        .header(header)
        .block(Block::bordered().title(" wallets "));
    frame.render_widget(table, area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::dice::Dice;
    use super::super::generate::generate;
    use super::super::prices::PriceList;
    use super::super::script;
    use super::super::tally::Timed;
    use super::*;

    const LIST: &str = r#"{"providers":{"p":{"models":{"m":{"prices":{"input":"1","output":"5"}}}}}}"#;

    fn picture(width: u16, height: u16) -> String {
        let (dice, list) = (Dice::new(1), PriceList::parse(LIST).unwrap());
        let script = script::write(&generate(dice, 200), &list, 20, dice).unwrap();
        let tally = SharedTally::new(20).unwrap();
        for micros in 1..=50 {
            tally
                .lock()
                .took(Timed::Authorize, Duration::from_micros(micros * 100));
        }
        tally.lock().available[4] = Some(Decimal::new(5, 3));
        let scene = Scene {
            script: Arc::new(script),
            tally: Arc::new(tally),
            wall: Duration::from_secs(60),
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &scene)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_picture_shows_numbers_and_wallets() {
        let picture = picture(100, 30);
        for expected in [
            "50 of 200 requests",
            "authorize p50 / p99",
            "2.50 ms / 5.00 ms",
            "customer-05",
            "0.0050",
        ] {
            assert!(picture.contains(expected), "{expected} is not in\n{picture}");
        }
    }

    #[test]
    fn a_small_terminal_is_no_failure() {
        for (width, height) in [(1, 1), (20, 5), (60, 12)] {
            let _ = picture(width, height); // what does not fit is cut
        }
    }
}
