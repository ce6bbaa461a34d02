//! The two kinds of tokens behind one face, chosen by `--auth-token`.

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use super::Secret;
use super::jwt::Jwt;
use super::simple::{self, SimpleTokens};

/// What the command line says of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenConfig<'a> {
    /// `simple`, or `jwt,sign-method=…,pub-key=…,priv-key=…,ttl=…`, or empty for no tokens.
    pub(crate) auth_token: &'a str,
    /// How long a simple token lives after its last use.
    pub(crate) simple_ttl: Duration,
}

/// Why there can be no tokens; the texts begin with etcd's.
#[derive(Debug, Error)]
pub(crate) enum TokenConfigError {
    #[error("auth: invalid auth options: {0}")]
    InvalidOptions(String),
    #[error("auth: invalid auth options: cannot read {path}: {cause}")]
    Unreadable { path: String, cause: io::Error },
    #[error("auth: missing key data: {0}")]
    MissingKey(&'static str),
    #[error("auth: public and private keys don't match")]
    KeyMismatch,
    #[error("auth: invalid auth options: {path}: {reason}")]
    BadKey { path: String, reason: String },
}

/// Why a token was not issued.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum TokenError {
    #[error("auth: token signing attempted with verify-only key")]
    VerifyOnly,
    /// `--auth-token` is empty.
    #[error("auth: authentication failed, invalid user ID or password")]
    NoTokens,
    #[error("kvorum: the system gives no random numbers")]
    Random,
    #[error("kvorum: the token cannot be signed")]
    Signing,
}

/// A token for a client.
#[derive(Debug)]
pub(crate) struct Issued {
    /// What the client sends with its requests.
    pub(crate) bearer: Secret,
    /// What the log says of it, so that every member knows it; empty for what is signed.
    pub(crate) digest: String,
}

impl Issued {
    /// The token as the client should get it: with the index of the entry that carries its
    /// digest, so that a member which is behind knows how far. A signed token stays as it is.
    pub(crate) fn at_index(&self, index: u64) -> Secret {
        match simple::parts(self.bearer.expose()) {
            Some((letters, _)) => Secret::new(format!("{letters}.{index}")),
            None => self.bearer.clone(),
        }
    }
}

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identified {
    pub(crate) user: String,
    /// The revision of users and roles the token speaks of: a signed one that of its making, a
    /// simple one always the current, as in etcd.
    pub(crate) auth_revision: u64,
}

/// Makes tokens and recognises them.
pub(crate) enum Tokens {
    /// Nobody gets a token: users are known by their certificates alone.
    Disabled,
    Simple(SimpleTokens),
    Jwt(Box<Jwt>),
}

impl Tokens {
    /// Reads the keys that the configuration names.
    pub(crate) fn new(config: &TokenConfig<'_>) -> Result<Tokens, TokenConfigError> {
        let (kind, options) = config
            .auth_token
            .split_once(',')
            .map_or((config.auth_token, None), |(kind, options)| (kind, Some(options)));
        let options = options_of(options)?;
        match kind {
            "simple" => Ok(Tokens::Simple(SimpleTokens::new(config.simple_ttl))),
            "jwt" => Ok(Tokens::Jwt(Box::new(Jwt::new(&options)?))),
            "" => Ok(Tokens::Disabled),
            _ => Err(TokenConfigError::InvalidOptions(format!(
                "unknown token type {kind:?}; it is simple or jwt"
            ))),
        }
    }

    pub(crate) fn issue(&self, user: &str, auth_revision: u64) -> Result<Issued, TokenError> {
        match self {
            Tokens::Disabled => Err(TokenError::NoTokens),
            Tokens::Simple(tokens) => tokens.issue(),
            Tokens::Jwt(jwt) => {
                let bearer = jwt.issue(user, auth_revision, unix_time_s())?;
                Ok(Issued { bearer, digest: String::new() })
            }
        }
    }

    /// Takes note of a token that the log speaks of.
    pub(crate) fn remember(&self, digest: &str, user: &str) {
        if let Tokens::Simple(tokens) = self {
            tokens.remember(digest, user, Instant::now());
        }
    }

