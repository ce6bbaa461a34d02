//! What is in etcd's log beyond its store.

use std::path::Path;

use bytes::Bytes;
use kvorum_core::store::Store;
use kvorum_proto::etcdserverpb::InternalRaftRequest;
use prost::Message;
use raft_proto::eraftpb::{Entry, EntryType};

use super::RestoreError;
use crate::etcd::wal;
use crate::storage::adopt::Adoption;

/// What was found in etcd's log beyond its store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Entries that the log does not say are committed. They were taken: the last that clients were
    /// told of are among them.
    pub uncommitted: u64,
    /// Requests that changed nothing: that etcd refused them too, or they were compactions that its
    /// store had already.
    pub refused: u64,
    /// Requests of etcd's old API, which were left out: the old store is not taken over.
    pub skipped_v2: u64,
}

/// Applies what is in etcd's log after `index`.
pub(super) fn replay(
    log: &Path,
    index: u64,
    store: &mut Store,
    adoption: &mut Adoption,
) -> Result<Replayed, RestoreError> {
    let (mut refused, mut skipped_v2) = (0, 0);
    let uncommitted = wal::read(log, index, |entry| {
        let (index, term) = (entry.index, entry.term);
        match Content::of(&entry) {
            Some(Content::Request(request)) => {
                let applied = store.apply_etcds(index, term, &request);
                refused += u64::from(applied.reply.is_err());
                applied.changes.into_iter().try_for_each(|change| adoption.put(change))?;
            }
            Some(Content::OfTheCluster) => store.skip(index, term),
            Some(Content::ClearPassword) => return Err(RestoreError::ClearPassword { index }),
            Some(Content::OldApi) => {
                skipped_v2 += 1;
                store.skip(index, term);
            }
            None => return Err(RestoreError::UnknownEntry { index }),
        }
        Ok(())
    })?;
    Ok(Replayed { uncommitted, refused, skipped_v2 })
}

/// What an entry of etcd's log asks for.
pub(super) enum Content {
    Request(Box<InternalRaftRequest>),
    /// About members and versions, which a new cluster has of its own; or nothing.
    OfTheCluster,
    /// A request of the API of etcd 2.
    OldApi,
    /// A password that is hashed only as it is applied, with a salt drawn there: what becomes of
    /// it is not decided by the log.
    ClearPassword,
}

/// A request of today's API around one of the API of etcd 2.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Around {
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) old: Bytes,
}

/// A request of the API of etcd 2; only what tells one.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OldRequest {
    #[prost(string, tag = "2")]
    pub(super) method: String,
    #[prost(string, tag = "3")]
    pub(super) path: String,
}

impl OldRequest {
    /// Whether it changes nothing that is taken over. By a read without a path etcd 3.4 finds out,
    /// for each `/health`, whether the cluster answers; `SYNC` lets old keys go that ran out.
    fn reads(&self) -> bool {
        ["QGET", "SYNC"].contains(&&*self.method)
    }
}

impl Content {
    /// `None` for what nobody knows.
    pub(super) fn of(entry: &Entry) -> Option<Content> {
        if entry.entry_type() != EntryType::EntryNormal || entry.data.is_empty() {
            return Some(Content::OfTheCluster);
        }
        if let Ok(request) = InternalRaftRequest::decode(entry.data.clone()) {
            if request.cluster_version_set.is_some()
                || request.cluster_member_attr_set.is_some()
                || request.downgrade_info_set.is_some()
            {
                return Some(Content::OfTheCluster);
            }
            if has_clear_password(&request) {
                return Some(Content::ClearPassword);
            }
            if Store::knows(&request) {
                return Some(Content::Request(Box::new(request)));
            }
        }
        let around = Around::decode(entry.data.clone()).ok();
        let mut places = [entry.data.clone()].into_iter().chain(around.map(|around| around.old));
        let old = places.find_map(|bytes| {
            let old = OldRequest::decode(bytes).ok()?;
            (old.reads() || !old.method.is_empty() && old.path.starts_with('/')).then_some(old)
        })?;
        if old.reads() {
            return Some(Content::OfTheCluster);
        }
        // Members and the cluster's version were kept in the old store until etcd 3.5.
        let own = ["/0/members", "/0/version"].iter().any(|own| old.path.starts_with(own));
        Some(if own { Content::OfTheCluster } else { Content::OldApi })
    }
}

/// An empty password is one as well; where it is hashed before the log, there is a hash.
fn has_clear_password(request: &InternalRaftRequest) -> bool {
    let added = request.auth_user_add.as_ref().is_some_and(|add| {
        let has_none = add.options.is_some_and(|options| options.no_password);
        !add.password.is_empty() || !has_none && add.hashed_password.is_empty()
    });
    added
        || request
            .auth_user_change_password
            .as_ref()
            .is_some_and(|change| !change.password.is_empty() || change.hashed_password.is_empty())
}
