//! Who somebody was found to be, for as long as what was asked for then goes on.
//!
//! What goes on belongs to a user, not to a token: a token that is too old to be used for
//! something new ends nothing. Its user's end does, another password if it was one that proved who
//! it is, and the end of auth itself, for then who asked is not known any more when it begins again.

use bytes::Bytes;
use kvorum_core::auth::{Access, AuthError, Principal, authorise};
use kvorum_core::store::Root;
use tonic::Status;

use super::principal::Caller;
use super::status::{of_auth, of_request};
use crate::runtime::RequestError;

/// A user, and the hash of the password by which it was one; none if it was by a certificate.
pub(super) struct Standing {
    user: String,
    password: Option<Bytes>,
}

impl Standing {
    /// None for who is no user.
    pub(super) fn of(caller: &Caller, principal: &Principal, root: &Root) -> Option<Standing> {
        let user = principal.user()?.to_owned();
        let password = &root.auth().user(&user).ok()?.password;
        let password = caller.has_token().then(|| password.clone());
        Some(Standing { user, password })
    }

    /// The user, by today's auth revision, if it is still the same one.
    pub(super) fn principal(&self, root: &Root) -> Result<Principal, AuthError> {
        let auth = root.auth();
        let user = auth.user(&self.user).map_err(|_| AuthError::PermissionDenied)?;
        if self.password.as_ref().is_some_and(|password| *password != user.password) {
            // Its tokens ended with the old one.
            return Err(AuthError::InvalidToken);
        }
        Ok(Principal::User { name: self.user.clone(), auth_revision: auth.revision() })
    }
}

/// Waits for `work`, at most until the caller may not do this any more. It is looked at whenever
/// users or roles have changed.
pub(super) async fn while_allowed<T>(
    caller: &Caller,
    access: Access<'_>,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    tokio::select! {
        done = work => done,
        refused = until_refused(caller, access) => Err(refused),
    }
}

async fn until_refused(caller: &Caller, access: Access<'_>) -> Status {
    let handle = caller.handle();
    // From before the first look, so that no change falls between two.
    let mut news = handle.auth_news.subscribe();
    let mut standing: Option<Standing> = None;
    loop {
        let mut root = handle.root();
        let found = match &standing {
            Some(standing) if root.auth().is_enabled() => {
                standing.principal(&root).map_err(of_auth)
            }
            Some(_) | None => caller.principal(&mut root).await,
        };
        let allowed = found.and_then(|principal| {
            authorise(&root, &principal, access).map_err(of_auth)?;
            Ok(principal)
        });
        match allowed {
            Ok(principal) => standing = Standing::of(caller, &principal, &root),
            Err(status) => return status,
        }
        drop(root);
        if news.changed().await.is_err() {
            return of_request(RequestError::Stopped);
        }
    }
}
