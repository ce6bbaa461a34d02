//! `defrag`

use tokio::time::Instant;

use super::endpoint::endpoints;
use super::own::rolling;
use super::{CommandError, Session};
use crate::args::DefragArgs;
use crate::exit;
use crate::output::go;

pub(super) async fn execute(args: &DefragArgs, session: &mut Session) -> Result<(), CommandError> {
    if args.rolling { rolling::execute(session).await } else { plain(args, session).await }
}

/// One member after the other, so that the others answer meanwhile.
async fn plain(args: &DefragArgs, session: &mut Session) -> Result<(), CommandError> {
    let mut failed = false;
    for endpoint in endpoints(args.cluster, session).await? {
        let start = Instant::now();
        let outcome = session.connection.defragment(&endpoint).await;
        let took = go::duration(start.elapsed());
        match outcome {
            // The same in every format, as in etcdctl.
            Ok(_) => session
                .say(&format!("Finished defragmenting etcd member[{endpoint}]. took {took}"))?,
            Err(failure) if failure.is_bad_credentials() => return Err(failure.into()),
            Err(failure) => {
                failed = true;
                let reason = session.reason(&failure);
                session.remark(&format!(
                    "Failed to defragment etcd member[{endpoint}]. took {took}. ({reason})"
                ));
            }
        }
    }
    if failed { Err(CommandError::Silent { code: exit::ERROR }) } else { Ok(()) }
}
