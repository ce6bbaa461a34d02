//! `-w json`: one line a response, with the names, the order and the omissions of Go's structures.
//! Bytes are base64, IDs are numbers.

use std::fmt::{Display, Write as _};
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kvorum_client::pb;

use super::go::json_string;
use super::{Answer, HashRow, HealthRow, PrintError, Printer, StatusRow};

#[derive(Debug, Clone, Copy, Default)]
pub struct Json {
    /// Member lists have their IDs as hexadecimal strings. Nothing else heeds it, as in etcdctl.
    pub hex: bool,
}

impl Printer for Json {
    fn print(&self, answer: Answer<'_>, out: &mut dyn Write) -> Result<(), PrintError> {
        let line = match answer {
            Answer::Put(put) => self::put(put),
            Answer::Get(get) => self::get(get),
            Answer::Delete(delete) => self::delete(delete),
            Answer::Txn(txn) => self::txn(txn),
            Answer::Watch(watch) => self::watch(watch).end(),
            Answer::Difference(watch) => self::watch(watch).always("Synthetic", true).end(),
            Answer::Gap(gap) => Object::new()
                .always("GapFrom", gap.from)
                .always("GapTo", gap.to)
                .always("Synthetic", true)
                .end(),
            Answer::Grant(grant) => inlined_header(grant.header.as_ref())
                .always("ID", grant.id)
                .always("TTL", grant.ttl)
                .raw("Error", &json_string(grant.error.as_bytes()))
                .end(),
            Answer::Revoke(_, revoke) => Object::new().header(revoke.header.as_ref()).end(),
            Answer::KeepAlive(beat) => inlined_header(beat.header.as_ref())
                .always("ID", beat.id)
                .always("TTL", beat.ttl)
                .end(),
            Answer::TimeToLive(lease, _) => time_to_live(lease),
            Answer::Leases(leases) => {
                let leases_json =
                    leases.leases.iter().map(|lease| Object::new().always("id", lease.id).end());
                inlined_header(leases.header.as_ref()).raw("leases", &array(leases_json)).end()
            }
            Answer::Members(list) if self.hex => members_hex(list),
            Answer::Members(list) | Answer::MemberChange(_, list) => members(list),
            Answer::MemberAdd(added) => member_add(added),
            Answer::Hashes(rows) => hashes(rows),
            Answer::Alarms(alarms) => self::alarms(alarms),
            Answer::LeaderMove(_, moved) => Object::new().header(moved.header.as_ref()).end(),
            Answer::Downgrade(_, downgrade) => Object::new()
                .header(downgrade.header.as_ref())
                .unless_empty("version", &downgrade.version)
                .end(),
            Answer::AuthStatus(status) => auth_status(status),
            Answer::Role(_, role) => self::role(role),
            Answer::Roles(pb::RoleListResponse { header, roles })
            | Answer::User(_, pb::UserGetResponse { header, roles }) => {
                names(header.as_ref(), "roles", roles)
            }
            Answer::Users(users) => names(users.header.as_ref(), "users", &users.users),
            Answer::Done(_, header) => Object::new().header(header).end(),
            Answer::Health(rows) => self::health(rows),
            Answer::Status(rows) => self::status(rows),
            Answer::Snapshot(status) => Object::new()
                .always("hash", status.hash)
                .always("revision", status.revision)
                .always("totalKey", status.total_keys)
                .always("totalSize", status.total_size_bytes)
                .raw("version", &json_string(status.version.as_bytes()))
                .end(),
            Answer::FileHash(hash) => Object::new()
                .always("hash", hash.hash)
                .always("hashRevision", hash.revision)
                .always("compactRevision", hash.compact_revision)
                .end(),
        };
        writeln!(out, "{line}")?;
        Ok(())
    }
}

