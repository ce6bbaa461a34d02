//! The first two lines: which cluster this is, how it is, and what to type.

use unicode_width::UnicodeWidthChar as _;

use kvorum_client::{Connection, Failure};

use crate::output::escape_control;

/// The greeting, and the cluster's id.
pub async fn greeting(connection: &Connection) -> Result<(String, u64), Failure> {
    let members = connection.members().await?;
    let cluster_id = members.header.as_ref().map_or(0, |header| header.cluster_id);
    let status = connection.status(connection.current_endpoint()).await?;
    let named = |id: u64| {
        let member = members.members.iter().find(|member| member.id == id);
        member.map_or_else(|| format!("{id:x}"), |member| member.name.clone())
    };
    let count = match members.members.len() {
        1 => "1 member".to_owned(),
        n => format!("{n} members"),
    };
    let health = match (status.leader, status.errors.as_slice()) {
        (0, _) => format!("has no leader: {count}"),
        (leader, []) => format!("is healthy: {count}, leader {}", named(leader)),
        (leader, errors) => {
            format!("complains: {}; {count}, leader {}", errors.join(", "), named(leader))
        }
    };
    let first = format!("kvorum {}, cluster {cluster_id:x} {health}", env!("CARGO_PKG_VERSION"));
    let second = "ls, get, put, watch, ui, help; Tab completes, Ctrl-D leaves";
    // A member's name is somebody else's text.
    let first = escape_control(first.as_bytes());
    Ok((format!("{}\n{second}", cut(&String::from_utf8_lossy(&first))), cluster_id))
}

/// As much of a line as fits on the narrowest usual terminal.
fn cut(line: &str) -> String {
    const COLUMNS: usize = 80;
    let mut columns = 0;
    let fits = |c: &char| {
        columns += c.width().unwrap_or_default();
        columns < COLUMNS
    };
    let mut kept: String = line.chars().take_while(fits).collect();
    if kept.len() < line.len() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_line_too_long_for_the_terminal_is_cut() {
        assert_eq!(cut("healthy"), "healthy");
        assert_eq!(cut(&"x".repeat(79)), "x".repeat(79));
        assert_eq!(cut(&"x".repeat(90)), "x".repeat(79) + "…");
        assert_eq!(cut(&"長".repeat(50)), "長".repeat(39) + "…");
    }
}
