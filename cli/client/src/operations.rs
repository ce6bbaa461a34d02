//! The operations of the KV service, and what is read from the Cluster and Maintenance services.

use etcd_client::{AlarmAction, AlarmType, CompactionOptions};
use kvorum_proto::etcdserverpb::MemberListRequest;

use crate::connection::{Connection, Effect};
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::pb;
use crate::request::{Delete, Get, Put, Txn};

impl Connection {
    pub async fn get(&self, get: Get) -> Result<pb::RangeResponse, Failure> {
        let limit = self.config().max_recv_bytes;
        self.call(Effect::Reads, |client| {
            let mut kv = client.kv_client().max_decoding_message_size(limit);
            let (key, options) = (get.range.key.clone(), get.options());
            async move { Ok(kv.get(key, Some(options)).await?.0) }
        })
        .await
    }

    /// As [`Self::get`], received in parts, so that no message is larger than a server likes. Servers
    /// before 3.7 do not know it.
    pub async fn get_in_parts(&self, get: Get) -> Result<pb::RangeResponse, Failure> {
        let limit = self.config().max_recv_bytes;
        self.call(Effect::Reads, |client| {
            let mut kv = client.kv_client().max_decoding_message_size(limit);
            let (key, options) = (get.range.key.clone(), get.options());
            async move {
                let mut parts = kv.get_stream(key, Some(options)).await?;
                let mut whole = pb::RangeResponse::default();
                while let Some(part) = parts.message().await? {
                    // All but the keys comes with the last part.
                    let pb::RangeResponse { header, kvs, more, count } = part.0;
                    whole.kvs.extend(kvs);
                    (whole.header, whole.more, whole.count) = (header, more, count);
                }
                Ok(whole)
            }
        })
        .await
    }

    pub async fn put(&self, put: Put) -> Result<pb::PutResponse, Failure> {
        let (recv, send) = (self.config().max_recv_bytes, self.config().max_request_bytes);
        self.call(Effect::Writes, |client| {
            let kv = client.kv_client().max_decoding_message_size(recv);
            let mut kv = kv.max_encoding_message_size(send);
            let (put, options) = (put.clone(), put.options());
            async move { Ok(kv.put(put.key, put.value, Some(options)).await?.0) }
        })
        .await
    }

    pub async fn delete(&self, delete: Delete) -> Result<pb::DeleteRangeResponse, Failure> {
        let limit = self.config().max_recv_bytes;
        self.call(Effect::Writes, |client| {
            let mut kv = client.kv_client().max_decoding_message_size(limit);
            let (key, options) = (delete.range.key.clone(), delete.options());
            async move { Ok(kv.delete(key, Some(options)).await?.0) }
        })
        .await
    }

    pub async fn txn(&self, txn: Txn) -> Result<pb::TxnResponse, Failure> {
        let (recv, send) = (self.config().max_recv_bytes, self.config().max_request_bytes);
        let effect = if txn.is_read_only() { Effect::Reads } else { Effect::Writes };
        self.call(effect, |client| {
            let kv = client.kv_client().max_decoding_message_size(recv);
            let mut kv = kv.max_encoding_message_size(send);
            let wire = txn.clone().into_wire();
            async move { Ok(kv.txn(wire).await?.0) }
        })
        .await
    }

    /// Gives up history before `revision`; with `physical`, waits until the space is free.
    pub async fn compact(
        &self,
        revision: i64,
        physical: bool,
    ) -> Result<pb::CompactionResponse, Failure> {
        self.call(Effect::Writes, |client| {
            let options = CompactionOptions::new();
            let options = if physical { options.with_physical() } else { options };
            let mut kv = client.kv_client();
            async move { Ok(kv.compact(revision, Some(options)).await?.0) }
        })
        .await
    }

    /// The members, as the member that answers knows them.
    pub async fn members(&self) -> Result<pb::MemberListResponse, Failure> {
        self.call(Effect::Reads, |client| async move {
            Ok(client.cluster_client().member_list().await?.0)
        })
        .await
    }

    /// The members, confirmed by the leader: a flag that etcd-client cannot set.
    pub async fn members_linearizable(&self) -> Result<pb::MemberListResponse, Failure> {
        let request = MemberListRequest { linearizable: true };
        self.unary(Effect::Reads, "/etcdserverpb.Cluster/MemberList", request).await
    }

    /// What the member behind `endpoint` says of itself.
    pub async fn status(&self, endpoint: &Endpoint) -> Result<pb::StatusResponse, Failure> {
        self.call_at(Effect::Reads, endpoint, |client| async move {
            Ok(client.maintenance_client().status().await?.0)
        })
        .await
    }

    /// The status of whichever member answers first.
    pub async fn status_of_any(&self) -> Result<pb::StatusResponse, Failure> {
        self.call(Effect::Reads, |client| async move {
            Ok(client.maintenance_client().status().await?.0)
        })
        .await
    }

    pub async fn alarms(&self) -> Result<pb::AlarmResponse, Failure> {
        self.call(Effect::Reads, |client| async move {
            let mut maintenance = client.maintenance_client();
            Ok(maintenance.alarm(AlarmAction::Get, AlarmType::None, None).await?.0)
        })
        .await
    }
}
