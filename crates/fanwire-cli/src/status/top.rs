//! `fanwire top`: a screen that shows what a server does while it does it.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::figures::Figures;
use super::rates::Rates;
use super::{STATUS, headline};
use crate::args::TopArgs;
use crate::client::{self, CommandError, Server, output};

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(100);

/// How long a key may go unnoticed once the program is to end.
const KEY_PATIENCE: Duration = Duration::from_millis(100);

/// Shows what the server does.
pub(crate) fn run(args: &TopArgs) -> ExitCode {
    client::run(async {
        let server = Server::find(&args.server)?;
        let mut look = Look::first(&server, args.interval.max(SHORTEST)).await?;
        if args.once {
            look.next().await?;
            let text = match args.json {
                true => serde_json::to_string_pretty(&look.rates).map_err(CommandError::broken)?,
                false => plain(&look),
            };
            output(&format!("{text}\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut terminal = ratatui::try_init().map_err(CommandError::Output)?;
        let shown = show(&mut terminal, &mut look).await;
        ratatui::restore();
        shown
    })
}

/// What was seen of a server last.
struct Look<'s> {
    server: &'s Server,
    interval: Duration,
    figures: Figures,
    at: Instant,
    rates: Rates,
}

// === impl Look ===

impl<'s> Look<'s> {
    async fn first(server: &'s Server, interval: Duration) -> Result<Self, CommandError> {
        let figures = Figures::of(server.control(STATUS).await?);
        let rates = Rates::between(&figures, &figures, interval);
        Ok(Self { server, interval, figures, at: Instant::now(), rates })
    }

    /// Looks again when the interval is over.
    async fn next(&mut self) -> Result<(), CommandError> {
        tokio::time::sleep_until(self.at + self.interval).await;
        let figures = Figures::of(self.server.control(STATUS).await?);
        let now = Instant::now();
        self.rates = Rates::between(&self.figures, &figures, now - self.at);
        (self.figures, self.at) = (figures, now);
        Ok(())
    }
}

/// Draws, and looks again, until somebody wants to leave.
async fn show(
    terminal: &mut ratatui::DefaultTerminal,
    look: &mut Look<'_>,
) -> Result<ExitCode, CommandError> {
    let mut keys = keys();
    loop {
        terminal.draw(|frame| draw(frame, look)).map_err(CommandError::Output)?;
        tokio::select! {
            key = keys.recv() => match key {
                Some(Key::Leave) | None => return Ok(ExitCode::SUCCESS),
                Some(Key::Draw) => {}
            },
            looked = look.next() => looked?,
        }
    }
}

/// What a key, or the terminal, wants.
enum Key {
    Leave,
    Draw,
}

/// Reads keys on a thread of its own, which ends with the receiver.
fn keys() -> mpsc::Receiver<Key> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let key = match next_key() {
                Ok(None) => continue,
                Ok(Some(key)) => key,
                // There is no terminal any more.
                Err(_) => Key::Leave,
            };
            if sender.blocking_send(key).is_err() {
                return;
            }
        }
    });
    receiver
}

fn next_key() -> io::Result<Option<Key>> {
    if !event::poll(KEY_PATIENCE)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Some(Key::Leave),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Leave),
            _ => None,
        },
        Event::Resize(..) => Some(Key::Draw),
        _ => None,
    })
}

fn draw(frame: &mut Frame<'_>, look: &Look<'_>) {
    let troubles = look.figures.troubles();
    let planes = look.rates.planes.len();
    // No more rows than a terminal has: the layout cuts what does not fit.
    let rows = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    let [top, wrong, of_planes, of_functions, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(rows(troubles.len() + 1)),
        Constraint::Length(rows(planes + 2)),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let style = if look.rates.ready { Style::new().green() } else { Style::new().red() };
    frame.render_widget(Line::styled(headline(&look.figures), style), top);
    let lines: Vec<Line<'_>> =
        troubles.iter().map(|(name, why)| Line::from(format!("{name}: {why}")).red()).collect();
    frame.render_widget(ratatui::text::Text::from(lines), wrong);
    draw_table(frame, of_planes, &PLANES, plane_rows(look));
    draw_table(frame, of_functions, &FUNCTIONS, function_rows(look));
    let processors = format!("{:.2} processors busy    q ends this", look.rates.processors);
    frame.render_widget(Line::from(processors).dim(), bottom);
}

const PLANES: [&str; 7] =
    ["PLANE", "CONNECTIONS", "RECEIVED/s", "SENT/s", "DROPPED/s", "KB IN/s", "KB OUT/s"];
const FUNCTIONS: [&str; 5] = ["FUNCTION", "PROCESSES", "EVENTS/s", "ERRORS/s", "MEAN ms"];

fn plane_rows(look: &Look<'_>) -> Vec<Vec<String>> {
    let planes = look.rates.planes.iter().map(|plane| {
        vec![
            plane.plane.clone(),
            plane.connections.to_string(),
            format!("{:.0}", plane.received_per_second),
            format!("{:.0}", plane.sent_per_second),
            format!("{:.0}", plane.dropped_per_second),
            format!("{:.1}", plane.bytes_received_per_second / 1024.0),
            format!("{:.1}", plane.bytes_sent_per_second / 1024.0),
        ]
    });
    planes.collect()
}

fn function_rows(look: &Look<'_>) -> Vec<Vec<String>> {
    let functions = look.rates.functions.iter().map(|function| {
        vec![
            function.function.clone(),
            function.processes.to_string(),
            format!("{:.1}", function.invocations_per_second),
            format!("{:.1}", function.errors_per_second),
            function.mean_ms.map_or_else(String::new, |mean| format!("{mean:.1}")),
        ]
    });
    functions.collect()
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, heading: &[&str], rows: Vec<Vec<String>>) {
    let first = std::iter::once(Constraint::Fill(2));
    let widths = first.chain(heading.iter().skip(1).map(|_| Constraint::Fill(1)));
    let heading = Row::new(heading.iter().map(|text| (*text).to_owned())).bold();
    frame.render_widget(Table::new(rows.into_iter().map(Row::new), widths).header(heading), area);
}

/// The same without a screen.
fn plain(look: &Look<'_>) -> String {
    let mut planes = crate::table::Table::new(&PLANES);
    plane_rows(look).into_iter().for_each(|row| planes.row(row));
    let mut functions = crate::table::Table::new(&FUNCTIONS);
    function_rows(look).into_iter().for_each(|row| functions.row(row));
    format!("{}\n\n{planes}\n{functions}", headline(&look.figures))
}
