//! Who may do what: users, roles, permissions over ranges of keys.
//!
//! [`Auth`] is a part of the replicated state, as etcd keeps it; entries of the log change it.
//! [`authorise`] is the only decision there is: the edge asks it about reads, on the root it reads
//! from, and the store about every entry, on the state the entry is applied to. What is asked about
//! is a closed enum, so nothing can be served that nobody has thought about.
//!
//! Passwords come hashed and are compared by the shell. Tokens are the shell's soft state, as
//! etcd's simple tokens are; an applied entry says what becomes of them ([`TokenNews`]).

mod authorise;
mod cover;
mod error;
mod principal;
mod state;
mod tokens;

pub use authorise::{Access, authorise};
pub use cover::{Cover, Reach};
pub use error::AuthError;
pub use principal::Principal;
pub use state::Auth;
pub use tokens::TokenNews;

/// The user that must exist before auth can be enabled.
pub const ROOT_USER: &str = "root";
/// The role that may do everything; a user can have it without anybody having added it.
pub const ROOT_ROLE: &str = "root";
