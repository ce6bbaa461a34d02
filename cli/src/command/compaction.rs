//! `compaction`

use super::{CommandError, Session};
use crate::args::CompactionArgs;

pub(super) async fn execute(
    args: &CompactionArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let revision = args.revision()?;
    session.connection.compact(revision, args.physical).await?;
    // The same in every format, as in etcdctl.
    session.say(&format!("compacted revision {revision}"))
}
