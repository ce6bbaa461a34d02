//! Elections: the leader is the oldest key under the name, and says its value.

use std::pin::Pin;

use bytes::Bytes;
use kvorum_core::auth::Access;
use kvorum_core::node::Refusal;
use kvorum_proto::etcdserverpb::{PutRequest, ResponseHeader, WatchCreateRequest};
use kvorum_proto::mvccpb::KeyValue;
use kvorum_proto::mvccpb::event::EventType;
use kvorum_proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest,
    ProclaimResponse, ResignRequest, ResignResponse, election_server,
};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::require_leader::while_led;
use super::session::{Session, as_told};
use super::standing::while_allowed;
use super::status::of_refusal;
use super::turn::{self, Entrant, NOT_LEADER};
use super::{wants_leader, watch};
use crate::limits::WATCH_SEND_TIMEOUT;
use crate::runtime::Handle;

pub(super) struct Election(pub(super) Handle);

#[tonic::async_trait]
impl election_server::Election for Election {
    async fn campaign(
        &self,
        request: Request<CampaignRequest>,
    ) -> Result<Response<CampaignResponse>, Status> {
        let (session, CampaignRequest { name, lease, value }) = Session::begin(&self.0, request);
        let lease = session.lease(lease).await.map_err(as_told)?;
        // The campaign may be long: the request's own buffer is not kept for it.
        let name = Bytes::copy_from_slice(&name);
        let entrant = Entrant::candidate(&name, lease, value);
        let turn = turn::take(session, entrant).await?;
        let leader = LeaderKey { name, key: turn.key, rev: turn.create_revision, lease };
        Ok(Response::new(CampaignResponse { header: turn.came, leader: Some(leader) }))
    }

    async fn proclaim(
        &self,
        request: Request<ProclaimRequest>,
    ) -> Result<Response<ProclaimResponse>, Status> {
        let (session, ProclaimRequest { leader, value }) = Session::begin(&self.0, request);
        let LeaderKey { key, rev, lease, .. } = leader.ok_or_else(leader_missing)?;
        let lease = session.lease(lease).await.map_err(as_told)?;
        let put = PutRequest { key: key.clone(), value, lease, ..PutRequest::default() };
        let said = turn::say(&session, &key, rev, put).await.map_err(as_told)?;
        let header = said.ok_or_else(|| Status::unknown(NOT_LEADER))?;
        Ok(Response::new(ProclaimResponse { header }))
    }

    async fn leader(
        &self,
        request: Request<LeaderRequest>,
    ) -> Result<Response<LeaderResponse>, Status> {
        let (session, LeaderRequest { name }) = Session::begin(&self.0, request);
        let prefix = turn::prefix_of(&name);
        let oldest = session.range(turn::first(&prefix)).await.map_err(as_told)?;
        let Some(kv) = oldest.kvs.into_iter().next() else {
            return Err(Status::unknown("election: no leader"));
        };
        Ok(Response::new(LeaderResponse { header: oldest.header, kv: Some(kv) }))
    }

    type ObserveStream = Pin<Box<dyn Stream<Item = Result<LeaderResponse, Status>> + Send>>;

    async fn observe(
        &self,
        request: Request<LeaderRequest>,
    ) -> Result<Response<Self::ObserveStream>, Status> {
        let led = wants_leader(request.metadata().as_ref());
        let (session, LeaderRequest { name }) = Session::begin(&self.0, request);
        let observes = self.0.waits.clone().try_acquire_owned();
        let observes = observes.map_err(|_| of_refusal(Refusal::TooManyRequests))?;
        // A client that does not read holds up its own observation and nothing else.
        let (observer, leaders) = mpsc::channel(1);
        let prefix = turn::prefix_of(&name);
        tokio::spawn(async move {
            let (caller, queue) = (session.caller(), turn::queue_of(&prefix));
            let observed = observe(&session, &prefix, &observer);
            let observed = while_allowed(&caller, Access::Read(&queue), observed);
            if let Err(status) = while_led(session.handle(), led, observed).await {
                let _ = observer.send(Err(as_told(status))).await;
            }
            drop(observes);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(leaders))))
    }

    async fn resign(
        &self,
        request: Request<ResignRequest>,
    ) -> Result<Response<ResignResponse>, Status> {
        let (session, ResignRequest { leader }) = Session::begin(&self.0, request);
        let LeaderKey { key, rev, .. } = leader.ok_or_else(leader_missing)?;
        let header = turn::leave(&session, &key, rev).await.map_err(as_told)?;
        Ok(Response::new(ResignResponse { header }))
    }
}

