//! `seq put|list`

use std::io;

use kvorum_client::explore::{KeyValue, Scan, ScanRequest};
use kvorum_client::{Get, MAX_ITEMS, Placed, Sequence, SequenceError};

use super::shown;
use crate::args::own::{SeqArgs, SeqCommand, SeqListArgs, SeqPutArgs};
use crate::command::{CommandError, Effect, Input, Session};
use crate::exit;
use crate::output::{
    Format, PrintError, Rich, Row, Rows, Style, Tone, Value, instead_of, is_masked, shell_word,
};

pub(super) async fn execute(args: &SeqArgs, session: &mut Session) -> Result<(), CommandError> {
    match &args.command {
        SeqCommand::Put(args) => put(args, session).await,
        SeqCommand::List(args) => list(args, session).await,
    }
}

/// What a verb does to the cluster.
pub(super) fn effect(args: &SeqArgs) -> Effect {
    match args.command {
        SeqCommand::Put(_) => Effect::Writes,
        SeqCommand::List(_) => Effect::Reads,
    }
}

/// Of the bytes that etcd takes in a request, 1.5 MiB, so many are for values.
const MAX_BATCH_BYTES: usize = 1 << 20;

const HEADER: [&str; 5] = ["number", "revision", "bytes", "key", "value"];

async fn put(args: &SeqPutArgs, session: &mut Session) -> Result<(), CommandError> {
    let plan = args.plan()?;
    let sequence = Sequence::new(&session.connection, &plan.prefix);
    let dry_run = session.manner.dry_run;
    let refused = |error| refused(error, &plan.prefix);
    let Session { style, out, err, input, .. } = session;
    let mut values = match plan.value {
        Some(value) => Values { next: Some(value), lines: None },
        None if args.lines => Values { next: None, lines: Some(input) },
        None => Values { next: Some(input.rest().await?), lines: None },
    };
    if dry_run {
        let mut count = 0;
        while values.next().await?.is_some() {
            count += 1;
        }
        let next = sequence.next().await.map_err(refused)?;
        return session.say(&format!("would put {}, from number {next} on", items(count)));
    }
    let mut rows = Rows::new(style, &HEADER[..4], out);
    let mut put = 0;
    let outcome = loop {
        let batch = match values.batch().await {
            Ok(batch) if batch.is_empty() => break Ok(()),
            Ok(batch) => batch,
            Err(error) => break Err(error.into()),
        };
        let placed = match sequence.put(&batch, plan.lease).await {
            Ok(placed) => placed,
            Err(error) => break Err(refused(error)),
        };
        put += batch.len();
        for item in Item::of(&placed, &batch) {
            rows.row(&item)?;
        }
        // What follows may fail, and this was put.
        rows.flush()?;
    };
    rows.end()?;
    if outcome.is_err() && put > 0 {
        let were = if put == 1 { "was" } else { "were" };
        // Nobody listening is no reason to fail in another way.
        let _ = writeln!(err, "{} {were} put before", items(put));
    }
    outcome
}

/// The values that are put.
struct Values<'a> {
    /// The one that comes next, if it is known.
    next: Option<Vec<u8>>,
    /// Where more of them come from, a line each.
    lines: Option<&'a mut Input>,
}

impl Values<'_> {
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        match (self.next.take(), &mut self.lines) {
            (None, Some(lines)) => lines.text_line().await,
            (next, _) => Ok(next),
        }
    }

    /// What is put in one transaction, none at the end: what there is, and no more than etcd takes.
    /// Lines that come one by one are not kept waiting for others.
    async fn batch(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < MAX_ITEMS
            && let Some(value) = self.next().await?
        {
            bytes += value.len();
            if bytes > MAX_BATCH_BYTES && !batch.is_empty() {
                self.next = Some(value);
                break;
            }
            batch.push(value);
            if !self.lines.as_ref().is_some_and(|lines| lines.has_line()) {
                break;
            }
        }
        Ok(batch)
    }
}

fn items(count: usize) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{count} items") }
}

fn refused(error: SequenceError, prefix: &[u8]) -> CommandError {
    let message = error.to_string();
    let hint = match error {
        SequenceError::Failure(failure) => return failure.into(),
        SequenceError::Unknown { first, .. } => format!(
            "kvorum seq list {} --from {first} shows what was put; put it again only if it is not \
             among that and no writer is left that could",
            shell_word(prefix)
        ),
        SequenceError::Contended { .. } => "put it again; fewer writers, or --lines for several \
                                            items at once, get further"
            .to_owned(),
        SequenceError::NoNumber { .. } | SequenceError::Full => "take another prefix".to_owned(),
    };
    CommandError::Hinted { code: exit::ERROR, message, hint }
}

