//! Keeping one cluster's keys the same as another's: first all there are at one revision, then every
//! change since, as etcd's `client/v3/mirror` does.
//!
//! Leases do not go along: what expires at the source is deleted at the destination as any key is.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::config::Config;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::queue;
use crate::range::KeyRange;
use crate::request::{Delete, Get, Op, Put, SortOrder, SortTarget, Txn, Watch};
use crate::watch::WatchItem;

/// What is mirrored, and to where.
#[derive(Debug, Clone, Default)]
pub struct MirrorPlan {
    /// Every key that begins with it.
    pub prefix: Vec<u8>,
    /// What stands in its place at the destination.
    pub dest_prefix: Vec<u8>,
    /// Changes after this revision only; 0 is all keys as they are, then the changes.
    pub after_revision: i64,
    /// Changes of one revision are made by one transaction, unless there are more than this many; 0
    /// is no limit.
    pub max_txn_ops: usize,
}

/// One cluster being mirrored to another.
pub struct Mirror {
    source: Connection,
    /// As `source`, for answers of bounded size.
    pages: Connection,
    destination: Connection,
    plan: MirrorPlan,
    mirrored: AtomicU64,
}

/// Changes of one revision that are still to be made.
#[derive(Default)]
struct Pending {
    ops: Vec<Op>,
    revision: i64,
}

/// Keys asked for at once; etcd's.
const PAGE_KEYS: i64 = 1000;
/// Largest page held in memory. Where values are so large that fewer keys make as much, fewer are
/// asked for.
const PAGE_BYTES: usize = 16 << 20;
/// Keys on their way to the destination at once, so that its latency does not add up. They are
/// different keys, so their order does not matter.
const PUTS_AT_ONCE: usize = 16;

impl Mirror {
    pub fn new(
        source: Connection,
        destination: Connection,
        plan: MirrorPlan,
    ) -> Result<Self, Failure> {
        let config = source.config();
        let max_recv_bytes = config.max_recv_bytes.min(PAGE_BYTES);
        let pages = Connection::new(Config { max_recv_bytes, ..config.clone() })?;
        Ok(Self { source, pages, destination, plan, mirrored: AtomicU64::new(0) })
    }

    /// Keys and changes that were taken over so far.
    pub fn mirrored(&self) -> u64 {
        self.mirrored.load(Ordering::Relaxed)
    }

    /// Mirrors until something fails.
    pub async fn run(&self) -> Failure {
        match self.base().await {
            Ok(revision) => self.changes(revision + 1).await,
            Err(failure) => failure,
        }
    }

    /// Takes over what there is, and answers as of which revision.
    async fn base(&self) -> Result<i64, Failure> {
        if self.plan.after_revision > 0 {
            return Ok(self.plan.after_revision);
        }
        let prefix = &self.plan.prefix;
        // Any key has the revision; this one may be read by whoever may read the prefix.
        let any = if prefix.is_empty() { b"foo" } else { prefix.as_slice() };
        let revision = queue::revision(self.source.get(Get::key(any)).await?.header.as_ref());
        let mut range = KeyRange::prefix(prefix.clone());
        let mut limit = PAGE_KEYS;
        loop {
            let page = self.page(&range, revision, &mut limit).await?;
            let more = page.more;
            let next = page.kvs.last().map(|kv| [kv.key.as_slice(), &[0]].concat());
            self.put_all(page.kvs).await?;
            match next {
                Some(next) if more => range.key = next,
                _ => return Ok(revision),
            }
        }
    }

    /// Up to `limit` keys, which is lowered if they are too large together.
    async fn page(
        &self,
        range: &KeyRange,
        revision: i64,
        limit: &mut i64,
    ) -> Result<pb::RangeResponse, Failure> {
        loop {
            let sort = Some((SortTarget::Key, SortOrder::Ascend));
            let get = Get { range: range.clone(), revision, limit: *limit, sort, ..Get::default() };
            // One key alone is taken however large it is.
            let connection = if *limit == 1 { &self.source } else { &self.pages };
            match connection.get(get).await {
                Err(failure) if *limit > 1 && is_too_large(&failure) => *limit /= 2,
                Err(failure) => return Err(failure),
                Ok(page) => {
                    let bytes: usize =
                        page.kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum();
                    if bytes < PAGE_BYTES / 4 {
                        *limit = (*limit * 2).min(PAGE_KEYS);
                    }
                    return Ok(page);
                }
            }
        }
    }

    async fn put_all(&self, kvs: Vec<pb::KeyValue>) -> Result<(), Failure> {
        let puts = kvs.into_iter().map(|kv| async move {
            self.destination.put(Put::new(self.renamed(&kv.key), kv.value)).await?;
            self.mirrored.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        stream::iter(puts).buffer_unordered(PUTS_AT_ONCE).try_collect().await
    }

    /// Takes over every change from a revision on.
    async fn changes(&self, from_revision: i64) -> Failure {
        let watch = Watch {
            range: KeyRange::prefix(self.plan.prefix.clone()),
            start_revision: from_revision,
            // So that what waits here to be copied has a bound.
            fragment: true,
            ..Watch::default()
        };
        let mut items = match self.source.watch(watch).await {
            Ok(items) => items,
            Err(failure) => return failure,
        };
        let mut pending = Pending::default();
        loop {
            match items.next().await {
                Some(WatchItem::Events(response)) => {
                    if let Err(failure) = self.apply(response, &mut pending).await {
                        return failure;
                    }
                }
                // What of a revision has come, comes once more.
                Some(WatchItem::Lost(_)) => pending = Pending::default(),
                Some(WatchItem::Ended(end)) => return queue::ended(&end),
                Some(WatchItem::Failed(failure)) => return failure,
                Some(_) => {}
                None => return queue::ended(&pb::WatchResponse::default()),
            }
        }
    }

    /// Makes the changes of each revision in a transaction of their own.
    async fn apply(
        &self,
        response: pb::WatchResponse,
        pending: &mut Pending,
    ) -> Result<(), Failure> {
        for event in response.events {
            let is_deletion = queue::is_deletion(&event);
            let Some(kv) = event.kv else { continue };
            let is_full = self.plan.max_txn_ops > 0 && pending.ops.len() == self.plan.max_txn_ops;
            if kv.mod_revision > pending.revision || is_full {
                self.commit(std::mem::take(&mut pending.ops)).await?;
            }
            pending.revision = kv.mod_revision;
            let key = self.renamed(&kv.key);
            pending.ops.push(if is_deletion {
                Op::Delete(Delete::key(key))
            } else {
                Op::Put(Put::new(key, kv.value))
            });
        }
        // The rest of a revision is in the next part.
        if response.fragment {
            return Ok(());
        }
        self.commit(std::mem::take(&mut pending.ops)).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<(), Failure> {
        if ops.is_empty() {
            return Ok(());
        }
        let count = ops.len() as u64;
        self.destination.txn(Txn { success: ops, ..Txn::default() }).await?;
        self.mirrored.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// The key at the destination.
    fn renamed(&self, key: &[u8]) -> Vec<u8> {
        let rest = key.strip_prefix(self.plan.prefix.as_slice()).unwrap_or(key);
        [&self.plan.dest_prefix, rest].concat()
    }
}

/// The answer was longer than may be received, which the client says and no server.
fn is_too_large(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { code: tonic::Code::OutOfRange, message }
        if !message.starts_with("etcdserver:"))
}
