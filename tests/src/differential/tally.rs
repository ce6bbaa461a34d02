//! What was asked and answered, counted.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::answer::refusal;
use super::contract::{GATEWAY, methods};
use super::differences::Differences;
use super::step::Step;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub seeds: u64,
    pub requests: u64,
    /// Requests by method; those by the gateway and by plain HTTP have names of their own.
    pub rpcs: BTreeMap<String, u64>,
    /// Refusals of etcd by the method or the path that was asked, and the text.
    pub refusals: BTreeMap<(String, String), u64>,
    /// Differences by the row of the table that allows them.
    pub rows: BTreeMap<String, u64>,
}

const KEY: &str = "etcdserver: key is not provided";
const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";
const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const NO_KEY: &str = "etcdserver: key not found";
const NO_LEASE: &str = "etcdserver: requested lease not found";
const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";
const CORRUPT: &str = "etcdserver: corrupt cluster";
const NOBODY: &str = "etcdserver: user name is empty";
const TOKEN: &str = "etcdserver: invalid auth token";
const OLD: &str = "etcdserver: revision of auth store is old";
const DENIED: &str = "etcdserver: permission denied";
const MANAGEMENT: &str = "etcdserver: invalid auth management";
const NO_USER: &str = "etcdserver: user name not found";
const NO_ROLE: &str = "etcdserver: role name not found";

/// How a watch that a compaction has overtaken is counted, which is told without a text.
const OVERTAKEN: &str = "a watch ended by a compaction";

