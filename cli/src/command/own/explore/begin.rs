//! Before anything is read: what the user may read, and whether so much is meant.

use kvorum_client::KeyRange;
use kvorum_client::explore::{self, ASK_ABOVE_BYTES, Readable};

use super::progress::Progress;
use super::shown;
use crate::args::UsageError;
use crate::args::own::Where;
use crate::command::{CommandError, Confirm, Session, guard};
use crate::exit;

/// Ranges that are named when not everything may be read; more would push away what was asked for.
const NAMED_RANGES: usize = 5;

/// What of the prefix can be read: all of it, or what the user's roles grant.
pub(in crate::command::own) async fn ranges(
    at: &Where,
    session: &mut Session,
    progress: &mut Progress,
) -> Result<Vec<KeyRange>, CommandError> {
    let whole = KeyRange::prefix(at.prefix());
    let readable = progress.until(explore::readable(&session.connection, whole)).await?;
    match readable {
        Ok(Readable::Whole(range)) => Ok(vec![range]),
        Ok(Readable::Granted(ranges)) => {
            let mut named: Vec<_> = ranges.iter().take(NAMED_RANGES).map(shown::range).collect();
            if ranges.len() > NAMED_RANGES {
                named.push(format!("and {} more", ranges.len() - NAMED_RANGES));
            }
            let line = format!("you may read only a part: {}", named.join(", "));
            progress.aside(|| remark(session, &line));
            Ok(ranges)
        }
        Err(none) => Err(CommandError::Hinted {
            code: if session.manner.exit_status { exit::finer::DENIED } else { exit::ERROR },
            message: none.to_string(),
            hint: none.hint().to_owned(),
        }),
    }
}

/// Asks before very much is read.
pub(in crate::command::own) async fn consent(
    ranges: &[KeyRange],
    values: bool,
    session: &mut Session,
    progress: &mut Progress,
) -> Result<(), CommandError> {
    if session.manner.yes {
        return Ok(());
    }
    let estimate = explore::estimate(&session.connection, ranges, values);
    let estimate = progress.until(estimate).await?;
    let Some(estimate) = estimate.filter(|estimate| estimate.bytes > ASK_ABOVE_BYTES) else {
        return Ok(());
    };
    let (keys, bytes) = (shown::keys(estimate.keys), shown::bytes(estimate.bytes));
    let what = format!("this reads {keys}, up to {bytes}");
    if session.confirm != Confirm::Ask {
        let message = format!("{what}: repeat it with --yes, or give a longer prefix");
        return Err(UsageError::arguments(message).into());
    }
    progress.hide();
    if guard::is_yes(&format!("{what}. Go on?"), session).await? {
        return Ok(());
    }
    session.remark("nothing was read");
    Err(CommandError::Silent { code: exit::ERROR })
}

/// Something on the side that a person wants to know and a script does not miss.
pub(super) fn remark(session: &mut Session, line: &str) {
    if !session.manner.quiet {
        session.remark(line);
    }
}
