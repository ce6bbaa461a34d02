//! `history KEY`

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;

use kvorum_client::travel::{
    End, Happening, Kind, Replay, ReplayError, Window, follower, read_each, walk, window,
};
use kvorum_client::{Connection, Get, KeyRange, pb};

use crate::args::UsageError;
use crate::args::own::HistoryArgs;
use crate::command::own::progress::Progress;
use crate::command::own::shown;
use crate::command::{CommandError, Confirm, Session, guard};
use crate::exit;
use crate::output::{
    Row, Rows, Style, Tone, Value, instead_of, is_masked, one_line, shell_operand,
};

const HEADER: [&str; 6] = ["revision", "what", "version", "lease", "key", "value"];

/// A replay of more revisions is asked about: every one of them is read by the server.
const ASK_ABOVE_REVISIONS: u64 = 100_000;

/// Values held until they can be shown, the newest ones; older ones are not shown.
const MOST_HELD_BYTES: usize = 32 << 20;

pub(super) async fn execute(args: &HistoryArgs, session: &mut Session) -> Result<(), CommandError> {
    let key = args.key()?;
    if args.all || args.prefix {
        replay(args, &key, session).await
    } else {
        back(args, &key, session).await
    }
}

/// Goes back from what is there now.
async fn back(args: &HistoryArgs, key: &[u8], session: &mut Session) -> Result<(), CommandError> {
    let connection = session.connection.clone();
    let mut left = args.limit;
    let mut found = Vec::new();
    let mut progress = Progress::new(&session.manner);
    let walked = walk(&connection, key, 0, |kv| {
        found.push(kv);
        left -= 1;
        left > 0
    });
    let walked = progress.until(walked).await?;
    let Some(walked) = walked else { return Err(absent(key, session)) };
    let all = found.len();
    if args.values {
        found = progress.until(read_values(&connection, &found)).await?;
    }
    drop(progress);
    let are_cut = found.len() < all;
    let changes = found.into_iter().map(|kv| {
        let kind = if kv.create_revision == kv.mod_revision { Kind::Create } else { Kind::Put };
        Told { kind, kv, values: args.values, before: Took::Nothing }
    });
    tell(changes, false, session)?;
    let operand = shell_operand(key);
    let end = match walked.end {
        _ if are_cut => "older ones are left out, for their values are too large".to_owned(),
        End::Creation => format!(
            "created at revision {}; deletions and what was before: kvorum history --all {operand}",
            walked.created
        ),
        End::Compacted => "what was before is compacted".to_owned(),
        End::Unwanted => format!("older ones are left out: --limit has {}", args.limit),
    };
    on_the_side(&end, session);
    Ok(())
}

/// The newest of them with their values, as many as can be held.
async fn read_values(
    connection: &Connection,
    found: &[pb::KeyValue],
) -> Result<Vec<pb::KeyValue>, CommandError> {
    /// Values are at most 1.5 MiB, unless a server is set otherwise.
    const AT_ONCE: usize = 16;
    let mut held_bytes = 0;
    let mut read = Vec::new();
    for some in found.chunks(AT_ONCE) {
        let gets = some
            .iter()
            .map(|kv| Get { revision: kv.mod_revision, ..Get::key(kv.key.clone()) })
            .collect();
        let values = match read_each(connection, gets).await {
            Err(failure) if failure.is_compacted() => break,
            values => values?,
        };
        held_bytes += values.iter().flatten().map(|kv| kv.value.len()).sum::<usize>();
        read.extend(values.into_iter().flatten());
        if held_bytes > MOST_HELD_BYTES {
            break;
        }
    }
    Ok(read)
}

fn absent(key: &[u8], session: &Session) -> CommandError {
    let code = if session.manner.exit_status { exit::finer::NOT_FOUND } else { exit::ERROR };
    let operand = shell_operand(key);
    CommandError::Hinted {
        code,
        message: format!("there is no key {} now", one_line(key)),
        hint: format!(
            "if there was one, kvorum history --all {operand} finds it: that reads all that is \
             kept of the history"
        ),
    }
}