/// An object being written, field by field. Go leaves out what is zero where a field says
/// `omitempty`; the methods are named after that.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn raw(mut self, name: &str, json: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        let _ = write!(self.0, "\"{name}\":{json}");
        self
    }

    fn always(self, name: &str, value: impl Display) -> Self {
        self.raw(name, &format!("{value}"))
    }

    fn unless_zero(self, name: &str, value: impl Into<i128>) -> Self {
        let value = value.into();
        if value == 0 { self } else { self.always(name, value) }
    }

    fn if_true(self, name: &str, value: bool) -> Self {
        if value { self.always(name, true) } else { self }
    }

    fn unless_empty(self, name: &str, text: &str) -> Self {
        if text.is_empty() { self } else { self.raw(name, &json_string(text.as_bytes())) }
    }

    fn bytes_unless_empty(self, name: &str, bytes: &[u8]) -> Self {
        if bytes.is_empty() { self } else { self.raw(name, &base64(bytes)) }
    }

    fn list_unless_empty(self, name: &str, items: Vec<String>) -> Self {
        if items.is_empty() { self } else { self.raw(name, &array(items)) }
    }

    fn header(self, header: Option<&pb::ResponseHeader>) -> Self {
        match header {
            Some(header) => self.raw("header", &inlined_header(Some(header)).end()),
            None => self,
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn inlined_header(header: Option<&pb::ResponseHeader>) -> Object {
    let header = header.copied().unwrap_or_default();
    Object::new()
        .unless_zero("cluster_id", header.cluster_id)
        .unless_zero("member_id", header.member_id)
        .unless_zero("revision", header.revision)
        .unless_zero("raft_term", header.raft_term)
}

fn array(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

fn base64(bytes: &[u8]) -> String {
    format!("\"{}\"", STANDARD.encode(bytes))
}

fn strings(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| json_string(text.as_bytes())).collect()
}

fn kv(kv: &pb::KeyValue) -> String {
    Object::new()
        .bytes_unless_empty("key", &kv.key)
        .unless_zero("create_revision", kv.create_revision)
        .unless_zero("mod_revision", kv.mod_revision)
        .unless_zero("version", kv.version)
        .bytes_unless_empty("value", &kv.value)
        .unless_zero("lease", kv.lease)
        .end()
}

fn kvs(list: &[pb::KeyValue]) -> Vec<String> {
    list.iter().map(kv).collect()
}

fn put(put: &pb::PutResponse) -> String {
    let object = Object::new().header(put.header.as_ref());
    match &put.prev_kv {
        Some(prev) => object.raw("prev_kv", &kv(prev)).end(),
        None => object.end(),
    }
}

fn get(get: &pb::RangeResponse) -> String {
    Object::new()
        .header(get.header.as_ref())
        .list_unless_empty("kvs", kvs(&get.kvs))
        .if_true("more", get.more)
        .unless_zero("count", get.count)
        .end()
}

fn delete(delete: &pb::DeleteRangeResponse) -> String {
    Object::new()
        .header(delete.header.as_ref())
        .unless_zero("deleted", delete.deleted)
        .list_unless_empty("prev_kvs", kvs(&delete.prev_kvs))
        .end()
}

fn txn(txn: &pb::TxnResponse) -> String {
    let responses = txn.responses.iter().map(|response| {
        let response = match &response.response {
            Some(pb::ResponseOpKind::ResponseRange(get)) => ("response_range", self::get(get)),
            Some(pb::ResponseOpKind::ResponsePut(put)) => ("response_put", self::put(put)),
            Some(pb::ResponseOpKind::ResponseDeleteRange(delete)) => {
                ("response_delete_range", self::delete(delete))
            }
            Some(pb::ResponseOpKind::ResponseTxn(txn)) => ("response_txn", self::txn(txn)),
            None => return "{\"Response\":null}".to_owned(),
        };
        let kind = Object::new().raw(response.0, &response.1).end();
        Object::new().raw("Response", &kind).end()
    });
    Object::new()
        .header(txn.header.as_ref())
        .if_true("succeeded", txn.succeeded)
        .list_unless_empty("responses", responses.collect())
        .end()
}

fn watch(watch: &pb::WatchResponse) -> Object {
    let events = watch.events.iter().map(|event| {
        let mut object = Object::new().unless_zero("type", event.r#type);
        if let Some(current) = &event.kv {
            object = object.raw("kv", &kv(current));
        }
        if let Some(prev) = &event.prev_kv {
            object = object.raw("prev_kv", &kv(prev));
        }
        object.end()
    });
    Object::new()
        .raw("Header", &inlined_header(watch.header.as_ref()).end())
        .raw("Events", &array(events))
        .always("CompactRevision", watch.compact_revision)
        .always("Canceled", watch.canceled)
        .always("Created", watch.created)
}

fn time_to_live(lease: &pb::LeaseTimeToLiveResponse) -> String {
    let keys = if lease.keys.is_empty() {
        "null".to_owned()
    } else {
        array(lease.keys.iter().map(|key| base64(key)))
    };
    inlined_header(lease.header.as_ref())
        .always("id", lease.id)
        .always("ttl", lease.ttl)
        .always("granted-ttl", lease.granted_ttl)
        .raw("keys", &keys)
        .end()
}

fn members(list: &pb::MemberListResponse) -> String {
    Object::new()
        .header(list.header.as_ref())
        .list_unless_empty("members", list.members.iter().map(member).collect())
        .end()
}

fn member(member: &pb::Member) -> String {
    Object::new()
        .unless_zero("ID", member.id)
        .unless_empty("name", &member.name)
        .list_unless_empty("peerURLs", strings(&member.peer_ur_ls))
        .list_unless_empty("clientURLs", strings(&member.client_ur_ls))
        .if_true("isLearner", member.is_learner)
        .end()
}

fn member_add(added: &pb::MemberAddResponse) -> String {
    let mut object = Object::new().header(added.header.as_ref());
    if let Some(new) = &added.member {
        object = object.raw("member", &member(new));
    }
    object.list_unless_empty("members", added.members.iter().map(member).collect()).end()
}

fn alarms(alarms: &pb::AlarmResponse) -> String {
    let raised = alarms.alarms.iter().map(|alarm| {
        Object::new()
            .unless_zero("memberID", alarm.member_id)
            .unless_zero("alarm", alarm.alarm)
            .end()
    });
    Object::new().header(alarms.header.as_ref()).list_unless_empty("alarms", raised.collect()).end()
}

fn auth_status(status: &pb::AuthStatusResponse) -> String {
    let header = status.header.as_ref().map(|header| pb::ResponseHeader {
        cluster_id: header.cluster_id,
        member_id: header.member_id,
        revision: header.revision,
        raft_term: header.raft_term,
    });
    Object::new()
        .header(header.as_ref())
        .if_true("enabled", status.enabled)
        .unless_zero("authRevision", status.auth_revision)
        .end()
}

fn role(role: &pb::RoleGetResponse) -> String {
    let permissions = role.perm.iter().map(|perm| {
        Object::new()
            .unless_zero("permType", perm.perm_type)
            .bytes_unless_empty("key", &perm.key)
            .bytes_unless_empty("range_end", &perm.range_end)
            .end()
    });
    Object::new()
        .header(role.header.as_ref())
        .list_unless_empty("perm", permissions.collect())
        .end()
}

fn names(header: Option<&pb::ResponseHeader>, field: &str, names: &[String]) -> String {
    Object::new().header(header).list_unless_empty(field, strings(names)).end()
}

/// etcdctl writes this form by hand; it leaves out the revision and `isLearner`.
fn members_hex(list: &pb::MemberListResponse) -> String {
    let header = list.header.unwrap_or_default();
    let header = Object::new()
        .raw("cluster_id", &format!("\"{:x}\"", header.cluster_id))
        .raw("member_id", &format!("\"{:x}\"", header.member_id))
        .always("raft_term", header.raft_term)
        .end();
    let members = list.members.iter().map(|member| {
        Object::new()
            .raw("ID", &format!("\"{:x}\"", member.id))
            .raw("name", &json_string(member.name.as_bytes()))
            .raw("peerURLs", &array_or_null(&member.peer_ur_ls))
            .raw("clientURLs", &array_or_null(&member.client_ur_ls))
            .end()
    });
    Object::new().raw("header", &header).list_unless_empty("members", members.collect()).end()
}

fn array_or_null(texts: &[String]) -> String {
    if texts.is_empty() { "null".to_owned() } else { array(strings(texts)) }
}

fn health(rows: &[HealthRow]) -> String {
    array(rows.iter().map(|row| {
        Object::new()
            .raw("endpoint", &json_string(row.endpoint.as_bytes()))
            .always("health", row.healthy)
            .raw("took", &json_string(row.took_text().as_bytes()))
            .unless_empty("error", &row.error)
            .end()
    }))
}

fn hashes(rows: &[HashRow]) -> String {
    if rows.is_empty() {
        return "null".to_owned();
    }
    array(rows.iter().map(|HashRow { endpoint, hash }| {
        let answer = Object::new()
            .header(hash.header.as_ref())
            .unless_zero("hash", hash.hash)
            .unless_zero("compact_revision", hash.compact_revision)
            .unless_zero("hash_revision", hash.hash_revision);
        Object::new()
            .raw("Endpoint", &json_string(endpoint.as_bytes()))
            .raw("HashKV", &answer.end())
            .end()
    }))
}

fn status(rows: &[StatusRow]) -> String {
    if rows.is_empty() {
        return "null".to_owned();
    }
    array(rows.iter().map(|StatusRow { endpoint, status }| {
        let mut object = Object::new()
            .header(status.header.as_ref())
            .unless_empty("version", &status.version)
            .unless_zero("dbSize", status.db_size)
            .unless_zero("leader", status.leader)
            .unless_zero("raftIndex", status.raft_index)
            .unless_zero("raftTerm", status.raft_term)
            .unless_zero("raftAppliedIndex", status.raft_applied_index)
            .list_unless_empty("errors", strings(&status.errors))
            .unless_zero("dbSizeInUse", status.db_size_in_use)
            .if_true("isLearner", status.is_learner)
            .unless_empty("storageVersion", &status.storage_version)
            .unless_zero("dbSizeQuota", status.db_size_quota);
        if let Some(info) = &status.downgrade_info {
            let info = Object::new()
                .if_true("enabled", info.enabled)
                .unless_empty("targetVersion", &info.target_version);
            object = object.raw("downgradeInfo", &info.end());
        }
        Object::new()
            .raw("Endpoint", &json_string(endpoint.as_bytes()))
            .raw("Status", &object.end())
            .end()
    }))
}
