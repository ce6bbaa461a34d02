//! `export`

use std::io::{BufWriter, Write};
use std::path::Path;

use kvorum_client::bundle::{Header, Record, RecordedLease, WriteError, Writer};
use kvorum_client::explore::{KeyValue, Page, Scan, ScanRequest};
use kvorum_client::transfer::Terms;
use kvorum_client::{Connection, Get, KeyRange};

use crate::args::own::ExportArgs;
use crate::command::own::progress::Progress;
use crate::command::own::{shown, travel};
use crate::command::part::Part;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Row, Style, Value, print_one, shell_operand};
use crate::signals::Interrupted;

/// Lines are gathered to so much before they are written.
const GATHERED_BYTES: usize = 64 << 10;

pub(super) async fn execute(args: &ExportArgs, session: &mut Session) -> Result<(), CommandError> {
    let mut interrupted = Interrupted::new()?;
    tokio::select! {
        outcome = export(args, session) => outcome,
        () = interrupted.wait() => Err(CommandError::Other {
            code: exit::SIGINT,
            message: match &args.to {
                Some(file) => format!("interrupted: {} is as it was", file.display()),
                None => "interrupted: the bundle is cut".to_owned(),
            },
        }),
    }
}

async fn export(args: &ExportArgs, session: &mut Session) -> Result<(), CommandError> {
    let prefix = args.prefix();
    let header = header(&prefix, args.rev, &session.connection).await?;
    refuse_masked(&header, session).await?;
    let connection = session.connection.clone();
    let progress = Progress::new(&session.manner);
    let nothing = |session: &mut Session| {
        if !session.manner.quiet {
            let none = shown::none_below(&header.prefix);
            session.remark(&format!("warning: {none}: the bundle is empty"));
        }
        session.finer(false, exit::finer::EMPTY)
    };
    let Some(file) = &args.to else {
        let out = &mut session.out;
        let failed = |error| match error {
            WriteError::Io(error) => error.into(),
            other @ WriteError::TooLong(_) => too_long(&other),
        };
        let export = Export { header: &header, connection, progress };
        let (keys, _) = export.run(out, failed).await?;
        if keys == 0 {
            return nothing(session);
        }
        if session.style.escaped && !session.manner.quiet {
            session.remark(&format!("{} of revision {}", shown::keys(keys), header.revision));
        }
        return Ok(());
    };
    let refused = |message: String| CommandError::Other { code: exit::ERROR, message };
    let part = Part::begin(file).map_err(|error| refused(error.to_string()))?;
    let export = Export { header: &header, connection, progress };
    let out = BufWriter::with_capacity(GATHERED_BYTES, part);
    let (keys, out) = export.run(out, |error| could_not_write(file, &error)).await?;
    let written =
        out.into_inner().map_err(|error| could_not_write(file, &error.into_error().into()));
    written?.keep().map_err(|error| refused(error.to_string()))?;
    let exported = Exported { file, keys, revision: header.revision };
    print_one(&exported, &HEADER, &session.style, &mut session.out)?;
    if keys == 0 { nothing(session) } else { Ok(()) }
}

/// Where and when: the revision is the newest unless one is named, and stays so for all keys.
async fn header(
    prefix: &[u8],
    revision: i64,
    connection: &Connection,
) -> Result<Header, CommandError> {
    let get = Get { revision, count_only: true, ..Get::prefix(prefix) };
    let answer = connection.get(get).await;
    let answer = answer.map_err(|failure| travel::unreadable(failure, prefix, revision))?;
    let head = answer.header.unwrap_or_default();
    let revision = if revision == 0 { head.revision } else { revision };
    Ok(Header { cluster_id: head.cluster_id, prefix: prefix.to_vec(), revision })
}