/// Reads what happened from the oldest revision on.
async fn replay(args: &HistoryArgs, key: &[u8], session: &mut Session) -> Result<(), CommandError> {
    let mut progress = Progress::new(&session.manner);
    let connection = progress.until(follower(&session.connection)).await?;
    let kept =
        progress.until(window(&connection, if key.is_empty() { b"\0" } else { key })).await?;
    progress.hide();
    announce(&kept, &connection, session);
    consent(&kept, session).await?;
    let range = if args.prefix { KeyRange::prefix(key) } else { KeyRange::single(key) };
    let mut replay = Replay::start(&connection, range, &kept).await?;
    let mut newest = Newest::new(args);
    let overtaken = loop {
        match progress.until(replay.next()).await {
            Ok(Some(happening)) => newest.add(happening),
            Ok(None) => break None,
            Err(error @ ReplayError::Compacted { .. }) => break Some(error.to_string()),
            Err(ReplayError::Failure(failure)) => return Err(failure.into()),
            Err(error) => {
                return Err(CommandError::Other { code: exit::ERROR, message: error.to_string() });
            }
        }
    };
    let proven = replay.is_proven();
    drop(progress);
    let Newest { told, dropped, any, .. } = newest;
    tell(told.into_iter().rev(), args.prefix, session)?;
    if dropped {
        on_the_side(&format!("older ones are left out: --limit has {}", args.limit), session);
    }
    if kept.compacted {
        let oldest = kept.oldest;
        on_the_side(&format!("what was before revision {oldest} is compacted"), session);
    }
    if !proven {
        on_the_side(
            "this version of etcd cannot tell whether more was still to come: it was silent for 10 s",
            session,
        );
    }
    if let Some(message) = overtaken {
        let hint = "what was told is right; begin again for the rest".to_owned();
        return Err(CommandError::Hinted { code: exit::ERROR, message, hint });
    }
    if any { Ok(()) } else { nothing(args, key, &kept, session) }
}

fn announce(kept: &Window, connection: &Connection, session: &mut Session) {
    let revisions = shown::number(kept.revisions());
    let line = format!(
        "replaying revisions {} to {}, {revisions} in all, from {}",
        kept.oldest,
        kept.newest,
        connection.current_endpoint()
    );
    on_the_side(&line, session);
}

async fn consent(kept: &Window, session: &mut Session) -> Result<(), CommandError> {
    if kept.revisions() <= ASK_ABOVE_REVISIONS || session.manner.yes {
        return Ok(());
    }
    let revisions = shown::number(kept.revisions());
    let what = format!("the server reads {revisions} revisions for it");
    if session.confirm != Confirm::Ask {
        let message = format!("{what}: repeat it with --yes");
        return Err(UsageError::arguments(message).into());
    }
    guard::certain(&format!("{what}. Go on"), None, "nothing was read", session).await
}

fn nothing(
    args: &HistoryArgs,
    key: &[u8],
    kept: &Window,
    session: &Session,
) -> Result<(), CommandError> {
    let what = if args.prefix { "to keys that begin with" } else { "to" };
    let code = if session.manner.exit_status { exit::finer::NOT_FOUND } else { exit::ERROR };
    let message =
        format!("nothing has happened {what} {} since revision {}", one_line(key), kept.oldest);
    Err(CommandError::Other { code, message })
}

/// Something on the side that a script does not miss.
fn on_the_side(line: &str, session: &mut Session) {
    if !session.manner.quiet {
        session.remark(line);
    }
}

fn tell(
    changes: impl Iterator<Item = Told>,
    named: bool,
    session: &mut Session,
) -> Result<(), CommandError> {
    let Session { style, out, .. } = session;
    let masked = style.masked.clone();
    let mut rows = Rows::new(style, &HEADER, out);
    for told in changes {
        let hidden = is_masked(&masked, &told.kv.key);
        rows.row(&Change { told, named, hidden })?;
    }
    Ok(rows.end()?)
}

/// The newest changes, as many as are wanted and can be held.
struct Newest {
    told: VecDeque<Told>,
    limit: usize,
    values: bool,
    held_bytes: usize,
    dropped: bool,
    any: bool,
    /// There were more keys than are remembered.
    forgot: bool,
    /// Keys and what they were last, as far as they are few: for what a deletion took.
    last: HashMap<Vec<u8>, i64>,
}

/// Keys whose last revision is remembered; of more, a deletion does not say what it took.
const MOST_REMEMBERED: usize = 100_000;

impl Newest {
    fn new(args: &HistoryArgs) -> Self {
        Self {
            told: VecDeque::new(),
            limit: args.limit as usize,
            values: args.values,
            held_bytes: 0,
            dropped: false,
            any: false,
            forgot: false,
            last: HashMap::new(),
        }
    }

