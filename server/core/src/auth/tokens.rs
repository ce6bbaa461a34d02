//! What an applied entry makes of tokens.

/// What becomes of tokens through an entry. Every member's shell does it, in the order of the
/// log; which tokens there are is no part of the replicated state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenNews {
    /// The token with this digest stands for this user from now on.
    Issued { digest: String, user: String },
    /// No token stands for this user any more.
    Void { user: String },
    /// There is no token any more.
    VoidAll,
}
