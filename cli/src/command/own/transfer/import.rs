//! `import`, `apply`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Seek as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use kvorum_client::bundle::{BundleError, Header, Reader, Record};
use kvorum_client::explore::KeyValue;
use kvorum_client::transfer::Aim;
use kvorum_client::travel::{DifferenceError, Source};

use super::carry::{Carry, Origin, carry};
use crate::args::UsageError;
use crate::args::own::BundleArgs;
use crate::command::own::{shown, travel};
use crate::command::{CommandError, Input, Session};
use crate::exit;
use crate::output::{shell_operand, shell_word};

/// Read at once.
const READ_BYTES: usize = 64 << 10;

/// What the two verbs have different.
pub(super) struct Verb {
    pub(super) name: &'static str,
    pub(super) done: &'static str,
    /// What the bundle does not have is deleted.
    pub(super) deletes: bool,
}

pub(super) const IMPORT: Verb = Verb { name: "import", done: "imported", deletes: false };
pub(super) const APPLY: Verb = Verb { name: "apply", done: "applied", deletes: true };

pub(super) async fn execute(
    verb: &Verb,
    args: &BundleArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let mut bundle = Bundle::open(args, session).await?;
    let from = bundle.prefix.clone();
    let to = args.to().unwrap_or_else(|| from.clone());
    let name = if to.is_empty() { "every key".to_owned() } else { shown::line(&to) };
    let file = shown::line(args.file.as_os_str().as_encoded_bytes());
    let what = if verb.deletes {
        format!("make {name} what {file} has")
    } else {
        format!("import {file} to {name}")
    };
    let mut go_on = verb.name.to_owned();
    for (flag, prefix) in [("--only", args.only()), ("--to", args.to())] {
        if let Some(prefix) = prefix {
            go_on = format!("{go_on} {flag} {}", shell_word(&prefix));
        }
    }
    let leases = args.leases.rule();
    let leases_flag = args.leases.flag();
    let operand = shell_operand(args.file.as_os_str().as_encoded_bytes());
    let carried = Carry {
        verb: verb.name,
        done: verb.done,
        what: &what,
        go_on: &travel::command(&format!("{go_on}{leases_flag} {operand}"), session),
        aim: Aim { from_len: from.len(), to, deletes: verb.deletes, ..Aim::default() },
        one_key: false,
        leases,
        had_revisions: true,
    };
    carry(&carried, &mut bundle, session).await
}

/// A bundle that is read as often as it takes.
struct Bundle<'a> {
    path: &'a Path,
    file: File,
    header: Header,
    /// What the keys begin with that are taken.
    prefix: Vec<u8>,
    seen: Arc<Mutex<Seen>>,
}

/// What was seen beside keys.
#[derive(Default)]
struct Seen {
    /// Of leases; there are no more than a transfer may have, which ends it.
    granted_ttls_s: BTreeMap<i64, i64>,
    trouble: Option<BundleError>,
}

/// Times to live remembered: as many leases as a transfer takes.
const MAX_TTLS: usize = 100_000;

impl<'a> Bundle<'a> {
    async fn open(args: &'a BundleArgs, session: &Session) -> Result<Self, CommandError> {
        let path = args.file.as_path();
        if path.as_os_str() == "-" && !matches!(session.input, Input::Standard(_)) {
            let text = "here a bundle is read from a file, not from standard input";
            return Err(UsageError::arguments(text).into());
        }
        // On a thread of its own: whoever writes a pipe may never come, and signals are heard.
        let (named, dry_run) = (path.to_owned(), session.manner.dry_run);
        let opened = tokio::task::spawn_blocking(move || opened(&named, dry_run)).await;
        let opened = opened.unwrap_or_else(|error| Err(io::Error::from(error).into()));
        let (file, header) = opened.map_err(|error| bad(path, &error))?;
        let prefix = args.only().unwrap_or_else(|| header.prefix.clone());
        if !prefix.starts_with(&header.prefix) {
            let below = shown::line(&header.prefix);
            return Err(CommandError::Other {
                code: exit::ERROR,
                message: format!("{} has only keys below {below}", path.display()),
            });
        }
        Ok(Self { path, file, header, prefix, seen: Arc::default() })
    }
}

