//! Printing answers, in etcdctl's formats.
//!
//! [`Answer`] is everything that can be printed, [`Printer`] a way to print it. Nothing here knows
//! where the bytes go.

mod escape;
mod fields;
pub mod go;
mod grid;
mod json;
mod mask;
mod paint;
mod protobuf;
mod rich;
mod rows;
mod shell;
mod simple;
mod table;
mod value;
mod wrap;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use kvorum_client::follow::Gap;
use kvorum_client::pb;
use thiserror::Error;

pub use escape::{escape_control, escape_message, one_line};
pub use fields::Fields;
pub use grid::draw_table;
pub use json::Json;
pub use mask::{instead_of, is_masked};
pub use paint::{Paint, Tone};
pub use protobuf::Protobuf;
pub(crate) use rich::kv as kv_value;
pub use rich::{Path, Rich};
pub use rows::{MAX_KEPT, Row, Rows, print_one};
pub use shell::{shell_operand, shell_word};
pub use simple::Simple;
pub use table::Table;
pub use value::Value;
pub use wrap::wrap;

use crate::args::UsageError;

/// Something to print.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    Put(&'a pb::PutResponse),
    Get(&'a pb::RangeResponse),
    Delete(&'a pb::DeleteRangeResponse),
    Txn(&'a pb::TxnResponse),
    Watch(&'a pb::WatchResponse),
    /// Changes of a watch that nobody can tell any more.
    Gap(&'a Gap),
    /// What they came to, as events that were made up.
    Difference(&'a pb::WatchResponse),
    Grant(&'a pb::LeaseGrantResponse),
    Revoke(i64, &'a pb::LeaseRevokeResponse),
    KeepAlive(&'a pb::LeaseKeepAliveResponse),
    /// With `true`, attached keys were asked for.
    TimeToLive(&'a pb::LeaseTimeToLiveResponse, bool),
    Leases(&'a pb::LeaseLeasesResponse),
    Members(&'a pb::MemberListResponse),
    MemberAdd(&'a pb::MemberAddResponse),
    /// The members after one was changed; the text is what `simple` says of the change.
    MemberChange(&'a str, &'a pb::MemberListResponse),
    Health(&'a [HealthRow]),
    Status(&'a [StatusRow]),
    Hashes(&'a [HashRow]),
    Snapshot(&'a SnapshotStatus),
    FileHash(&'a FileHash),
    Alarms(&'a pb::AlarmResponse),
    LeaderMove(LeaderMove, &'a pb::MoveLeaderResponse),
    /// `validate`, `enable` or `cancel`.
    Downgrade(&'static str, &'a pb::DowngradeResponse),
    AuthStatus(&'a pb::AuthStatusResponse),
    /// The name is not in the answer.
    Role(&'a str, &'a pb::RoleGetResponse),
    Roles(&'a pb::RoleListResponse),
    /// The name is not in the answer.
    User(&'a str, &'a pb::UserGetResponse),
    Users(&'a pb::UserListResponse),
    /// It was done, and the answer has nothing but a header; the text is what `simple` says.
    Done(&'a str, Option<&'a pb::ResponseHeader>),
}

/// Who led, and who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderMove {
    pub from: u64,
    pub to: u64,
}

/// The health of one endpoint, in etcdctl's words.
#[derive(Debug, Clone)]
pub struct HealthRow {
    pub endpoint: String,
    pub healthy: bool,
    /// Unknown if the endpoint could not even be tried.
    pub took: Option<Duration>,
    pub error: String,
}

#[derive(Debug, Clone)]
pub struct StatusRow {
    pub endpoint: String,
    pub status: pb::StatusResponse,
}

#[derive(Debug, Clone)]
pub struct HashRow {
    pub endpoint: String,
    pub hash: pb::HashKvResponse,
}

/// What is in a file that `snapshot save` made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotStatus {
    pub hash: u32,
    pub revision: i64,
    pub total_keys: u64,
    pub total_size_bytes: u64,
    pub version: String,
}

/// The hash of the keys in a file, and their history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHash {
    pub hash: u32,
    /// The revision that was hashed.
    pub revision: i64,
    pub compact_revision: i64,
}

#[derive(Debug, Error)]
pub enum PrintError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0} not supported as output format")]
    Unsupported(&'static str),
    #[error("a masked value is not printed raw: --reveal shows it")]
    Masked,
    #[error("more than {MAX_KEPT} rows do not fit into this format: use -o ndjson")]
    TooManyRows,
    /// An answer that etcdctl cannot write as protobuf: it says so by its name for the type.
    #[error("marshal unsupported for type {0}")]
    NoMarshal(&'static str),
}

/// One output format.
pub trait Printer {
    fn print(&self, answer: Answer<'_>, out: &mut dyn Write) -> Result<(), PrintError>;
}

/// The formats of `-w`, which are etcdctl's, and those of `-o`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Simple,
    Json,
    Fields,
    Table,
    Rich(Rich),
    Protobuf,
}

/// What `-w` takes, and what `-o` takes; a path is to follow the last one.
pub const FORMATS: [&str; 5] = ["simple", "json", "fields", "table", "protobuf"];
pub const OWN_FORMATS: [&str; 9] =
    ["simple", "fields", "table", "json", "ndjson", "yaml", "raw", "keys", "jsonpath="];

impl Format {
    /// Reads `-w`.
    pub fn parse(name: &str) -> Result<Self, UsageError> {
        match name {
            "simple" => Ok(Self::Simple),
            "json" => Ok(Self::Json),
            "fields" => Ok(Self::Fields),
            "table" => Ok(Self::Table),
            "protobuf" => Ok(Self::Protobuf),
            _ => Err(UsageError::feature("unsupported output format")),
        }
    }

    /// Reads `-o`.
    pub fn parse_own(name: &str) -> Result<Self, UsageError> {
        if let Some(rich) = Rich::parse(name)? {
            return Ok(Self::Rich(rich));
        }
        Self::parse(name).map_err(|_| {
            UsageError::feature(format!(
                "{name:?} is no output format: simple, fields, table, json, ndjson, yaml, raw, \
                 keys or jsonpath=PATH"
            ))
        })
    }
}

/// How to print: the format and what bends it.
#[derive(Debug, Clone, Default)]
pub struct Style {
    pub format: Format,
    pub hex: bool,
    /// Values without keys, in `simple`.
    pub value_only: bool,
    /// Control characters are shown, not sent: the reader is a terminal.
    pub escaped: bool,
    /// The width of the terminal that long lines are broken for; elsewhere they are not.
    pub columns: Option<usize>,
    pub paint: Paint,
    /// No boxes.
    pub plain: bool,
    /// Values of keys that begin with one of these are not shown.
    pub masked: Arc<[Vec<u8>]>,
}

impl Style {
    /// A message with names in it, as it may be printed here.
    pub fn shown(&self, message: &str) -> String {
        if self.escaped { escape_message(message).into_owned() } else { message.to_owned() }
    }

    pub fn printer(&self) -> Box<dyn Printer> {
        let printer: Box<dyn Printer> = match &self.format {
            Format::Simple => Box::new(Simple {
                hex: self.hex,
                value_only: self.value_only,
                escaped: self.escaped,
                paint: self.paint,
            }),
            Format::Json => Box::new(Json { hex: self.hex }),
            Format::Fields => Box::new(Fields { hex: self.hex }),
            Format::Table => Box::new(Table),
            Format::Rich(rich) => {
                Box::new(rich::Answers { rich: rich.clone(), style: self.clone() })
            }
            Format::Protobuf => Box::new(Protobuf),
        };
        if self.masked.is_empty() {
            return printer;
        }
        let exact = self.format == Format::Rich(Rich::Raw);
        Box::new(mask::Masked { prefixes: self.masked.clone(), exact, printer })
    }
}

/// The columns of `member list`.
fn member_columns(members: &pb::MemberListResponse) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let header = vec!["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"];
    let rows = members.members.iter().map(|member| {
        vec![
            format!("{:x}", member.id),
            if member.name.is_empty() { "unstarted" } else { "started" }.to_owned(),
            member.name.clone(),
            member.peer_ur_ls.join(","),
            member.client_ur_ls.join(","),
            member.is_learner.to_string(),
        ]
    });
    (header, rows.collect())
}

/// The columns of `endpoint status`.
fn status_columns(rows: &[StatusRow]) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let header = vec![
        "endpoint",
        "ID",
        "version",
        "storage version",
        "db size",
        "in use",
        "percentage not in use",
        "quota",
        "is leader",
        "is learner",
        "raft term",
        "raft index",
        "raft applied index",
        "errors",
        "downgrade target version",
        "downgrade enabled",
    ];
    let rows = rows.iter().map(|StatusRow { endpoint, status }| {
        let member = status.header.as_ref().map_or(0, |header| header.member_id);
        let downgrade = status.downgrade_info.as_ref();
        let used_percent = (status.db_size_in_use * 100).checked_div(status.db_size).unwrap_or(100);
        vec![
            endpoint.clone(),
            format!("{member:x}"),
            status.version.clone(),
            status.storage_version.clone(),
            go::size(status.db_size.unsigned_abs()),
            go::size(status.db_size_in_use.unsigned_abs()),
            format!("{}%", 100 - used_percent),
            go::size(status.db_size_quota.unsigned_abs()),
            (status.leader == member).to_string(),
            status.is_learner.to_string(),
            status.raft_term.to_string(),
            status.raft_index.to_string(),
            status.raft_applied_index.to_string(),
            status.errors.join(", "),
            downgrade.map_or_else(String::new, |info| info.target_version.clone()),
            downgrade.is_some_and(|info| info.enabled).to_string(),
        ]
    });
    (header, rows.collect())
}

/// The columns of `endpoint hashkv`.
fn hash_columns(rows: &[HashRow]) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let header = vec!["endpoint", "hash", "hash_revision"];
    let rows = rows.iter().map(|HashRow { endpoint, hash }| {
        vec![endpoint.clone(), hash.hash.to_string(), hash.hash_revision.to_string()]
    });
    (header, rows.collect())
}

/// The columns of `snapshot status`.
fn snapshot_columns(status: &SnapshotStatus) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let header = vec!["hash", "revision", "total keys", "total size", "version"];
    let row = vec![
        format!("{:x}", status.hash),
        status.revision.to_string(),
        status.total_keys.to_string(),
        go::size(status.total_size_bytes),
        status.version.clone(),
    ];
    (header, vec![row])
}

/// The columns of `hashkv`.
fn file_hash_columns(hash: &FileHash) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let header = vec!["hash", "hash revision", "compact revision"];
    let numbers = [i64::from(hash.hash), hash.revision, hash.compact_revision];
    (header, vec![numbers.iter().map(ToString::to_string).collect()])
}

/// The columns of `endpoint health`.
fn health_columns(rows: &[HealthRow]) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let header = vec!["endpoint", "health", "took", "error"];
    let rows = rows.iter().map(|row| {
        vec![row.endpoint.clone(), row.healthy.to_string(), row.took_text(), row.error.clone()]
    });
    (header, rows.collect())
}

impl HealthRow {
    fn took_text(&self) -> String {
        self.took.map(go::duration).unwrap_or_default()
    }
}

/// What a permission allows, as numbers of the wire.
mod access {
    pub(super) const READ: i32 = 0;
    pub(super) const WRITE: i32 = 1;
    pub(super) const BOTH: i32 = 2;

    /// Its name there.
    pub(super) fn name(access: i32) -> String {
        match access {
            READ => "READ".to_owned(),
            WRITE => "WRITE".to_owned(),
            BOTH => "READWRITE".to_owned(),
            other => other.to_string(),
        }
    }
}

/// `NOSPACE`, `CORRUPT`, or the number of a kind that only later servers know.
fn alarm_type(alarm: i32) -> String {
    match alarm {
        0 => "NONE".to_owned(),
        1 => "NOSPACE".to_owned(),
        2 => "CORRUPT".to_owned(),
        other => other.to_string(),
    }
}

/// `PUT` or `DELETE`.
pub(crate) fn event_type(event: &pb::Event) -> &'static str {
    if event.r#type == pb::EVENT_DELETE { "DELETE" } else { "PUT" }
}

/// What stands before the type of an event that was made up, where there is no field to say so.
const SYNTHETIC: &str = "SYNTHETIC";

#[cfg(test)]
mod tests;