    fn add(&mut self, happening: Happening) {
        self.any = true;
        let Happening { kind, mut kv } = happening;
        let before = match kind {
            Kind::Delete => match self.last.remove(&kv.key) {
                Some(revision) => Took::Revision(revision),
                None if self.forgot => Took::Unknown,
                None => Took::Compacted,
            },
            Kind::Create | Kind::Put => {
                if self.last.len() < MOST_REMEMBERED || self.last.contains_key(&kv.key) {
                    self.last.insert(kv.key.clone(), kv.mod_revision);
                } else {
                    self.forgot = true;
                }
                Took::Nothing
            }
        };
        if !self.values {
            kv.value = Vec::new();
        }
        self.held_bytes += kv.value.len() + kv.key.len();
        self.told.push_back(Told { kind, kv, values: self.values, before });
        while self.told.len() > self.limit || self.held_bytes > MOST_HELD_BYTES {
            let Some(oldest) = self.told.pop_front() else { return };
            self.held_bytes -= oldest.kv.value.len() + oldest.kv.key.len();
            self.dropped = true;
        }
    }
}

/// One change, as it is kept until it is shown.
struct Told {
    kind: Kind,
    kv: pb::KeyValue,
    values: bool,
    before: Took,
}

/// What a change took away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Took {
    /// It is no deletion.
    Nothing,
    /// What was written at this revision.
    Revision(i64),
    Compacted,
    /// There were too many keys to remember.
    Unknown,
}

struct Change {
    told: Told,
    /// Whether the key is told, for there are several.
    named: bool,
    hidden: bool,
}

impl Change {
    fn what(&self) -> &'static str {
        match self.told.kind {
            Kind::Create => "create",
            Kind::Put => "put",
            Kind::Delete => "delete",
        }
    }

    fn took(&self) -> Option<String> {
        match self.told.before {
            Took::Revision(revision) => Some(format!("what it had since revision {revision}")),
            Took::Compacted => Some("what it had is compacted".to_owned()),
            Took::Nothing | Took::Unknown => None,
        }
    }

    fn shown_value(&self) -> Option<String> {
        if self.told.kind == Kind::Delete || !self.told.values {
            return None;
        }
        let value = &self.told.kv.value;
        Some(if self.hidden { instead_of(value.len()) } else { one_line(value) })
    }
}

impl Row for Change {
    fn simple(&self, style: &Style) -> String {
        let kv = &self.told.kv;
        let tone = match self.told.kind {
            Kind::Create => Tone::Fine,
            Kind::Put => Tone::Label,
            Kind::Delete => Tone::Fault,
        };
        let mut line =
            format!("{:>9}  {}", kv.mod_revision, style.paint.padded(tone, self.what(), 6));
        if self.told.kind != Kind::Delete {
            let _ = write!(line, "  version {}", kv.version);
        }
        if kv.lease != 0 {
            let _ = write!(line, "  lease {:016x}", kv.lease);
        }
        if self.named {
            let _ = write!(line, "  {}", style.paint.of(Tone::Key, &one_line(&kv.key)));
        }
        if let Some(took) = self.took() {
            let _ = write!(line, "  {took}");
        }
        if let Some(value) = self.shown_value() {
            let _ = write!(line, "  {value}");
        }
        line
    }

    fn value(&self) -> Value {
        let kv = &self.told.kv;
        let mut value = Value::map([
            ("revision", Value::Int(kv.mod_revision)),
            ("what", Value::text(self.what())),
            ("key", Value::bytes(&kv.key)),
        ]);
        if self.told.kind != Kind::Delete {
            value = value
                .with("create_revision", Value::Int(kv.create_revision))
                .with("version", Value::Int(kv.version));
            if kv.lease != 0 {
                value = value.with("lease", Value::lease(kv.lease));
            }
            if self.told.values {
                let shown = if self.hidden {
                    Value::Text(instead_of(kv.value.len()))
                } else {
                    Value::bytes(&kv.value)
                };
                value = value.with("value", shown);
            }
        }
        match self.told.before {
            Took::Revision(revision) => value.with("deleted_mod_revision", Value::Int(revision)),
            _ => value,
        }
    }

    fn cells(&self) -> Vec<String> {
        let kv = &self.told.kv;
        let alive = self.told.kind != Kind::Delete;
        let lease = if kv.lease == 0 { String::new() } else { format!("{:016x}", kv.lease) };
        vec![
            kv.mod_revision.to_string(),
            self.what().to_owned(),
            if alive { kv.version.to_string() } else { String::new() },
            lease,
            one_line(&kv.key),
            self.shown_value().unwrap_or_default(),
        ]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.told.kv.key)
    }
}
