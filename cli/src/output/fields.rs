//! `-w fields`: one `"Name" : value` a line.

use std::io::{self, Write};

use kvorum_client::pb;

use super::go::quote;
use super::{
    Answer, HashRow, HealthRow, PrintError, Printer, StatusRow, access, alarm_type, event_type,
};

#[derive(Debug, Clone, Copy, Default)]
pub struct Fields {
    /// IDs in hexadecimal.
    pub hex: bool,
}

impl Printer for Fields {
    fn print(&self, answer: Answer<'_>, out: &mut dyn Write) -> Result<(), PrintError> {
        match answer {
            Answer::Put(put) => self.put(put, out)?,
            Answer::Get(get) => self.get(get, out)?,
            Answer::Delete(delete) => self.delete(delete, out)?,
            Answer::Txn(txn) => self.txn(txn, out)?,
            Answer::Watch(watch) => self.watch(watch, false, out)?,
            Answer::Difference(watch) => self.watch(watch, true, out)?,
            Answer::Gap(gap) => {
                writeln!(out, "\"GapFrom\" : {}", gap.from)?;
                writeln!(out, "\"GapTo\" : {}", gap.to)?;
            }
            Answer::Grant(grant) => self.lease(grant.header.as_ref(), grant.id, grant.ttl, out)?,
            Answer::KeepAlive(beat) => self.lease(beat.header.as_ref(), beat.id, beat.ttl, out)?,
            Answer::Revoke(_, revoke) => self.header(revoke.header.as_ref(), out)?,
            Answer::TimeToLive(lease, _) => {
                self.lease(lease.header.as_ref(), lease.id, lease.ttl, out)?;
                writeln!(out, "\"GrantedTTL\" : {}", lease.granted_ttl)?;
                for key in &lease.keys {
                    writeln!(out, "\"Key\" : {}", quote(key))?;
                }
            }
            Answer::Leases(leases) => {
                self.header(leases.header.as_ref(), out)?;
                for lease in &leases.leases {
                    self.lease_id("ID", lease.id, out)?;
                }
            }
            Answer::Members(members) => self.members(members, out)?,
            Answer::Health(rows) => health(rows, out)?,
            Answer::Status(rows) => self.status(rows, out)?,
            Answer::Hashes(rows) => self.hashes(rows, out)?,
            Answer::Alarms(alarms) => {
                self.header(alarms.header.as_ref(), out)?;
                for alarm in &alarms.alarms {
                    self.id("MemberID", alarm.member_id, out)?;
                    writeln!(out, "\"AlarmType\" : {}\n", alarm_type(alarm.alarm))?;
                }
            }
            Answer::Role(_, role) => self.role(role, out)?,
            Answer::Roles(roles) => {
                self.header(roles.header.as_ref(), out)?;
                let names = roles.roles.iter().map(|role| format!(" {}", quote(role.as_bytes())));
                writeln!(out, "\"Roles\" :{}", names.collect::<String>())?;
            }
            Answer::Done(_, header) => self.header(header, out)?,
            Answer::MemberAdd(_)
            | Answer::MemberChange(..)
            | Answer::LeaderMove(..)
            | Answer::Downgrade(..)
            | Answer::AuthStatus(_)
            | Answer::User(..)
            | Answer::Users(_) => return Err(PrintError::Unsupported("fields")),
            Answer::Snapshot(status) => {
                writeln!(out, "\"Hash\" : {}", status.hash)?;
                writeln!(out, "\"Revision\" : {}", status.revision)?;
                writeln!(out, "\"Keys\" : {}", status.total_keys)?;
                writeln!(out, "\"Size\" : {}", status.total_size_bytes)?;
                writeln!(out, "\"Version\" : {}", status.version)?;
            }
            Answer::FileHash(hash) => {
                writeln!(out, "\"Hash\" : {}", hash.hash)?;
                writeln!(out, "\"Hash revision\" : {}", hash.revision)?;
                writeln!(out, "\"Compact revision\" : {}", hash.compact_revision)?;
            }
        }
        Ok(())
    }
}

