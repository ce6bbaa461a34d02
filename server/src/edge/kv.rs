//! Keys and values.

use std::pin::Pin;
use std::time::Duration;

use kvorum_core::auth::Access;
use kvorum_core::node::Refusal;
use kvorum_core::store::{OpReply, RangeReply, Reply, Root, TxnReply, is_read_only};
use kvorum_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
    InternalRaftRequest, PutRequest, PutResponse, RangeRequest, RangeResponse, RangeStreamResponse,
    TxnRequest, TxnResponse, kv_server,
};
use kvorum_proto::key_range::KeyRange;
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::answer::{self, Answer, Layout};
use super::principal::{Caller, mark};
use super::status::{not_a, of_refusal, of_request, of_store};
use super::{convert, range_stream, validate};
use crate::limits::{INLINE_RANGE_KEYS, STREAM_CHUNK_BYTES, WHOLE_ANSWER_BYTES};
use crate::runtime::{Handle, RequestError};

pub(super) struct Kv(pub(super) Handle);

impl Kv {
    /// Looks for an answer: what is quick here, and what may take long, may be large or waits for
    /// the disk in its turn and beside the thread that serves everybody.
    async fn answer<T: Default + Send + 'static>(
        &self,
        quick: bool,
        find: impl FnOnce(&Handle) -> Result<Answer<T>, Status> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        if quick {
            let found = find(&self.0)?;
            return answer::respond(&self.0, found, None).await;
        }
        let turn = self.0.reading.turn().await.map_err(of_request)?;
        let handle = self.0.clone();
        // Who asked may be gone by now; what it asked for is counted as long as it is there.
        let found = spawn_blocking(move || find(&handle).map(|found| (found, turn)));
        let (found, turn) = found.await.map_err(|_| of_request(RequestError::Stopped))??;
        answer::respond(&self.0, found, Some(turn)).await
    }

    async fn txn_answer(
        &self,
        reply: TxnReply,
        revision: i64,
    ) -> Result<Response<TxnResponse>, Status> {
        let quick = is_quick_txn(&reply);
        self.answer(quick, move |handle| txn(handle, reply, revision)).await
    }
}

/// Old readers may hold history for as long as they live; a client need not wait for them all.
const PHYSICAL_TIMEOUT: Duration = Duration::from_secs(60);