/// A bundle that can be read again. What cannot itself is kept; of that, and of what is `listed`
/// before anything is written, it is known to be whole.
fn opened(path: &Path, listed: bool) -> Result<(File, Header), BundleError> {
    if path.as_os_str() == "-" {
        return kept(&mut io::stdin().lock());
    }
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return kept(&mut file);
    }
    let reader = Reader::begin(BufReader::with_capacity(READ_BYTES, &file))?;
    let header = reader.header().clone();
    if listed {
        whole(reader)?;
    }
    Ok((file, header))
}

/// A copy on disk, without a name. It ends where it is no bundle: what never ends is none.
fn kept(from: &mut impl io::Read) -> Result<(File, Header), BundleError> {
    let mut copy = Copied { from, to: tempfile::tempfile()? };
    let reader = Reader::begin(BufReader::with_capacity(READ_BYTES, &mut copy))?;
    let header = reader.header().clone();
    whole(reader)?;
    Ok((copy.to, header))
}

fn whole<R: io::BufRead>(mut reader: Reader<R>) -> Result<(), BundleError> {
    reader.try_for_each(|record| record.map(drop))
}

/// Reads, and writes what was read.
struct Copied<R> {
    from: R,
    to: File,
}

impl<R: io::Read> io::Read for Copied<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.to.write_all(&into[..read])?;
        Ok(read)
    }
}

impl Origin for Bundle<'_> {
    fn cluster_id(&self) -> u64 {
        self.header.cluster_id
    }

    fn open(&mut self) -> Result<Source, CommandError> {
        let again = |file: &mut File| {
            file.rewind()?;
            Reader::begin(BufReader::with_capacity(READ_BYTES, file.try_clone()?))
        };
        let reader = again(&mut self.file).map_err(|error| bad(self.path, &error))?;
        let (prefix, seen) = (self.prefix.clone(), self.seen.clone());
        let taken = move |record: &Result<Record, BundleError>| {
            record.as_ref().map_or(true, |record| record.key.starts_with(&prefix))
        };
        let kvs = reader.filter(taken).map(move |record| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            record.map(|record| seen.kv(record)).map_err(|error| {
                let text = error.to_string();
                seen.trouble = Some(error);
                text
            })
        });
        Ok(Source::other(Box::new(kvs), self.prefix.len()))
    }

    async fn granted_ttls_s(&mut self, leases: &[i64]) -> Result<Vec<Option<i64>>, CommandError> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(leases.iter().map(|lease| seen.granted_ttls_s.get(lease).copied()).collect())
    }

    fn explained(&self, error: DifferenceError) -> CommandError {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match (&error, &seen.trouble) {
            (DifferenceError::Unreadable(_), Some(trouble)) => bad(self.path, trouble),
            _ => error.into(),
        }
    }
}

impl Seen {
    fn kv(&mut self, record: Record) -> KeyValue {
        let lease = record.lease.map_or(0, |lease| lease.id);
        if let Some(ttl_s) = record.lease.and_then(|lease| lease.granted_ttl_s)
            && self.granted_ttls_s.len() < MAX_TTLS
        {
            self.granted_ttls_s.insert(lease, ttl_s);
        }
        KeyValue {
            key: record.key.into(),
            value: record.value.into(),
            lease,
            create_revision: record.create_revision,
            mod_revision: record.mod_revision,
            version: record.version,
        }
    }
}

fn bad(path: &Path, error: &BundleError) -> CommandError {
    if let BundleError::Io(error) = error {
        let message = format!("{} cannot be read: {error}", path.display());
        return CommandError::Other { code: exit::ERROR, message };
    }
    CommandError::Hinted {
        code: exit::ERROR,
        message: format!("{}: {error}; nothing was written", path.display()),
        hint: error.hint().to_owned(),
    }
}