impl Fields {
    fn header(self, header: Option<&pb::ResponseHeader>, out: &mut dyn Write) -> io::Result<()> {
        let header = header.copied().unwrap_or_default();
        self.id("ClusterID", header.cluster_id, out)?;
        self.id("MemberID", header.member_id, out)?;
        if header.revision > 0 {
            writeln!(out, "\"Revision\" : {}", header.revision)?;
        }
        writeln!(out, "\"RaftTerm\" : {}", header.raft_term)
    }

    fn id(self, name: &str, id: u64, out: &mut dyn Write) -> io::Result<()> {
        if self.hex {
            writeln!(out, "\"{name}\" : {id:x}")
        } else {
            writeln!(out, "\"{name}\" : {id}")
        }
    }

    fn lease_id(self, name: &str, id: i64, out: &mut dyn Write) -> io::Result<()> {
        if self.hex {
            writeln!(out, "\"{name}\" : {id:016x}")
        } else {
            writeln!(out, "\"{name}\" : {id}")
        }
    }

    fn kv(self, prefix: &str, kv: &pb::KeyValue, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\"{prefix}Key\" : {}", quote(&kv.key))?;
        writeln!(out, "\"{prefix}CreateRevision\" : {}", kv.create_revision)?;
        writeln!(out, "\"{prefix}ModRevision\" : {}", kv.mod_revision)?;
        writeln!(out, "\"{prefix}Version\" : {}", kv.version)?;
        writeln!(out, "\"{prefix}Value\" : {}", quote(&kv.value))?;
        self.lease_id(&format!("{prefix}Lease"), kv.lease, out)
    }

    fn put(self, put: &pb::PutResponse, out: &mut dyn Write) -> io::Result<()> {
        self.header(put.header.as_ref(), out)?;
        put.prev_kv.iter().try_for_each(|kv| self.kv("Prev", kv, out))
    }

    fn get(self, get: &pb::RangeResponse, out: &mut dyn Write) -> io::Result<()> {
        self.header(get.header.as_ref(), out)?;
        get.kvs.iter().try_for_each(|kv| self.kv("", kv, out))?;
        writeln!(out, "\"More\" : {}", get.more)?;
        writeln!(out, "\"Count\" : {}", get.count)
    }

    fn delete(self, delete: &pb::DeleteRangeResponse, out: &mut dyn Write) -> io::Result<()> {
        self.header(delete.header.as_ref(), out)?;
        writeln!(out, "\"Deleted\" : {}", delete.deleted)?;
        delete.prev_kvs.iter().try_for_each(|kv| self.kv("Prev", kv, out))
    }

    fn txn(self, txn: &pb::TxnResponse, out: &mut dyn Write) -> io::Result<()> {
        self.header(txn.header.as_ref(), out)?;
        writeln!(out, "\"Succeeded\" : {}", txn.succeeded)?;
        for response in &txn.responses {
            match &response.response {
                Some(pb::ResponseOpKind::ResponsePut(put)) => self.put(put, out)?,
                Some(pb::ResponseOpKind::ResponseRange(get)) => self.get(get, out)?,
                Some(pb::ResponseOpKind::ResponseDeleteRange(delete)) => {
                    self.delete(delete, out)?;
                }
                Some(pb::ResponseOpKind::ResponseTxn(txn)) => self.txn(txn, out)?,
                None => {}
            }
        }
        Ok(())
    }

    fn watch(
        self,
        watch: &pb::WatchResponse,
        synthetic: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.header(watch.header.as_ref(), out)?;
        for event in &watch.events {
            writeln!(out, "\"Type\" : {}", event_type(event))?;
            if synthetic {
                writeln!(out, "\"Synthetic\" : true")?;
            }
            event.prev_kv.iter().try_for_each(|kv| self.kv("Prev", kv, out))?;
            event.kv.iter().try_for_each(|kv| self.kv("", kv, out))?;
        }
        Ok(())
    }

    fn lease(
        self,
        header: Option<&pb::ResponseHeader>,
        id: i64,
        ttl: i64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.header(header, out)?;
        self.lease_id("ID", id, out)?;
        writeln!(out, "\"TTL\" : {ttl}")
    }

    fn members(self, members: &pb::MemberListResponse, out: &mut dyn Write) -> io::Result<()> {
        self.header(members.header.as_ref(), out)?;
        for member in &members.members {
            self.id("ID", member.id, out)?;
            writeln!(out, "\"Name\" : {}", quote(member.name.as_bytes()))?;
            for url in &member.peer_ur_ls {
                writeln!(out, "\"PeerURL\" : {}", quote(url.as_bytes()))?;
            }
            for url in &member.client_ur_ls {
                writeln!(out, "\"ClientURL\" : {}", quote(url.as_bytes()))?;
            }
            writeln!(out, "\"IsLearner\" : {}\n", member.is_learner)?;
        }
        Ok(())
    }

    fn role(self, role: &pb::RoleGetResponse, out: &mut dyn Write) -> io::Result<()> {
        self.header(role.header.as_ref(), out)?;
        for perm in &role.perm {
            // Two spaces: so it is in etcdctl.
            writeln!(out, "\"PermType\" :  {}", access::name(perm.perm_type))?;
            writeln!(out, "\"Key\" : {}", quote(&perm.key))?;
            writeln!(out, "\"RangeEnd\" : {}", quote(&perm.range_end))?;
        }
        Ok(())
    }

    fn hashes(self, rows: &[HashRow], out: &mut dyn Write) -> io::Result<()> {
        for HashRow { endpoint, hash } in rows {
            self.header(hash.header.as_ref(), out)?;
            writeln!(out, "\"Endpoint\" : {}", quote(endpoint.as_bytes()))?;
            writeln!(out, "\"Hash\" : {}", hash.hash)?;
            writeln!(out, "\"HashRevision\" : {}\n", hash.hash_revision)?;
        }
        Ok(())
    }

    fn status(self, rows: &[StatusRow], out: &mut dyn Write) -> io::Result<()> {
        for StatusRow { endpoint, status } in rows {
            let downgrade = status.downgrade_info.clone().unwrap_or_default();
            self.header(status.header.as_ref(), out)?;
            writeln!(out, "\"Version\" : {}", quote(status.version.as_bytes()))?;
            writeln!(out, "\"StorageVersion\" : {}", quote(status.storage_version.as_bytes()))?;
            writeln!(out, "\"DBSize\" : {}", status.db_size)?;
            writeln!(out, "\"DBSizeInUse\" : {}", status.db_size_in_use)?;
            writeln!(out, "\"DBSizeQuota\" : {}", status.db_size_quota)?;
            writeln!(out, "\"Leader\" : {}", status.leader)?;
            writeln!(out, "\"IsLearner\" : {}", status.is_learner)?;
            writeln!(out, "\"RaftIndex\" : {}", status.raft_index)?;
            writeln!(out, "\"RaftTerm\" : {}", status.raft_term)?;
            writeln!(out, "\"RaftAppliedIndex\" : {}", status.raft_applied_index)?;
            writeln!(out, "\"Errors\" : [{}]", status.errors.join(" "))?;
            writeln!(out, "\"Endpoint\" : {}", quote(endpoint.as_bytes()))?;
            let target = quote(downgrade.target_version.as_bytes());
            writeln!(out, "\"DowngradeTargetVersion\" : {target}")?;
            writeln!(out, "\"DowngradeEnabled\" : {}\n", downgrade.enabled)?;
        }
        Ok(())
    }
}

fn health(rows: &[HealthRow], out: &mut dyn Write) -> io::Result<()> {
    for row in rows {
        writeln!(out, "\"Endpoint\" : {}", quote(row.endpoint.as_bytes()))?;
        writeln!(out, "\"Health\" : {}", row.healthy)?;
        writeln!(out, "\"Took\" : {}", row.took_text())?;
        writeln!(out, "\"Error\" : {}\n", row.error)?;
    }
    Ok(())
}
