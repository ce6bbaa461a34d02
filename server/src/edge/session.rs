//! What a service asks of the other services for its client.
//!
//! Lock and Election are made of reads, transactions, leases and watches that the client could
//! have asked for itself. They go through the same services with the client's own metadata, so
//! whatever is checked there, limits and permissions, is checked as if the client had.

use kvorum_proto::etcdserverpb::kv_server::Kv as _;
use kvorum_proto::etcdserverpb::lease_server::Lease as _;
use kvorum_proto::etcdserverpb::{
    DeleteRangeRequest, DeleteRangeResponse, LeaseGrantRequest, RangeRequest, RangeResponse,
    TxnRequest, TxnResponse, WatchCreateRequest, WatchResponse,
};
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Request, Status};

use super::answer;
use super::kv::Kv;
use super::lease::Lease;
use super::principal::Caller;
use super::status::of_request;
use super::watch;
use crate::runtime::{Handle, Outgoing, RequestError, WatchRequest, WatchStream, Watches};

/// How long a lease lives, in seconds, that a session makes because its client has named none.
const SESSION_TTL_S: i64 = 60;

pub(super) struct Session {
    handle: Handle,
    metadata: MetadataMap,
    extensions: Extensions,
}

impl Session {
    /// Takes a request apart into who asks and what.
    pub(super) fn begin<T>(handle: &Handle, request: Request<T>) -> (Session, T) {
        let (metadata, extensions, message) = request.into_parts();
        (Session { handle: handle.clone(), metadata, extensions }, message)
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn caller(&self) -> Caller {
        Caller::from_parts(&self.handle, self.metadata.as_ref(), &self.extensions)
    }

    /// The lease the client has named, or one made for it, which nobody keeps alive.
    pub(super) async fn lease(&self, named: i64) -> Result<i64, Status> {
        if named != 0 {
            return Ok(named);
        }
        let grant = LeaseGrantRequest { id: 0, ttl: SESSION_TTL_S };
        let granted = Lease(self.handle.clone()).lease_grant(self.request(grant)).await?;
        Ok(granted.into_inner().id)
    }

    pub(super) async fn range(&self, range: RangeRequest) -> Result<RangeResponse, Status> {
        let response = Kv(self.handle.clone()).range(self.request(range)).await?;
        answer::whole(response).await
    }

    pub(super) async fn txn(&self, txn: TxnRequest) -> Result<TxnResponse, Status> {
        let response = Kv(self.handle.clone()).txn(self.request(txn)).await?;
        answer::whole(response).await
    }

    pub(super) async fn delete(
        &self,
        delete: DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse, Status> {
        let response = Kv(self.handle.clone()).delete_range(self.request(delete)).await?;
        answer::whole(response).await
    }

    /// Watches what the client may read: the caller has read it in this session, and waits no longer
    /// than that is allowed.
    pub(super) async fn watch(&self, watches: Vec<WatchCreateRequest>) -> Events {
        let stream = Watches::open(&self.handle);
        for watch in watches {
            stream.sender.request(WatchRequest::Create(watch)).await;
        }
        Events { handle: self.handle.clone(), stream, waiting: Vec::new() }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        Request::from_parts(self.metadata.clone(), self.extensions.clone(), message)
    }
}

/// What the watches of a session see, in order.
pub(super) struct Events {
    handle: Handle,
    stream: WatchStream,
    /// The next one last.
    waiting: Vec<Outgoing>,
}

impl Events {
    pub(super) async fn next(&mut self) -> Result<WatchResponse, Status> {
        if self.waiting.is_empty() {
            if !self.stream.next(&mut self.waiting).await {
                return Err(of_request(RequestError::Stopped));
            }
            self.waiting.reverse();
        }
        let Some(reply) = self.waiting.pop() else {
            return Err(of_request(RequestError::Stopped));
        };
        self.stream.consumed(1, reply.reply.bytes());
        watch::response(&self.handle, reply).await?.message()
    }
}

/// What a session's service tells its client of an error: in etcd they are clients of their own
/// server, and an error that their client library knows by its text loses its code on the way.
pub(super) fn as_told(status: Status) -> Status {
    if status.message().starts_with("etcdserver: ") {
        Status::new(Code::Unknown, status.message())
    } else {
        status
    }
}
