//! `compaction`

use super::{CommandError, Session, plan};
use crate::args::CompactionArgs;

pub(super) async fn execute(
    args: &CompactionArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let revision = args.revision()?;
    if session.manner.dry_run {
        return plan::compact(revision, session).await;
    }
    session.connection.compact(revision, args.physical).await?;
    // The same in every format, as in etcdctl.
    session.say(&format!("compacted revision {revision}"))
}
