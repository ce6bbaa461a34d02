//! Elections: of all who stand for one, the first is the leader and proposes a value, until it
//! resigns or is gone.

use std::collections::VecDeque;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::mutex::LockError;
use crate::pb;
use crate::queue;
use crate::range::KeyRange;
use crate::request::{Compare, CompareOp, CompareTarget, Get, Op, Put, Txn, Watch};
use crate::session::LeaseSession;
use crate::watch::{WatchItem, WatchStream};

impl LeaseSession {
    /// Stands for the election `name` with this proposal, and returns the leader's key when it is
    /// the leader. It stays so as long as the session lives.
    ///
    /// Whether the future ends with an error or is dropped, the session may be left a candidate;
    /// closing it withdraws.
    pub async fn campaign(&self, name: &[u8], proposal: &[u8]) -> Result<Vec<u8>, LockError> {
        tokio::select! {
            elected = self.stand(name, proposal) => Ok(elected?),
            () = self.ended() => Err(LockError::Expired),
        }
    }

    async fn stand(&self, name: &[u8], proposal: &[u8]) -> Result<Vec<u8>, Failure> {
        let (connection, prefix) = (self.connection(), queue::prefix(name));
        let key = queue::key(&prefix, self.lease());
        let propose = || Op::Put(Put { lease: self.lease(), ..Put::new(key.clone(), proposal) });
        let txn = Txn {
            compares: vec![Compare {
                range: KeyRange::single(key.clone()),
                op: CompareOp::Equal,
                target: CompareTarget::CreateRevision(0),
            }],
            success: vec![propose()],
            // A session that stands already keeps its place and proposes anew.
            failure: vec![propose(), Op::Get(Get::key(key.clone()))],
        };
        let answer = connection.txn(txn).await?;
        let stands_since = answer.responses.iter().find_map(|response| match &response.response {
            Some(pb::ResponseOpKind::ResponseRange(range)) => {
                Some(range.kvs.first()?.create_revision)
            }
            _ => None,
        });
        let since = stands_since.unwrap_or_else(|| queue::revision(answer.header.as_ref()));
        queue::wait_for_turn(connection, &prefix, since).await?;
        Ok(key)
    }
}

/// Whoever leads an election, one proposal after the other.
pub struct Observer {
    connection: Connection,
    prefix: Vec<u8>,
    leader: Option<Followed>,
}

/// A leader, until it is gone.
struct Followed {
    watch: WatchStream,
    /// What the search for it answered, but for the key: each further answer is given with its
    /// count, as etcd's client does.
    found: pb::RangeResponse,
    /// Proposals that came and were not told yet.
    proposals: VecDeque<pb::RangeResponse>,
    is_gone: bool,
}

impl Connection {
    /// Watches the election `name`, whether or not anybody stands for it.
    pub fn observe(&self, name: &[u8]) -> Observer {
        Observer { connection: self.clone(), prefix: queue::prefix(name), leader: None }
    }
}

impl Observer {
    /// The leader's newest proposal: at once if there is a leader, then whenever there is another.
    /// Not every one of quick changes is told, but the last is.
    pub async fn next(&mut self) -> Result<pb::RangeResponse, Failure> {
        loop {
            let Some(leader) = &mut self.leader else { return self.find().await };
            if let Some(proposal) = leader.proposals.pop_front() {
                return Ok(proposal);
            }
            if leader.is_gone {
                self.leader = None;
            } else {
                leader.wait().await?;
            }
        }
    }

    /// The leader, waited for if there is none; from then on it is followed.
    async fn find(&mut self) -> Result<pb::RangeResponse, Failure> {
        let mut found = self.connection.get(queue::first(&self.prefix)).await?;
        let header = found.header;
        let (header, kv) = match found.kvs.pop() {
            Some(kv) => (header, kv),
            None => self.candidate(queue::revision(header.as_ref())).await?,
        };
        let watch = Watch {
            range: KeyRange::single(kv.key.clone()),
            start_revision: queue::revision(header.as_ref()) + 1,
            ..Watch::default()
        };
        let watch = self.connection.watch(watch).await?;
        self.leader = Some(Followed { watch, found, proposals: VecDeque::new(), is_gone: false });
        Ok(pb::RangeResponse { header, kvs: vec![kv], more: false, count: 0 })
    }

    /// The first key that appears, with the header as of then.
    async fn candidate(
        &self,
        revision: i64,
    ) -> Result<(Option<pb::ResponseHeader>, pb::KeyValue), Failure> {
        let range = KeyRange::prefix(self.prefix.clone());
        let watch = Watch { range, start_revision: revision, ..Watch::default() };
        let mut watch = self.connection.watch(watch).await?;
        loop {
            let Some(response) = events(watch.next().await)? else { continue };
            let put = response.events.into_iter().find(|event| !queue::is_deletion(event));
            if let Some(kv) = put.and_then(|event| event.kv) {
                let header = response
                    .header
                    .map(|header| pb::ResponseHeader { revision: kv.mod_revision, ..header });
                return Ok((header, kv));
            }
        }
    }
}

impl Followed {
    /// Waits for what comes next.
    async fn wait(&mut self) -> Result<(), Failure> {
        let Some(response) = events(self.watch.next().await)? else { return Ok(()) };
        for event in response.events {
            if queue::is_deletion(&event) {
                self.is_gone = true;
                break;
            }
            let kvs = event.kv.into_iter().collect();
            let proposal = pb::RangeResponse { header: response.header, kvs, ..self.found.clone() };
            self.proposals.push_back(proposal);
        }
        Ok(())
    }
}

/// The events of an item, if it has some.
fn events(item: Option<WatchItem>) -> Result<Option<pb::WatchResponse>, Failure> {
    match item {
        Some(WatchItem::Events(response)) => Ok(Some(response)),
        Some(WatchItem::Ended(end)) => Err(queue::ended(&end)),
        Some(WatchItem::Failed(failure)) => Err(failure),
        Some(_) => Ok(None),
        None => Err(queue::ended(&pb::WatchResponse::default())),
    }
}
