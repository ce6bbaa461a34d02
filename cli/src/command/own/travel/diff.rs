//! `diff`

mod sides;

use std::fmt::Write as _;

use kvorum_client::edit::difference;
use kvorum_client::explore::{KeyValue, owned};
use kvorum_client::travel::{COMPARED_AT_ONCE, Pair, read_each};
use kvorum_client::{Get, pb};

use crate::args::own::DiffArgs;
use crate::command::own::progress::Progress;
use crate::command::own::shown;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{
    Row, Rows, Style, Tone, Value, escape_message, instead_of, is_masked, one_line,
};
use sides::{Sides, compacted};

const HEADER: [&str; 4] = ["what", "key", "first", "second"];

/// A longer text is not compared line by line: who wants to read it looks at the values.
const MOST_COMPARED_BYTES: usize = 64 * 1024;

/// Rows that wait for values to be read.
const MOST_WAITING: usize = 256;

pub(super) async fn execute(args: &DiffArgs, session: &mut Session) -> Result<(), CommandError> {
    let mut progress = Progress::new(&session.manner);
    let mut sides = progress.until(Sides::of(args, session)).await?;
    let masked = session.style.masked.clone();
    let Session { style, out, .. } = session;
    let mut rows = Rows::new(style, &HEADER, out);
    let mut count = Count::default();
    let mut waiting = Vec::new();
    let mut unread = 0;
    let leases = sides.revisions().is_some();
    loop {
        let pair = progress.until(sides.next()).await?;
        let ended = pair.is_none();
        match pair {
            Some(Pair::Both(first, second)) if sides.are_same(&first, &second) => count.same += 1,
            Some(pair) => {
                unread += usize::from(matches!(pair, Pair::Both(..)));
                waiting.push(pair);
            }
            None => {}
        }
        if ended || waiting.len() >= MOST_WAITING || unread >= COMPARED_AT_ONCE {
            let told = progress.until(sides.read(std::mem::take(&mut waiting))).await?;
            unread = 0;
            progress.aside(|| {
                told.into_iter().try_for_each(|pair| {
                    if let Some(differing) = Differing::of(pair, leases) {
                        count.add(&differing);
                        let hidden = is_masked(&masked, &differing.key);
                        rows.row(&Shown { differing, hidden, names: args.names })
                    } else {
                        count.written_again += 1;
                        Ok(())
                    }
                })
            })?;
        }
        if ended {
            break;
        }
    }
    progress.aside(|| rows.end())?;
    drop(progress);
    conclude(&count, &sides.names(), session)
}

fn conclude(count: &Count, names: &str, session: &mut Session) -> Result<(), CommandError> {
    if !session.manner.quiet {
        session.remark(&format!("{}: {names}", count.sentence()));
    }
    session.finer(count.differences() == 0, exit::ERROR)
}

/// How many keys differ, and how.
#[derive(Default)]
struct Count {
    added: u64,
    removed: u64,
    changed: u64,
    same: u64,
    /// Written since, with the same value.
    written_again: u64,
}

impl Count {
    fn add(&mut self, differing: &Differing) {
        match (&differing.first, &differing.second) {
            (None, _) => self.added += 1,
            (_, None) => self.removed += 1,
            _ => self.changed += 1,
        }
    }

    fn differences(&self) -> u64 {
        self.added + self.removed + self.changed
    }

    fn sentence(&self) -> String {
        let parts = [
            ("+", self.added, "added"),
            ("~", self.changed, "changed"),
            ("-", self.removed, "removed"),
            ("=", self.same + self.written_again, "the same"),
        ];
        let parts = parts.iter().filter(|(sign, count, _)| *count > 0 || *sign == "=");
        let parts: Vec<_> = parts
            .map(|(sign, count, what)| format!("{sign} {} {what}", shown::number(*count)))
            .collect();
        let again = match self.written_again {
            0 => String::new(),
            again => format!(" ({} written again)", shown::number(again)),
        };
        format!("{}{again}", parts.join("  "))
    }
}

/// A key that two states do not have in common, with its values as far as they were read.
struct Differing {
    key: Vec<u8>,
    first: Option<pb::KeyValue>,
    second: Option<pb::KeyValue>,
}

impl Differing {
    /// `None`: the values are the same, and the leases too, where they can be.
    fn of(pair: Pair, leases: bool) -> Option<Self> {
        Some(match pair {
            Pair::First(first) => {
                Self { key: first.key.to_vec(), first: Some(owned(first)), second: None }
            }
            Pair::Second(second) => {
                Self { key: second.key.to_vec(), first: None, second: Some(owned(second)) }
            }
            Pair::Both(first, second) => {
                if first.value == second.value && !(leases && first.lease != second.lease) {
                    return None;
                }
                let key = second.key.to_vec();
                Self { key, first: Some(owned(first)), second: Some(owned(second)) }
            }
        })
    }

