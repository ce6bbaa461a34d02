//! Walking a keyspace too large to list: one level of the tree at a time, children only, pages
//! bounded.
//!
//! A level is read by skipping: when the keys of a page all lie below one child, the next page
//! starts after that child, so a million keys below `/a/` cost as much as one. Reads are
//! serializable and of keys only; values and counts are asked for one by one.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::range::{KeyRange, prefix_end};
use crate::request::Get;

/// Which level, and how much of it.
#[derive(Debug, Clone)]
pub struct LevelRequest {
    /// What the keys begin with; empty is the root. Need not end with the separator.
    pub prefix: Vec<u8>,
    /// What separates the segments of a key, usually `/`.
    pub separator: u8,
    /// Where to go on: [`Level::next`] of the page before.
    pub from: Option<Vec<u8>>,
    /// Read at this revision, so that the pages of a level agree; 0 is the newest.
    pub revision: i64,
    /// Children wanted, at most [`MAX_CHILDREN`].
    pub limit: usize,
    /// Ask the leader. Slower, and fails without a quorum.
    pub linearizable: bool,
}

impl LevelRequest {
    pub fn new(prefix: impl Into<Vec<u8>>, separator: u8) -> Self {
        Self {
            prefix: prefix.into(),
            separator,
            from: None,
            revision: 0,
            limit: DEFAULT_CHILDREN,
            linearizable: false,
        }
    }
}

/// One page of one level, in key order.
#[derive(Debug, Clone, Default)]
pub struct Level {
    pub children: Vec<Child>,
    /// Where the next page starts; `None` is the end of the level.
    pub next: Option<Vec<u8>>,
    /// The revision it was read at: give it to the next page.
    pub revision: i64,
}

/// A key of this level, or a branch below which there are keys. A name can be both (`/a` and
/// `/a/b`), and then is two children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Child {
    Key(KeyMeta),
    /// The prefix, separator included.
    Branch(Vec<u8>),
}

impl Child {
    /// The whole key, or the whole prefix.
    pub fn path(&self) -> &[u8] {
        match self {
            Self::Key(meta) => &meta.key,
            Self::Branch(prefix) => prefix,
        }
    }

    pub fn is_branch(&self) -> bool {
        matches!(self, Self::Branch(_))
    }
}

/// What is known of a key without reading its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMeta {
    pub key: Vec<u8>,
    pub create_revision: i64,
    pub mod_revision: i64,
    pub version: i64,
    pub lease: i64,
}

/// A screen or two.
pub const DEFAULT_CHILDREN: usize = 256;

/// More children in one page than anyone can look at.
pub const MAX_CHILDREN: usize = 4096;

/// Keys read by one request: few while branches are skipped, more while the level is flat.
const FEWEST_KEYS: i64 = 16;
const MOST_KEYS: i64 = 1024;

/// One page of the children right below a prefix.
pub async fn level(connection: &Connection, request: LevelRequest) -> Result<Level, Failure> {
    let limit = request.limit.clamp(1, MAX_CHILDREN);
    let whole = KeyRange::prefix(request.prefix.clone());
    let mut scan = Scan {
        prefix: request.prefix,
        separator: request.separator,
        limit,
        level: Level { revision: request.revision, ..Level::default() },
    };
    let mut from = request.from.unwrap_or(whole.key);
    let mut page_keys = FEWEST_KEYS;
    loop {
        let page = connection
            .get(Get {
                range: KeyRange::between(from, whole.end.clone()),
                limit: page_keys,
                revision: scan.level.revision,
                serializable: !request.linearizable,
                keys_only: true,
                ..Get::default()
            })
            .await?;
        if scan.level.revision == 0 {
            scan.level.revision = page.header.as_ref().map_or(0, |header| header.revision);
        }
        let (keys, before) = (page.kvs.len(), scan.level.children.len());
        for kv in page.kvs {
            if !scan.take(KeyMeta::from(kv)) {
                return Ok(scan.level);
            }
        }
        if !page.more {
            return Ok(scan.level);
        }
        let found = scan.level.children.len() - before;
        page_keys = if found * 2 > keys { page_keys * 4 } else { page_keys / 4 };
        page_keys = page_keys.clamp(FEWEST_KEYS, MOST_KEYS);
        from = scan.after_last();
        if whole.end != [0] && from >= whole.end {
            return Ok(scan.level);
        }
        if scan.level.children.len() == limit {
            scan.level.next = Some(from);
            return Ok(scan.level);
        }
    }
}

/// How many keys begin with `prefix`, without reading them.
pub async fn count(connection: &Connection, prefix: &[u8], revision: i64) -> Result<i64, Failure> {
    let get =
        Get { count_only: true, serializable: true, revision, ..Get::prefix(prefix.to_vec()) };
    Ok(connection.get(get).await?.count)
}

/// What a key that begins with `typed` may go on with, one segment at a time: whole keys, and
/// branches with their separator. At most `limit`.
pub async fn complete(
    connection: &Connection,
    typed: &[u8],
    separator: u8,
    limit: usize,
) -> Result<Vec<Vec<u8>>, Failure> {
    let request = LevelRequest { limit, ..LevelRequest::new(typed, separator) };
    let level = level(connection, request).await?;
    Ok(level.children.into_iter().map(Child::into_path).collect())
}

impl Child {
    fn into_path(self) -> Vec<u8> {
        match self {
            Self::Key(meta) => meta.key,
            Self::Branch(prefix) => prefix,
        }
    }
}

struct Scan {
    prefix: Vec<u8>,
    separator: u8,
    limit: usize,
    level: Level,
}

impl Scan {
    /// Adds the child that this key shows. `false`: the page is full, and the key belongs to the
    /// next one.
    fn take(&mut self, meta: KeyMeta) -> bool {
        let rest = &meta.key[self.prefix.len().min(meta.key.len())..];
        let child = match rest.iter().position(|byte| *byte == self.separator) {
            // A key that only adds the separator is a branch with an empty name below it.
            Some(at) => Child::Branch(meta.key[..=self.prefix.len() + at].to_vec()),
            None => Child::Key(meta),
        };
        if self.level.children.last() == Some(&child) {
            return true;
        }
        if self.level.children.len() == self.limit {
            self.level.next = Some(child.into_path());
            return false;
        }
        self.level.children.push(child);
        true
    }

    /// The first key that cannot belong to the last child.
    fn after_last(&self) -> Vec<u8> {
        match self.level.children.last() {
            Some(Child::Branch(prefix)) => prefix_end(prefix),
            Some(Child::Key(meta)) => [meta.key.as_slice(), &[0]].concat(),
            None => self.prefix.clone(),
        }
    }
}

impl From<crate::pb::KeyValue> for KeyMeta {
    fn from(kv: crate::pb::KeyValue) -> Self {
        Self {
            key: kv.key,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: kv.lease,
        }
    }
}
