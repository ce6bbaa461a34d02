//! Leases: granting, asking, and keeping one alive.

use std::time::Duration;

use etcd_client::{LeaseKeepAliveStream, LeaseKeeper, LeaseTimeToLiveOptions};
use tokio::time::{Instant, sleep_until, timeout};

use crate::boot_clock::BootInstant;
use crate::connection::{Connection, Effect};
use crate::failure::Failure;
use crate::pb;

/// Keeps one lease alive for as long as [`KeepAlive::next`] is called.
pub struct KeepAlive {
    keeper: LeaseKeeper,
    answers: LeaseKeepAliveStream,
    endpoint: String,
    answer_timeout: Duration,
    next_beat: Instant,
    sent: BootInstant,
}

/// A beat is sent when this part of the time to live has passed, as etcd's client does.
const BEATS_PER_TTL: u32 = 3;

/// Beats come no faster than this, however short the lease is.
const MIN_BEAT_INTERVAL: Duration = Duration::from_millis(500);

impl Connection {
    /// `id` 0 lets the server choose one.
    pub async fn lease_grant(&self, ttl_s: i64) -> Result<pb::LeaseGrantResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.lease_client().grant(ttl_s, None).await?.0)
        })
        .await
    }

    /// Ends the lease and deletes its keys.
    pub async fn lease_revoke(&self, id: i64) -> Result<pb::LeaseRevokeResponse, Failure> {
        self.call(
            Effect::Writes,
            |client| async move { Ok(client.lease_client().revoke(id).await?.0) },
        )
        .await
    }

    pub async fn lease_time_to_live(
        &self,
        id: i64,
        keys: bool,
    ) -> Result<pb::LeaseTimeToLiveResponse, Failure> {
        self.call(Effect::Reads, |client| async move {
            let options = LeaseTimeToLiveOptions::new();
            let options = if keys { options.with_keys() } else { options };
            Ok(client.lease_client().time_to_live(id, Some(options)).await?.0)
        })
        .await
    }

    pub async fn leases(&self) -> Result<pb::LeaseLeasesResponse, Failure> {
        self.call(
            Effect::Reads,
            |client| async move { Ok(client.lease_client().leases().await?.0) },
        )
        .await
    }

    /// One beat. A lease that is gone is an error.
    pub async fn lease_keep_alive_once(
        &self,
        id: i64,
    ) -> Result<pb::LeaseKeepAliveResponse, Failure> {
        let mut beats = self.lease_keep_alive(id).await?;
        beats.next().await?.ok_or_else(Failure::lease_not_found)
    }

    /// Beats from now on. A beat is harmless to repeat, so it may be sent to the next endpoint.
    pub async fn lease_keep_alive(&self, id: i64) -> Result<KeepAlive, Failure> {
        let (keeper, answers) = self
            .call(Effect::Reads, |client| async move { client.lease_client().keep_alive(id).await })
            .await?;
        Ok(KeepAlive {
            keeper,
            answers,
            endpoint: self.current_endpoint().to_string(),
            answer_timeout: self.config().command_timeout,
            next_beat: Instant::now(),
            sent: BootInstant::now(),
        })
    }
}

impl KeepAlive {
    /// Waits for the next beat and sends it. `None`: the lease expired or was revoked.
    ///
    /// Dropping the future between beats loses nothing.
    pub async fn next(&mut self) -> Result<Option<pb::LeaseKeepAliveResponse>, Failure> {
        sleep_until(self.next_beat).await;
        self.sent = BootInstant::now();
        let answer = timeout(self.answer_timeout, async {
            self.keeper.keep_alive().await?;
            self.answers.message().await
        });
        let answer = match answer.await {
            Ok(Ok(Some(answer))) => answer.0,
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(error)) => return Err(Failure::read(error, &self.endpoint, false, true)),
            Err(_) => {
                return Err(Failure::NoAnswer {
                    endpoint: self.endpoint.clone(),
                    after: self.answer_timeout,
                    write: false,
                });
            }
        };
        let Ok(ttl_s) = u64::try_from(answer.ttl) else { return Ok(None) };
        if ttl_s == 0 {
            return Ok(None);
        }
        let interval = Duration::from_secs(ttl_s) / BEATS_PER_TTL;
        self.next_beat = Instant::now() + interval.max(MIN_BEAT_INTERVAL);
        Ok(Some(answer))
    }

    /// When the last beat was sent. A lease lasts for its time to live from then on, and nobody can
    /// know of more: the answer may have lain about while this process was stopped.
    pub(crate) fn sent(&self) -> BootInstant {
        self.sent
    }
}
