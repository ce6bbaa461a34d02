//! Everything that happened to a range, deletions included, read from a watch that begins in the
//! past.

use std::collections::VecDeque;
use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, sleep_until};

use super::proof::Proof;
use crate::config::Config;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::range::KeyRange;
use crate::request::{Get, Watch};
use crate::watch::{WatchItem, WatchStream};

/// The revisions whose history a cluster holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The oldest revision that can be read.
    pub oldest: i64,
    pub newest: i64,
    /// Whether something before was compacted.
    pub compacted: bool,
}

impl Window {
    /// How many revisions a server reads to tell what happened in it.
    pub fn revisions(&self) -> u64 {
        u64::try_from(self.newest - self.oldest).unwrap_or_default() + 1
    }
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    pub kind: Kind,
    /// As it was after the change; of a deletion key and revision.
    pub kv: pb::KeyValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Create,
    Put,
    Delete,
}

#[derive(Debug, Clone, Error)]
pub enum ReplayError {
    #[error(transparent)]
    Failure(#[from] Failure),
    /// What was not told yet has been given up.
    #[error("the history before revision {oldest} was compacted while it was read")]
    Compacted { oldest: i64 },
    #[error("the server ended the watch: {0}")]
    Ended(String),
}

/// What happened to a range within a window, in the order of revisions.
pub struct Replay {
    connection: Connection,
    watch: WatchStream,
    end: i64,
    proof: Proof,
    ready: VecDeque<Happening>,
    /// Since when nobody has answered, and why.
    lost: Option<(Instant, Failure)>,
    over: bool,
}

/// A claim can be lost between the events of a watch that has none (etcd's pull request 17566), so
/// it is asked for again.
const ASKED_EVERY: Duration = Duration::from_millis(100);

/// A member that is gone is waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Finds what is kept, by reading `key`, which must be allowed and need not exist.
///
/// There is no request for it: reading at a revision tells whether that is compacted, and so some
/// twenty requests find the oldest.
pub async fn window(connection: &Connection, key: &[u8]) -> Result<Window, Failure> {
    let newest = connection.get(Get { count_only: true, ..Get::key(key) }).await?;
    let newest = newest.header.map_or(0, |header| header.revision);
    let kept = async |revision| {
        let get = Get { revision, count_only: true, serializable: true, ..Get::key(key) };
        match connection.get(get).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_compacted() => Ok(false),
            Err(failure) => Err(failure),
        }
    };
    if newest <= 1 || kept(1).await? {
        return Ok(Window { oldest: 1, newest, compacted: false });
    }
    let (mut gone, mut oldest) = (1, newest);
    while gone + 1 < oldest {
        let middle = gone + (oldest - gone) / 2;
        if kept(middle).await? { oldest = middle } else { gone = middle }
    }
    Ok(Window { oldest, newest, compacted: true })
}

/// A connection to a member that is not the leader, if one of several can be asked: what is read
/// there does not delay writes.
pub async fn follower(connection: &Connection) -> Result<Connection, Failure> {
    if let [_] = connection.endpoints() {
        return Ok(connection.clone());
    }
    for endpoint in connection.endpoints() {
        let Ok(status) = connection.status(endpoint).await else { continue };
        let own = status.header.map_or(0, |header| header.member_id);
        if status.leader != 0 && status.leader != own {
            let endpoints = vec![endpoint.clone()];
            return Connection::new(Config { endpoints, ..connection.config().clone() });
        }
    }
    Ok(connection.clone())
}

impl Replay {
    /// Begins to read at the member behind the connection.
    pub async fn start(
        connection: &Connection,
        range: KeyRange,
        window: &Window,
    ) -> Result<Self, Failure> {
        let version = connection.status_of_any().await?.version;
        let start_revision = window.oldest;
        let watch = Watch { range, start_revision, fragment: true, ..Watch::default() };
        Ok(Self {
            connection: connection.clone(),
            watch: connection.watch(watch).await?,
            end: window.newest,
            proof: Proof::of(&version),
            ready: VecDeque::new(),
            lost: None,
            over: false,
        })
    }

    /// Whether the server can tell that nothing is missing; else it was silent for long.
    pub fn is_proven(&self) -> bool {
        self.proof.is_proven()
    }

    /// The next change; `None` when all of the window was told.
    pub async fn next(&mut self) -> Result<Option<Happening>, ReplayError> {
        loop {
            if let Some(happening) = self.ready.pop_front() {
                if happening.kv.mod_revision <= self.end {
                    return Ok(Some(happening));
                }
                // What comes later is later still.
                self.over = true;
            }
            if self.over {
                return Ok(None);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), ReplayError> {
        let item = tokio::select! {
            item = self.watch.next() => item,
            passed = self.proof.passed() => {
                self.proof.pass(passed);
                return Ok(());
            }
            () = sleep_until(Instant::now() + ASKED_EVERY) => return self.wait().await,
        };
        match item {
            Some(WatchItem::Events(response)) => {
                self.lost = None;
                let revisions = response.events.iter().filter_map(|event| event.kv.as_ref());
                let revisions = revisions.map(|kv| kv.mod_revision);
                self.over = self.proof.heard(revisions, response.fragment);
                self.ready.extend(response.events.into_iter().filter_map(happening));
            }
            Some(WatchItem::Progress(response)) => {
                self.lost = None;
                let reached = response.header.map_or(0, |header| header.revision);
                self.over = reached >= self.end && self.proof == Proof::Progress;
            }
            Some(WatchItem::Watching { .. }) => {
                self.lost = None;
                self.proof.begin_anew();
                self.watch.progress_handle().request();
            }
            Some(WatchItem::Lost(failure)) => self.lost = Some((Instant::now(), failure)),
            Some(WatchItem::Ended(response)) if response.compact_revision > 0 => {
                return Err(ReplayError::Compacted { oldest: response.compact_revision });
            }
            Some(WatchItem::Ended(response)) => {
                return Err(ReplayError::Ended(response.cancel_reason));
            }
            Some(WatchItem::Failed(failure)) => return Err(failure.into()),
            None => self.over = true,
        }
        Ok(())
    }

    /// Nothing has come for a while.
    async fn wait(&mut self) -> Result<(), ReplayError> {
        if let Some((since, failure)) = &self.lost {
            if since.elapsed() > PATIENCE {
                return Err(failure.clone().into());
            }
            return Ok(());
        }
        self.watch.progress_handle().request();
        self.over = self.proof.wait(&self.connection, self.end).await?;
        Ok(())
    }
}

fn happening(event: pb::Event) -> Option<Happening> {
    let kv = event.kv?;
    let kind = match event.r#type {
        pb::EVENT_DELETE => Kind::Delete,
        _ if kv.create_revision == kv.mod_revision => Kind::Create,
        _ => Kind::Put,
    };
    Some(Happening { kind, kv })
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn a_window_counts_both_of_its_ends() {
        let window = Window { oldest: 5, newest: 7, compacted: true };
        assert_eq!(window.revisions(), 3);
    }
}
