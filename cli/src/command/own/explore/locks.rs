//! `locks`

use kvorum_client::explore::{Contender, Lock, LockFold, remaining};
use kvorum_client::{Connection, Failure};

use super::progress::Progress;
use super::read::Reading;
use super::{begin, shown};
use crate::args::own::LocksArgs;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{PrintError, Row, Rows, Style, Tone, Value};

pub(super) async fn execute(args: &LocksArgs, session: &mut Session) -> Result<(), CommandError> {
    let mut progress = Progress::new(&session.manner);
    let ranges = begin::ranges(&args.at, session, &mut progress).await?;
    begin::consent(&ranges, false, session, &mut progress).await?;
    let Session { connection, manner, style, out, err, .. } = session;
    let header = ["lock", "place", "lease", "revision", "left", "key"];
    let mut rows = Rows::new(style, &header, out);
    let mut fold = LockFold::default();
    let (mut found, mut contenders) = (Vec::new(), 0);
    let reading = Reading { connection, progress, ranges, at: &args.at, values: false };
    let read = reading
        .pages(|page| {
            let done: Vec<Lock> = page.kvs.iter().flat_map(|kv| fold.push(kv)).collect();
            contenders += done.iter().map(|lock| lock.queue.len()).sum::<usize>();
            found.extend(done);
            if contenders > MOST_CONTENDERS { Err(too_many()) } else { Ok(()) }
        })
        .await?;
    found.extend(fold.finish());
    let any = !found.is_empty();
    let mut clock = Clock { connection, silent: None };
    for lock in found {
        let left = clock.left(&lock).await;
        tell(&lock, &left, &mut rows)?;
    }
    rows.end()?;
    if let Some(failure) = clock.silent
        && !manner.quiet
    {
        let _ = writeln!(err, "how long the leases last is not known: {failure}");
    }
    if !any && read.keys > 0 && !manner.quiet {
        let _ = writeln!(err, "among {} there is no lock", shown::keys(read.keys));
    }
    read.conclude(&args.at, connection, manner, err)
}

/// Holders and waiters looked at in one go: they and their keys take some tens of MiB.
const MOST_CONTENDERS: usize = 100_000;

fn too_many() -> CommandError {
    CommandError::Hinted {
        code: exit::ERROR,
        message: format!("more than {MOST_CONTENDERS} keys hold locks or wait for them"),
        hint: "give a longer prefix".to_owned(),
    }
}

/// Tells how long leases last, until the first time that nobody can say.
struct Clock<'a> {
    connection: &'a Connection,
    silent: Option<Failure>,
}

impl Clock<'_> {
    async fn left(&mut self, lock: &Lock) -> Vec<Option<i64>> {
        if self.silent.is_none() {
            match remaining(self.connection, lock).await {
                Ok(left) => return left.into_iter().map(Some).collect(),
                Err(failure) => self.silent = Some(failure),
            }
        }
        vec![None; lock.queue.len()]
    }
}

fn tell(lock: &Lock, left: &[Option<i64>], rows: &mut Rows<'_>) -> Result<(), PrintError> {
    for (place, (contender, left)) in lock.queue.iter().zip(left).enumerate() {
        rows.row(&Line { lock, contender, place, left: *left })?;
    }
    Ok(())
}

struct Line<'a> {
    lock: &'a Lock,
    contender: &'a Contender,
    /// 0 is the holder's.
    place: usize,
    left: Option<i64>,
}

impl Line<'_> {
    fn left(&self) -> String {
        match self.left {
            None => "?".to_owned(),
            Some(..0) => "gone".to_owned(),
            Some(seconds) => shown::seconds(seconds),
        }
    }

    /// Whether more wait than are told.
    fn more(&self) -> Option<u64> {
        (self.place + 1 == self.lock.queue.len() && self.lock.more > 0).then_some(self.lock.more)
    }
}

impl Row for Line<'_> {
    fn simple(&self, style: &Style) -> String {
        let Contender { create_revision, lease, .. } = self.contender;
        let left = self.left();
        if self.place == 0 {
            let name = style.paint.of(Tone::Key, &shown::line(&self.lock.name));
            let waiting = self.lock.queue.len() as u64 - 1 + self.lock.more;
            let waiting = if waiting == 0 { String::new() } else { format!(", {waiting} waiting") };
            return format!(
                "{name}{waiting}\n  held by lease {lease:016x}, token {create_revision}, {left} left"
            );
        }
        let place = self.place;
        let mut text =
            format!("  {place}. lease {lease:016x}, since {create_revision}, {left} left");
        if let Some(more) = self.more() {
            text = format!("{text}\n  … and {more} more");
        }
        text
    }

    fn value(&self) -> Value {
        let Contender { create_revision, key, lease } = self.contender;
        let row = Value::map([
            ("lock", Value::bytes(&self.lock.name)),
            ("place", Value::Uint(self.place as u64)),
            ("key", Value::bytes(key)),
            ("lease", Value::lease(*lease)),
            ("create_revision", Value::Int(*create_revision)),
            ("remaining_ttl_s", self.left.map_or(Value::Null, Value::Int)),
        ]);
        let token = if self.place == 0 { Value::Int(*create_revision) } else { Value::Null };
        let row = row.with("fencing_token", token);
        self.more().map_or(row.clone(), |more| row.with("more", Value::Uint(more)))
    }

    fn cells(&self) -> Vec<String> {
        let Contender { create_revision, key, lease } = self.contender;
        let place = if self.place == 0 { "holder".to_owned() } else { self.place.to_string() };
        vec![
            shown::line(&self.lock.name),
            place,
            format!("{lease:016x}"),
            create_revision.to_string(),
            self.left(),
            shown::line(key),
        ]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.contender.key)
    }
}
