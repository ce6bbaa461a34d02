//! A session: a lease that is kept alive for as long as somebody is there, so that the keys under it
//! go away with whoever made them.
//!
//! Locks and elections ([`crate::mutex`], [`crate::election`]) hang their keys on one, as etcd's
//! own client does (`client/v3/concurrency/session.go`).

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::boot_clock::BootInstant;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::lease::KeepAlive;

/// A lease with a keeper. [`LeaseSession::close`] ends it; dropped, it ends in the background, as far
/// as there is still a runtime, and else when its time is up.
pub struct LeaseSession {
    connection: Connection,
    lease: i64,
    is_closed: bool,
    /// Closed by the keeper when it ends.
    kept: watch::Receiver<()>,
    keeper: JoinHandle<()>,
}

/// Pause before a beat that failed is tried again; the lease lasts for seconds.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

impl Connection {
    /// Grants a lease of `ttl_s` seconds and keeps it alive from now on.
    pub async fn session(&self, ttl_s: i64) -> Result<LeaseSession, Failure> {
        let sent = BootInstant::now();
        let granted = self.lease_grant(ttl_s).await?;
        let (keeping, kept) = watch::channel(());
        let keeper = Keeper {
            connection: self.clone(),
            lease: granted.id,
            alive_until: sent.after(seconds(granted.ttl)),
            beats: None,
        };
        let keeper = tokio::spawn(async move {
            keeper.run().await;
            drop(keeping);
        });
        Ok(LeaseSession {
            connection: self.clone(),
            lease: granted.id,
            is_closed: false,
            kept,
            keeper,
        })
    }
}

impl LeaseSession {
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    pub fn lease(&self) -> i64 {
        self.lease
    }

    /// Returns when the lease is gone, or may be: nobody could renew it for its whole time to live.
    pub async fn ended(&self) {
        // It is closed, never changed.
        let _ = self.kept.clone().changed().await;
    }

    /// Ends the lease, and with it the keys under it. One that is gone already is no error.
    pub async fn close(mut self) -> Result<(), Failure> {
        let revoked = self.connection.lease_revoke(self.lease).await;
        // Not before: a future that is dropped on the way leaves it to the background.
        self.is_closed = true;
        match revoked {
            Err(failure) if !failure.is_not_found() => Err(failure),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

impl Drop for LeaseSession {
    fn drop(&mut self) {
        self.keeper.abort();
        if self.is_closed {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (connection, lease) = (self.connection.clone(), self.lease);
            // Nobody is left to be told how it went.
            runtime.spawn(async move { _ = connection.lease_revoke(lease).await });
        }
    }
}

struct Keeper {
    connection: Connection,
    lease: i64,
    alive_until: BootInstant,
    beats: Option<KeepAlive>,
}

impl Keeper {
    /// Renews the lease until it is gone.
    async fn run(mut self) {
        while let Some(beat) = self.alive_until.limits(self.beat()).await {
            match beat {
                Ok(Some(alive_until)) => self.alive_until = alive_until,
                // That the lease is gone, only a stream that is being opened is told for certain:
                // an open one ends like this when its connection breaks, too.
                Ok(None) if self.beats.is_none() => return,
                Ok(None) => self.beats = None,
                Err(_) => {
                    self.beats = None;
                    sleep(self.alive_until.left().min(RETRY_PAUSE)).await;
                }
            }
        }
    }

    /// The next beat of the stream, and until when the lease lasts by it; `None` if the stream has
    /// ended, or cannot begin for want of a lease.
    async fn beat(&mut self) -> Result<Option<BootInstant>, Failure> {
        let beats = match &mut self.beats {
            Some(beats) => beats,
            none => match self.connection.lease_keep_alive(self.lease).await {
                Ok(beats) => none.insert(beats),
                Err(failure) if failure.is_not_found() => return Ok(None),
                Err(failure) => return Err(failure),
            },
        };
        match beats.next().await {
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
            Ok(answer) => Ok(answer.map(|answer| beats.sent().after(seconds(answer.ttl)))),
        }
    }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(ttl.unsigned_abs())
}
