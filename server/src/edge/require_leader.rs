//! Streams whose client wants them to end when nobody leads.

use kvorum_core::error::StoreError;
use kvorum_core::node::Refusal;
use tokio::time::timeout;
use tonic::Status;

use super::status::{of_refusal, of_request, of_store};
use crate::runtime::{Handle, RequestError};

/// An absence of three election timeouts is more than an election.
const PATIENCE_ELECTIONS: u32 = 3;

/// Runs `stream` to its end, at most until the member stops or its state is found not to be the
/// cluster's; if `wanted`, at most until there is no leader for a while.
pub(super) async fn while_led(
    handle: &Handle,
    wanted: bool,
    stream: impl Future<Output = Result<(), Status>>,
) -> Result<(), Status> {
    tokio::select! {
        ended = stream => ended,
        _ = handle.stop.wait() => Err(of_request(RequestError::Stopped)),
        () = handle.states.until_diverged() => Err(of_store(StoreError::Corrupt)),
        () = leader_lost(handle), if wanted => Err(of_refusal(Refusal::NoLeader)),
    }
}

async fn leader_lost(handle: &Handle) {
    let patience = handle.limits.election_timeout * PATIENCE_ELECTIONS;
    let mut news = handle.leadership.subscribe();
    loop {
        if news.wait_for(|leadership| leadership.leader == 0).await.is_err() {
            return;
        }
        let back = news.wait_for(|leadership| leadership.leader != 0);
        if !matches!(timeout(patience, back).await, Ok(Ok(_))) {
            return;
        }
    }
}