#[tonic::async_trait]
impl kv_server::Kv for Kv {
    async fn range(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<RangeResponse>, Status> {
        let (caller, request) = Caller::split(&self.0, request);
        validate::range(&request)?;
        if !request.serializable {
            self.0.read_barrier().await.map_err(of_request)?;
        }
        let mut root = self.0.root();
        let keys = key_range(&request);
        caller.authorise(&mut root, Access::Read(&keys)).await?;
        let allowed_at = mark(&root);
        let quick = is_quick(&request, &root);
        let found = self.answer(quick, move |handle| range(handle, &root, &request)).await?;
        caller.still_may(allowed_at, Access::Read(&keys)).await?;
        Ok(found)
    }

    type RangeStreamStream =
        Pin<Box<dyn Stream<Item = Result<RangeStreamResponse, Status>> + Send>>;

    async fn range_stream(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        let (caller, request) = Caller::split(&self.0, request);
        validate::range(&request)?;
        range_stream::check(&request)?;
        if !request.serializable {
            self.0.read_barrier().await.map_err(of_request)?;
        }
        let mut root = self.0.root();
        let keys = key_range(&request);
        caller.authorise(&mut root, Access::Read(&keys)).await?;
        let charge = self.0.reading.charge(2 * STREAM_CHUNK_BYTES).await.map_err(of_request)?;
        caller.still_may(mark(&root), Access::Read(&keys)).await?;
        // One chunk is read while the one before is sent.
        let (sender, receiver) = mpsc::channel(1);
        let run = range_stream::run(self.0.clone(), root, request, sender);
        tokio::spawn(async move {
            run.await;
            drop(charge);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let (caller, put) = Caller::split(&self.0, request);
        validate::put(&put)?;
        let entry = InternalRaftRequest { put: Some(put), ..Default::default() };
        let outcome = caller.write(entry).await?;
        let Reply::Put(reply) = outcome.reply else { return Err(not_a("put")) };
        Ok(Response::new(convert::put(&reply, Some(self.0.header(outcome.revision)))))
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        let (caller, delete) = Caller::split(&self.0, request);
        validate::delete(&delete)?;
        let entry = InternalRaftRequest { delete_range: Some(delete), ..Default::default() };
        let outcome = caller.write(entry).await?;
        let Reply::Delete(reply) = outcome.reply else { return Err(not_a("deletion")) };
        let header = Some(self.0.header(outcome.revision));
        let answer = if answer::is_large(&reply.prev, false) {
            Answer::Large(Layout::delete(reply, header))
        } else {
            Answer::Whole(convert::delete(&reply, header))
        };
        answer::respond(&self.0, answer, None).await
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        let (caller, txn) = Caller::split(&self.0, request);
        validate::txn(&txn, self.0.limits.max_txn_ops)?;
        if is_read_only(&txn) {
            if !validate::is_serializable(&txn) {
                self.0.read_barrier().await.map_err(of_request)?;
            }
            let mut root = self.0.root();
            caller.authorise(&mut root, Access::Txn(&txn)).await?;
            let reply = root.txn_read(&txn).map_err(of_store)?;
            self.0.metrics.operations.count_txn(&reply);
            let found = self.txn_answer(reply, root.revision()).await?;
            caller.still_may(mark(&root), Access::Txn(&txn)).await?;
            return Ok(found);
        }
        let entry = InternalRaftRequest { txn: Some(txn), ..Default::default() };
        let outcome = caller.write(entry).await?;
        let Reply::Txn(reply) = outcome.reply else { return Err(not_a("transaction")) };
        self.txn_answer(reply, outcome.revision).await
    }

    async fn compact(
        &self,
        request: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        let (caller, compaction) = Caller::split(&self.0, request);
        let entry = InternalRaftRequest { compaction: Some(compaction), ..Default::default() };
        let outcome = caller.write(entry).await?;
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

fn key_range(request: &RangeRequest) -> KeyRange {
    KeyRange::new(request.key.clone(), request.range_end.clone())
}

/// From the state on which it was allowed.
fn range(
    handle: &Handle,
    root: &Root,
    request: &RangeRequest,
) -> Result<Answer<RangeResponse>, Status> {
    let mut reply = root.range(request).map_err(of_store)?;
    handle.metrics.operations.count_range();
    let header = Some(handle.header(root.revision()));
    if reply.by_value.is_none() && answer::is_large(&reply.versions, reply.keys_only) {
        return Ok(Answer::Large(Layout::range(reply, header)));
    }
    handle.resolve(&mut reply).map_err(of_request)?;
    if answer::is_large(&reply.versions, reply.keys_only) {
        return Ok(Answer::Large(Layout::range(reply, header)));
    }
    Ok(Answer::Whole(convert::range(&reply, header)))
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

fn txn(handle: &Handle, reply: TxnReply, revision: i64) -> Result<Answer<TxnResponse>, Status> {
    let header = Some(handle.header(revision));
    if !is_quick_txn(&reply) {
        let layout = Layout::txn(reply.clone(), header);
        if layout.bytes() > WHOLE_ANSWER_BYTES {
            return Ok(Answer::Large(layout));
        }
    }
    let resolve = |range: &mut RangeReply| handle.resolve(range);
    let whole = convert::txn(&reply, header, &resolve).map_err(of_request)?;
    if whole.encoded_len() > WHOLE_ANSWER_BYTES {
        return Ok(Answer::Large(Layout::txn(reply, header)));
    }
    Ok(Answer::Whole(whole))
}

fn is_quick_txn(reply: &TxnReply) -> bool {
    reply.ops.iter().all(|op| match op {
        OpReply::Range(range, _) => is_quick(range.request(), range.root()),
        OpReply::Txn(txn, _) => is_quick_txn(txn),
        OpReply::Put(..) | OpReply::Delete(..) => true,
    })
}
