//! Users, roles and whether they matter: the replicated state.

use std::sync::Arc;

use kvorum_proto::authpb::permission::Type;
use kvorum_proto::authpb::{Permission, Role, User};
use kvorum_proto::key_range::KeyRange;

use super::cover::Cover;
use super::{AuthError, ROOT_ROLE};
use crate::index::{Entry, Tree};

const FANOUT: usize = 16;

/// Users and roles at one point of the log. Cloning is O(1).
#[derive(Clone)]
pub struct Auth {
    enabled: bool,
    revision: u64,
    users: Tree<Account, FANOUT>,
    roles: Tree<Grant, FANOUT>,
}

/// A user as an entry of the tree of users.
#[derive(Clone)]
struct Account(Arc<User>);

/// A role as an entry of the tree of roles, with what its permissions amount to.
#[derive(Clone)]
struct Grant(Arc<Granted>);

pub(super) struct Granted {
    role: Role,
    pub(super) readable: Cover,
    pub(super) writable: Cover,
}

impl Auth {
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Counts the changes, from 1; enabling is none. A token that speaks of an older revision
    /// must be made anew.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// In the order of their names.
    pub fn users(&self) -> impl Iterator<Item = &User> + '_ {
        self.users.iter().map(|account| &*account.0)
    }

    /// In the order of their names.
    pub fn roles(&self) -> impl Iterator<Item = &Role> + '_ {
        self.roles.iter().map(|grant| &grant.0.role)
    }

    pub fn user(&self, name: &str) -> Result<&User, AuthError> {
        self.users.get(name.as_bytes()).map(|user| &*user.0).ok_or(AuthError::UserNotFound)
    }

    pub fn role(&self, name: &str) -> Result<&Role, AuthError> {
        self.roles.get(name.as_bytes()).map(|grant| &grant.0.role).ok_or(AuthError::RoleNotFound)
    }

    /// What every cluster begins with.
    pub(crate) fn initial() -> Self {
        Auth { enabled: false, revision: 1, users: Tree::default(), roles: Tree::default() }
    }

    /// Whether auth was never touched: what a store of a version that knew none looks like.
    pub(crate) fn is_initial(&self) -> bool {
        !self.enabled && self.revision == 1
    }

    pub(crate) fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    pub(crate) fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    /// Returns the user that was there before.
    pub(crate) fn put_user(&mut self, user: User) -> Option<Arc<User>> {
        let account = Account(Arc::new(user));
        let name = account.0.name.clone();
        self.users.upsert(&name, |_| account).map(|old| old.0)
    }

    pub(crate) fn remove_user(&mut self, name: &str) -> Option<Arc<User>> {
        self.users.remove(name.as_bytes()).map(|old| old.0)
    }

    /// Returns the role that was there before.
    pub(crate) fn put_role(&mut self, role: Role) -> Option<Role> {
        let grant = Grant(Arc::new(Granted::new(role)));
        let name = grant.0.role.name.clone();
        self.roles.upsert(&name, |_| grant).map(|old| old.0.role.clone())
    }

    pub(crate) fn remove_role(&mut self, name: &str) -> Option<Role> {
        self.roles.remove(name.as_bytes()).map(|old| old.0.role.clone())
    }

    /// What the roles of a user grant; roles that are gone grant nothing.
    pub(super) fn granted<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a Granted> + 'a {
        user.roles.iter().filter_map(|name| self.roles.get(name.as_bytes())).map(|grant| &*grant.0)
    }
}

pub(super) fn has_root_role(user: &User) -> bool {
    has_role(user, ROOT_ROLE)
}

/// Names of roles are sorted wherever they are written.
pub(super) fn has_role(user: &User, role: &str) -> bool {
    user.roles.iter().any(|name| name == role)
}

impl Granted {
    fn new(role: Role) -> Self {
        let of = |kinds: [Type; 2]| {
            let granting = role.key_permission.iter().filter(|permission| {
                // A kind from a newer version grants nothing here.
                Type::try_from(permission.perm_type).is_ok_and(|kind| kinds.contains(&kind))
            });
            granting.map(range).collect()
        };
        let readable = of([Type::Read, Type::Readwrite]);
        let writable = of([Type::Write, Type::Readwrite]);
        Granted { role, readable, writable }
    }
}

fn range(permission: &Permission) -> KeyRange {
    KeyRange::new(permission.key.clone(), permission.range_end.clone())
}

impl Entry for Account {
    fn key(&self) -> &[u8] {
        &self.0.name
    }
}

impl Entry for Grant {
    fn key(&self) -> &[u8] {
        &self.0.role.name
    }
}
