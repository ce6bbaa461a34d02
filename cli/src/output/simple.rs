//! `-w simple`: for people and for simple scripts; the one format etcd promises not to change.

use std::borrow::Cow;
use std::io::{self, Write};

use kvorum_client::{KeyRange, pb};

use super::{
    Answer, LeaderMove, Paint, PrintError, Printer, SYNTHETIC, Tone, access, alarm_type,
    escape_control, event_type, file_hash_columns, hash_columns, member_columns, one_line,
    snapshot_columns, status_columns,
};

#[derive(Debug, Clone, Copy, Default)]
pub struct Simple {
    pub hex: bool,
    pub value_only: bool,
    pub escaped: bool,
    pub paint: Paint,
}

impl Printer for Simple {
    fn print(&self, answer: Answer<'_>, out: &mut dyn Write) -> Result<(), PrintError> {
        match answer {
            Answer::Put(put) => self.put(put, out)?,
            Answer::Get(get) => self.kvs(&get.kvs, out)?,
            Answer::Delete(delete) => self.delete(delete, out)?,
            Answer::Txn(txn) => self.txn(txn, out)?,
            Answer::Watch(watch) => self.watch(watch, "", out)?,
            Answer::Difference(watch) => self.watch(watch, &format!("{SYNTHETIC} "), out)?,
            // Where it is said, it is said on the side.
            Answer::Gap(_) => {}
            Answer::Grant(grant) => {
                writeln!(out, "lease {:016x} granted with TTL({}s)", grant.id, grant.ttl)?;
            }
            Answer::Revoke(id, _) => writeln!(out, "lease {id:016x} revoked")?,
            Answer::KeepAlive(beat) => {
                writeln!(out, "lease {:016x} keepalived with TTL({})", beat.id, beat.ttl)?;
            }
            Answer::TimeToLive(lease, keys) => self.time_to_live(lease, keys, out)?,
            Answer::Leases(leases) => {
                writeln!(out, "found {} leases", leases.leases.len())?;
                for lease in &leases.leases {
                    writeln!(out, "{:016x}", lease.id)?;
                }
            }
            Answer::MemberAdd(added) => {
                let (member, cluster) = member_and_cluster(added);
                let learner = if member.is_learner { " as learner " } else { " " };
                let id = member.id;
                writeln!(out, "Member {id:16x} added{learner}to cluster {cluster:16x}")?;
            }
            Answer::MemberChange(text, _) | Answer::Done(text, _) => {
                self.line_of_text(text, out)?;
            }
            Answer::Hashes(rows) => self.rows(hash_columns(rows).1, out)?,
            Answer::Alarms(alarms) => {
                for alarm in &alarms.alarms {
                    let (member, kind) = (alarm.member_id, alarm_type(alarm.alarm));
                    // As Go writes a message down, with its last space.
                    writeln!(out, "memberID:{member} alarm:{kind} ")?;
                }
            }
            Answer::LeaderMove(LeaderMove { from, to }, _) => {
                writeln!(out, "Leadership transferred from {from:x} to {to:x}")?;
            }
            Answer::Downgrade(verb, answer) => {
                let text = format!("Downgrade {verb} success, cluster version {}", answer.version);
                self.line_of_text(&text, out)?;
            }
            Answer::AuthStatus(status) => {
                writeln!(out, "Authentication Status: {}", status.enabled)?;
                writeln!(out, "AuthRevision: {}", status.auth_revision)?;
            }
            Answer::Role(name, role) => self.role(name, role, out)?,
            Answer::Roles(roles) => self.lines(&roles.roles, out)?,
            Answer::User(name, user) => {
                self.line_of_text(&format!("User: {name}"), out)?;
                let roles: Vec<&str> = user.roles.iter().map(String::as_str).collect();
                self.line_of_text(&[&["Roles:"], &roles[..]].concat().join(" "), out)?;
            }
            Answer::Users(users) => self.lines(&users.users, out)?,
            Answer::Members(members) => self.rows(member_columns(members).1, out)?,
            Answer::Status(rows) => self.rows(status_columns(rows).1, out)?,
            Answer::Snapshot(status) => self.rows(snapshot_columns(status).1, out)?,
            Answer::FileHash(hash) => self.rows(file_hash_columns(hash).1, out)?,
            Answer::Health(rows) => {
                for row in rows.iter().filter(|row| row.error.is_empty()) {
                    let (endpoint, took) = (&row.endpoint, row.took_text());
                    writeln!(
                        out,
                        "{endpoint} is healthy: successfully committed proposal: took = {took}"
                    )?;
                }
            }
        }
        Ok(())
    }
}

