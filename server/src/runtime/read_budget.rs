//! How much memory large reads may take all together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::RequestError;
use crate::limits::{
    CHUNK_MAKERS, LARGE_READS, READ_BUDGET_BYTES, WAITING_LISTS_BYTES, WAITING_READS,
};

/// Reads that are not quick take turns, and what they hold while their clients take it is charged.
/// Who waits too long, or finds too many waiting, is told so instead of the member dying of it.
pub(crate) struct ReadBudget {
    turns: Arc<Semaphore>,
    /// In units of 1 KiB.
    bytes: Arc<Semaphore>,
    waiting: Semaphore,
    /// In the same units: what is in memory already of that which waits for room.
    lists: Semaphore,
    makers: Semaphore,
    patience: Duration,
}

/// The right to look for an answer that may be large.
pub(crate) struct Turn(#[allow(dead_code, reason = "held")] OwnedSemaphorePermit);

/// Memory that is spoken for.
pub(crate) struct Charge(#[allow(dead_code, reason = "held")] OwnedSemaphorePermit);

const UNIT_BYTES: usize = 1024;

impl ReadBudget {
    pub(crate) fn new(patience: Duration) -> ReadBudget {
        ReadBudget {
            turns: Arc::new(Semaphore::new(LARGE_READS)),
            bytes: Arc::new(Semaphore::new(READ_BUDGET_BYTES / UNIT_BYTES)),
            waiting: Semaphore::new(WAITING_READS),
            lists: Semaphore::new(WAITING_LISTS_BYTES / UNIT_BYTES),
            makers: Semaphore::new(CHUNK_MAKERS),
            patience,
        }
    }

    pub(crate) async fn turn(&self) -> Result<Turn, RequestError> {
        self.wait_for(&self.turns, 1).await.map(Turn)
    }

    /// What is larger than the whole budget goes alone. `listed` bytes are there already while it
    /// waits.
    pub(crate) async fn charge(&self, bytes: usize, listed: usize) -> Result<Charge, RequestError> {
        let listed = self.lists.try_acquire_many(units(listed.min(WAITING_LISTS_BYTES)));
        let _listed = listed.map_err(|_| RequestError::TooManyReads)?;
        self.wait_for(&self.bytes, units(bytes.min(READ_BUDGET_BYTES))).await.map(Charge)
    }

    /// The right to make the next chunk of an answer; in the order of asking.
    pub(crate) async fn maker(&self) -> Result<SemaphorePermit<'_>, RequestError> {
        self.makers.acquire().await.map_err(|_| RequestError::Stopped)
    }

    async fn wait_for(
        &self,
        room: &Arc<Semaphore>,
        permits: u32,
    ) -> Result<OwnedSemaphorePermit, RequestError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| RequestError::TooManyReads)?;
        match timeout(self.patience, Arc::clone(room).acquire_many_owned(permits)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(RequestError::TooManyReads),
        }
    }
}

fn units(bytes: usize) -> u32 {
    bytes.div_ceil(UNIT_BYTES) as u32
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_turned_away_and_room_comes_back() {
        let budget = Arc::new(ReadBudget::new(Duration::from_secs(7)));
        let whole = budget.charge(usize::MAX, 0).await.unwrap();
        let Err(refused) = budget.charge(1, 0).await else { panic!("there is no room") };
        assert_eq!(refused, RequestError::TooManyReads);
        drop(whole);
        budget.charge(1, 0).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn of_what_waits_only_so_much_may_be_in_memory() {
        let budget = Arc::new(ReadBudget::new(Duration::from_secs(7)));
        let whole = budget.charge(usize::MAX, 0).await.unwrap();
        let waits = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { budget.charge(1, WAITING_LISTS_BYTES).await.map(drop) }
        });
        while budget.lists.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let asked = tokio::time::Instant::now();
        assert!(budget.charge(1, 1).await.is_err_and(|error| error == RequestError::TooManyReads));
        assert_eq!(asked.elapsed(), Duration::ZERO, "it is told at once");
        drop(whole);
        waits.await.unwrap().unwrap();
        budget.charge(1, 1).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_may_wait() {
        let budget = Arc::new(ReadBudget::new(Duration::from_secs(7)));
        let mut turns = Vec::new();
        for _ in 0..LARGE_READS {
            turns.push(budget.turn().await.unwrap());
        }
        let waiting: Vec<_> = (0..WAITING_READS)
            .map(|_| {
                let budget = Arc::clone(&budget);
                tokio::spawn(async move { budget.turn().await.map(drop) })
            })
            .collect();
        while budget.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(budget.turn().await.is_err_and(|error| error == RequestError::TooManyReads));
        turns.clear();
        for waiter in waiting {
            waiter.await.unwrap().unwrap();
        }
    }
}