fn leader_missing() -> Status {
    Status::unknown("\"leader\" field must be provided")
}

type Observer = mpsc::Sender<Result<LeaderResponse, Status>>;

/// Tells who leads and what it says, until nobody listens. Each leader is told from what it says
/// when it is found, and everything it says from then on; not everyone may be told who led in
/// between.
async fn observe(session: &Session, prefix: &Bytes, observer: &Observer) -> Result<(), Status> {
    while !observer.is_closed() {
        let oldest = session.range(turn::first(prefix)).await?;
        let revision = oldest.header.as_ref().map_or(0, |header| header.revision);
        let leader = match oldest.kvs.into_iter().next() {
            Some(kv) => Some((oldest.header, kv)),
            None => first_put(session, prefix, revision + 1, observer).await?,
        };
        let Some((header, kv)) = leader else { continue };
        let (key, from) = (kv.key.clone(), header.as_ref().map_or(0, |h| h.revision) + 1);
        tell(observer, header, kv).await?;
        follow(session, key, from, observer).await?;
    }
    Ok(())
}

/// Waits for somebody to come under the name; none if that cannot be told any more, or nobody
/// listens.
async fn first_put(
    session: &Session,
    prefix: &Bytes,
    from: i64,
    observer: &Observer,
) -> Result<Option<(Option<ResponseHeader>, KeyValue)>, Status> {
    let range_end = turn::end_of(prefix);
    let mut events = session.watch(vec![all_of(prefix.clone(), range_end, from)]).await;
    loop {
        let response = tokio::select! {
            response = events.next() => response?,
            () = observer.closed() => return Ok(None),
        };
        if response.canceled {
            return Ok(None);
        }
        let put = response.events.into_iter().find(|event| event.r#type() == EventType::Put);
        if let Some(kv) = put.and_then(|event| event.kv) {
            session.range(turn::existence_of(&kv.key)).await?;
            // The response may hold later events too.
            let revision = kv.mod_revision;
            let header = response.header.map(|header| ResponseHeader { revision, ..header });
            return Ok(Some((header, kv)));
        }
    }
}

/// Tells what the leader says until its key is gone, or that cannot be told any more, or nobody
/// listens.
async fn follow(
    session: &Session,
    key: Bytes,
    from: i64,
    observer: &Observer,
) -> Result<(), Status> {
    let mut events = session.watch(vec![all_of(key, Bytes::new(), from)]).await;
    loop {
        let response = tokio::select! {
            response = events.next() => response?,
            () = observer.closed() => return Ok(()),
        };
        if response.canceled {
            return Ok(());
        }
        for event in response.events {
            let is_deletion = event.r#type() == EventType::Delete;
            let Some(kv) = event.kv.filter(|_| !is_deletion) else { return Ok(()) };
            // Who may not read the key any more is not told what comes into it.
            session.range(turn::existence_of(&kv.key)).await?;
            tell(observer, response.header, kv).await?;
        }
    }
}

fn all_of(key: Bytes, range_end: Bytes, start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest { key, range_end, start_revision, ..WatchCreateRequest::default() }
}

async fn tell(
    observer: &Observer,
    header: Option<ResponseHeader>,
    kv: KeyValue,
) -> Result<(), Status> {
    let told = Ok(LeaderResponse { header, kv: Some(kv) });
    match observer.send_timeout(told, WATCH_SEND_TIMEOUT).await {
        Ok(()) | Err(SendTimeoutError::Closed(_)) => Ok(()),
        Err(SendTimeoutError::Timeout(_)) => Err(watch::unread()),
    }
}
