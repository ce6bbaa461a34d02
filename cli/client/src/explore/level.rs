//! Walking a keyspace too large to list: one level of the tree at a time, children only, pages
//! bounded.
//!
//! A level is read by skipping: when the keys of a page all lie below one child, the next page
//! starts after that child, so a million keys below `/a/` cost as much as one. Reads are
//! serializable and of keys only; values and counts are asked for one by one.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
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
    /// Only this part of what the prefix has, for a user who may read no more.
    pub within: Option<KeyRange>,
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
            within: None,
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

    fn into_path(self) -> Vec<u8> {
        match self {
            Self::Key(meta) => meta.key,
            Self::Branch(prefix) => prefix,
        }
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
    walk(request, |get| connection.get(get)).await
}

async fn walk<F, Fut>(request: LevelRequest, read: F) -> Result<Level, Failure>
where
    F: Fn(Get) -> Fut,
    Fut: Future<Output = Result<pb::RangeResponse, Failure>>,
{
    let limit = request.limit.clamp(1, MAX_CHILDREN);
    let whole = KeyRange::prefix(request.prefix.clone());
    let whole = request.within.unwrap_or(whole);
    let mut scan = Scan {
        prefix: request.prefix,
        separator: request.separator,
        limit,
        level: Level { revision: request.revision, ..Level::default() },
    };
    let mut from = request.from.unwrap_or(whole.key);
    let mut page_keys = FEWEST_KEYS;
    loop {
        let page = read(Get {
            range: KeyRange::between(from.clone(), whole.end.clone()),
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
        let after = scan.after_last();
        let at_end = after <= from || (whole.end != [0] && after >= whole.end);
        if at_end {
            return Ok(scan.level);
        }
        from = after;
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

impl From<pb::KeyValue> for KeyMeta {
    fn from(kv: pb::KeyValue) -> Self {
        Self {
            key: kv.key,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: kv.lease,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;

    use super::{Level, LevelRequest, walk};
    use crate::pb;
    use crate::request::Get;

    /// A keyspace that counts how often it is asked.
    struct Keys {
        keys: BTreeSet<Vec<u8>>,
        asked: Cell<usize>,
    }

    impl Keys {
        fn new(keys: impl IntoIterator<Item = String>) -> Self {
            let keys = keys.into_iter().map(String::into_bytes).collect();
            Self { keys, asked: Cell::new(0) }
        }

        fn read(&self, get: &Get) -> pb::RangeResponse {
            self.asked.set(self.asked.get() + 1);
            let unbounded = get.range.end == [0];
            let within =
                |key: &&Vec<u8>| **key >= get.range.key && (unbounded || **key < get.range.end);
            let mut found = self.keys.iter().filter(within);
            let limit = usize::try_from(get.limit).unwrap();
            let kvs = found.by_ref().take(limit);
            let kvs = kvs.map(|key| pb::KeyValue { key: key.clone(), ..Default::default() });
            let kvs: Vec<_> = kvs.collect();
            let header = pb::ResponseHeader { revision: 7, ..Default::default() };
            pb::RangeResponse { header: Some(header), kvs, more: found.next().is_some(), count: 0 }
        }

        fn level(&self, request: LevelRequest) -> Level {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(walk(request, |get| async move { Ok(self.read(&get)) })).unwrap()
        }
    }

    fn paths(level: &Level) -> Vec<&str> {
        level.children.iter().map(|child| str::from_utf8(child.path()).unwrap()).collect()
    }

    fn words(keys: &str) -> Keys {
        Keys::new(keys.split(' ').map(str::to_owned))
    }

    #[test]
    fn a_level_shows_keys_and_branches_in_key_order() {
        let keys = words("/a /a/1 /a/2/x /a-b /b/1 /c");
        let root = keys.level(LevelRequest::new("/", b'/'));
        assert_eq!(paths(&root), ["/a", "/a-b", "/a/", "/b/", "/c"]);
        assert_eq!((root.next, root.revision), (None, 7));
        assert_eq!(paths(&keys.level(LevelRequest::new("/a/", b'/'))), ["/a/1", "/a/2/"]);
        assert_eq!(paths(&keys.level(LevelRequest::new("", b'/'))), ["/"]);
        assert!(keys.level(LevelRequest::new("/x", b'/')).children.is_empty());
    }

    #[test]
    fn what_lies_below_a_branch_is_skipped() {
        let below = (0..50_000).map(|n| format!("/deep/{n}"));
        let keys = Keys::new(below.chain(["/first", "/last"].map(str::to_owned)));
        assert_eq!(paths(&keys.level(LevelRequest::new("/", b'/'))), ["/deep/", "/first", "/last"]);
        assert!(keys.asked.get() <= 3, "{} requests", keys.asked.get());
    }

    #[test]
    fn a_wide_level_comes_in_pages_without_gaps_or_repetitions() {
        let keys =
            Keys::new((0..5000).flat_map(|n| [format!("k{n:05}"), format!("k{n:05}/below")]));
        let mut request = LevelRequest { limit: 999, ..LevelRequest::new("k", b'/') };
        let mut all = Vec::new();
        loop {
            let page = keys.level(request.clone());
            assert!(page.children.len() <= 999);
            all.extend(page.children);
            let Some(next) = page.next else { break };
            request = LevelRequest { from: Some(next), revision: page.revision, ..request };
        }
        assert_eq!(all.len(), 10_000);
        assert!(all.is_sorted_by(|a, b| a.path() < b.path()));
        assert!(keys.asked.get() < 100, "{} requests", keys.asked.get());
    }

    #[test]
    fn the_last_keys_there_can_be_end_the_walk() {
        let keys =
            Keys { keys: (0..40).map(|n| vec![0xff, 0xff, n]).collect(), asked: Cell::new(0) };
        let level = keys.level(LevelRequest::new("", 0xff));
        assert_eq!(level.children.len(), 1);
    }
}
