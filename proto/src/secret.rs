//! Messages that hold a password, its hash or a token, shown without it: whatever prints a
//! message, or a log entry with one in it, tells no secret.

use std::fmt::{Debug, Formatter, Result};

use crate::authpb::User;
use crate::etcdserverpb::{
    AuthUserAddRequest, AuthUserChangePasswordRequest, AuthenticateRequest, AuthenticateResponse,
    InternalAuthenticateRequest,
};

impl Debug for User {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("User");
        shown.field("name", &self.name).field("roles", &self.roles);
        shown.field("options", &self.options).finish_non_exhaustive()
    }
}

impl Debug for AuthenticateRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("AuthenticateRequest").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Debug for AuthenticateResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("AuthenticateResponse");
        shown.field("header", &self.header).finish_non_exhaustive()
    }
}

impl Debug for AuthUserAddRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("AuthUserAddRequest");
        shown.field("name", &self.name).field("options", &self.options).finish_non_exhaustive()
    }
}

impl Debug for AuthUserChangePasswordRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("AuthUserChangePasswordRequest");
        shown.field("name", &self.name).finish_non_exhaustive()
    }
}

impl Debug for InternalAuthenticateRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("InternalAuthenticateRequest");
        shown.field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcdserverpb::InternalRaftRequest;

    #[test]
    fn a_log_entry_shows_no_secret() {
        let canary = || "canary".to_owned();
        let entry = InternalRaftRequest {
            authenticate: Some(InternalAuthenticateRequest {
                name: "alice".into(),
                password: canary(),
                simple_token: canary(),
            }),
            auth_user_add: Some(AuthUserAddRequest {
                password: canary(),
                hashed_password: canary(),
                ..AuthUserAddRequest::default()
            }),
            auth_user_change_password: Some(AuthUserChangePasswordRequest {
                password: canary(),
                hashed_password: canary(),
                ..AuthUserChangePasswordRequest::default()
            }),
            ..InternalRaftRequest::default()
        };
        let asked = AuthenticateRequest { name: "alice".into(), password: canary() };
        let answered = AuthenticateResponse { header: None, token: canary() };
        let user = User { password: canary().into(), ..User::default() };
        let shown = format!("{entry:?} {asked:?} {answered:?} {user:?}");
        assert!(shown.contains("alice") && !shown.contains("canary"), "{shown}");
    }
}