impl Simple {
    fn put(self, put: &pb::PutResponse, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "OK")?;
        self.kvs(put.prev_kv.as_slice(), out)
    }

    fn delete(self, delete: &pb::DeleteRangeResponse, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", delete.deleted)?;
        self.kvs(&delete.prev_kvs, out)
    }

    fn txn(self, txn: &pb::TxnResponse, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", if txn.succeeded { "SUCCESS" } else { "FAILURE" })?;
        for response in &txn.responses {
            writeln!(out)?;
            match &response.response {
                Some(pb::ResponseOpKind::ResponsePut(put)) => self.put(put, out)?,
                Some(pb::ResponseOpKind::ResponseRange(get)) => self.kvs(&get.kvs, out)?,
                Some(pb::ResponseOpKind::ResponseDeleteRange(delete)) => {
                    self.delete(delete, out)?;
                }
                Some(pb::ResponseOpKind::ResponseTxn(txn)) => self.txn(txn, out)?,
                None => {}
            }
        }
        Ok(())
    }

    fn watch(self, watch: &pb::WatchResponse, mark: &str, out: &mut dyn Write) -> io::Result<()> {
        for event in &watch.events {
            writeln!(out, "{mark}{}", event_type(event))?;
            self.kvs(event.prev_kv.as_slice(), out)?;
            self.kvs(event.kv.as_slice(), out)?;
        }
        Ok(())
    }

    fn time_to_live(
        self,
        lease: &pb::LeaseTimeToLiveResponse,
        keys: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let (id, granted, ttl) = (lease.id, lease.granted_ttl, lease.ttl);
        if granted == 0 && ttl == -1 {
            return writeln!(out, "lease {id:016x} already expired");
        }
        write!(out, "lease {id:016x} granted with TTL({granted}s), remaining({ttl}s)")?;
        if keys {
            let keys: Vec<_> = lease.keys.iter().map(|key| self.key(key)).collect();
            write!(out, ", attached keys([")?;
            out.write_all(&keys.join(&b' '))?;
            write!(out, "])")?;
        }
        writeln!(out)
    }

    fn role(self, name: &str, role: &pb::RoleGetResponse, out: &mut dyn Write) -> io::Result<()> {
        self.line_of_text(&format!("Role {name}"), out)?;
        for (title, kind) in [("KV Read:", access::READ), ("KV Write:", access::WRITE)] {
            writeln!(out, "{title}")?;
            // The role `root` needs no permission to have every one.
            if name == "root" && role.perm.is_empty() {
                writeln!(out, "\t[, <open ended>")?;
            }
            let allowed =
                role.perm.iter().filter(|perm| [kind, access::BOTH].contains(&perm.perm_type));
            for perm in allowed {
                out.write_all(b"\t")?;
                out.write_all(&self.shown(&permission(&perm.key, &perm.range_end)))?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn lines(self, names: &[String], out: &mut dyn Write) -> io::Result<()> {
        names.iter().try_for_each(|name| self.line_of_text(name, out))
    }

    fn kvs(self, kvs: &[pb::KeyValue], out: &mut dyn Write) -> io::Result<()> {
        for kv in kvs {
            if !self.value_only {
                let (begin, end) = self.paint.around(Tone::Key);
                write!(out, "{begin}")?;
                if self.escaped && !self.hex {
                    write!(out, "{}", one_line(&kv.key))?;
                } else {
                    self.bytes(&kv.key, out)?;
                }
                writeln!(out, "{end}")?;
            }
            self.line(&kv.value, out)?;
        }
        Ok(())
    }

    fn line(self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        self.bytes(bytes, out)?;
        out.write_all(b"\n")
    }

    fn bytes(self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        if !self.hex {
            return out.write_all(&self.shown(bytes));
        }
        bytes.iter().try_for_each(|byte| write!(out, "\\x{byte:02x}"))
    }

    fn rows(self, rows: Vec<Vec<String>>, out: &mut dyn Write) -> io::Result<()> {
        for row in rows {
            self.line_of_text(&row.join(", "), out)?;
        }
        Ok(())
    }

    fn line_of_text(self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.shown(text.as_bytes()))?;
        out.write_all(b"\n")
    }

    fn key(self, key: &[u8]) -> Cow<'_, [u8]> {
        if self.escaped { Cow::Owned(one_line(key).into_bytes()) } else { Cow::Borrowed(key) }
    }

    fn shown(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        if self.escaped { escape_control(bytes) } else { Cow::Borrowed(bytes) }
    }
}

/// The member that was added, and the ID of its cluster.
fn member_and_cluster(added: &pb::MemberAddResponse) -> (pb::Member, u64) {
    let cluster = added.header.as_ref().map_or(0, |header| header.cluster_id);
    (added.member.clone().unwrap_or_default(), cluster)
}

/// `key`, `[key, end)`, `[key, end) (prefix key)` or `[key, <open ended>`.
fn permission(key: &[u8], end: &[u8]) -> Vec<u8> {
    if end.is_empty() {
        return key.to_vec();
    }
    let range = if end == b"\0" {
        [b"[", key, b", <open ended>"].concat()
    } else {
        [b"[", key, b", ", end, b")"].concat()
    };
    if !key.is_empty() && KeyRange::prefix(key).end == end {
        [range.as_slice(), b" (prefix ", key, b")"].concat()
    } else {
        range
    }
}
