//! Auth itself: enabled, disabled, somebody authenticated. Users and roles are beside.

use kvorum_proto::authpb::{Role, User};
use kvorum_proto::etcdserverpb::{InternalAuthenticateRequest, InternalRaftRequest};

use crate::auth::{AuthError, Principal, ROOT_ROLE, ROOT_USER, TokenNews};
use crate::store::{Change, Reply, Root, Store, element, record};

/// What an entry that was applied makes of tokens.
pub(in crate::store) fn tokens(entry: &InternalRaftRequest) -> Option<TokenNews> {
    if let Some(authenticate) = &entry.authenticate {
        let InternalAuthenticateRequest { name, simple_token, .. } = authenticate;
        return Some(TokenNews::Issued { digest: simple_token.clone(), user: name.clone() });
    }
    if entry.auth_disable.is_some() {
        return Some(TokenNews::VoidAll);
    }
    let deleted = entry.auth_user_delete.as_ref().map(|request| &request.name);
    let changed = entry.auth_user_change_password.as_ref().map(|request| &request.name);
    deleted.or(changed).map(|user| TokenNews::Void { user: user.clone() })
}

/// One change of auth, at one revision of it.
pub(super) struct AuthWrite<'a> {
    pub(super) root: &'a mut Root,
    changes: &'a mut Vec<Change>,
}

impl Store {
    /// As in etcd, this is no change of its own: the revision stays.
    pub(super) fn enable_auth(&mut self, changes: &mut Vec<Change>) -> Result<Reply, AuthError> {
        let auth = &self.root.auth;
        if auth.is_enabled() {
            return Ok(Reply::Done);
        }
        let root_user = auth.user(ROOT_USER).map_err(|_| AuthError::RootUserMissing)?;
        if !root_user.roles.iter().any(|role| role == ROOT_ROLE) {
            return Err(AuthError::RootRoleMissing);
        }
        self.root.auth.set_enabled(true);
        changes.extend(record::auth(&self.root.auth));
        Ok(Reply::Done)
    }

    pub(super) fn disable_auth(&mut self, changes: &mut Vec<Change>) -> Reply {
        if self.root.auth.is_enabled() {
            self.root.auth.set_enabled(false);
            AuthWrite::new(&mut self.root, changes).finish();
        }
        Reply::Done
    }

    /// The edge has compared the password with what was there at the auth revision in the header.
    /// If anything has changed since, no token comes to life, and the edge looks again.
    pub(super) fn authenticate(
        &mut self,
        principal: &Principal,
        request: &InternalAuthenticateRequest,
    ) -> Result<Reply, AuthError> {
        let auth = &self.root.auth;
        if !auth.is_enabled() {
            return Err(AuthError::NotEnabled);
        }
        let user = auth.user(&request.name).map_err(|_| AuthError::Failed)?;
        if user.options.is_some_and(|options| options.no_password) {
            return Err(AuthError::Failed);
        }
        match principal {
            Principal::User { auth_revision, .. } if *auth_revision != auth.revision() => {
                Err(AuthError::OldRevision)
            }
            // An entry of etcd says nothing about the revision.
            Principal::User { .. } | Principal::Anonymous | Principal::Member => Ok(Reply::Done),
        }
    }
}

impl<'a> AuthWrite<'a> {
    pub(super) fn new(root: &'a mut Root, changes: &'a mut Vec<Change>) -> Self {
        AuthWrite { root, changes }
    }

    pub(super) fn put_user(&mut self, user: User) {
        self.changes.push(record::user(&user));
        self.root.sum += element::user(&user);
        if let Some(old) = self.root.auth.put_user(user) {
            self.root.sum -= element::user(&old);
        }
    }

    pub(super) fn remove_user(&mut self, name: &str) {
        if let Some(old) = self.root.auth.remove_user(name) {
            self.root.sum -= element::user(&old);
            self.changes.push(record::remove_user(&old.name));
        }
    }

    pub(super) fn put_role(&mut self, role: Role) {
        self.changes.push(record::role(&role));
        self.root.sum += element::role(&role);
        if let Some(old) = self.root.auth.put_role(role) {
            self.root.sum -= element::role(&old);
        }
    }

    pub(super) fn remove_role(&mut self, name: &str) {
        if let Some(old) = self.root.auth.remove_role(name) {
            self.root.sum -= element::role(&old);
            self.changes.push(record::remove_role(&old.name));
        }
    }

    /// The next auth revision.
    pub(super) fn finish(self) -> Reply {
        let auth = &mut self.root.auth;
        auth.set_revision(auth.revision() + 1);
        self.changes.extend(record::auth(auth));
        Reply::Done
    }
}
