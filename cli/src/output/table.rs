//! `-w table`: member lists, health, status and hashes, drawn as etcdctl 3.4 to 3.6 draw them.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::{
    Answer, PrintError, Printer, escape_control, file_hash_columns, hash_columns, health_columns,
    member_columns, snapshot_columns, status_columns,
};

#[derive(Debug, Clone, Copy, Default)]
pub struct Table;

impl Printer for Table {
    fn print(&self, answer: Answer<'_>, out: &mut dyn Write) -> Result<(), PrintError> {
        let (header, rows) = match answer {
            Answer::Members(members) => member_columns(members),
            Answer::Health(rows) => health_columns(rows),
            Answer::Status(rows) => status_columns(rows),
            Answer::Hashes(rows) => hash_columns(rows),
            Answer::Snapshot(status) => snapshot_columns(status),
            Answer::FileHash(hash) => file_hash_columns(hash),
            _ => return Err(PrintError::Unsupported("table")),
        };
        Ok(draw(&header, &rows, out)?)
    }
}

/// A cell with words is broken into lines no wider than this.
const WRAP_COLUMNS: usize = 30;

fn draw(header: &[&str], rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let header: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
    let rows: Vec<Vec<Vec<String>>> =
        rows.iter().map(|row| row.iter().map(|cell| wrap(cell)).collect()).collect();
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let cells = rows.iter().flat_map(|row| &row[column]).map(|line| line.width());
            cells.chain([name.width()]).max().unwrap_or_default()
        })
        .collect();
    let rule: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let rule = format!("+{}+", rule.join("+"));
    writeln!(out, "{rule}")?;
    for (name, width) in header.iter().zip(&widths) {
        let gap = width - name.width();
        let left = gap / 2;
        write!(out, "| {}{name}{} ", " ".repeat(left), " ".repeat(gap - left))?;
    }
    writeln!(out, "|\n{rule}")?;
    for row in &rows {
        let height = row.iter().map(Vec::len).max().unwrap_or_default();
        for line in 0..height {
            for (cell, width) in row.iter().zip(&widths) {
                let text = cell.get(line).map_or("", String::as_str);
                write!(out, "| {}{text} ", " ".repeat(width - text.width()))?;
            }
            writeln!(out, "|")?;
        }
    }
    writeln!(out, "{rule}")
}

/// Breaks a cell into lines as even as can be, words kept whole: the least sum of squared gaps.
fn wrap(cell: &str) -> Vec<String> {
    let clean = escape_control(cell.as_bytes());
    let text = String::from_utf8_lossy(&clean).replace('\n', " ");
    let words: Vec<&str> = text.split(' ').collect();
    let longest = words.iter().map(|word| word.width()).max().unwrap_or_default();
    let limit = text.width().min(WRAP_COLUMNS).max(longest);
    let mut best = vec![(u64::MAX, words.len()); words.len()];
    for start in (0..words.len()).rev() {
        if words[start..].join(" ").width() <= limit {
            best[start] = (0, words.len());
            continue;
        }
        for end in start + 1..words.len() {
            let width = words[start..end].join(" ").width();
            if width > limit {
                break;
            }
            let gap = (limit - width) as u64;
            let cost = (gap * gap).saturating_add(best[end].0);
            if cost < best[start].0 {
                best[start] = (cost, end);
            }
        }
    }
    let mut lines = Vec::new();
    let mut start = 0;
    while start < words.len() {
        let end = best[start].1;
        lines.push(words[start..end].join(" "));
        start = end;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{draw, wrap};

    #[test]
    fn headers_are_centred_and_cells_are_on_the_right() {
        let mut out = Vec::new();
        let rows = [vec!["127.0.0.1:2379".to_owned(), "true".to_owned()]];
        draw(&["endpoint", "health"], &rows, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "+----------------+--------+\n\
             |    ENDPOINT    | HEALTH |\n\
             +----------------+--------+\n\
             | 127.0.0.1:2379 |   true |\n\
             +----------------+--------+\n"
        );
    }

    #[test]
    fn a_long_cell_is_broken_between_words() {
        assert_eq!(wrap("etcdserver: no leader"), ["etcdserver: no leader"]);
        assert_eq!(
            wrap("memberID:1 alarm:NOSPACE , memberID:2 alarm:NOSPACE "),
            ["memberID:1 alarm:NOSPACE ,", "memberID:2 alarm:NOSPACE "]
        );
        assert_eq!(
            wrap("http://127.0.0.1:1234567890,http://127.0.0.1:2"),
            ["http://127.0.0.1:1234567890,http://127.0.0.1:2"]
        );
    }
}
