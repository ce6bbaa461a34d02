//! `top`

use std::io::Write as _;
use std::time::Duration;

use kvorum_client::{Heat, Hot, HotFold, HotReport, KeyRange, Watch, WatchItem, WatchStream};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use unicode_width::UnicodeWidthChar as _;

use super::shown;
use crate::args::own::TopArgs;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Format, Rich, Row, Rows, Style, Tone, Value};
use crate::signals::Interrupted;
use crate::terminal;

pub(super) async fn execute(args: &TopArgs, session: &mut Session) -> Result<(), CommandError> {
    args.check()?;
    let mut interrupted = Interrupted::new()?;
    let mut stream = open(args, session).await?;
    let mut top = Top::new(args, session);
    let began = Instant::now();
    // Somebody who wants it for an age may have it.
    let end = args.duration.and_then(|duration| began.checked_add(duration));
    let mut ticks = interval(args.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            biased;
            () = interrupted.wait() => break,
            () = sleep_until(end.unwrap_or(began)), if end.is_some() => break,
            _ = ticks.tick() => top.show(session)?,
            item = stream.next() => match item {
                Some(WatchItem::Events(response)) => top.push(&response.events),
                Some(WatchItem::Lost(failure)) => {
                    top.say(&format!("{failure}; watching again as soon as possible"), session);
                }
                Some(WatchItem::Ended(end)) if end.compact_revision > 0 => {
                    top.say("warning: some changes were missed: they were compacted", session);
                    stream = open(args, session).await?;
                }
                Some(WatchItem::Ended(end)) => {
                    let message = format!("the server ended the watch: {}", end.cancel_reason);
                    return Err(CommandError::Other { code: exit::INTERRUPTED, message });
                }
                Some(WatchItem::Failed(failure)) => return Err(failure.into()),
                Some(WatchItem::Watching { .. } | WatchItem::Progress(_)) => {}
                None => break,
            },
        }
    }
    top.conclude(began.elapsed(), session)
}

async fn open(args: &TopArgs, session: &Session) -> Result<WatchStream, CommandError> {
    let range = KeyRange::prefix(args.prefix());
    Ok(session.connection.watch(Watch { range, fragment: true, ..Watch::default() }).await?)
}

/// How it is shown while it goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    /// In place, on a terminal.
    Redrawn,
    /// Row after row, for programs.
    Rows,
    Nothing,
}

struct Top<'a> {
    args: &'a TopArgs,
    meanwhile: Meanwhile,
    /// Since the last time it was shown.
    recent: HotFold,
    recent_since: Instant,
    all: HotFold,
    /// Lines on the terminal that are to be drawn over.
    drawn: usize,
}

const HEADER: [&str; 6] = ["events/s", "events", "puts", "deletes", "bytes/s", "name"];

/// Lines that stay free below and above the table.
const SPARE_LINES: usize = 4;

impl<'a> Top<'a> {
    fn new(args: &'a TopArgs, session: &Session) -> Self {
        // A terminal that cannot go back would show every table below the other.
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let style = &session.style;
        let redrawn = style.escaped && !style.plain && !is_dumb && terminal::stdout_is_terminal();
        let meanwhile = match style.format {
            Format::Simple if redrawn => Meanwhile::Redrawn,
            Format::Rich(Rich::Ndjson) => Meanwhile::Rows,
            _ => Meanwhile::Nothing,
        };
        let fold = || HotFold::new(&args.prefix(), session.manner.separator, args.depth);
        let recent_since = Instant::now();
        Self { args, meanwhile, recent: fold(), recent_since, all: fold(), drawn: 0 }
    }

    fn push(&mut self, events: &[kvorum_client::pb::Event]) {
        for event in events {
            self.all.push(event);
            if self.meanwhile != Meanwhile::Nothing {
                self.recent.push(event);
            }
        }
    }

    fn say(&mut self, line: &str, session: &mut Session) {
        // What is said stays above the next table.
        self.drawn = 0;
        session.remark(line);
    }

    /// Shows what came since the last time.
    fn show(&mut self, session: &mut Session) -> Result<(), CommandError> {
        if self.meanwhile == Meanwhile::Nothing {
            return Ok(());
        }
        let took = self.recent_since.elapsed();
        self.recent_since = Instant::now();
        let report = self.recent.take();
        if self.meanwhile == Meanwhile::Rows {
            return self.rows(&report, took, session);
        }
        let room = terminal::rows().map_or(usize::MAX, |rows| rows.saturating_sub(SPARE_LINES));
        let mut lines = vec![head(&session.style)];
        let lines_of = lines_of(&report, took, self.args.limit.min(room));
        lines.extend(lines_of.map(|line| line.simple(&session.style)));
        self.over(session)?;
        let columns = terminal::columns().unwrap_or(usize::MAX);
        for line in &lines {
            writeln!(session.out, "{}", cut(line, columns))?;
        }
        session.out.flush()?;
        self.drawn = lines.len();
        Ok(())
    }

    /// Goes back to the first line of the last table, and takes it away.
    fn over(&mut self, session: &mut Session) -> Result<(), CommandError> {
        let lines = std::mem::take(&mut self.drawn);
        if lines > 0 {
            write!(session.out, "\x1b[{lines}A\r\x1b[J")?;
        }
        Ok(())
    }

    fn rows(
        &self,
        report: &HotReport,
        took: Duration,
        session: &mut Session,
    ) -> Result<(), CommandError> {
        let Session { style, out, .. } = session;
        let mut rows = Rows::new(style, &HEADER, out);
        let only_names = style.format == Format::Rich(Rich::Keys);
        for line in lines_of(report, took, self.args.limit) {
            if !only_names || line.key().is_some() {
                rows.row(&line)?;
            }
        }
        Ok(rows.end()?)
    }

