//! `seq put|list`

use kvorum_client::explore::{KeyValue, Scan, ScanRequest};
use kvorum_client::{Get, MAX_ITEMS, Placed, Sequence, SequenceError};

use super::shown;
use crate::args::own::{SeqArgs, SeqCommand, SeqListArgs, SeqPutArgs};
use crate::command::{CommandError, Effect, Session};
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
    let values = match plan.value {
        Some(value) => vec![value],
        None if args.lines => lines(&session.input.rest().await?),
        None => vec![session.input.rest().await?],
    };
    let refused = |error| refused(error, &plan.prefix);
    if session.manner.dry_run {
        let next = sequence.next().await.map_err(refused)?;
        let items = items(values.len());
        return session.say(&format!("would put {items}, from number {next} on"));
    }
    let Session { style, out, err, .. } = session;
    let mut rows = Rows::new(style, &HEADER[..4], out);
    let mut left = &values[..];
    let mut outcome = Ok(());
    while !left.is_empty() {
        let (batch, rest) = left.split_at(batch(left));
        let placed = match sequence.put(batch, plan.lease).await {
            Ok(placed) => placed,
            Err(error) => {
                outcome = Err(refused(error));
                break;
            }
        };
        for item in Item::of(&placed, batch) {
            rows.row(&item)?;
        }
        // What follows may fail, and this was put.
        rows.flush()?;
        left = rest;
    }
    rows.end()?;
    let put = values.len() - left.len();
    if outcome.is_err() && put > 0 {
        // Nobody listening is no reason to fail in another way.
        let _ = writeln!(err, "{put} of {} were put before", items(values.len()));
    }
    outcome
}

/// How many of the values are put in one transaction: never none.
fn batch(values: &[Vec<u8>]) -> usize {
    let mut bytes = 0;
    let fits = values.iter().take(MAX_ITEMS).take_while(|value| {
        bytes += value.len();
        bytes <= MAX_BATCH_BYTES
    });
    fits.count().max(1)
}

/// The lines of a text, whether the last one is ended or not.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
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
    use super::{MAX_BATCH_BYTES, batch, lines};

    #[test]
    fn a_transaction_takes_as_many_as_etcd_does() {
        assert_eq!(batch(&vec![vec![0; 4]; 300]), 127);
        assert_eq!(batch(&vec![vec![0; MAX_BATCH_BYTES / 2]; 3]), 2);
        assert_eq!(batch(&[vec![0; MAX_BATCH_BYTES + 1]]), 1, "the server will say why not");
    }

    #[test]
    fn the_last_line_counts_whether_it_is_ended_or_not() {
        for text in [&b"a\n\nb"[..], b"a\n\nb\n"] {
            assert_eq!(lines(text), [&b"a"[..], b"", b"b"]);
        }
        assert!(lines(b"").is_empty());
    }
}
