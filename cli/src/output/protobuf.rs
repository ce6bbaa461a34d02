//! `-w protobuf`: the bytes of the answer as they are on the wire, one answer right after another.

use std::io::Write;

use kvorum_client::pb;
use prost::Message as _;

use super::{Answer, PrintError, Printer, SYNTHETIC};

#[derive(Debug, Clone, Copy, Default)]
pub struct Protobuf;

impl Printer for Protobuf {
    fn print(&self, answer: Answer<'_>, out: &mut dyn Write) -> Result<(), PrintError> {
        let bytes = match answer {
            Answer::Put(put) => put.encode_to_vec(),
            Answer::Get(get) => get.encode_to_vec(),
            Answer::Delete(delete) => delete.encode_to_vec(),
            Answer::Txn(txn) => txn.encode_to_vec(),
            Answer::Watch(watch) => self::watch(watch),
            Answer::Difference(watch) => marked(watch.clone()),
            Answer::Gap(gap) => marked(pb::WatchResponse {
                compact_revision: gap.to,
                ..pb::WatchResponse::default()
            }),
            // Of what it keeps in a structure of its own, etcdctl writes the header alone.
            Answer::Grant(grant) => bare_header(grant.header.as_ref()),
            Answer::KeepAlive(beat) => bare_header(beat.header.as_ref()),
            Answer::TimeToLive(lease, _) => bare_header(lease.header.as_ref()),
            Answer::Leases(leases) => bare_header(leases.header.as_ref()),
            Answer::Revoke(..) => {
                return Err(PrintError::NoMarshal("clientv3.LeaseRevokeResponse"));
            }
            Answer::Members(members) | Answer::MemberChange(_, members) => members.encode_to_vec(),
            Answer::MemberAdd(added) => added.encode_to_vec(),
            Answer::Alarms(alarms) => alarms.encode_to_vec(),
            Answer::LeaderMove(_, moved) => moved.encode_to_vec(),
            Answer::Downgrade(_, downgrade) => downgrade.encode_to_vec(),
            Answer::AuthStatus(status) => status.encode_to_vec(),
            Answer::Role(_, role) => role.encode_to_vec(),
            Answer::Roles(roles) => roles.encode_to_vec(),
            Answer::User(_, user) => user.encode_to_vec(),
            Answer::Users(users) => users.encode_to_vec(),
            // The answers that have nothing but a header have it in the same place.
            Answer::Done(_, header) => {
                pb::UserAddResponse { header: header.copied() }.encode_to_vec()
            }
            Answer::Health(_)
            | Answer::Status(_)
            | Answer::Hashes(_)
            | Answer::FileHash(_)
            | Answer::Snapshot(_) => {
                return Err(PrintError::Unsupported("protobuf"));
            }
        };
        out.write_all(&bytes)?;
        Ok(())
    }
}

fn bare_header(header: Option<&pb::ResponseHeader>) -> Vec<u8> {
    header.map(prost::Message::encode_to_vec).unwrap_or_default()
}

/// A message that no server has sent. The wire has no field to say so, but one for words that comes
/// with no event.
fn marked(watch: pb::WatchResponse) -> Vec<u8> {
    pb::WatchResponse { cancel_reason: SYNTHETIC.to_owned(), ..watch }.encode_to_vec()
}

/// The fields that etcd's client keeps of an answer.
fn watch(watch: &pb::WatchResponse) -> Vec<u8> {
    pb::WatchResponse {
        header: watch.header,
        events: watch.events.clone(),
        compact_revision: watch.compact_revision,
        canceled: watch.canceled,
        created: watch.created,
        ..pb::WatchResponse::default()
    }
    .encode_to_vec()
}
