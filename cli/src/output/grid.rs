//! Tables of kvorum's own: a row is one line, words begin on the left, numbers end on the right.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::{Style, escape_control};

/// Draws rows under the names of their columns; without boxes if the style says so.
pub fn draw_table(
    header: &[&str],
    rows: &[Vec<String>],
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let names: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let columns: Vec<Column> =
        names.iter().enumerate().map(|(at, name)| Column::of(name, at, &rows)).collect();
    if style.plain {
        let mut line = |row: &Vec<String>| {
            let cells: Vec<_> = row.iter().zip(&columns).map(|(cell, c)| c.pad(cell)).collect();
            writeln!(out, "{}", cells.join("  ").trim_end())
        };
        line(&names)?;
        return rows.iter().try_for_each(line);
    }
    let rule: Vec<_> = columns.iter().map(|column| "-".repeat(column.width + 2)).collect();
    let rule = format!("+{}+", rule.join("+"));
    let line = |row: &Vec<String>, out: &mut dyn Write| {
        let cells: Vec<_> = row.iter().zip(&columns).map(|(cell, c)| c.pad(cell)).collect();
        writeln!(out, "| {} |", cells.join(" | "))
    };
    writeln!(out, "{rule}")?;
    line(&names, out)?;
    writeln!(out, "{rule}")?;
    rows.iter().try_for_each(|row| line(row, out))?;
    writeln!(out, "{rule}")
}

struct Column {
    width: usize,
    numbers: bool,
}

impl Column {
    fn of(name: &str, at: usize, rows: &[Vec<String>]) -> Self {
        let cells = || rows.iter().filter_map(|row| row.get(at));
        let width = cells().map(|cell| cell.width()).chain([name.width()]).max();
        let number = |cell: &String| cell.bytes().all(|byte| byte.is_ascii_digit());
        Self { width: width.unwrap_or_default(), numbers: cells().all(number) }
    }

    fn pad(&self, cell: &str) -> String {
        let blanks = " ".repeat(self.width.saturating_sub(cell.width()));
        if self.numbers { blanks + cell } else { format!("{cell}{blanks}") }
    }
}

/// A row stays one line whatever is in it.
fn one_line(cell: &str) -> String {
    let shown = escape_control(cell.as_bytes());
    String::from_utf8_lossy(&shown).replace('\n', "\\n").replace('\t', "\\t")
}

#[cfg(test)]
mod tests {
    use super::{Style, draw_table};

    fn drawn(plain: bool, rows: &[[&str; 3]]) -> String {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).into()).collect();
        let mut out = Vec::new();
        let style = Style { plain, ..Style::default() };
        draw_table(&["key", "rev", "lease"], &rows, &style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const ROWS: [[&str; 3]; 2] = [["日", "7", ""], ["two\nlines\x1b", "12", "ff"]];

    #[test]
    fn a_row_is_one_line_and_numbers_end_on_the_right() {
        let expected = "+----------------+-----+-------+\n\
                        | KEY            | REV | LEASE |\n\
                        +----------------+-----+-------+\n\
                        | 日             |   7 |       |\n\
                        | two\\nlines\\x1b |  12 | ff    |\n\
                        +----------------+-----+-------+\n";
        assert_eq!(drawn(false, &ROWS), expected);
    }

    #[test]
    fn a_plain_table_has_no_boxes() {
        let expected = "KEY             REV  LEASE\n\
                        日                7\n\
                        two\\nlines\\x1b   12  ff\n";
        assert_eq!(drawn(true, &ROWS), expected);
    }
}
