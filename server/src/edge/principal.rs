//! Who sends a request, and whether he may.
//!
//! In etcd's order: the token in the metadata `token`, or in `authorization` as the JSON gateway
//! and others send it; without a token the common name of the client's certificate, where those
//! are verified. A request from the gateway carries the gateway's own certificate, so that one
//! counts for nothing (CVE-2018-16886). What is there says nothing while auth is disabled.
//!
//! Whom a token stands for is looked up each time it matters, after any wait: an answer is given
//! for who somebody is now, in the state the answer is made from. A token may have been given out by
//! a member that is ahead of this one, which then catches up before it decides; what it decides
//! from then is the newer state.

use std::sync::Arc;

use http::HeaderMap;
use kvorum_core::auth::{Access, AuthError, Principal, authorise};
use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::InternalRaftRequest;
use tonic::{Extensions, Request, Status};

use super::status::{of_auth, of_request};
use crate::auth::Secret;
use crate::runtime::Handle;
use crate::stage::Outcome;
use crate::tls::CommonName;

/// Who sends a request, as far as the request says.
#[derive(Clone)]
pub(super) struct Caller {
    handle: Handle,
    proof: Proof,
}

#[derive(Clone)]
enum Proof {
    Nothing,
    Token(Secret),
    Certificate(String),
}

impl Caller {
    pub(super) fn of<T>(handle: &Handle, request: &Request<T>) -> Caller {
        Caller::from_parts(handle, request.metadata().as_ref(), request.extensions())
    }

    /// Takes a request apart into who asks and what.
    pub(super) fn split<T>(handle: &Handle, request: Request<T>) -> (Caller, T) {
        (Caller::of(handle, &request), request.into_inner())
    }

    pub(super) fn from_parts(
        handle: &Handle,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Caller {
        Caller { handle: handle.clone(), proof: Proof::of(headers, extensions) }
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Whether it says who it is by a token, which somebody got for a password.
    pub(super) fn has_token(&self) -> bool {
        matches!(self.proof, Proof::Token(_))
    }

    /// Who it is in the state of `root`, which is a newer one if this member had to catch up.
    pub(super) async fn principal(&self, root: &mut Arc<Root>) -> Result<Principal, Status> {
        let revision = root.auth().revision();
        match &self.proof {
            _ if !root.auth().is_enabled() => Ok(Principal::Anonymous),
            Proof::Nothing => Ok(Principal::Anonymous),
            Proof::Certificate(name) => {
                Ok(Principal::User { name: name.clone(), auth_revision: revision })
            }
            Proof::Token(bearer) => self.bearer(bearer.expose(), root).await,
        }
    }

    /// Whether it may do this in the state of `root`, as above; if so, as whom.
    pub(super) async fn authorise(
        &self,
        root: &mut Arc<Root>,
        access: Access<'_>,
    ) -> Result<Principal, Status> {
        let principal = self.principal(root).await?;
        authorise(root, &principal, access).map_err(of_auth)?;
        Ok(principal)
    }

    /// Whether it may still do what it might at `mark`: users and roles may have changed while the
    /// answer was looked for, or waited for its turn.
    pub(super) async fn still_may(&self, mark: AuthMark, access: Access<'_>) -> Result<(), Status> {
        let mut root = self.handle.root();
        if mark == self::mark(&root) {
            return Ok(());
        }
        self.authorise(&mut root, access).await.map(|_| ())
    }

    /// Takes a request through the log. Whether the caller may is decided where it is applied.
    pub(super) async fn write(&self, request: InternalRaftRequest) -> Result<Outcome, Status> {
        let principal = self.principal(&mut self.handle.root()).await?;
        self.handle.write(request, &principal).await.map_err(of_request)
    }

    async fn bearer(&self, bearer: &str, root: &mut Arc<Root>) -> Result<Principal, Status> {
        let tokens = &self.handle.tokens;
        let mut known = tokens.identify(bearer, root.auth().revision());
        let is_ahead = match &known {
            Some(known) => known.auth_revision > root.auth().revision(),
            None => tokens.known_from(bearer).is_some_and(|index| index > root.index()),
        };
        if is_ahead {
            self.handle.read_barrier().await.map_err(of_request)?;
            *root = self.handle.root();
            if !root.auth().is_enabled() {
                return Ok(Principal::Anonymous);
            }
            known = tokens.identify(bearer, root.auth().revision());
        }
        // One that speaks of what has not been is from a history that was given up for a backup.
        let known = known.filter(|known| known.auth_revision <= root.auth().revision());
        let known = known.ok_or(AuthError::InvalidToken).map_err(of_auth)?;
        Ok(Principal::User { name: known.user, auth_revision: known.auth_revision })
    }
}

/// Whether auth is enabled, and its revision: what was decided holds until this is another.
pub(super) type AuthMark = (bool, u64);

pub(super) fn mark(root: &Root) -> AuthMark {
    (root.auth().is_enabled(), root.auth().revision())
}

impl Proof {
    fn of(headers: &HeaderMap, extensions: &Extensions) -> Proof {
        if let Some(token) = headers.get("token").or_else(|| headers.get("authorization")) {
            // What is no text is no token either, and still not nothing.
            let token = token.to_str().unwrap_or_default();
            return Proof::Token(Secret::new(token.strip_prefix("Bearer ").unwrap_or(token)));
        }
        let from_gateway = headers.contains_key("grpcgateway-accept");
        match extensions.get::<CommonName>() {
            // As in etcd, who has no name is a user whom nobody knows, and not nobody.
            Some(CommonName(name)) if !from_gateway => Proof::Certificate(name.clone()),
            Some(_) | None => Proof::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(headers: &[(&'static str, &'static str)], common_name: Option<&str>) -> String {
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        });
        let mut extensions = Extensions::new();
        if let Some(name) = common_name {
            extensions.insert(CommonName(name.to_owned()));
        }
        match Proof::of(&headers.collect(), &extensions) {
            Proof::Nothing => "nothing".into(),
            Proof::Token(token) => format!("token {}", token.expose()),
            Proof::Certificate(name) => format!("certificate {name}"),
        }
    }

    #[test]
    fn a_token_comes_before_a_certificate_and_a_gateways_certificate_is_nobodys() {
        assert_eq!(proof(&[], None), "nothing");
        assert_eq!(proof(&[("token", "a.1")], Some("alice")), "token a.1");
        assert_eq!(proof(&[("authorization", "Bearer b.2"), ("token", "a.1")], None), "token a.1");
        assert_eq!(proof(&[("authorization", "Bearer b.2")], None), "token b.2");
        assert_eq!(proof(&[("authorization", "b.2")], None), "token b.2");
        assert_eq!(proof(&[], Some("alice")), "certificate alice");
        assert_eq!(proof(&[], Some("")), "certificate ");
        assert_eq!(proof(&[("grpcgateway-accept", "*/*")], Some("alice")), "nothing");
        assert_eq!(proof(&[("token", "")], Some("alice")), "token ");
    }
}
