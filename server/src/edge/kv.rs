//! Keys and values.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvorum_core::auth::Access;
use kvorum_core::node::Refusal;
use kvorum_core::store::{
    Deferred, DeleteReply, Looks, PAST_LOOKS, Reply, Root, TxnReply, is_read_only,
};
use kvorum_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
    InternalRaftRequest, PutRequest, PutResponse, RangeRequest, RangeResponse, RangeStreamResponse,
    ResponseHeader, TxnRequest, TxnResponse, kv_server,
};
use kvorum_proto::key_range::KeyRange;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::answer::{self, Answer, Layout};
use super::principal::{Caller, mark};
use super::status::{not_a, of_refusal, of_request, of_store};
use super::{beside, convert, range_stream, validate};
use crate::limits::{
    INLINE_LOOKS, STREAM_CHUNK_BYTES, TXN_LOOKS, TXN_READ_TIMEOUT, WHOLE_ANSWER_BYTES,
};
use crate::runtime::{Handle, RequestError};

pub(super) struct Kv(pub(super) Handle);

impl Kv {
    async fn answer<T: Default + Send + 'static>(
        &self,
        quick: bool,
        find: impl FnOnce(&Handle) -> Result<Answer<T>, Status> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let found = beside::find(&self.0, quick, find).await?;
        answer::respond(&self.0, found).await
    }
}

/// What is answered on the thread that serves everybody: short, and of values that are in memory.
const QUICK: Looks = Looks::at_most(INLINE_LOOKS);
const _: () = assert!(INLINE_LOOKS < PAST_LOOKS, "the past is read beside that thread");

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
        let quick = QUICK.for_range(&root, &request).is_some();
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
        let charge = self.0.reading.charge(2 * STREAM_CHUNK_BYTES, 0).await.map_err(of_request)?;
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
        let quick = QUICK.for_deletion(&reply).is_some();
        self.answer(quick, move |_| Ok(deletion(&reply, header))).await
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
            let (allowed_at, txn) = (mark(&root), Arc::new(txn));
            let quick = QUICK.for_txn(&root, &txn).is_some();
            let read = Arc::clone(&txn);
            let found =
                self.answer(quick, move |handle| read_txn(handle, &root, &read, quick)).await?;
            caller.still_may(allowed_at, Access::Txn(&txn)).await?;
            return Ok(found);
        }
        // No member could refuse it any more when it is applied.
        affordable(&self.0.root(), &txn)?;
        let entry = InternalRaftRequest { txn: Some(txn), ..Default::default() };
        let outcome = caller.write(entry).await?;
        let Reply::Txn(reply) = outcome.reply else { return Err(not_a("transaction")) };
        let quick = QUICK.for_reply(&reply).is_some();
        self.answer(quick, move |handle| answer_txn(handle, &reply, outcome.revision, quick)).await
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
    handle.sort(&mut reply).map_err(of_request)?;
    if answer::is_large(&reply.versions, reply.keys_only) {
        return Ok(Answer::Large(Layout::range(reply, header)));
    }
    handle.resolve(&mut reply).map_err(of_request)?;
    Ok(Answer::Whole(convert::range(&reply, header)))
}

fn deletion(reply: &DeleteReply, header: Option<ResponseHeader>) -> Answer<DeleteRangeResponse> {
    if answer::is_large(&reply.prev, false) {
        Answer::Large(Layout::delete(reply, header))
    } else {
        Answer::Whole(convert::delete(reply, header))
    }
}

/// Whether it looks at no more than a transaction may, here or where it is applied.
fn affordable(root: &Root, txn: &TxnRequest) -> Result<(), Status> {
    let left = Looks::at_most(TXN_LOOKS).for_txn(root, txn);
    left.map(|_| ()).ok_or_else(|| of_request(RequestError::TooMuchToRead))
}

fn read_txn(
    handle: &Handle,
    root: &Root,
    request: &TxnRequest,
    quick: bool,
) -> Result<Answer<TxnResponse>, Status> {
    affordable(root, request)?;
    let reply = root.txn_read(request).map_err(of_store)?;
    handle.metrics.operations.count_txn(&reply);
    answer_txn(handle, &reply, root.revision(), quick)
}

/// Unless it is quick its length is known before anything of it is made.
fn answer_txn(
    handle: &Handle,
    reply: &TxnReply,
    revision: i64,
    quick: bool,
) -> Result<Answer<TxnResponse>, Status> {
    let header = Some(handle.header(revision));
    let until = Instant::now() + TXN_READ_TIMEOUT;
    let read = |range: &Deferred| {
        if Instant::now() > until {
            return Err(RequestError::TooMuchToRead);
        }
        let mut reply = range.read();
        handle.sort(&mut reply)?;
        Ok(reply)
    };
    let lay_out = || Layout::txn(reply, header, &read).map_err(of_request);
    if !quick {
        let layout = lay_out()?;
        if layout.bytes() > WHOLE_ANSWER_BYTES {
            return Ok(Answer::Large(layout));
        }
    }
    let resolved = |range: &Deferred| {
        let mut reply = read(range)?;
        handle.resolve(&mut reply)?;
        Ok(reply)
    };
    let whole = convert::txn(reply, header, &resolved).map_err(of_request)?;
    if whole.encoded_len() > WHOLE_ANSWER_BYTES {
        return Ok(Answer::Large(lay_out()?));
    }
    Ok(Answer::Whole(whole))
}
