//! Keys and values.

use std::pin::Pin;
use std::time::Duration;

use kvorum_core::node::Refusal;
use kvorum_core::store::{OpReply, Reply, Root, TxnReply, is_read_only};
use kvorum_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
    InternalRaftRequest, PutRequest, PutResponse, RangeRequest, RangeResponse, RangeStreamResponse,
    TxnRequest, TxnResponse, kv_server,
};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::status::{not_a, of_refusal, of_request, of_store};
use super::{convert, range_stream, validate};
use crate::limits::INLINE_RANGE_KEYS;
use crate::runtime::{Handle, RequestError};

pub(super) struct Kv(pub(super) Handle);

/// Old readers may hold history for as long as they live; a client need not wait for them all.
const PHYSICAL_TIMEOUT: Duration = Duration::from_secs(60);

#[tonic::async_trait]
impl kv_server::Kv for Kv {
    async fn range(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<RangeResponse>, Status> {
        let request = request.into_inner();
        validate::range(&request)?;
        if !request.serializable {
            self.0.read_barrier().await.map_err(of_request)?;
        }
        let handle = self.0.clone();
        let quick = is_quick(&request, &handle.root());
        perform(quick, move || range(&handle, &request)).await
    }

    type RangeStreamStream =
        Pin<Box<dyn Stream<Item = Result<RangeStreamResponse, Status>> + Send>>;

    async fn range_stream(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        let request = request.into_inner();
        validate::range(&request)?;
        range_stream::check(&request)?;
        if !request.serializable {
            self.0.read_barrier().await.map_err(of_request)?;
        }
        // One chunk is read while the one before is sent.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(range_stream::run(self.0.clone(), request, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let put = request.into_inner();
        validate::put(&put)?;
        let entry = InternalRaftRequest { put: Some(put), ..Default::default() };
        let outcome = self.0.write(entry).await.map_err(of_request)?;
        let Reply::Put(reply) = outcome.reply else { return Err(not_a("put")) };
        Ok(Response::new(convert::put(&reply, Some(self.0.header(outcome.revision)))))
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        let delete = request.into_inner();
        validate::delete(&delete)?;
        let entry = InternalRaftRequest { delete_range: Some(delete), ..Default::default() };
        let outcome = self.0.write(entry).await.map_err(of_request)?;
        let Reply::Delete(reply) = outcome.reply else { return Err(not_a("deletion")) };
        Ok(Response::new(convert::delete(&reply, Some(self.0.header(outcome.revision)))))
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        let txn = request.into_inner();
        validate::txn(&txn, self.0.limits.max_txn_ops)?;
        let handle = self.0.clone();
        if is_read_only(&txn) {
            if !validate::is_serializable(&txn) {
                self.0.read_barrier().await.map_err(of_request)?;
            }
            let root = handle.root();
            let read = move || {
                let reply = root.txn_read(&txn).map_err(of_store)?;
                finish_txn(&handle, reply, root.revision())
            };
            return perform(false, read).await;
        }
        let entry = InternalRaftRequest { txn: Some(txn), ..Default::default() };
        let outcome = self.0.write(entry).await.map_err(of_request)?;
        let Reply::Txn(reply) = outcome.reply else { return Err(not_a("transaction")) };
        let quick = !lacks_values(&reply);
        perform(quick, move || finish_txn(&handle, reply, outcome.revision)).await
    }

    async fn compact(
        &self,
        request: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        let compaction = request.into_inner();
        let entry = InternalRaftRequest { compaction: Some(compaction), ..Default::default() };
        let outcome = self.0.write(entry).await.map_err(of_request)?;
        if compaction.physical {
            let mut swept = self.0.swept.subscribe();
            let gone = swept.wait_for(|swept| *swept >= compaction.revision);
            match timeout(PHYSICAL_TIMEOUT, gone).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Err(of_request(RequestError::Stopped)),
                Err(_) => return Err(of_refusal(Refusal::Timeout)),
            }
        }
        let header = Some(self.0.header(outcome.revision));
        Ok(Response::new(CompactionResponse { header }))
    }
}

/// Runs what is quick here, and what may take long or wait for the disk beside the thread that
/// serves everybody.
async fn perform<T: Send + 'static>(
    quick: bool,
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<Response<T>, Status> {
    let done = if quick {
        work()
    } else {
        spawn_blocking(work).await.map_err(|_| of_request(RequestError::Stopped))?
    };
    done.map(Response::new)
}

fn range(handle: &Handle, request: &RangeRequest) -> Result<RangeResponse, Status> {
    let root = handle.root();
    let mut reply = root.range(request).map_err(of_store)?;
    handle.resolve(&mut reply).map_err(of_request)?;
    Ok(convert::range(&reply, Some(handle.header(root.revision()))))
}

/// Only the newest values are sure to be in memory, and only short answers are made in no time.
fn is_quick(request: &RangeRequest, root: &Root) -> bool {
    if request.revision > 0 {
        return false;
    }
    if request.range_end.is_empty() || request.count_only {
        return true;
    }
    let count = RangeRequest {
        key: request.key.clone(),
        range_end: request.range_end.clone(),
        count_only: true,
        ..RangeRequest::default()
    };
    let plain = request.sort_order == 0 && request.sort_target == 0;
    (plain && (1..=INLINE_RANGE_KEYS).contains(&request.limit))
        || root.range(&count).is_ok_and(|reply| reply.count <= INLINE_RANGE_KEYS)
}

fn finish_txn(handle: &Handle, mut reply: TxnReply, revision: i64) -> Result<TxnResponse, Status> {
    handle.resolve_txn(&mut reply).map_err(of_request)?;
    Ok(convert::txn(&reply, Some(handle.header(revision))))
}

/// Whether values must be read back from the disk.
fn lacks_values(reply: &TxnReply) -> bool {
    reply.ops.iter().any(|op| match op {
        OpReply::Range(range, _) => range.pin.is_some(),
        OpReply::Txn(txn, _) => lacks_values(txn),
        OpReply::Put(..) | OpReply::Delete(..) => false,
    })
}
