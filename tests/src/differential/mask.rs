//! What two servers cannot agree on: ids, addresses, terms, tokens, times. Nothing else is hidden
//! of an answer; what of a watch is, and of a snapshot, says who compares them.

use serde_json::Value;

/// Who a server is. Its ids are replaced by names wherever they stand, so a wrong id shows.
#[derive(Clone, Debug)]
pub struct Identity {
    pub cluster_id: String,
    pub member_id: String,
    pub client_url: String,
    pub peer_url: String,
}

/// Replaces in `answer`, which is to a request to `subject`:
///
/// - cluster and member ids, and the member's addresses, wherever they stand;
/// - raft's term;
/// - tokens;
/// - the order of a lease's keys, which is that of a Go map, and the order of leases, which is
///   that of the times at which they end.
pub fn mask(subject: &str, identity: &Identity, answer: &mut Value) {
    match answer {
        Value::String(text) => {
            for (own, name) in [
                (&identity.cluster_id, "<cluster>"),
                (&identity.member_id, "<member>"),
                (&identity.client_url, "<client url>"),
                (&identity.peer_url, "<peer url>"),
            ] {
                if text == own {
                    name.clone_into(text);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| mask(subject, identity, item)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "raft_term" | "raftTerm" => *value = "<term>".into(),
                    "token" => *value = "<token>".into(),
                    "leases" if is_of(subject, &LEASES) => sort(value),
                    "keys" if is_of(subject, &TIME_TO_LIVE) => sort(value),
                    _ => mask(subject, identity, value),
                }
            }
        }
        _ => {}
    }
}

/// Whether `field` is a time that has run on between the two answers, by a few seconds at most.
pub fn is_time_left(subject: &str, field: &str) -> bool {
    (is_of(subject, &TIME_TO_LIVE) && field == "body.TTL") || field == "body.left.body.TTL"
}

/// The names under which leases are listed, and one is looked at.
const LEASES: [&str; 2] = ["Lease/LeaseLeases", "/v3/kv/lease/leases"];
const TIME_TO_LIVE: [&str; 2] = ["Lease/LeaseTimeToLive", "/v3/kv/lease/timetolive"];

fn is_of(subject: &str, names: &[&str]) -> bool {
    names.iter().any(|name| subject.ends_with(name))
}

/// Replaces a lease's id, which a server chose, wherever it stands; in keys as hexadecimal.
pub fn mask_lease(id: i64, answer: &mut Value) {
    let decimal = id.to_string();
    let hex = format!("{id:x}");
    replace(&decimal, hex.as_bytes(), answer);
}

fn replace(decimal: &str, hex: &[u8], answer: &mut Value) {
    match answer {
        Value::String(text) if text == decimal => "<lease>".clone_into(text),
        Value::String(_) => {
            let Some(bytes) = super::contract::bytes_of(answer) else { return };
            if let Some(prefix) = bytes.strip_suffix(hex) {
                *answer = format!("{}<lease>", prefix.escape_ascii()).into();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| replace(decimal, hex, item)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(_, value)| replace(decimal, hex, value));
        }
        _ => {}
    }
}

fn sort(list: &mut Value) {
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity() -> Identity {
        Identity {
            cluster_id: "11".into(),
            member_id: "22".into(),
            client_url: "http://a".into(),
            peer_url: "http://b".into(),
        }
    }

    #[test]
    fn own_ids_have_names_and_others_show() {
        let mut answer = json!({"body": {"header": {
            "cluster_id": "11", "member_id": "23", "revision": "5", "raft_term": "2",
        }}});
        mask("KV/Put", &identity(), &mut answer);
        assert_eq!(
            answer,
            json!({"body": {"header": {
                "cluster_id": "<cluster>", "member_id": "23", "revision": "5", "raft_term": "<term>",
            }}})
        );
    }

    #[test]
    fn only_the_keys_of_a_lease_have_no_order() {
        let answer = json!({"body": {"keys": ["b", "a"], "kvs": ["b", "a"]}});
        let mut sorted = answer.clone();
        mask("Lease/LeaseTimeToLive", &identity(), &mut sorted);
        assert_eq!(sorted, json!({"body": {"keys": ["a", "b"], "kvs": ["b", "a"]}}));
        let mut same = answer.clone();
        mask("KV/Range", &identity(), &mut same);
        assert_eq!(same, answer);
    }
}
