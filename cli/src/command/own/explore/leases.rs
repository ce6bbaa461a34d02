//! `leases`

use futures::TryStreamExt as _;
use kvorum_client::explore::{LeaseRow, LeaseTime, leases};

use super::shown;
use crate::args::own::LeasesArgs;
use crate::command::{CommandError, Session};
use crate::output::{Row, Rows, Style, Value};

pub(super) async fn execute(args: &LeasesArgs, session: &mut Session) -> Result<(), CommandError> {
    let Session { connection, style, manner, out, err, .. } = session;
    let header: &[&str] = if args.keys {
        &["lease", "left", "granted", "keys"]
    } else {
        &["lease", "left", "granted"]
    };
    let mut rows = Rows::new(style, header, out);
    let found = leases(connection, args.keys).await?;
    let mut found = std::pin::pin!(found);
    let mut any = false;
    while let Some(row) = found.try_next().await? {
        rows.row(&Line { row, keys: args.keys })?;
        any = true;
    }
    rows.end()?;
    if !any && !manner.quiet {
        let _ = writeln!(err, "there are no leases");
    }
    Ok(())
}

struct Line {
    row: LeaseRow,
    keys: bool,
}

impl Line {
    fn left(&self) -> String {
        match self.row.time {
            None => "denied".to_owned(),
            Some(LeaseTime { left_s: ..0, .. }) => "gone".to_owned(),
            Some(LeaseTime { left_s, .. }) => shown::seconds(left_s),
        }
    }

    fn granted(&self) -> String {
        self.row.time.map(|time| shown::seconds(time.granted_s)).unwrap_or_default()
    }

    fn keys(&self) -> impl Iterator<Item = String> {
        self.row.keys.iter().map(|key| shown::line(key))
    }
}

impl Row for Line {
    fn simple(&self, _: &Style) -> String {
        let mut text = format!("{:016x}  {}", self.row.id, self.left());
        if self.row.time.is_some_and(|time| time.left_s >= 0) {
            text = format!("{text} left of {}", self.granted());
        }
        for key in self.keys() {
            text = format!("{text}\n  {key}");
        }
        text
    }

    fn value(&self) -> Value {
        let seconds = |of: fn(LeaseTime) -> i64| {
            self.row.time.map_or(Value::Null, |time| Value::Int(of(time)))
        };
        let row = Value::map([
            ("lease", Value::lease(self.row.id)),
            ("remaining_ttl_s", seconds(|time| time.left_s)),
            ("granted_ttl_s", seconds(|time| time.granted_s)),
        ]);
        let keys = || Value::list(self.row.keys.iter().map(|key| Value::bytes(key)));
        if self.keys { row.with("keys", keys()) } else { row }
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![format!("{:016x}", self.row.id), self.left(), self.granted()];
        if self.keys {
            cells.push(self.keys().collect::<Vec<_>>().join(" "));
        }
        cells
    }
}
