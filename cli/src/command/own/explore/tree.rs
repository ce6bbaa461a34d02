//! `tree`

use kvorum_client::explore::{TreeFold, TreeKind, TreeRow};

use super::progress::Progress;
use super::read::Reading;
use super::{begin, shown};
use crate::args::own::TreeArgs;
use crate::command::{CommandError, Session};
use crate::output::{Row, Rows, Style, Tone, Value};

pub(super) async fn execute(args: &TreeArgs, session: &mut Session) -> Result<(), CommandError> {
    let mut progress = Progress::new(&session.manner);
    let ranges = begin::ranges(&args.at, session, &mut progress).await?;
    begin::consent(&ranges, false, session, &mut progress).await?;
    let Session { connection, manner, style, out, err, .. } = session;
    let mut rows = Rows::new(style, &["key", "keys below"], out);
    let prefix = args.at.prefix();
    let root = root(&prefix, manner.separator);
    // The level that the prefix names itself is not counted.
    let depth = if args.depth > 0 && root < prefix.len() { args.depth + 1 } else { args.depth };
    let mut fold = TreeFold::new(root, manner.separator, depth);
    let reading = Reading { connection, progress, ranges, at: &args.at, values: false };
    let read = reading
        .pages(|page| {
            for kv in &page.kvs {
                fold.push(&kv.key, |row| rows.row(&row))?;
            }
            Ok(rows.flush()?)
        })
        .await?;
    fold.finish(|row| rows.row(&row))?;
    rows.end()?;
    read.conclude(&args.at, connection, manner, err)
}

/// How much of a prefix is above the tree: what begins a name is part of it.
fn root(prefix: &[u8], separator: u8) -> usize {
    prefix.iter().rposition(|byte| *byte == separator).map_or(0, |at| at + 1)
}

impl Row for TreeRow<'_> {
    fn simple(&self, style: &Style) -> String {
        // A key that is called like its branch has no name of its own.
        let name =
            if self.name.is_empty() { "(itself)".to_owned() } else { shown::line(self.name) };
        let (name, below) = match self.kind {
            TreeKind::Key => (name, String::new()),
            TreeKind::Branch => (style.paint.of(Tone::Branch, &name), String::new()),
            TreeKind::Folded(keys) => {
                (style.paint.of(Tone::Branch, &name), format!("  ({})", shown::keys(keys)))
            }
        };
        format!("{:indent$}{name}{below}", "", indent = 2 * self.level)
    }

    fn value(&self) -> Value {
        let (kind, keys) = match self.kind {
            TreeKind::Branch => ("branch", Value::Null),
            TreeKind::Key => ("key", Value::Null),
            TreeKind::Folded(keys) => ("folded", Value::Uint(keys)),
        };
        Value::map([
            ("path", Value::bytes(self.path)),
            ("level", Value::Uint(self.level as u64)),
            ("kind", Value::text(kind)),
            ("keys", keys),
        ])
    }

    fn cells(&self) -> Vec<String> {
        let keys = match self.kind {
            TreeKind::Folded(keys) => keys.to_string(),
            TreeKind::Branch | TreeKind::Key => String::new(),
        };
        vec![shown::line(self.path), keys]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::root;

    #[test]
    fn a_name_that_the_prefix_begins_is_whole_in_the_tree() {
        for (prefix, above) in [("", ""), ("/", "/"), ("/conf", "/"), ("/a/b/", "/a/b/"), ("a", "")]
        {
            assert_eq!(root(prefix.as_bytes(), b'/'), above.len(), "{prefix}");
        }
    }
}