/// What one client can provoke of etcd 3.4: rows of the reference, the method or the path that is
/// asked, and the text.
const MESSAGES: &[(&str, &str, &str)] = &[
    ("B1", "KV/Range", KEY),
    ("B4", "KV/Range", FUTURE),
    ("B5", "KV/Range", COMPACTED),
    ("B6", "KV/Txn", COMPACTED),
    ("B9", "KV/Put", KEY),
    ("B10", "KV/Put", "etcdserver: value is provided"),
    ("B11", "KV/Put", "etcdserver: lease is provided"),
    ("B12", "KV/Put", NO_KEY),
    ("B13", "KV/Put", NO_LEASE),
    ("B14", "KV/Put", "etcdserver: request is too large"),
    ("B15", "KV/Put", "grpc: received message larger than max"),
    ("B16", "KV/DeleteRange", KEY),
    ("B18 B19", "KV/Txn", "etcdserver: too many operations in txn request"),
    ("B20", "KV/Txn", KEY),
    ("B21 B22", "KV/Txn", "etcdserver: duplicate key given in txn request"),
    ("B23", "KV/Txn", NO_KEY),
    ("B24", "KV/Txn", NO_LEASE),
    ("B25", "KV/Compact", COMPACTED),
    ("B26", "KV/Compact", FUTURE),
    ("B28", "KV/Put", NO_SPACE),
    ("B28", "KV/Txn", NO_SPACE),
    ("B28", "Lease/LeaseGrant", NO_SPACE),
    ("B29", "KV/Put", CORRUPT),
    ("B29", "KV/DeleteRange", CORRUPT),
    ("B29", "KV/Txn", CORRUPT),
    ("B29", "KV/Compact", CORRUPT),
    ("B29", "Lease/LeaseGrant", CORRUPT),
    ("B29", "Lease/LeaseRevoke", CORRUPT),
    ("B32", "Watch/Watch", OVERTAKEN),
    ("B34", "Watch/Watch", "mvcc: duplicate watch ID provided on the WatchStream"),
    ("B35", "Watch/Watch", "mvcc: watcher range is empty"),
    ("B36", "Watch/Watch", DENIED),
    ("B37", "Watch/Watch", TOKEN),
    ("B37", "Watch/Watch", OLD),
    ("B37", "Watch/Watch", NOBODY),
    ("B43", "Lease/LeaseGrant", "etcdserver: too large lease TTL"),
    ("B45", "Lease/LeaseGrant", "etcdserver: lease already exists"),
    ("B46", "Lease/LeaseRevoke", NO_LEASE),
    ("B61", "Maintenance/MoveLeader", "etcdserver: bad leader transferee"),
    ("B62", "Maintenance/HashKV", FUTURE),
    ("B62", "Maintenance/HashKV", COMPACTED),
    ("B66", "Auth/AuthEnable", "etcdserver: root user does not exist"),
    ("B67", "Auth/AuthEnable", "etcdserver: root user does not have root role"),
    ("B68", "Auth/Authenticate", "etcdserver: authentication is not enabled"),
    ("B69", "Auth/Authenticate", "etcdserver: authentication failed, invalid user ID or password"),
    ("B70", "KV/Range", NOBODY),
    ("B70", "KV/Put", NOBODY),
    ("B71", "KV/Range", TOKEN),
    ("B71", "KV/Put", TOKEN),
    ("B72", "KV/Range", OLD),
    ("B72", "KV/Put", OLD),
    ("B73", "KV/Range", DENIED),
    ("B73", "KV/Put", DENIED),
    ("B74", "Auth/UserAdd", NOBODY),
    ("B74", "Auth/UserAdd", "etcdserver: user name already exists"),
    (
        "B75",
        "Auth/Authenticate",
        "auth: authentication failed, password was given for no password user",
    ),
    ("B76", "Auth/UserDelete", MANAGEMENT),
    ("B76", "Auth/UserRevokeRole", MANAGEMENT),
    ("B77", "Auth/RoleAdd", "etcdserver: role name is empty"),
    ("B77", "Auth/RoleAdd", "etcdserver: role name already exists"),
    ("B77", "Auth/RoleGet", NO_ROLE),
    ("B77", "Auth/RoleDelete", NO_ROLE),
    ("B77", "Auth/RoleGrantPermission", NO_ROLE),
    ("B77", "Auth/UserGrantRole", NO_ROLE),
    ("B77", "Auth/UserGet", NO_USER),
    ("B77", "Auth/UserDelete", NO_USER),
    ("B77", "Auth/UserChangePassword", NO_USER),
    ("B77", "Auth/UserGrantRole", NO_USER),
    ("B79", "Auth/UserRevokeRole", "etcdserver: role is not granted to the user"),
    ("B79", "Auth/RoleRevokePermission", "etcdserver: permission is not granted to the role"),
    ("B80", "http /health", "http 405"),
    ("B81", "http /health", "http 503"),
    ("B82", "http /health", "http 421"),
    ("B84", "http /v3/kv/range", "http 400"),
    ("B85", "http /v3/no/such", "http 404"),
    ("B85", "http /nonsense", "http 404"),
];

/// How often each must come in a run of 200,000 requests; in a shorter one in proportion.
const TIMES: u64 = 100;
const FULL_RUN: u64 = 200_000;

/// A full run has so many seeds.
const FULL_SEEDS: u64 = 200;

/// What etcd 3.4 does not have, and what changes the members; see `tests/api-differences.md`.
const NOT_ASKED: &[&str] = &[
    "KV/RangeStream",
    "gateway Maintenance/HashKV",
    "Auth/AuthStatus",
    "Maintenance/Downgrade",
    "Cluster/MemberAdd",
    "Cluster/MemberRemove",
    "Cluster/MemberUpdate",
    "Cluster/MemberPromote",
];

impl Tally {
    pub fn count(&mut self, step: &Step, theirs: &Value) {
        for (rpc, times) in step.rpcs() {
            self.requests += times;
            *self.rpcs.entry(rpc).or_default() += times;
        }
        let subject = step.subject();
        if let Some(text) = refusal(theirs) {
            self.refused(&subject, text);
        }
        if let Some(status) = theirs["http"].as_u64().filter(|status| *status != 200) {
            self.refused(&subject, &format!("http {status}"));
        }
    }

