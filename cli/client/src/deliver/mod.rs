//! Configuration that lies in a cluster, in the forms that programs read: variables of a process, and
//! files made from a template.

mod replace;
mod template;
mod variables;

pub use replace::{Draft, ReplaceError, has_content, is_replaceable};
pub use template::{BadTemplate, Keys, MOST_RANGES, Rendered, Template, Used};
pub use variables::{BadVariables, variables};

/// A key in a message.
fn quoted(key: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(key))
}
