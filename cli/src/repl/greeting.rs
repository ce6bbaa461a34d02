//! The first two lines: which cluster this is, how it is, and what to type.

use kvorum_client::{Connection, Failure};

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
        (0, _) => "no leader".to_owned(),
        (leader, []) => format!("leader {}", named(leader)),
        (leader, errors) => format!("leader {}, {}", named(leader), errors.join(", ")),
    };
    let version = env!("CARGO_PKG_VERSION");
    let first = format!(
        "kvorum {version}, cluster {cluster_id:x} at {}: {count}, {health}",
        connection.current_endpoint()
    );
    let second = "ls, get, put, watch, ui, help; Tab completes, Ctrl-D leaves";
    Ok((format!("{first}\n{second}"), cluster_id))
}
