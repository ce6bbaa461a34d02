//! The state as records, for a member that takes it over.

use std::iter;
use std::sync::Arc;

use bytes::Bytes;

use super::{Change, Root, Value, Version, record};

impl Root {
    /// What makes an empty backend hold this state: its records, one after the other, the tables
    /// and the records of each in the order in which a backend gives them. A store restored from
    /// them answers everything as this root does, history included, and has its hash.
    ///
    /// They are made as they are asked for. A value that is not resident stays in the backend as
    /// long as this root is held, however far others compact and sweep, for it is only a value
    /// that can still be read; see [`Change::resolve`]. What is dead under this root's compaction is
    /// left out, so the store made from the records is swept up to it.
    pub fn export(&self) -> impl Iterator<Item = Change> + '_ {
        let compacted = (self.compacted >= 0)
            .then(|| record::meta(record::COMPACTED, self.compacted))
            .into_iter();
        let swept = (self.compacted >= 0).then(|| record::meta(record::SWEPT, self.compacted));
        let meta = self.cluster_version.as_deref().map(record::cluster_version).into_iter();
        let auth = &self.auth;
        // In the order of the names.
        (record::auth(auth).into_iter().chain(meta).chain(compacted))
            .chain(iter::once(record::meta(record::REVISION, self.revision)))
            .chain(swept)
            .chain(self.members.iter().map(record::member))
            .chain(self.alarms.iter().map(record::alarm))
            .chain(auth.users().map(record::user))
            .chain(auth.roles().map(record::role))
            .chain(self.leases().map(|lease| record::lease(&lease)))
            .chain(self.logical_versions().map(|version| Change::Version(version.clone())))
    }

    /// The versions that are part of the state, by their revisions: those that can still be read,
    /// and every change since the compacted revision. Values are as in [`Root::export`].
    pub fn logical_versions(&self) -> impl Iterator<Item = &Arc<Version>> + '_ {
        let readable = |version: &Version| {
            let newest = self.keys.get(&version.key);
            let valid = newest.and_then(|newest| self.valid_at(newest, self.compacted));
            valid.is_some_and(|valid| valid.at == version.at)
        };
        let versions = self.revisions.iter().map(|dated| &dated.version);
        versions.filter(move |version| version.at.main >= self.compacted || readable(version))
    }
}

impl Change {
    /// The same change with its value at hand; `read` reads it back from the backend if it is
    /// there only. What a root exports needs this before it is encoded.
    pub fn resolve<E>(self, read: impl FnOnce(&Version) -> Result<Bytes, E>) -> Result<Change, E> {
        match self {
            Change::Version(version) if version.value == Value::Stored => {
                let value = Value::Resident(read(&version)?);
                Ok(Change::Version(Arc::new(Version { value, ..Version::clone(&version) })))
            }
            change => Ok(change),
        }
    }
}
