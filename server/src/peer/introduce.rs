//! A member that has no data asks the others whether it may begin.
//!
//! A member that was here before has promised votes and entries. Beginning again with nothing, it
//! would break them; so if anybody remembers it, it does not start. Nobody may be there to ask,
//! as when a cluster begins; the peers' streams turn such a member away later, too.

use std::sync::Arc;
use std::time::Duration;

use kvorum_proto::kvorumpb::Hello;
use kvorum_proto::kvorumpb::peer_client::PeerClient;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::route::Route;
use super::{PROTOCOL, PeerAddress};
use crate::config::Url;
use crate::identity::Identity;
use crate::tls::Role;

/// For all peers together; one that is there answers at once, and a cluster that begins has not
/// got all of them yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks every peer; gives the reason if one of them objects.
pub(crate) async fn introduce(
    identity: Identity,
    peers: Vec<PeerAddress>,
    tls: Arc<Role>,
) -> Result<(), String> {
    let mut asked = tokio::task::JoinSet::new();
    for peer in peers {
        let hello = Hello {
            cluster_id: identity.cluster_id,
            from: identity.member_id,
            to: peer.id,
            protocol: PROTOCOL,
            incarnation: identity.incarnation,
        };
        let tls = Arc::clone(&tls);
        asked.spawn(async move {
            for url in peer.urls {
                let asked = timeout(PATIENCE, ask(&url, hello, &tls)).await;
                let Err(status) = asked.unwrap_or(Ok(())) else { continue };
                if status.code() == Code::AlreadyExists {
                    return Err(status.message().to_owned());
                }
            }
            Ok(())
        });
    }
    while let Some(answer) = asked.join_next().await {
        answer.unwrap_or(Ok(()))?;
    }
    Ok(())
}

async fn ask(url: &str, hello: Hello, tls: &Arc<Role>) -> Result<(), Status> {
    let url = Url::parse(url).map_err(Status::unavailable)?;
    let channel = Route::new(vec![url], Arc::clone(tls)).connect().await;
    let channel = channel.map_err(|error| Status::unavailable(error.to_string()))?;
    PeerClient::new(channel).introduce(hello).await.map(drop)
}
