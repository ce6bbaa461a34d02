//! Users and roles, on their way from the state into a file and back.

use kvorum_core::store::{Change, Root};
use kvorum_proto::authpb::{Role, User};

/// What a state says of who may do what. Small: somebody made each user by hand.
#[derive(Debug, Default)]
pub(super) struct Auth {
    pub(super) enabled: bool,
    /// 0 where auth was never touched.
    pub(super) revision: u64,
    pub(super) users: Vec<User>,
    pub(super) roles: Vec<Role>,
}

impl Auth {
    /// That of a state, in the order of names.
    pub(super) fn of(root: &Root) -> Auth {
        let auth = root.auth();
        Auth {
            enabled: auth.is_enabled(),
            revision: auth.revision(),
            users: auth.users().cloned().collect(),
            roles: auth.roles().cloned().collect(),
        }
    }

    /// The records that make a state have it.
    pub(super) fn into_changes(self) -> impl Iterator<Item = Change> {
        let Auth { enabled, revision, users, roles } = self;
        let users = users.into_iter().map(|user| Change::of_user(&user));
        let roles = roles.into_iter().map(|role| Change::of_role(&role));
        Change::of_auth(enabled, revision.max(1)).into_iter().chain(users).chain(roles)
    }
}