    /// Whose token this is, if it is one and still good.
    pub(crate) fn identify(&self, bearer: &str, current_auth_revision: u64) -> Option<Identified> {
        match self {
            Tokens::Disabled => None,
            Tokens::Simple(tokens) => {
                let user = tokens.identify(bearer, Instant::now())?;
                Some(Identified { user, auth_revision: current_auth_revision })
            }
            Tokens::Jwt(jwt) => jwt.identify(bearer, unix_time_s()),
        }
    }

    /// The index a member must have applied to know this token; none for what is signed, or is
    /// no token. The client says it, so it may be anything: wait for it no longer than for a
    /// read that is sure to be current.
    pub(crate) fn known_from(&self, bearer: &str) -> Option<u64> {
        match self {
            Tokens::Simple(_) => simple::parts(bearer).map(|(_, index)| index),
            Tokens::Disabled | Tokens::Jwt(_) => None,
        }
    }

    /// Ends all tokens of a user, after a new password or the user's removal. What is signed
    /// ends by the auth revision in it.
    pub(crate) fn void_user(&self, user: &str) {
        if let Tokens::Simple(tokens) = self {
            tokens.void_user(user);
        }
    }

    /// Ends all tokens, when authentication is turned off.
    pub(crate) fn clear(&self) {
        if let Tokens::Simple(tokens) = self {
            tokens.clear();
        }
    }
}

/// `name=value`, each name once, no value with another `=`: etcd's syntax.
fn options_of(options: Option<&str>) -> Result<Vec<(&str, &str)>, TokenConfigError> {
    let invalid = |option: &str| {
        TokenConfigError::InvalidOptions(format!("{option:?} is not name=value, given once"))
    };
    let mut read: Vec<(&str, &str)> = Vec::new();
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        let (name, value) = option.split_once('=').ok_or_else(|| invalid(option))?;
        if value.contains('=') || read.iter().any(|(known, _)| *known == name) {
            return Err(invalid(option));
        }
        read.push((name, value));
    }
    Ok(read)
}

fn unix_time_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(auth_token: &str) -> Result<Tokens, String> {
        Tokens::new(&TokenConfig { auth_token, simple_ttl: Duration::from_secs(300) })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn simple_tokens_speak_of_the_current_auth_revision() {
        let tokens = tokens("simple").unwrap();
        let issued = tokens.issue("alice", 7).unwrap();
        tokens.remember(&issued.digest, "alice");
        let bearer = issued.at_index(42);
        assert_eq!(tokens.known_from(bearer.expose()), Some(42));
        assert_eq!(
            tokens.identify(bearer.expose(), 9),
            Some(Identified { user: "alice".to_owned(), auth_revision: 9 })
        );
        tokens.void_user("alice");
        assert_eq!(tokens.identify(bearer.expose(), 9), None);
    }

    #[test]
    fn without_a_kind_nobody_gets_a_token() {
        let tokens = tokens("").unwrap();
        assert_eq!(tokens.issue("alice", 1).unwrap_err(), TokenError::NoTokens);
        assert_eq!(tokens.identify("a.1", 1), None);
    }

    #[test]
    fn options_that_are_none_are_refused_in_etcds_words() {
        for bad in [
            "paseto",
            "Simple",
            "simple,",
            "simple,x",
            "simple,a=b=c",
            "simple,a=1,a=2",
            "jwt",
            "jwt,sign-method=none",
            "jwt,sign-method=XX256",
            "jwt,sign-method=HS256,ttl=soon",
        ] {
            let error = tokens(bad).err().unwrap_or_else(|| panic!("{bad} is accepted"));
            assert!(error.starts_with("auth: invalid auth options"), "{bad}: {error}");
        }
        let error = tokens("jwt,sign-method=HS256").err().expect("there is no key");
        assert!(error.starts_with("auth: missing key data"), "{error}");
        let error = tokens("jwt,sign-method=RS256,pub-key=no/such/file").err().expect("no file");
        assert!(error.contains("cannot read no/such/file"), "{error}");
    }
}