async fn list(args: &SeqListArgs, session: &mut Session) -> Result<(), CommandError> {
    let prefix = args.prefix()?;
    let sequence = Sequence::new(&session.connection, &prefix);
    let range = sequence.range_from(args.from);
    // What is put before this is seen, whichever member is read from.
    let newest = Get { range: range.clone(), count_only: true, ..Get::default() };
    let newest = session.connection.get(newest).await?;
    let revision = newest.header.map_or(0, |header| header.revision);
    let request = ScanRequest { ranges: vec![range], revision, values: true };
    let mut scan = Scan::start(&session.connection, request);
    let Session { style, out, manner, err, .. } = session;
    let header = if args.values { &HEADER[..] } else { &HEADER[..4] };
    let mut rows = Rows::new(style, header, out);
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0
        && let Some(page) = scan.next().await?
    {
        let items = page.kvs.iter().filter_map(|kv| Item::stored(&sequence, kv));
        for item in items.take(usize::try_from(left).unwrap_or(usize::MAX)) {
            let masked = is_masked(&style.masked, item.key);
            if matches!(style.format, Format::Rich(Rich::Raw)) && masked {
                return Err(PrintError::Masked.into());
            }
            let shows = match (args.values, masked) {
                (false, _) => Shows::Size,
                (true, false) => Shows::Value,
                (true, true) => Shows::Mask,
            };
            rows.row(&Item { shows, ..item })?;
            left -= 1;
        }
        rows.flush()?;
    }
    rows.end()?;
    if newest.count == 0 && !manner.quiet {
        // Nobody listening is no reason to fail.
        let _ = writeln!(err, "there are no items below {}", shown::line(&prefix));
    }
    session.finer(newest.count > 0, exit::finer::EMPTY)
}

struct Item<'a> {
    number: u64,
    key: &'a [u8],
    value: &'a [u8],
    revision: i64,
    shows: Shows,
}

/// What is shown of a value.
#[derive(Clone, Copy)]
enum Shows {
    Size,
    Value,
    /// That there is one, which is nobody's to see.
    Mask,
}

impl<'a> Item<'a> {
    fn of(placed: &'a Placed, values: &'a [Vec<u8>]) -> impl Iterator<Item = Item<'a>> {
        let items = (placed.first..).zip(&placed.keys).zip(values);
        let (revision, shows) = (placed.revision, Shows::Size);
        items.map(move |((number, key), value)| Item { number, key, value, revision, shows })
    }

    fn stored(sequence: &Sequence, kv: &'a KeyValue) -> Option<Item<'a>> {
        let number = sequence.number(&kv.key)?;
        let (revision, shows) = (kv.create_revision, Shows::Size);
        Some(Item { number, key: &kv.key, value: &kv.value, revision, shows })
    }

    /// On one line, if it is to be shown.
    fn shown_value(&self) -> Option<String> {
        match self.shows {
            Shows::Size => None,
            Shows::Value => Some(shown::line(self.value)),
            Shows::Mask => Some(instead_of(self.value.len())),
        }
    }
}

impl Row for Item<'_> {
    fn simple(&self, style: &Style) -> String {
        let key = style.paint.of(Tone::Key, &shown::line(self.key));
        let bytes = shown::bytes(self.value.len() as u64);
        let value = self.shown_value().map_or_else(String::new, |value| format!("  {value}"));
        format!("{key}  {bytes}, revision {}{value}", self.revision)
    }

    fn value(&self) -> Value {
        Value::map([
            ("number", Value::Uint(self.number)),
            ("key", Value::bytes(self.key)),
            ("create_revision", Value::Int(self.revision)),
            ("value_bytes", Value::Uint(self.value.len() as u64)),
        ])
        .with_some(
            "value",
            match self.shows {
                Shows::Size => None,
                Shows::Value => Some(Value::bytes(self.value)),
                Shows::Mask => self.shown_value().map(Value::Text),
            },
        )
    }

    fn cells(&self) -> Vec<String> {
        let cells = [
            self.number.to_string(),
            self.revision.to_string(),
            self.value.len().to_string(),
            shown::line(self.key),
        ];
        cells.into_iter().chain(self.shown_value()).collect()
    }

    fn key(&self) -> Option<&[u8]> {
        Some(self.key)
    }

    fn raw(&self) -> Option<&[u8]> {
        Some(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BATCH_BYTES, Values};

    #[tokio::test]
    async fn a_value_that_is_too_large_is_for_the_server_to_refuse() {
        let value = vec![0; MAX_BATCH_BYTES + 1];
        let mut values = Values { next: Some(value), lines: None };
        assert_eq!(values.batch().await.unwrap().len(), 1);
        assert!(values.batch().await.unwrap().is_empty());
    }
}