/// Values that are not to be shown are not written with something else in their place.
async fn refuse_masked(header: &Header, session: &Session) -> Result<(), CommandError> {
    for masked in session.style.masked.iter() {
        let prefix = &header.prefix;
        let both = if masked.starts_with(prefix) {
            masked
        } else if prefix.starts_with(masked) {
            prefix
        } else {
            continue;
        };
        let get = Get { revision: header.revision, count_only: true, ..Get::prefix(both.clone()) };
        let count = session.connection.get(get).await?.count;
        if count > 0 {
            let keys = shown::keys(count.max(0) as u64);
            return Err(CommandError::Hinted {
                code: exit::ERROR,
                message: format!("the values of {keys} below {} are masked", shown::line(masked)),
                hint: "--reveal exports them as they are; a longer prefix leaves them out"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

struct Export<'a> {
    header: &'a Header,
    connection: Connection,
    progress: Progress,
}

impl Export<'_> {
    /// Answers how many keys there were.
    async fn run<W: Write>(
        mut self,
        out: W,
        failed: impl Fn(WriteError) -> CommandError,
    ) -> Result<(u64, W), CommandError> {
        let Header { prefix, revision, .. } = self.header;
        let ranges = vec![KeyRange::prefix(prefix.clone())];
        let request = ScanRequest { ranges, revision: *revision, values: true };
        let mut scan = Scan::start(&self.connection, request);
        let mut terms = Terms::default();
        let mut writer = Writer::begin(out, self.header).map_err(&failed)?;
        let mut keys = 0;
        while let Some(page) = self
            .progress
            .until(scan.next())
            .await
            .map_err(|failure| travel::unreadable(failure, prefix, *revision))?
        {
            if page.anew {
                return Err(moved_on(*revision, prefix));
            }
            let leases = page.kvs.iter().map(|kv| kv.lease);
            self.progress.until(terms.learn(&self.connection, leases)).await?;
            keys += page.kvs.len() as u64;
            let write = || write(&page, &terms, &mut writer);
            self.progress.around(&page, write).map_err(&failed)?;
        }
        Ok((keys, writer.finish().map_err(&failed)?))
    }
}

fn write<W: Write>(page: &Page, terms: &Terms, out: &mut Writer<W>) -> Result<(), WriteError> {
    page.kvs.iter().try_for_each(|kv| out.record(&record(kv, terms)))
}

fn record(kv: &KeyValue, terms: &Terms) -> Record {
    let lease = (kv.lease != 0)
        .then(|| RecordedLease { id: kv.lease, granted_ttl_s: terms.granted_ttl_s(kv.lease) });
    Record {
        key: kv.key.to_vec(),
        value: kv.value.to_vec(),
        lease,
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
    }
}

fn moved_on(revision: i64, prefix: &[u8]) -> CommandError {
    let operand = shell_operand(prefix);
    CommandError::Hinted {
        code: exit::ERROR,
        message: format!(
            "the history at revision {revision} was compacted while it was exported: the rest would \
             be of another moment"
        ),
        hint: format!("begin again: kvorum export {operand}"),
    }
}

fn could_not_write(file: &Path, error: &WriteError) -> CommandError {
    match error {
        WriteError::TooLong(_) => too_long(error),
        WriteError::Io(error) => CommandError::Hinted {
            code: exit::ERROR,
            message: format!("{} could not be written: {error}", file.display()),
            hint: "nothing of it is left; make room, or export to another place".to_owned(),
        },
    }
}

fn too_long(error: &WriteError) -> CommandError {
    CommandError::Other { code: exit::ERROR, message: error.to_string() }
}

/// The columns of [`Exported`].
const HEADER: [&str; 3] = ["file", "keys", "revision"];

struct Exported<'a> {
    file: &'a Path,
    keys: u64,
    revision: i64,
}

impl Row for Exported<'_> {
    fn simple(&self, style: &Style) -> String {
        let Self { file, keys, revision } = self;
        let are = if *keys == 1 { "is" } else { "are" };
        let keys = shown::keys(*keys);
        style.shown(&format!("{keys} of revision {revision} {are} in {}", file.display()))
    }

    fn value(&self) -> Value {
        Value::map([
            ("file", Value::text(self.file.to_string_lossy())),
            ("keys", Value::Uint(self.keys)),
            ("revision", Value::Int(self.revision)),
        ])
    }

    fn cells(&self) -> Vec<String> {
        let Self { file, keys, revision } = self;
        vec![file.display().to_string(), keys.to_string(), revision.to_string()]
    }
}
