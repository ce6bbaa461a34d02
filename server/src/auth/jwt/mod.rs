//! Signed tokens (JWT, RFC 7519) as etcd makes and takes them.
//!
//! A token says `username`, `revision` (of users and roles, when it was made) and `exp`. Nothing
//! is remembered: it is good while its signature is, it has not expired, and the auth revision in
//! it is the current one. Invariants:
//! - The algorithm is the configured one. What the token's header names is compared with it and
//!   never chosen by it, so neither `none` nor a public key taken for a secret gets anywhere.
//! - What the token says is read only after its signature is verified.
//! - With nothing but a public key, tokens are verified and not made: somebody else makes them.
//!
//! `ring` signs: its RSA takes the same time whatever the key (RUSTSEC-2023-0071 is the advisory
//! for the one that does not), and the TLS of this program has it already. It has no P-521, so
//! ES512 is refused by name.

mod key;
mod method;

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Secret;
use super::tokens::{Identified, TokenConfigError, TokenError};
use crate::config::parse_duration;
use key::{KeyError, KeyFiles, Keys};
use method::Method;

/// etcd's, when `ttl` is not given.
const DEFAULT_TTL: Duration = Duration::from_secs(5 * 60);

/// Makes and verifies tokens of one algorithm by one key.
pub(crate) struct Jwt {
    method: &'static Method,
    keys: Keys,
    ttl: Duration,
}

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
}

/// What a header must not have besides `alg` is a demand we would not understand (RFC 7515, 4.1.11).
#[derive(Deserialize)]
struct GivenHeader {
    alg: String,
    crit: Option<Value>,
}

/// In the order in which etcd writes them.
#[derive(Serialize)]
struct Claims<'a> {
    exp: u64,
    revision: u64,
    username: &'a str,
}

/// Numbers may have a fraction, as they may in etcd and in RFC 7519. A token without `exp` does
/// not expire, there as here: whoever makes tokens elsewhere decides. One that has it has a number
/// there, and no null.
#[derive(Deserialize)]
struct GivenClaims {
    #[serde(default, deserialize_with = "number")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "number")]
    nbf: Option<f64>,
    revision: f64,
    username: String,
}

impl Jwt {
    /// Reads the keys that the options name.
    pub(super) fn new(options: &[(&str, &str)]) -> Result<Jwt, TokenConfigError> {
        let option =
            |name: &str| options.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let given = |name: &str| option(name).filter(|value| !value.is_empty());
        for (name, _) in options {
            if !["sign-method", "pub-key", "priv-key", "ttl"].contains(name) {
                tracing::warn!(option = name, "unknown JWT option");
            }
        }
        let ttl = given("ttl").map_or(Ok(DEFAULT_TTL), |text| {
            parse_duration(text).ok_or_else(|| {
                TokenConfigError::InvalidOptions(format!("ttl={text} is no duration such as 10m"))
            })
        })?;
        let public = read(given("pub-key"))?;
        let private = read(given("priv-key"))?;
        let method = Method::find(option("sign-method").unwrap_or_default())?;
        let files = KeyFiles { public: public.as_deref(), private: private.as_deref() };
        let keys = Keys::read(method, &files).map_err(|error| match error {
            KeyError::Missing(what) => TokenConfigError::MissingKey(what),
            KeyError::Mismatch => TokenConfigError::KeyMismatch,
            KeyError::Public(reason) => bad_key(given("pub-key"), reason),
            KeyError::Private(reason) => bad_key(given("priv-key"), reason),
        })?;
        Ok(Jwt { method, keys, ttl })
    }

    pub(super) fn issue(
        &self,
        user: &str,
        auth_revision: u64,
        now_unix_s: u64,
    ) -> Result<Secret, TokenError> {
        let claims = Claims {
            exp: now_unix_s.saturating_add(self.ttl.as_secs()),
            revision: auth_revision,
            username: user,
        };
        let header = encoded(&Header { alg: self.method.name, typ: "JWT" })?;
        let mut token = format!("{header}.{}", encoded(&claims)?);
        let signature = self.keys.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(Secret::new(token))
    }

    pub(super) fn identify(&self, bearer: &str, now_unix_s: u64) -> Option<Identified> {
        match self.verify(bearer, now_unix_s) {
            Ok(identified) => Some(identified),
            Err(reason) => {
                tracing::debug!(reason, "a JWT was refused");
                None
            }
        }
    }

    fn verify(&self, bearer: &str, now_unix_s: u64) -> Result<Identified, &'static str> {
        let (signed, signature) = bearer.rsplit_once('.').ok_or("it has no signature")?;
        let (header, claims) = signed.split_once('.').ok_or("it has no claims")?;
        let header: GivenHeader = decoded(header).ok_or("its header is not readable")?;
        if header.alg != self.method.name {
            return Err("it is signed by another algorithm");
        }
        if header.crit.is_some() {
            return Err("its header demands what is not known here");
        }
        let signature =
            URL_SAFE_NO_PAD.decode(signature).map_err(|_| "its signature is not readable")?;
        if !self.keys.verify(signed.as_bytes(), &signature) {
            return Err("its signature is wrong");
        }
        let claims: GivenClaims = decoded(claims).ok_or("its claims are not readable")?;
        let now = now_unix_s as f64;
        if claims.exp.is_some_and(|exp| now >= exp) {
            return Err("it has expired");
        }
        if claims.nbf.is_some_and(|nbf| now < nbf) {
            return Err("it is not valid yet");
        }
        // As a whole number; what is negative or none is never the current revision.
        let auth_revision = claims.revision as u64;
        Ok(Identified { user: claims.username, auth_revision })
    }
}

fn number<'a, D: Deserializer<'a>>(claim: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(claim).map(Some)
}

fn read(path: Option<&str>) -> Result<Option<Vec<u8>>, TokenConfigError> {
    path.map(|path| {
        fs::read(path)
            .map_err(|cause| TokenConfigError::Unreadable { path: path.to_owned(), cause })
    })
    .transpose()
}

fn bad_key(path: Option<&str>, reason: String) -> TokenConfigError {
    TokenConfigError::BadKey { path: path.unwrap_or_default().to_owned(), reason }
}

fn encoded<T: Serialize>(part: &T) -> Result<String, TokenError> {
    let json = serde_json::to_vec(part).map_err(|_| TokenError::Signing)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

fn decoded<T: for<'a> Deserialize<'a>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests;
