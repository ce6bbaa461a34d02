//! Reading all of some ranges, page by page.

use std::io::{IsTerminal as _, Write};

use kvorum_client::explore::{Page, Scan, ScanRequest};
use kvorum_client::{Connection, KeyRange};

use super::progress::Progress;
use super::shown;
use crate::args::own::Where;
use crate::command::CommandError;
use crate::exit;
use crate::manner::Manner;

/// What to read, and for whom.
pub(super) struct Reading<'a> {
    pub(super) connection: &'a Connection,
    pub(super) progress: Progress,
    pub(super) ranges: Vec<KeyRange>,
    pub(super) at: &'a Where,
    pub(super) values: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) keys: u64,
    /// Of the last page; 0 if there was none.
    pub(super) revision: i64,
    /// A compaction came between: the revisions before.
    pub(super) earlier: Vec<i64>,
}

impl Reading<'_> {
    /// Hands every page on as it comes.
    pub(super) async fn pages(
        self,
        mut each: impl FnMut(&Page) -> Result<(), CommandError>,
    ) -> Result<Read, CommandError> {
        let Self { connection, mut progress, ranges, at, values } = self;
        let mut scan = Scan::start(connection, ScanRequest { ranges, revision: at.rev, values });
        let mut read = Read::default();
        while let Some(page) = progress.until(scan.next()).await? {
            if page.anew {
                read.earlier.push(read.revision);
            }
            read.revision = page.revision;
            read.keys += page.kvs.len() as u64;
            progress.around(&page, || each(&page))?;
        }
        Ok(read)
    }
}

impl Read {
    /// Says on the side how it was read, and ends with what the exit code is to say.
    pub(super) fn conclude(
        &self,
        at: &Where,
        connection: &Connection,
        manner: &Manner,
        err: &mut dyn Write,
    ) -> Result<(), CommandError> {
        if !self.earlier.is_empty() && !manner.quiet {
            let earlier: Vec<_> = self.earlier.iter().map(ToString::to_string).collect();
            // Nobody listening is no reason to fail.
            let _ = writeln!(
                err,
                "the history was compacted meanwhile: this is of revision {} and then of {}, not \
                 of one moment",
                earlier.join(", "),
                self.revision
            );
        }
        if self.keys == 0 {
            return nothing(at, manner, err);
        }
        say_serializable(self.revision, connection, manner, err);
        Ok(())
    }
}

/// Says on a terminal that what was read may be behind the leader.
pub(super) fn say_serializable(
    revision: i64,
    connection: &Connection,
    manner: &Manner,
    err: &mut dyn Write,
) {
    if manner.quiet || !std::io::stderr().is_terminal() {
        return;
    }
    let endpoint = connection.current_endpoint();
    let _ = writeln!(err, "read serializably at revision {revision}, as {endpoint} has it");
}

/// There is no such key: said on the side, and by the exit code if finer ones are wanted.
pub(super) fn nothing(
    at: &Where,
    manner: &Manner,
    err: &mut dyn Write,
) -> Result<(), CommandError> {
    if !manner.quiet {
        let _ = writeln!(err, "{}", shown::none_below(&at.prefix()));
    }
    if manner.exit_status {
        return Err(CommandError::Silent { code: exit::finer::EMPTY });
    }
    Ok(())
}
