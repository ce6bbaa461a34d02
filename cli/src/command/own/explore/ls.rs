//! `ls`

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kvorum_client::explore::{Child, KeyMeta, Level, LevelRequest, MAX_CHILDREN, count, level};
use kvorum_client::{Connection, Failure, KeyRange};

use super::progress::Progress;
use super::read::{nothing, say_serializable};
use super::{begin, shown};
use crate::args::own::LsArgs;
use crate::command::{CommandError, Session};
use crate::output::{Row, Rows, Style, Tone, Value};

/// Branches counted at the same time.
const COUNTED_AT_ONCE: usize = 16;

pub(super) async fn execute(args: &LsArgs, session: &mut Session) -> Result<(), CommandError> {
    let mut progress = Progress::new(&session.manner);
    let ranges = begin::ranges(&args.at, session, &mut progress).await?;
    let Session { connection, manner, style, out, err, .. } = session;
    let header: &[&str] =
        if args.long { &["key", "keys below", "revision", "version", "lease"] } else { &["key"] };
    let mut rows = Rows::new(style, header, out);
    let separator = manner.separator;
    let mut listing = Listing { connection, long: args.long, separator, last: None };
    let mut revision = args.at.rev;
    for range in ranges {
        let mut request = LevelRequest {
            within: Some(range),
            revision,
            limit: MAX_CHILDREN,
            ..LevelRequest::new(args.at.prefix(), manner.separator)
        };
        let mut page = progress.until(level(connection, request.clone())).await?;
        if let Some(below) = only_branch(&page, &request) {
            request.within = request
                .within
                .and_then(|range| range.intersection(&KeyRange::prefix(below.clone())));
            request.prefix = below;
            page = progress.until(level(connection, request.clone())).await?;
        }
        loop {
            revision = page.revision;
            progress.hide();
            listing.page(page.children, revision, &mut rows).await?;
            let Some(next) = page.next else { break };
            request = LevelRequest { from: Some(next), revision, ..request };
            page = progress.until(level(connection, request.clone())).await?;
        }
    }
    let found = listing.last.is_some();
    rows.end()?;
    if !found {
        return nothing(&args.at, manner, err);
    }
    say_serializable(revision, connection, manner, err);
    Ok(())
}

/// The branch that is called like the prefix, if there is nothing else: `/` at the root, or `/a/`
/// for who says `/a`. What lies below it is meant.
fn only_branch(page: &Level, request: &LevelRequest) -> Option<Vec<u8>> {
    match page.children.as_slice() {
        [Child::Branch(path)] if page.next.is_none() => {
            let named = path.strip_prefix(request.prefix.as_slice());
            (named == Some(&[request.separator])).then(|| path.clone())
        }
        _ => None,
    }
}

struct Listing<'a> {
    connection: &'a Connection,
    long: bool,
    separator: u8,
    /// The last path told: a branch may reach over two of the ranges that may be read.
    last: Option<Vec<u8>>,
}

impl Listing<'_> {
    async fn page(
        &mut self,
        children: Vec<Child>,
        revision: i64,
        rows: &mut Rows<'_>,
    ) -> Result<(), CommandError> {
        let (connection, long, separator) = (self.connection, self.long, self.separator);
        let looked = stream::iter(children)
            .map(|child| async move {
                let below = look(connection, &child, revision, long).await?;
                Ok::<_, Failure>(Entry { child, below, long, separator })
            })
            .buffered(COUNTED_AT_ONCE);
        let mut looked = std::pin::pin!(looked);
        while let Some(entry) = looked.try_next().await? {
            if self.last.as_deref() != Some(entry.child.path()) {
                rows.row(&entry)?;
                self.last = Some(entry.child.path().to_vec());
            }
        }
        Ok(rows.flush()?)
    }
}

/// The number of keys of a branch, if it is wanted and they may be counted.
async fn look(
    connection: &Connection,
    child: &Child,
    revision: i64,
    long: bool,
) -> Result<Option<u64>, Failure> {
    match child {
        Child::Branch(prefix) if long => match count(connection, prefix, revision).await {
            Ok(keys) => Ok(Some(keys.max(0) as u64)),
            // Only a part of it may be read.
            Err(failure) if failure.code().is_some() => Ok(None),
            Err(failure) => Err(failure),
        },
        _ => Ok(None),
    }
}

struct Entry {
    child: Child,
    below: Option<u64>,
    long: bool,
    separator: u8,
}

impl Entry {
    /// The path, with what leads to the name set apart from it.
    fn name(&self, style: &Style) -> String {
        let path = self.child.path();
        let name_at = path.iter().rposition(|byte| *byte == self.separator).map_or(0, |at| at + 1);
        let (branch, name) = path.split_at(name_at);
        format!("{}{}", style.paint.of(Tone::Branch, &shown::line(branch)), shown::line(name))
    }

    /// Keys below, revision, version and lease, as far as it has them.
    fn details(&self) -> [String; 4] {
        match &self.child {
            Child::Branch(_) => {
                let below = self.below.map_or("?".to_owned(), |keys| keys.to_string());
                [below, String::new(), String::new(), String::new()]
            }
            Child::Key(KeyMeta { mod_revision, version, lease, .. }) => {
                let lease = if *lease == 0 { String::new() } else { format!("{lease:016x}") };
                [String::new(), mod_revision.to_string(), version.to_string(), lease]
            }
        }
    }
}

impl Row for Entry {
    fn simple(&self, style: &Style) -> String {
        let name = self.name(style);
        if !self.long {
            return name;
        }
        let [_, revision, version, lease] = self.details();
        match &self.child {
            Child::Branch(_) => {
                let below = self.below.map_or("? keys".to_owned(), shown::keys);
                format!("{below:>18}  {:16}  {name}", "")
            }
            Child::Key(_) => {
                format!("{revision:>10} {:>7}  {lease:16}  {name}", format!("v{version}"))
            }
        }
    }

    fn value(&self) -> Value {
        let path = ("path", Value::bytes(self.child.path()));
        match &self.child {
            Child::Branch(_) => Value::map([
                path,
                ("kind", Value::text("branch")),
                ("keys", self.below.map_or(Value::Null, Value::Uint)),
            ]),
            Child::Key(meta) => Value::map([
                path,
                ("kind", Value::text("key")),
                ("create_revision", Value::Int(meta.create_revision)),
                ("mod_revision", Value::Int(meta.mod_revision)),
                ("version", Value::Int(meta.version)),
                ("lease", if meta.lease == 0 { Value::Null } else { Value::lease(meta.lease) }),
            ]),
        }
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![shown::line(self.child.path())];
        if self.long {
            cells.extend(self.details());
        }
        cells
    }

    fn key(&self) -> Option<&[u8]> {
        Some(self.child.path())
    }
}
