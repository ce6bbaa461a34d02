//! The columns of `-o table`, also for answers that etcdctl has no table for.

use kvorum_client::pb;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::tree;
use crate::output::{
    Answer, SYNTHETIC, Value, alarm_type, escape_control, event_type, file_hash_columns,
    hash_columns, health_columns, member_columns, snapshot_columns, status_columns,
};

type Columns = (Vec<&'static str>, Vec<Vec<String>>);

const KV_COLUMNS: [&str; 6] = ["key", "value", "create rev", "mod rev", "version", "lease"];

/// A cell of a table with boxes is cut after so many columns; `show` has the whole value.
const MAX_CELL_COLUMNS: usize = 60;

/// Names of columns, and rows; `whole` leaves cells uncut.
pub(super) fn of(answer: Answer<'_>, whole: bool) -> Columns {
    let (header, rows) = match answer {
        Answer::Members(members) => member_columns(members),
        Answer::Health(rows) => health_columns(rows),
        Answer::Status(rows) => status_columns(rows),
        Answer::Snapshot(status) => snapshot_columns(status),
        Answer::Hashes(rows) => hash_columns(rows),
        Answer::FileHash(hash) => file_hash_columns(hash),
        Answer::Leases(list) => {
            let ids = list.leases.iter().map(|lease| vec![format!("{:016x}", lease.id)]);
            (vec!["lease"], ids.collect())
        }
        Answer::Alarms(answer) => {
            let alarms = answer.alarms.iter();
            let row = |alarm: &pb::AlarmMember| {
                vec![format!("{:x}", alarm.member_id), alarm_type(alarm.alarm)]
            };
            (vec!["member", "alarm"], alarms.map(row).collect())
        }
        Answer::Users(list) => (vec!["user"], names(&list.users)),
        Answer::Roles(list) => (vec!["role"], names(&list.roles)),
        Answer::Get(get) => kvs(&get.kvs),
        Answer::Put(pb::PutResponse { prev_kv: Some(kv), .. }) => kvs(std::slice::from_ref(kv)),
        Answer::Delete(delete) if !delete.prev_kvs.is_empty() => kvs(&delete.prev_kvs),
        Answer::Watch(watch) => events(watch, ""),
        Answer::Difference(watch) => events(watch, &format!("{SYNTHETIC} ")),
        other => fields(tree::tree(other)),
    };
    if whole {
        return (header, rows);
    }
    let rows = rows.into_iter().map(|row| row.into_iter().map(cut).collect());
    (header, rows.collect())
}

fn names(names: &[String]) -> Vec<Vec<String>> {
    names.iter().map(|name| vec![name.clone()]).collect()
}

fn kvs(kvs: &[pb::KeyValue]) -> Columns {
    (KV_COLUMNS.to_vec(), kvs.iter().map(kv).collect())
}

fn kv(kv: &pb::KeyValue) -> Vec<String> {
    vec![
        text(&kv.key),
        text(&kv.value),
        kv.create_revision.to_string(),
        kv.mod_revision.to_string(),
        kv.version.to_string(),
        if kv.lease == 0 { String::new() } else { format!("{:016x}", kv.lease) },
    ]
}

fn events(watch: &pb::WatchResponse, mark: &str) -> Columns {
    let rows = watch.events.iter().map(|event| {
        let kv = event.kv.as_ref().map(kv).unwrap_or_default();
        [vec![format!("{mark}{}", event_type(event))], kv].concat()
    });
    ([&["event"], &KV_COLUMNS[..]].concat(), rows.collect())
}

/// An answer that is one thing: its fields under each other.
fn fields(tree: Value) -> Columns {
    let Value::Map(fields) = tree else { return (Vec::new(), Vec::new()) };
    let rows = fields.into_iter().filter(|(name, _)| *name != "header").map(|(name, value)| {
        let value = match value {
            Value::Text(text) => text,
            other => serde_json::to_string(&other).unwrap_or_default(),
        };
        vec![name, value]
    });
    (vec!["field", "value"], rows.collect())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&escape_control(bytes)).into_owned()
}

fn cut(text: String) -> String {
    if text.width() <= MAX_CELL_COLUMNS {
        return text;
    }
    let mut used = 0;
    let fits = |letter: &char| {
        used += letter.width().unwrap_or_default();
        used < MAX_CELL_COLUMNS
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_cell_is_cut_where_it_is_long() {
        assert_eq!(cut("x".repeat(100)), format!("{}…", "x".repeat(59)));
        assert_eq!(cut("日".repeat(31)), format!("{}…", "日".repeat(29)));
    }
}
