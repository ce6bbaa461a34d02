//! The records of a state that another program wrote down: what to put into an empty backend for
//! [`Store::adopt`](super::Store::adopt) to read.

use std::sync::Arc;

use kvorum_proto::authpb::{Role, User};
use kvorum_proto::etcdserverpb::AlarmMember;
use kvorum_proto::membershippb::Member;
use kvorum_proto::mvccpb::KeyValue;

use super::{Change, LeaseRecord, Revision, StateHash, Value, Version, record};
use crate::auth::Auth;

impl Change {
    /// A version: `kv` as it was put, or a deletion if its `version` is 0. Whether it says the
    /// revision it stands at is found out when it is read back.
    pub fn of_version(at: Revision, kv: KeyValue) -> Change {
        Change::Version(Arc::new(Version {
            key: kv.key,
            value_len: kv.value.len() as u32,
            value: Value::Resident(kv.value),
            at,
            create_revision: kv.create_revision,
            version: kv.version,
            lease: kv.lease,
            hash: StateHash::default(),
            prev: None,
            jump: None,
            depth: 0,
        }))
    }

    pub fn of_lease(lease: &LeaseRecord) -> Change {
        record::lease(lease)
    }

    pub fn of_member(member: &Member) -> Change {
        record::member(member)
    }

    pub fn of_user(user: &User) -> Change {
        record::user(user)
    }

    pub fn of_role(role: &Role) -> Change {
        record::role(role)
    }

    /// Whether auth is enabled, and its revision, which is 1 if it was never touched.
    pub fn of_auth(enabled: bool, revision: u64) -> Vec<Change> {
        let mut auth = Auth::initial();
        auth.set_enabled(enabled);
        auth.set_revision(revision);
        record::auth(&auth)
    }

    pub fn of_alarm(alarm: &AlarmMember) -> Change {
        record::alarm(alarm)
    }

    /// The current revision, if it is higher than that of every version.
    pub fn of_revision(revision: i64) -> Change {
        record::meta(record::REVISION, revision)
    }

    /// The compacted revision. What is older and cannot be read may be there: it is swept.
    pub fn of_compacted(revision: i64) -> Change {
        record::meta(record::COMPACTED, revision)
    }
}
