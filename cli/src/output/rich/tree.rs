//! Every answer as one tree: what `-o json`, `yaml`, `ndjson` and `jsonpath` show.
//!
//! Names are those of etcd's messages where it has one. Identities are hexadecimal strings as in
//! `simple`, because 64 bits do not fit into the numbers of most readers of JSON; revisions, counts
//! and sizes are numbers. What is not set is left out.

use kvorum_client::follow::{Deletions, Gap};
use kvorum_client::pb;

use super::cluster;
use crate::output::{Answer, HealthRow, SnapshotStatus, StatusRow, Value, event_type};

/// The whole answer.
pub(super) fn tree(answer: Answer<'_>) -> Value {
    match answer {
        Answer::Put(answer) => headed(answer.header.as_ref(), put(answer)),
        Answer::Get(answer) => headed(answer.header.as_ref(), get(answer)),
        Answer::Delete(answer) => headed(answer.header.as_ref(), delete(answer)),
        Answer::Txn(answer) => headed(answer.header.as_ref(), txn(answer)),
        Answer::Watch(answer) => headed(answer.header.as_ref(), watch(answer)),
        Answer::Difference(answer) => {
            let events = Value::list(answer.events.iter().map(made_up));
            Value::map([("events", events), ("synthetic", true.into())])
        }
        Answer::Gap(missing) => gap(*missing),
        Answer::Grant(grant) => headed(grant.header.as_ref(), lease(grant.id, grant.ttl)),
        Answer::Revoke(id, revoke) => {
            headed(revoke.header.as_ref(), Value::map([("id", Value::lease(id))]))
        }
        Answer::KeepAlive(beat) => headed(beat.header.as_ref(), lease(beat.id, beat.ttl)),
        Answer::TimeToLive(lease, keys) => headed(lease.header.as_ref(), time_to_live(lease, keys)),
        Answer::Leases(list) => {
            headed(list.header.as_ref(), Value::map([("leases", Value::list(leases(list)))]))
        }
        Answer::Members(list) | Answer::MemberChange(_, list) => {
            headed(list.header.as_ref(), Value::map([("members", Value::list(members(list)))]))
        }
        Answer::Health(rows) => Value::list(rows.iter().map(health)),
        Answer::Status(rows) => Value::list(rows.iter().map(status)),
        Answer::Snapshot(status) => snapshot(status),
        Answer::MemberAdd(answer) => cluster::member_add(answer),
        Answer::Hashes(rows) => Value::list(rows.iter().map(cluster::hash)),
        Answer::FileHash(hash) => cluster::file_hash(hash),
        Answer::Alarms(answer) => headed(
            answer.header.as_ref(),
            Value::map([("alarms", Value::list(cluster::alarms(answer)))]),
        ),
        Answer::LeaderMove(moved, answer) => cluster::leader_move(moved, answer),
        Answer::Downgrade(action, answer) => cluster::downgrade(action, answer),
        Answer::AuthStatus(answer) => cluster::auth_status(answer),
        Answer::Role(name, answer) => cluster::role(name, answer),
        Answer::User(name, answer) => cluster::user(name, answer),
        Answer::Roles(list) => {
            headed(list.header.as_ref(), Value::map([("roles", cluster::names(&list.roles))]))
        }
        Answer::Users(list) => {
            headed(list.header.as_ref(), Value::map([("users", cluster::names(&list.users))]))
        }
        Answer::Done(_, header) => headed(header, Value::Map(Vec::new())),
    }
}

/// One tree for each key, event, member or row; an answer that is no list is one row.
pub(super) fn rows(answer: Answer<'_>) -> Vec<Value> {
    match answer {
        Answer::Get(get) => get.kvs.iter().map(kv).collect(),
        Answer::Watch(watch) if !watch.events.is_empty() => {
            watch.events.iter().map(event).collect()
        }
        Answer::Watch(watch) if !watch.canceled => vec![progress(watch)],
        Answer::Difference(watch) => watch.events.iter().map(made_up).collect(),
        Answer::Members(list) => members(list).collect(),
        Answer::Leases(list) => leases(list).collect(),
        Answer::Health(rows) => rows.iter().map(health).collect(),
        Answer::Status(rows) => rows.iter().map(status).collect(),
        Answer::Hashes(rows) => rows.iter().map(cluster::hash).collect(),
        Answer::Alarms(answer) => cluster::alarms(answer).collect(),
        Answer::Users(list) => named("user", &list.users),
        Answer::Roles(list) => named("role", &list.roles),
        other => vec![tree(other)],
    }
}

