//! Writing versions: everything that happens at one main revision.

use std::sync::Arc;

use bytes::Bytes;

use crate::store::history::Link;
use crate::store::lease::Attachment;
use crate::store::{Change, Revision, StateHash, Store, Value, Version, element};

/// The next main revision, which begins with the first change; without any it never was.
pub(super) struct Write<'a> {
    pub(super) store: &'a mut Store,
    changes: &'a mut Vec<Change>,
    next: Revision,
}

impl<'a> Write<'a> {
    pub(super) fn new(store: &'a mut Store, changes: &'a mut Vec<Change>) -> Self {
        let next = Revision::first_of(store.root.revision + 1);
        Write { store, changes, next }
    }

    /// Returns the version that was replaced, if the key existed.
    ///
    /// A version owns its bytes: a slice would keep the whole log entry alive that it came in.
    pub(super) fn put(&mut self, key: &[u8], value: Bytes, lease: i64) -> Option<Arc<Version>> {
        let at = self.begin_change();
        let newest = self.store.root.keys.get(key).cloned();
        let link = Link::behind(newest.as_ref(), &self.store.root.revisions);
        let live = newest.as_ref().filter(|newest| !newest.is_deletion());
        let version = Version {
            key: newest
                .as_ref()
                .map_or_else(|| Bytes::copy_from_slice(key), |newest| newest.key.clone()),
            value_len: value.len() as u32,
            value: Value::Resident(value),
            at,
            create_revision: live.map_or(at.main, |live| live.create_revision),
            version: live.map_or(1, |live| live.version + 1),
            lease,
            hash: StateHash::default(),
            prev: link.prev,
            jump: link.jump,
            depth: link.depth,
        };
        self.record(newest.as_ref(), version);
        newest.filter(|newest| !newest.is_deletion())
    }

    /// Deletes the key whose newest version this is.
    pub(super) fn delete(&mut self, live: &Arc<Version>) {
        let at = self.begin_change();
        let link = Link::behind(Some(live), &self.store.root.revisions);
        let version = Version {
            key: live.key.clone(),
            value: Value::Resident(Bytes::new()),
            value_len: 0,
            at,
            create_revision: 0,
            version: 0,
            lease: 0,
            hash: StateHash::default(),
            prev: link.prev,
            jump: link.jump,
            depth: link.depth,
        };
        self.record(Some(live), version);
    }

    fn begin_change(&mut self) -> Revision {
        let at = self.next;
        self.next.sub += 1;
        self.store.root.revision = at.main;
        at
    }

    fn record(&mut self, old: Option<&Arc<Version>>, mut version: Version) {
        version.hash = element::written(&version);
        self.store.dead.written(&version, old.map(|old| &**old));
        let root = &mut self.store.root;
        root.sum += version.hash;
        let version = Arc::new(version);
        if old.map_or(0, |old| old.lease) != version.lease {
            if let Some(attachment) = old.and_then(|old| Attachment::of(old)) {
                root.attachments.remove(attachment.as_bytes());
            }
            if let Some(attachment) = Attachment::of(&version) {
                let key = attachment.as_bytes().clone();
                root.attachments.upsert(&key, |_| attachment);
            }
        }
        if let Some(old) = old {
            self.store.release.superseded(old, version.at.main);
        }
        root.size_bytes += version.size_bytes();
        root.keys.upsert(&version.key, |_| version.clone());
        root.revisions.put(version.clone());
        self.changes.push(Change::Version(version));
    }
}
