//! `du`

use kvorum_client::explore::{Usage, UsageFold};

use super::progress::Progress;
use super::read::Reading;
use super::{begin, shown};
use crate::args::own::DuArgs;
use crate::command::{CommandError, Session};
use crate::output::{Row, Rows, Style, Tone, Value};

pub(super) async fn execute(args: &DuArgs, session: &mut Session) -> Result<(), CommandError> {
    let mut progress = Progress::new(&session.manner);
    let ranges = begin::ranges(&args.at, session, &mut progress).await?;
    begin::consent(&ranges, true, session, &mut progress).await?;
    let Session { connection, manner, style, out, err, .. } = session;
    let prefix = args.at.prefix();
    let mut fold = UsageFold::new(&prefix, manner.separator, args.depth);
    let reading = Reading { connection, progress, ranges, at: &args.at, values: true };
    let read = reading
        .pages(|page| {
            for kv in &page.kvs {
                fold.push(&kv.key, kv.value.len());
            }
            Ok(())
        })
        .await?;
    let report = fold.finish();
    let mut rows = Rows::new(style, &["bytes", "keys", "below"], out);
    for usage in &report.branches {
        rows.row(&Line { usage, name: Name::Path })?;
    }
    if let Some((branches, usage)) = &report.rest {
        rows.row(&Line { usage, name: Name::Rest(*branches) })?;
    }
    if read.keys > 0 {
        rows.row(&Line { usage: &report.total, name: Name::Total })?;
    }
    rows.end()?;
    read.conclude(&args.at, connection, manner, err)
}

struct Line<'a> {
    usage: &'a Usage,
    name: Name,
}

enum Name {
    Path,
    /// So many branches that were too small to be told apart.
    Rest(u64),
    Total,
}

impl Line<'_> {
    fn name(&self) -> String {
        match self.name {
            Name::Path if self.usage.path.is_empty() => "(in no branch)".to_owned(),
            Name::Path => shown::line(&self.usage.path),
            Name::Rest(branches) => format!("… {} smaller branches", shown::number(branches)),
            Name::Total => "total".to_owned(),
        }
    }
}

impl Row for Line<'_> {
    fn simple(&self, style: &Style) -> String {
        let Usage { keys, .. } = self.usage;
        let bytes = shown::bytes(self.usage.bytes());
        let name = match self.name {
            Name::Path => style.paint.of(Tone::Branch, &self.name()),
            Name::Rest(_) | Name::Total => self.name(),
        };
        format!("{bytes:>10}  {:>15}  {name}", shown::keys(*keys))
    }

    fn value(&self) -> Value {
        let Usage { path, keys, key_bytes, value_bytes } = self.usage;
        let (kind, path) = match self.name {
            Name::Path => ("branch", Value::bytes(path)),
            Name::Rest(_) => ("rest", Value::Null),
            Name::Total => ("total", Value::bytes(path)),
        };
        Value::map([
            ("path", path),
            ("kind", Value::text(kind)),
            ("keys", Value::Uint(*keys)),
            ("key_bytes", Value::Uint(*key_bytes)),
            ("value_bytes", Value::Uint(*value_bytes)),
        ])
    }

    fn cells(&self) -> Vec<String> {
        vec![self.usage.bytes().to_string(), self.usage.keys.to_string(), self.name()]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.usage.path)
    }
}