fn named(what: &str, names: &[String]) -> Vec<Value> {
    names.iter().map(|name| Value::map([(what, Value::text(name))])).collect()
}

fn put(put: &pb::PutResponse) -> Value {
    Value::Map(Vec::new()).with_some("prev_kv", put.prev_kv.as_ref().map(kv))
}

fn get(get: &pb::RangeResponse) -> Value {
    let kvs = Value::list(get.kvs.iter().map(kv));
    Value::map([("kvs", kvs), ("more", get.more.into()), ("count", get.count.into())])
}

fn delete(delete: &pb::DeleteRangeResponse) -> Value {
    let kvs = (!delete.prev_kvs.is_empty()).then(|| Value::list(delete.prev_kvs.iter().map(kv)));
    Value::map([("deleted", delete.deleted.into())]).with_some("prev_kvs", kvs)
}

fn txn(txn: &pb::TxnResponse) -> Value {
    let responses = Value::list(txn.responses.iter().map(response));
    Value::map([("succeeded", txn.succeeded.into()), ("responses", responses)])
}

/// The answer to one operation of a transaction, named after the operation.
fn response(response: &pb::ResponseOp) -> Value {
    let named = match &response.response {
        Some(pb::ResponseOpKind::ResponsePut(answer)) => ("put", put(answer)),
        Some(pb::ResponseOpKind::ResponseRange(answer)) => ("get", get(answer)),
        Some(pb::ResponseOpKind::ResponseDeleteRange(answer)) => ("del", delete(answer)),
        Some(pb::ResponseOpKind::ResponseTxn(answer)) => ("txn", txn(answer)),
        None => return Value::Null,
    };
    Value::map([named])
}

fn watch(watch: &pb::WatchResponse) -> Value {
    let compacted = (watch.compact_revision != 0).then(|| watch.compact_revision.into());
    let reason = (!watch.cancel_reason.is_empty()).then(|| watch.cancel_reason.as_str().into());
    Value::map([("events", Value::list(watch.events.iter().map(event)))])
        .with_some("compact_revision", compacted)
        .with_some("canceled", watch.canceled.then(|| true.into()))
        .with_some("cancel_reason", reason)
}

fn event(event: &pb::Event) -> Value {
    let kind = Value::map([("type", event_type(event).into())]);
    let event_kv = event.kv.as_ref().map_or(Value::Null, |changed| {
        if event.r#type == pb::EVENT_DELETE {
            // Of a key that is gone, only the name and the revision mean something.
            let revision = changed.mod_revision.into();
            Value::map([("key", Value::bytes(&changed.key)), ("mod_revision", revision)])
        } else {
            kv(changed)
        }
    });
    kind.and(event_kv).with_some("prev_kv", event.prev_kv.as_ref().map(kv))
}

/// An event that no server has sent.
fn made_up(event: &pb::Event) -> Value {
    let event = match &event.kv {
        Some(gone) if event.r#type == pb::EVENT_DELETE => {
            let key = Value::bytes(&gone.key);
            Value::map([("type", event_type(event).into()), ("key", key)])
        }
        _ => self::event(event),
    };
    event.with("synthetic", true.into())
}

/// Every event up to here has been sent.
fn progress(watch: &pb::WatchResponse) -> Value {
    let revision = watch.header.as_ref().map_or(0, |header| header.revision);
    Value::map([("type", "PROGRESS".into()), ("revision", revision.into())])
}

fn gap(gap: Gap) -> Value {
    let deletions = match gap.deletions {
        Deletions::Told => "told",
        Deletions::InPart => "in_part",
        Deletions::Unknown => "unknown",
    };
    Value::map([
        ("type", "GAP".into()),
        ("from_revision", gap.from.into()),
        ("to_revision", gap.to.into()),
        ("deletions", deletions.into()),
        ("synthetic", true.into()),
    ])
}

pub(crate) fn kv(kv: &pb::KeyValue) -> Value {
    Value::map([
        ("key", Value::bytes(&kv.key)),
        ("value", Value::bytes(&kv.value)),
        ("create_revision", kv.create_revision.into()),
        ("mod_revision", kv.mod_revision.into()),
        ("version", kv.version.into()),
    ])
    .with_some("lease", (kv.lease != 0).then(|| Value::lease(kv.lease)))
}

