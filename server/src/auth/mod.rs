//! Who somebody is: passwords, and the tokens that stand for them.
//!
//! What a user may do is decided elsewhere, from replicated state. Here is what stays in one
//! member: hashing, which is slow on purpose, and the tokens, which are either remembered by
//! digest (`simple`) or signed (`jwt`). Invariants:
//! - A password or a bearer token is a [`Secret`]: it can be read, and neither printed nor logged.
//! - What enters the log is a password's hash and a token's digest, never the one or the other.
//! - No gRPC here, and no lock is held while a password is hashed.

mod jwt;
mod password;
mod secret;
mod simple;
mod tokens;
mod turns;

pub(crate) use password::{PasswordError, Passwords};
pub(crate) use secret::Secret;
pub(crate) use tokens::{Issued, TokenConfig, TokenError, Tokens};
pub(crate) use turns::Origin;