    fn what(&self) -> &'static str {
        match (&self.first, &self.second) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        }
    }

    /// What was changed of a text, line by line; else how the sizes differ.
    fn change(&self, style: &Style) -> Option<String> {
        let (first, second) = (self.first.as_ref()?, self.second.as_ref()?);
        if first.value == second.value {
            return None;
        }
        let fits = |kv: &pb::KeyValue| {
            kv.value.len() <= MOST_COMPARED_BYTES && str::from_utf8(&kv.value).is_ok()
        };
        if !(fits(first) && fits(second)) {
            let size = |kv: &pb::KeyValue| shown::bytes(kv.value.len() as u64);
            return Some(format!("  {} → {}", size(first), size(second)));
        }
        let patch = difference(&first.value, &second.value);
        let patch = String::from_utf8_lossy(&patch).into_owned();
        let lines = patch.lines().skip_while(|line| !line.starts_with("@@"));
        // Most values have no line end, and nobody needs to know.
        let lines = lines.filter(|line| !line.starts_with('\\'));
        let lines = lines.map(|line| {
            let line =
                if style.escaped { escape_message(line).into_owned() } else { line.to_owned() };
            let tone = match line.as_bytes().first() {
                Some(b'+') => Tone::Fine,
                Some(b'-') => Tone::Fault,
                Some(b'@') => Tone::Note,
                _ => return line,
            };
            style.paint.of(tone, &line)
        });
        Some(lines.collect::<Vec<_>>().join("\n"))
    }
}

fn lease(id: i64) -> String {
    if id == 0 { "none".to_owned() } else { format!("{id:016x}") }
}

struct Shown {
    differing: Differing,
    hidden: bool,
    names: bool,
}

impl Row for Shown {
    fn simple(&self, style: &Style) -> String {
        let Differing { key, first, second } = &self.differing;
        let (sign, tone) = match self.differing.what() {
            "added" => ("+", Tone::Fine),
            "removed" => ("-", Tone::Fault),
            _ => ("~", Tone::Warning),
        };
        let key = style.paint.of(Tone::Key, &one_line(key));
        let mut line = format!("{} {key}", style.paint.of(tone, sign));
        if self.names {
            return line;
        }
        let at = |kv: &Option<pb::KeyValue>| kv.as_ref().map_or(0, |kv| kv.mod_revision);
        let _ = match (at(first), at(second)) {
            (0, revision) => write!(line, "  at revision {revision}"),
            (revision, 0) => write!(line, "  was at revision {revision}"),
            (first, second) => write!(line, "  revision {first} → {second}"),
        };
        if let (Some(first), Some(second)) = (first, second)
            && first.lease != second.lease
        {
            let _ = write!(line, ", lease {} → {}", lease(first.lease), lease(second.lease));
        }
        if self.hidden {
            return line;
        }
        match self.differing.change(style) {
            Some(change) => format!("{line}\n{change}"),
            None => line,
        }
    }

    fn value(&self) -> Value {
        let Differing { key, first, second } = &self.differing;
        let is_change = first.is_some() && second.is_some();
        let side = |kv: &pb::KeyValue| {
            let mut side = Value::map([("mod_revision", Value::Int(kv.mod_revision))]);
            if kv.lease != 0 {
                side = side.with("lease", Value::lease(kv.lease));
            }
            if is_change && !self.names {
                let value = if self.hidden {
                    Value::Text(instead_of(kv.value.len()))
                } else {
                    Value::bytes(&kv.value)
                };
                side = side.with("value", value);
            }
            side
        };
        Value::map([("what", Value::text(self.differing.what())), ("key", Value::bytes(key))])
            .with_some("first", first.as_ref().map(side))
            .with_some("second", second.as_ref().map(side))
    }

    fn cells(&self) -> Vec<String> {
        let Differing { key, first, second } = &self.differing;
        let at = |kv: &Option<pb::KeyValue>| {
            kv.as_ref().map_or_else(String::new, |kv| kv.mod_revision.to_string())
        };
        vec![self.differing.what().to_owned(), one_line(key), at(first), at(second)]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.differing.key)
    }
}

/// Reads the values of keys that are in both, at the revisions they are compared at.
async fn with_values(sides: &Sides, pairs: Vec<Pair>) -> Result<Vec<Pair>, CommandError> {
    let Some((connection, first, second)) = sides.revisions() else { return Ok(pairs) };
    let gets = pairs.iter().filter_map(|pair| match pair {
        Pair::Both(a, b) => Some([(a, first), (b, second)]),
        Pair::First(_) | Pair::Second(_) => None,
    });
    let gets = gets.flatten().map(|(kv, revision)| Get { revision, ..Get::key(&kv.key[..]) });
    let read = read_each(connection, gets.collect()).await.map_err(|failure| {
        if failure.is_compacted() { compacted(first.min(second)) } else { failure.into() }
    })?;
    let mut values = read.into_iter();
    let mut value = |kv: KeyValue| {
        let value = values.next().flatten().map(|kv| kv.value).unwrap_or_default();
        KeyValue { value: value.into(), ..kv }
    };
    let pairs = pairs.into_iter().map(|pair| match pair {
        Pair::Both(first, second) => {
            let first = value(first);
            Pair::Both(first, value(second))
        }
        other => other,
    });
    Ok(pairs.collect())
}
