//! Text that must not be shown.

use std::fmt;

/// A password or a bearer token. It has no `Display`, its `Debug` is blank, and it cannot be
/// compared by `==`, which would tell by its time how much was right.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for a hash or for the client it belongs to.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
