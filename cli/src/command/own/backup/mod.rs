//! `backup`: a snapshot that was looked through, in a folder with those before.

mod folder;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kvorum_client::Hand;
use kvorum_server::etcd::snapshot::{self, Status};

use self::folder::{Backup, Folder};
use super::progress::Progress;
use super::shown;
use crate::args::own::BackupArgs;
use crate::command::child::code_of;
use crate::command::snapshot::Received;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Row, Style, Tone, Value, print_one};
use crate::signals::Relayed;

/// A member that takes longer to say who it is, is not the one to ask for everything.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn execute(args: &BackupArgs, session: &mut Session) -> Result<(), CommandError> {
    let crew = session.connection.crew(PATIENCE).await?;
    let Some(hand) = crew.least_needed() else {
        return Err(CommandError::Hinted {
            code: exit::ERROR,
            message: "no member with a vote answers and knows a leader; nothing was saved"
                .to_owned(),
            hint: "kvorum endpoint status --cluster shows who answers; kvorum snapshot save takes \
                   what one member has, leader or none"
                .to_owned(),
        });
    };
    let is_leader = if hand.leads() { "the leader" } else { "not the leader" };
    let from = format!("{} at {}, {is_leader}", hand.name, hand.endpoint);
    if session.manner.dry_run {
        let folder = session.style.shown(&args.folder.display().to_string());
        return session.say(&format!("would save {from} into {folder}"));
    }
    if !session.manner.quiet {
        session.remark(&format!("reading {from}"));
    }
    let mut signals = Relayed::new()?;
    let saved = tokio::select! {
        saved = save(&args.folder, hand, session) => saved?,
        // What was received is taken away with it.
        signal = signals.next() => return Err(CommandError::Other {
            code: code_of(signal.as_raw()),
            message: "interrupted: nothing was saved, and nothing deleted".to_owned(),
        }),
    };
    let folder = Folder::new(&args.folder);
    let deleted = match args.keep {
        None => Vec::new(),
        Some(keep) => tokio::select! {
            deleted = keep_newest(&folder, &saved.backup, keep, session) => deleted?,
            signal = signals.next() => return Err(CommandError::Other {
                code: code_of(signal.as_raw()),
                message: format!(
                    "interrupted: {} is saved, and not all that is older than the newest {keep} is \
                     deleted",
                    saved.backup
                ),
            }),
        },
    };
    let row = Saved { deleted, from, ..saved };
    Ok(print_one(&row, &HEADER, &session.style, &mut session.out)?)
}

async fn save(path: &Path, hand: &Hand, session: &mut Session) -> Result<Saved, CommandError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| CommandError::Other {
        code: exit::ERROR,
        message: format!("{what} {}: {error}", session.style.shown(&path.display().to_string())),
    };
    fs::create_dir_all(path).map_err(|error| failed("cannot make the folder", &error))?;
    let folder = Folder::new(path);
    let unnamed = folder.unnamed();
    let mut progress = Progress::new(&session.manner);
    let mut part = Received::begin(&unnamed)?;
    let mut stream = session.connection.snapshot(&hand.endpoint).await?;
    while let Some(message) = progress.until(stream.next()).await? {
        part.put(&message.blob)?;
        progress.received(part.bytes(), part.bytes() + message.remaining_bytes);
    }
    let bytes = part.complete()?;
    let status = progress.until(look_through(part.path().to_owned())).await?;
    let cluster_id = hand.status.header.as_ref().map_or(0, |header| header.cluster_id);
    let backup = Backup::now(cluster_id, status.revision);
    let file = folder.path_of(&backup);
    part.keep_as(&file)?;
    drop(progress);
    Ok(Saved { backup, file, bytes, status, deleted: Vec::new(), from: String::new() })
}

/// Reads every record, on a thread of its own: signals are heard meanwhile.
async fn look_through(path: PathBuf) -> Result<Status, CommandError> {
    let looked = tokio::task::spawn_blocking(move || snapshot::status(&path)).await;
    let broken = |why: String| CommandError::Hinted {
        code: exit::ERROR,
        message: format!("what came cannot be read: {why}"),
        hint:
            "nothing was kept; kvorum doctor and kvorum endpoint hashkv --cluster tell whether the \
               member's data is damaged"
                .to_owned(),
    };
    match looked {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(error)) => Err(broken(error.to_string())),
        Err(error) => Err(broken(error.to_string())),
    }
}

/// Deletes what is older than the newest that are whole, and gives the names.
async fn keep_newest(
    folder: &Folder,
    new: &Backup,
    keep: u32,
    session: &mut Session,
) -> Result<Vec<String>, CommandError> {
    // That of a moment ago was just read.
    let mut whole = 1;
    let mut deleted = Vec::new();
    for backup in folder.newest_first(new)?.into_iter().filter(|backup| backup != new) {
        let path = folder.path_of(&backup);
        if !folder::is_file(&path) {
            continue;
        }
        if whole < keep {
            match is_whole(path).await {
                Ok(()) => whole += 1,
                Err(why) => {
                    session
                        .remark(&format!("warning: a backup is damaged, and not counted: {why}"));
                }
            }
            continue;
        }
        match fs::remove_file(&path) {
            Ok(()) => deleted.push(backup.to_string()),
            Err(why) => session.remark(&format!("warning: {backup} cannot be deleted: {why}")),
        }
    }
    Ok(deleted)
}

/// Compares a file with the hash behind it; on a thread of its own, as it may be large.
async fn is_whole(path: PathBuf) -> Result<(), String> {
    let opened = tokio::task::spawn_blocking(move || snapshot::open(&path, false).map(drop)).await;
    match opened {
        Ok(opened) => opened.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

const HEADER: [&str; 6] = ["file", "revision", "keys", "bytes", "from", "deleted"];

struct Saved {
    backup: Backup,
    file: PathBuf,
    bytes: u64,
    status: Status,
    deleted: Vec<String>,
    from: String,
}

impl Row for Saved {
    fn simple(&self, style: &Style) -> String {
        let file = style.paint.of(Tone::Key, &style.shown(&self.file.display().to_string()));
        let (keys, revision) = (shown::keys(self.status.total_keys), self.status.revision);
        let saved = format!(
            "{file}\n  {keys} at revision {revision}, {}, verified",
            shown::bytes(self.bytes)
        );
        let deleted = self.deleted.iter().map(|name| format!("\n  deleted {name}"));
        saved + &deleted.collect::<String>()
    }

    fn value(&self) -> Value {
        Value::map([
            ("file", Value::text(self.file.display().to_string())),
            ("revision", Value::Int(self.status.revision)),
            ("keys", Value::Uint(self.status.total_keys)),
            ("bytes", Value::Uint(self.bytes)),
            ("hash", Value::Uint(self.status.hash.into())),
            ("from", Value::text(&self.from)),
            ("deleted", Value::list(self.deleted.iter().map(Value::text))),
        ])
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.file.display().to_string(),
            self.status.revision.to_string(),
            self.status.total_keys.to_string(),
            self.bytes.to_string(),
            self.from.clone(),
            self.deleted.len().to_string(),
        ]
    }
}
