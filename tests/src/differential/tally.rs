//! What was asked and answered, counted.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::answer::refusal;
use super::contract::methods;
use super::differences::Differences;
use super::step::Step;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub seeds: u64,
    pub requests: u64,
    /// Requests by method; those by the gateway and by plain HTTP have names of their own.
    pub rpcs: BTreeMap<String, u64>,
    /// Answers of etcd by the text of their refusal.
    pub refusals: BTreeMap<String, u64>,
    /// Differences by the row of the table that allows them.
    pub rows: BTreeMap<String, u64>,
}

/// A text that one client can provoke of etcd 3.4, with the rows of the reference it is in.
const MESSAGES: &[(&str, &str)] = &[
    ("B1 B9 B16 B20", "etcdserver: key is not provided"),
    ("B4 B26 B62", "etcdserver: mvcc: required revision is a future revision"),
    ("B5 B6 B25 B31 B62", "etcdserver: mvcc: required revision has been compacted"),
    ("B10", "etcdserver: value is provided"),
    ("B11", "etcdserver: lease is provided"),
    ("B12 B23", "etcdserver: key not found"),
    ("B13 B24 B46", "etcdserver: requested lease not found"),
    ("B14", "etcdserver: request is too large"),
    ("B15", "grpc: received message larger than max"),
    ("B18 B19", "etcdserver: too many operations in txn request"),
    ("B21 B22", "etcdserver: duplicate key given in txn request"),
    ("B28", "etcdserver: mvcc: database space exceeded"),
    ("B29", "etcdserver: corrupt cluster"),
    ("B32", "watch canceled by a compaction"),
    ("B34", "mvcc: duplicate watch ID provided on the WatchStream"),
    ("B35", "mvcc: watcher range is empty"),
    ("B43", "etcdserver: too large lease TTL"),
    ("B45", "etcdserver: lease already exists"),
    ("B49 B73", "etcdserver: permission denied"),
    ("B61", "etcdserver: bad leader transferee"),
    ("B66", "etcdserver: root user does not exist"),
    ("B67", "etcdserver: root user does not have root role"),
    ("B68", "etcdserver: authentication is not enabled"),
    ("B69", "etcdserver: authentication failed, invalid user ID or password"),
    ("B70 B74", "etcdserver: user name is empty"),
    ("B71", "etcdserver: invalid auth token"),
    ("B72", "etcdserver: revision of auth store is old"),
    ("B74", "etcdserver: user name already exists"),
    ("B76 B78", "etcdserver: invalid auth management"),
    ("B77", "etcdserver: role name is empty"),
    ("B77", "etcdserver: role name already exists"),
    ("B77", "etcdserver: role name not found"),
    ("B77", "etcdserver: user name not found"),
    ("B79", "etcdserver: role is not granted to the user"),
    ("B79", "etcdserver: permission is not granted to the role"),
    ("B80", "http 405"),
    ("B84", "http 400"),
    ("B85", "http 404"),
];

/// How often each must come in a run of 200,000 requests; in a shorter one in proportion.
const TIMES: u64 = 100;
const FULL_RUN: u64 = 200_000;

/// What etcd 3.4 does not have, and what changes the members.
const NOT_ASKED: &[&str] = &[
    "KV/RangeStream",
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
        if let Some(text) = refusal(theirs) {
            self.refused(text);
        }
        if let Some(status) = theirs["http"].as_u64().filter(|status| *status != 200) {
            self.refused(&format!("http {status}"));
        }
    }

    pub fn refused(&mut self, text: &str) {
        *self.refusals.entry(text.to_owned()).or_default() += 1;
    }

    /// What a watch was told by etcd.
    pub fn watched(&mut self, told: &Value) {
        if let Some(reason) = told["cancel_reason"].as_str() {
            self.refused(reason);
        } else if told["compact_revision"].is_string() {
            self.refused("watch canceled by a compaction");
        }
    }

    pub fn allowed(&mut self, row: &str) {
        *self.rows.entry(row.to_owned()).or_default() += 1;
    }

    pub fn add(&mut self, other: &Tally) {
        self.seeds += other.seeds;
        self.requests += other.requests;
        for (ours, theirs) in [
            (&mut self.rpcs, &other.rpcs),
            (&mut self.refusals, &other.refusals),
            (&mut self.rows, &other.rows),
        ] {
            for (name, count) in theirs {
                *ours.entry(name.clone()).or_default() += count;
            }
        }
    }

    /// What came too rarely for a run of this length, and rows that allow nothing.
    pub fn gaps(&self, table: &Differences) -> Vec<String> {
        let wanted = (TIMES * self.requests / FULL_RUN).clamp(1, TIMES);
        let mut gaps = Vec::new();
        for name in methods().keys().filter(|name| !NOT_ASKED.contains(&name.as_str())) {
            let found = self.rpcs.get(name).copied().unwrap_or(0);
            if found < wanted {
                gaps.push(format!("{name} was asked {found} times, not {wanted}"));
            }
        }
        for (rows, text) in MESSAGES {
            let found = self.provoked(text);
            if found < wanted {
                gaps.push(format!("{rows} {text:?} came {found} times, not {wanted}"));
            }
        }
        for row in table.0.iter().filter(|row| !self.rows.contains_key(&row.name)) {
            gaps.push(format!("the row {} of the table of differences allows nothing", row.name));
        }
        gaps
    }

    fn provoked(&self, text: &str) -> u64 {
        let with = self.refusals.iter().filter(|(found, _)| found.contains(text));
        with.map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} requests in {} seeds", self.requests, self.seeds)?;
        for (title, counts) in [
            ("requests by method", &self.rpcs),
            ("allowed differences by row", &self.rows),
            ("refusals of etcd by text", &self.refusals),
        ] {
            writeln!(out, "\n{title}:")?;
            for (name, count) in counts {
                writeln!(out, "{count:>9}  {name}")?;
            }
        }
        writeln!(out, "\nmessages of the bad-input reference:")?;
        for (rows, text) in MESSAGES {
            writeln!(out, "{:>9}  {rows}: {text}", self.provoked(text))?;
        }
        Ok(())
    }
}