pub(super) fn headed(header: Option<&pb::ResponseHeader>, fields: Value) -> Value {
    let header = header.map(|header| {
        Value::map([
            ("cluster_id", Value::id(header.cluster_id)),
            ("member_id", Value::id(header.member_id)),
            ("revision", header.revision.into()),
            ("raft_term", header.raft_term.into()),
        ])
    });
    Value::Map(Vec::new()).with_some("header", header).and(fields)
}

fn lease(id: i64, ttl_s: i64) -> Value {
    Value::map([("id", Value::lease(id)), ("ttl_s", ttl_s.into())])
}

fn leases(list: &pb::LeaseLeasesResponse) -> impl Iterator<Item = Value> {
    list.leases.iter().map(|lease| Value::map([("id", Value::lease(lease.id))]))
}

fn time_to_live(lease: &pb::LeaseTimeToLiveResponse, keys: bool) -> Value {
    let id = ("id", Value::lease(lease.id));
    if lease.granted_ttl == 0 && lease.ttl == -1 {
        return Value::map([id, ("expired", true.into())]);
    }
    let times =
        [("granted_ttl_s", lease.granted_ttl.into()), ("remaining_ttl_s", lease.ttl.into())];
    let keys = keys.then(|| Value::list(lease.keys.iter().map(|key| Value::bytes(key))));
    Value::map([id]).and(Value::map(times)).with_some("keys", keys)
}

pub(super) fn members(list: &pb::MemberListResponse) -> impl Iterator<Item = Value> {
    let texts = |texts: &[String]| Value::list(texts.iter().map(Value::text));
    list.members.iter().map(move |member| {
        Value::map([
            ("id", Value::id(member.id)),
            ("name", Value::text(&member.name)),
            ("started", (!member.name.is_empty()).into()),
            ("peer_urls", texts(&member.peer_ur_ls)),
            ("client_urls", texts(&member.client_ur_ls)),
            ("is_learner", member.is_learner.into()),
        ])
    })
}

fn health(row: &HealthRow) -> Value {
    let took_us = row.took.map(|took| Value::Uint(took.as_micros() as u64));
    let error = (!row.error.is_empty()).then(|| row.error.trim_end().into());
    Value::map([("endpoint", Value::text(&row.endpoint)), ("healthy", row.healthy.into())])
        .with_some("took_us", took_us)
        .with_some("error", error)
}

fn status(StatusRow { endpoint, status }: &StatusRow) -> Value {
    let member = status.header.as_ref().map_or(0, |header| header.member_id);
    let named = |text: &str| (!text.is_empty()).then(|| Value::text(text));
    let downgrade = status.downgrade_info.as_ref().filter(|downgrade| downgrade.enabled);
    let whole = Value::map([
        ("endpoint", Value::text(endpoint)),
        ("member_id", Value::id(member)),
        ("version", Value::text(&status.version)),
    ])
    // Members older than 3.6 know neither this nor the quota.
    .with_some("storage_version", named(&status.storage_version))
    .with("db_size_bytes", status.db_size.into())
    .with("db_size_in_use_bytes", status.db_size_in_use.into())
    .with_some(
        "db_size_quota_bytes",
        (status.db_size_quota != 0).then(|| status.db_size_quota.into()),
    );
    let raft = Value::map([
        ("leader", Value::id(status.leader)),
        ("is_leader", (status.leader == member).into()),
        ("is_learner", status.is_learner.into()),
        ("raft_term", status.raft_term.into()),
        ("raft_index", status.raft_index.into()),
        ("raft_applied_index", status.raft_applied_index.into()),
        ("errors", Value::list(status.errors.iter().map(Value::text))),
    ]);
    let target = downgrade.map(|downgrade| Value::text(&downgrade.target_version));
    whole.and(raft).with_some("downgrade_target_version", target)
}

fn snapshot(status: &SnapshotStatus) -> Value {
    let version = (!status.version.is_empty()).then(|| Value::text(&status.version));
    Value::map([
        ("hash", Value::Text(format!("{:x}", status.hash))),
        ("revision", status.revision.into()),
        ("total_keys", status.total_keys.into()),
        ("total_size_bytes", status.total_size_bytes.into()),
    ])
    .with_some("version", version)
}
