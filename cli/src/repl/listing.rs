//! `ls`: the keys and branches right below a prefix.

use kvorum_client::explore::{LevelRequest, level};
use kvorum_client::{Connection, Failure};

use super::cache::SEPARATOR;
use crate::output::escape_control;

/// Lines shown; more is for `get --prefix --keys-only`, into a pager.
const LINES_MAX: usize = 1000;

/// The lines of `ls prefix`.
pub(super) async fn list(connection: &Connection, prefix: &[u8]) -> Result<String, Failure> {
    let request = LevelRequest { limit: LINES_MAX, ..LevelRequest::new(prefix, SEPARATOR) };
    let level = level(connection, request).await?;
    let mut out = String::new();
    for child in &level.children {
        out.push_str(&String::from_utf8_lossy(&escape_control(child.path())));
        out.push('\n');
    }
    if level.next.is_some() {
        out.push_str("… and more\n");
    }
    Ok(out)
}
