//! Answers about the cluster itself as trees: members, alarms, users, roles.

use kvorum_client::pb;

use super::tree::{headed, members};
use crate::output::{FileHash, HashRow, LeaderMove, Value, access, alarm_type};

pub(super) fn member_add(answer: &pb::MemberAddResponse) -> Value {
    let list =
        pb::MemberListResponse { header: None, members: answer.member.iter().cloned().collect() };
    let added = members(&list).next();
    headed(answer.header.as_ref(), Value::Map(Vec::new()).with_some("member", added))
}

pub(super) fn hash(HashRow { endpoint, hash }: &HashRow) -> Value {
    Value::map([
        ("endpoint", Value::text(endpoint)),
        ("hash", i64::from(hash.hash).into()),
        ("hash_revision", hash.hash_revision.into()),
        ("compact_revision", hash.compact_revision.into()),
    ])
}

pub(super) fn file_hash(hash: &FileHash) -> Value {
    Value::map([
        ("hash", i64::from(hash.hash).into()),
        ("hash_revision", hash.revision.into()),
        ("compact_revision", hash.compact_revision.into()),
    ])
}

pub(super) fn alarms(answer: &pb::AlarmResponse) -> impl Iterator<Item = Value> {
    answer.alarms.iter().map(|alarm| {
        Value::map([
            ("member_id", Value::id(alarm.member_id)),
            ("alarm", Value::Text(alarm_type(alarm.alarm))),
        ])
    })
}

pub(super) fn leader_move(moved: LeaderMove, answer: &pb::MoveLeaderResponse) -> Value {
    let fields = Value::map([("from", Value::id(moved.from)), ("to", Value::id(moved.to))]);
    headed(answer.header.as_ref(), fields)
}

pub(super) fn downgrade(action: &'static str, answer: &pb::DowngradeResponse) -> Value {
    let version = Value::text(&answer.version);
    headed(answer.header.as_ref(), Value::map([("action", action.into()), ("version", version)]))
}

pub(super) fn auth_status(answer: &pb::AuthStatusResponse) -> Value {
    Value::map([
        ("enabled", answer.enabled.into()),
        ("auth_revision", Value::Uint(answer.auth_revision)),
    ])
}

pub(super) fn role(name: &str, answer: &pb::RoleGetResponse) -> Value {
    let permissions = answer.perm.iter().map(|permission| {
        let end = (!permission.range_end.is_empty()).then(|| Value::bytes(&permission.range_end));
        Value::map([
            ("type", Value::Text(access::name(permission.perm_type).to_lowercase())),
            ("key", Value::bytes(&permission.key)),
        ])
        .with_some("range_end", end)
    });
    let permissions = Value::list(permissions);
    headed(
        answer.header.as_ref(),
        Value::map([("role", Value::text(name)), ("permissions", permissions)]),
    )
}

pub(super) fn user(name: &str, answer: &pb::UserGetResponse) -> Value {
    let fields = Value::map([("user", Value::text(name)), ("roles", names(&answer.roles))]);
    headed(answer.header.as_ref(), fields)
}

pub(super) fn names(names: &[String]) -> Value {
    Value::list(names.iter().map(Value::text))
}