    /// A method is the same by gRPC and by the gateway.
    fn refused(&mut self, subject: &str, text: &str) {
        let subject = subject.strip_prefix("gateway ").unwrap_or(subject);
        *self.refusals.entry((subject.to_owned(), text.to_owned())).or_default() += 1;
    }

    /// What a watch was told by etcd.
    pub fn watched(&mut self, told: &Value) {
        if let Some(reason) = told["cancel_reason"].as_str() {
            self.refused("Watch/Watch", reason);
        } else if told["compact_revision"].is_string() {
            self.refused("Watch/Watch", OVERTAKEN);
        }
    }

    pub fn allowed(&mut self, row: &str) {
        *self.rows.entry(row.to_owned()).or_default() += 1;
    }

    pub fn add(&mut self, other: &Tally) {
        self.seeds += other.seeds;
        self.requests += other.requests;
        sum(&mut self.rpcs, &other.rpcs);
        sum(&mut self.refusals, &other.refusals);
        sum(&mut self.rows, &other.rows);
    }

    /// Why this was not the whole proof, whose size is fixed.
    pub fn shortness(&self) -> Vec<String> {
        let counted = [("seeds", self.seeds, FULL_SEEDS), ("requests", self.requests, FULL_RUN)];
        let short = counted.into_iter().filter(|(_, found, wanted)| found < wanted);
        short.map(|(what, found, wanted)| format!("{found} {what}, not {wanted}")).collect()
    }

    /// What came too rarely for a run of this length, and rows that allow nothing.
    pub fn gaps(&self, table: &Differences) -> Vec<String> {
        let wanted = (TIMES * self.requests / FULL_RUN).clamp(1, TIMES);
        let mut gaps = Vec::new();
        let by_gateway = GATEWAY.iter().map(|(name, _)| format!("gateway {name}"));
        let asked = methods().keys().cloned().chain(by_gateway);
        for name in asked.filter(|name| !NOT_ASKED.contains(&name.as_str())) {
            let found = self.rpcs.get(&name).copied().unwrap_or(0);
            if found < wanted {
                gaps.push(format!("{name} was asked {found} times, not {wanted}"));
            }
        }
        for (rows, asked, text) in MESSAGES {
            let found = self.provoked(asked, text);
            if found < wanted {
                gaps.push(format!("{rows} {asked}: {text:?} came {found} times, not {wanted}"));
            }
        }
        for row in table.0.iter().filter(|row| !self.rows.contains_key(&row.name)) {
            gaps.push(format!("the row {} of the table of differences allows nothing", row.name));
        }
        gaps
    }

    fn provoked(&self, asked: &str, text: &str) -> u64 {
        let with = self.refusals.iter();
        let with = with.filter(|((subject, found), _)| subject == asked && found.contains(text));
        with.map(|(_, count)| count).sum()
    }
}

fn sum<Name: Clone + Ord>(to: &mut BTreeMap<Name, u64>, from: &BTreeMap<Name, u64>) {
    for (name, count) in from {
        *to.entry(name.clone()).or_default() += count;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} requests in {} seeds", self.requests, self.seeds)?;
        for (title, counts) in
            [("requests by method", &self.rpcs), ("allowed differences by row", &self.rows)]
        {
            writeln!(out, "\n{title}:")?;
            for (name, count) in counts {
                writeln!(out, "{count:>9}  {name}")?;
            }
        }
        writeln!(out, "\nrefusals of etcd:")?;
        for ((asked, text), count) in &self.refusals {
            writeln!(out, "{count:>9}  {asked}: {text}")?;
        }
        writeln!(out, "\nmessages of the bad-input reference:")?;
        for (rows, asked, text) in MESSAGES {
            writeln!(out, "{:>9}  {rows} {asked}: {text}", self.provoked(asked, text))?;
        }
        Ok(())
    }
}
