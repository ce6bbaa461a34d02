//! `config push`

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use kvorum_client::explore::KeyValue;
use kvorum_client::flatten::flatten;
use kvorum_client::transfer::{Aim, LeaseRule};
use kvorum_client::travel::Source;

use super::carry::{Carry, Origin, carry};
use crate::args::UsageError;
use crate::args::own::ConfigPushArgs;
use crate::command::own::{shown, travel};
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{shell_operand, shell_word};

/// A configuration is held as a whole, several times.
const MAX_BYTES: u64 = 16 << 20;

/// Files of a folder, which is walked through at a depth of so many at most.
const MAX_FILES: usize = 10_000;
const MAX_DEPTH: usize = 32;

pub(in crate::command::own) async fn execute(
    args: &ConfigPushArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let separator = session.manner.separator;
    let prefix = args.prefix(separator);
    // On a thread of its own: it may be a pipe that nobody writes, and signals are heard.
    let given = args.clone();
    let found = tokio::task::spawn_blocking(move || found(&given, separator)).await;
    let found = found.map_err(io::Error::from)??;
    let keys = found.into_iter().map(|(path, value)| ([&prefix[..], &path].concat(), value));
    let mut pushed = Pushed { keys: Arc::new(keys.collect()), prefix_len: prefix.len() };
    let (file, operand) = (args.file.as_os_str().as_bytes(), shell_word(&prefix));
    let what = format!("push {} to {}", shown::line(file), shown::line(&prefix));
    let prune = if args.prune { " --prune" } else { "" };
    let format = args.format_flag();
    let go_on = format!("config push{prune}{format} {} {operand}", shell_operand(file));
    let go_on = travel::command(&go_on, session);
    let aim = Aim { from_len: prefix.len(), to: prefix, deletes: args.prune, ..Aim::default() };
    let carried = Carry {
        verb: "config push",
        done: "pushed",
        what: &what,
        go_on: &go_on,
        aim,
        one_key: false,
        leases: LeaseRule::None,
        had_revisions: false,
    };
    carry(&carried, &mut pushed, session).await
}

/// What was given, by path.
fn found(args: &ConfigPushArgs, separator: u8) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, CommandError> {
    if !args.file.is_dir() {
        return configuration(args, separator);
    }
    let mut folder = Folder { separator, bytes: 0, found: BTreeMap::new() };
    folder.take(&args.file, &[], 0).map_err(|error| unreadable(&args.file, &error))?;
    Ok(folder.found)
}

fn configuration(
    args: &ConfigPushArgs,
    separator: u8,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, CommandError> {
    let path = args.file.as_path();
    let format = args.format().ok_or_else(|| {
        let name = path.display();
        UsageError::arguments(format!(
            "what is {name} written in? --format json, yaml, toml or env says so"
        ))
    })?;
    let content = read(path, MAX_BYTES).map_err(|error| unreadable(path, &error))?;
    let keys = flatten(&content, format, separator).map_err(|error| CommandError::Other {
        code: exit::ERROR,
        message: format!("{}: {error}; nothing was written", path.display()),
    })?;
    Ok(keys.into_iter().map(|(path, value)| (path.into_bytes(), value.into_bytes())).collect())
}

fn read(path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(most_bytes + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most_bytes { Err(too_large()) } else { Ok(content) }
}

fn too_large() -> io::Error {
    let text = format!("it is more than {} of configuration", shown::bytes(MAX_BYTES));
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

fn unreadable(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Other {
        code: exit::ERROR,
        message: format!("{} cannot be read: {error}; nothing was written", path.display()),
    }
}

/// The files of a folder, by their paths in it.
struct Folder {
    separator: u8,
    bytes: u64,
    found: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Folder {
    fn take(&mut self, folder: &Path, before: &[u8], depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(io::Error::other(format!("it is deeper than {MAX_DEPTH} folders")));
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            // What tools keep beside the files, as git and Kubernetes do.
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            let path = [before, name.as_bytes()].concat();
            // A link is what it leads to.
            let there = fs::metadata(entry.path())?;
            if there.is_dir() {
                self.take(&entry.path(), &[&path[..], &[self.separator]].concat(), depth + 1)?;
                continue;
            }
            if !there.is_file() {
                let text = format!("{} is no regular file", entry.path().display());
                return Err(io::Error::other(text));
            }
            let value = read(&entry.path(), MAX_BYTES - self.bytes)?;
            self.bytes += value.len() as u64;
            self.found.insert(path, value);
            if self.found.len() > MAX_FILES {
                return Err(io::Error::other(format!("it has more than {MAX_FILES} files")));
            }
        }
        Ok(())
    }
}

/// Keys that are held.
struct Pushed {
    /// In their order.
    keys: Arc<Vec<(Vec<u8>, Vec<u8>)>>,
    prefix_len: usize,
}

impl Origin for Pushed {
    fn cluster_id(&self) -> u64 {
        0
    }

    fn open(&mut self) -> Result<Source, CommandError> {
        let keys = self.keys.clone();
        let kvs = (0..keys.len()).map(move |at| {
            let (key, value) = keys[at].clone();
            Ok(KeyValue { key: key.into(), value: value.into(), ..KeyValue::default() })
        });
        Ok(Source::other(Box::new(kvs), self.prefix_len))
    }

    async fn granted_ttls_s(&mut self, leases: &[i64]) -> Result<Vec<Option<i64>>, CommandError> {
        Ok(vec![None; leases.len()])
    }
}