    /// The sum of everything.
    fn conclude(mut self, took: Duration, session: &mut Session) -> Result<(), CommandError> {
        if self.meanwhile == Meanwhile::Rows {
            return self.show(session);
        }
        self.over(session)?;
        let report = self.all.take();
        if session.style.format == Format::Simple {
            writeln!(session.out, "{}", head(&session.style))?;
        }
        self.rows(&report, took, session)?;
        let (hidden, limit) = (report.names.len(), self.args.limit);
        if hidden > limit && !session.manner.quiet {
            let more = shown::number((hidden - limit) as u64);
            session.remark(&format!("{more} more names: --limit shows them"));
        }
        if report.rest.is_some() && !session.manner.quiet {
            let most = shown::number(kvorum_client::MAX_NAMES as u64);
            session.remark(&format!(
                "there were more than {most} names: the coldest were added up without one; \
                 --depth tells fewer apart"
            ));
        }
        Ok(())
    }
}

/// The names and the sums, as lines.
fn lines_of(report: &HotReport, took: Duration, limit: usize) -> impl Iterator<Item = Line<'_>> {
    let names = report.names.iter().take(limit);
    let names = names.map(|Hot { name, heat }| (Name::Of(name), *heat));
    let rest = report.rest.map(|heat| (Name::Rest, heat));
    let total = (Name::Total, report.total);
    let all = names.chain(rest).chain([total]);
    all.map(move |(name, heat)| Line { name, heat, took })
}

enum Name<'a> {
    Of(&'a [u8]),
    Rest,
    Total,
}

struct Line<'a> {
    name: Name<'a>,
    heat: Heat,
    took: Duration,
}

impl Line<'_> {
    fn name(&self) -> String {
        match self.name {
            Name::Of(name) => shown::line(name),
            Name::Rest => "(others)".to_owned(),
            Name::Total => "(total)".to_owned(),
        }
    }

    fn per_second(&self, count: u64) -> f64 {
        // What was over at once took some time all the same.
        count as f64 / self.took.as_secs_f64().max(0.001)
    }
}

fn head(style: &Style) -> String {
    let [rate, _, puts, deletes, bytes, name] = HEADER;
    let text = format!("{rate:>9} {puts:>9} {deletes:>9} {bytes:>11}  {name}");
    style.paint.of(Tone::Label, &text)
}

impl Row for Line<'_> {
    fn simple(&self, style: &Style) -> String {
        let Heat { puts, deletes, bytes } = self.heat;
        let rate = self.per_second(self.heat.events());
        let bytes = format!("{}/s", shown::bytes(self.per_second(bytes) as u64));
        let name = match self.name {
            Name::Of(_) => style.paint.of(Tone::Key, &self.name()),
            Name::Rest | Name::Total => self.name(),
        };
        format!("{rate:>9.1} {puts:>9} {deletes:>9} {bytes:>11}  {name}")
    }

    fn value(&self) -> Value {
        let Heat { puts, deletes, bytes } = self.heat;
        let (kind, name) = match self.name {
            Name::Of(name) => ("name", Value::bytes(name)),
            Name::Rest => ("rest", Value::Null),
            Name::Total => ("total", Value::Null),
        };
        let rate = |count| Value::Float((self.per_second(count) * 10.0).round() / 10.0);
        Value::map([
            ("name", name),
            ("kind", Value::text(kind)),
            ("puts", Value::Uint(puts)),
            ("deletes", Value::Uint(deletes)),
            ("bytes", Value::Uint(bytes)),
            ("events_per_s", rate(puts + deletes)),
            ("bytes_per_s", rate(bytes)),
            ("took_ms", Value::Uint(u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX))),
        ])
    }

    fn cells(&self) -> Vec<String> {
        let Heat { puts, deletes, bytes } = self.heat;
        let rate = format!("{:.1}", self.per_second(puts + deletes));
        let bytes = (self.per_second(bytes) as u64).to_string();
        let counts = [puts + deletes, puts, deletes].map(|count| count.to_string());
        [&[rate][..], &counts, &[bytes, self.name()]].concat()
    }

    fn key(&self) -> Option<&[u8]> {
        match self.name {
            Name::Of(name) => Some(name),
            Name::Rest | Name::Total => None,
        }
    }
}

/// What of a line fits into so many columns; colours take none.
fn cut(line: &str, columns: usize) -> String {
    let (mut used, mut coloured, mut out) = (0, false, String::new());
    for letter in line.chars() {
        if letter == '\x1b' {
            coloured = true;
        } else if !coloured {
            used += letter.width().unwrap_or(0);
        }
        if used <= columns || coloured {
            out.push(letter);
        }
        coloured &= letter != 'm';
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kvorum_client::Heat;

    use super::{Line, Name, cut};
    use crate::output::{Paint, Row as _, Style};

    #[test]
    fn a_line_is_cut_at_the_edge_of_the_terminal_and_its_colour_ends() {
        assert_eq!(cut("abcdef", 4), "abcd");
        assert_eq!(cut("ab\x1b[35mcdef\x1b[0m", 3), "ab\x1b[35mc\x1b[0m");
        assert_eq!(cut("日本語", 5), "日本");
    }

    #[test]
    fn rates_are_those_of_the_time_it_took() {
        let heat = Heat { puts: 30, deletes: 10, bytes: 8192 };
        let line = Line { name: Name::Of(b"/a\n"), heat, took: Duration::from_secs(4) };
        let style = Style { paint: Paint::new(false), ..Style::default() };
        assert_eq!(line.simple(&style), "     10.0        30        10   2.0 KiB/s  /a\\n");
        assert_eq!(line.cells(), ["10.0", "40", "30", "10", "2048", "/a\\n"]);
    }
}
