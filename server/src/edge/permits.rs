//! What the watches of one stream are allowed, for as long as they are open.
//!
//! A watch is authorised when it is asked for, when it is created, and again whenever users or
//! roles have changed: before the next event of its stream leaves, and at once if there is none.
//! An event is made from a state that is published, so whoever looks at the newest state before
//! sending it looks at one that is no older: no event of a revision after the change gets out.
//!
//! A watch belongs to a user, not to a token; see [`Standing`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use kvorum_core::auth::{Access, AuthError, Principal, authorise};
use kvorum_core::store::Root;
use kvorum_core::watch::WatchId;
use kvorum_proto::etcdserverpb::WatchCreateRequest;
use kvorum_proto::key_range::KeyRange;
use tonic::{Code, Status};

use super::principal::{AuthMark, Caller, mark};
use super::standing::Standing;
use super::status::of_auth;

/// Who watches on a stream, and what.
pub(super) struct Permits {
    caller: Caller,
    /// Who proved to be whom, by this password if it was one.
    standing: Option<Standing>,
    /// Asked for and not answered; answers come in the same order.
    asked: VecDeque<Asked>,
    open: BTreeMap<WatchId, KeyRange>,
    /// Canceled here; what the hub still says of them is kept back.
    ending: BTreeSet<WatchId>,
    /// When everything was looked at.
    seen: AuthMark,
}

struct Asked {
    range: KeyRange,
    /// The state it was allowed in.
    seen: AuthMark,
}

impl Permits {
    pub(super) fn new(caller: Caller, root: &Root) -> Permits {
        Permits {
            caller,
            standing: None,
            asked: VecDeque::new(),
            open: BTreeMap::new(),
            ending: BTreeSet::new(),
            seen: mark(root),
        }
    }

    pub(super) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// The caller, if it has not yet proved who it is.
    pub(super) fn unproved(&self) -> Option<Caller> {
        self.standing.is_none().then(|| self.caller())
    }

    /// A watch is asked for, by one who may; by nobody in particular if it will be refused anyway.
    pub(super) fn asked(&mut self, range: KeyRange, principal: Option<&Principal>, root: &Root) {
        if let Some(principal) = principal {
            self.standing = Standing::of(&self.caller, principal, root);
        }
        self.asked.push_back(Asked { range, seen: mark(root) });
    }

    /// The hub has answered the oldest request that waits.
    pub(super) fn answered(&mut self, created: Option<WatchId>) {
        let asked = self.asked.pop_front();
        if let (Some(id), Some(Asked { range, seen })) = (created, asked) {
            self.open.insert(id, range);
            if seen != self.seen {
                // One of the two is from another state: everything is looked at once more.
                self.seen = NEVER;
            }
        }
    }

    /// The hub has ended a watch. Whether its client is to be told.
    pub(super) fn ended(&mut self, id: WatchId) -> bool {
        self.open.remove(&id);
        !self.ending.remove(&id)
    }

    /// Whether what the hub says of a watch may be passed on.
    pub(super) fn passes(&self, id: WatchId) -> bool {
        !self.ending.contains(&id)
    }

    /// Whether nothing has changed since everything was looked at.
    pub(super) fn is_current(&self, root: &Root) -> bool {
        self.seen == mark(root)
    }

    /// The watches that must end in the state of `root`, with the reason. `found` is who the
    /// caller is there, for a stream on which nobody has proved anything yet.
    pub(super) fn lost(
        &mut self,
        root: &Root,
        found: Result<Principal, Status>,
    ) -> Vec<(WatchId, String)> {
        self.seen = mark(root);
        if !root.auth().is_enabled() {
            self.standing = None;
            return Vec::new();
        }
        let principal = match &self.standing {
            Some(standing) => standing.principal(root).map_err(of_auth),
            None => found,
        };
        if let Ok(principal) = &principal {
            self.standing = Standing::of(&self.caller, principal, root);
        }
        let mut lost = Vec::new();
        for (id, range) in &self.open {
            let decided = principal.as_ref().map_err(Clone::clone).and_then(|principal| {
                authorise(root, principal, Access::Read(range)).map_err(of_auth)
            });
            if let Err(status) = decided {
                lost.push((*id, cancel_reason(&status)));
            }
        }
        for (id, _) in &lost {
            self.open.remove(id);
            self.ending.insert(*id);
        }
        lost
    }
}

/// The keys a request wants to watch; as for the hub, an empty key is the least there is. The bytes
/// are copied: those of the request keep all of its buffer alive, for as long as the watch is open.
pub(super) fn watched(create: &WatchCreateRequest) -> KeyRange {
    let key: &[u8] = if create.key.is_empty() { &[0] } else { &create.key };
    KeyRange::new(Bytes::copy_from_slice(key), Bytes::copy_from_slice(&create.range_end))
}

/// As Go prints the error; these four there are.
pub(super) fn cancel_reason(status: &Status) -> String {
    let code = match status.code() {
        Code::Unauthenticated => "Unauthenticated",
        Code::InvalidArgument => "InvalidArgument",
        _ => {
            let denied = of_auth(AuthError::PermissionDenied);
            return format!("rpc error: code = PermissionDenied desc = {}", denied.message());
        }
    };
    format!("rpc error: code = {code} desc = {}", status.message())
}

/// No auth revision is 0.
const NEVER: AuthMark = (false, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_does_not_keep_the_request_alive() {
        let request = Bytes::from(vec![b'k'; 1 << 20]);
        let (key, range_end) = (request.slice(..1), request.slice(1..3));
        let create = WatchCreateRequest { key, range_end, ..WatchCreateRequest::default() };
        let range = watched(&create);
        drop(create);
        assert!(request.is_unique(), "{range:?} is a part of it");
    }
}
