//! Tables of kvorum's own: a row is one line, words begin on the left, numbers end on the right. A
//! table that is wider than its terminal is turned on its side, or becomes a list of fields for
//! each row.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::{Paint, Style, Tone, one_line, wrap};

/// More rows than a large cluster has members are not compared side by side.
const MAX_TURNED: usize = 16;

/// Draws rows under the names of their columns; without boxes if the style says so. If that is too
/// wide for the terminal, the names are broken into words; if it still is, rows and columns change
/// places, so that a few rows can be compared; and if that does not fit either, the rows are told
/// field by field.
pub fn draw_table(
    header: &[&str],
    rows: &[Vec<String>],
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let names: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| one_line(cell.as_bytes())).collect()).collect();
    let whole = names.iter().map(|name| vec![name.clone()]);
    let broken = names.iter().map(|name| name.split(' ').map(str::to_owned).collect());
    let mut grids = [whole.collect(), broken.collect()].into_iter();
    if let Some(grid) = grids.find_map(|heads| Grid::fitting(heads, &rows, style)) {
        return grid.draw(&rows, out);
    }
    if !(2..=MAX_TURNED).contains(&rows.len()) {
        return list(&names, &rows, style, out);
    }
    let (heads, turned) = turned(&names, &rows);
    // Without boxes there is room for a member more.
    let plain = Style { plain: true, ..style.clone() };
    let mut grids = [style, &plain].into_iter();
    match grids.find_map(|style| Grid::fitting(heads.clone(), &turned, style)) {
        Some(grid) => grid.draw(&turned, out),
        None => list(&names, &rows, style, out),
    }
}

/// The same table with its first column for a header.
fn turned(names: &[String], rows: &[Vec<String>]) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let lines = || std::iter::once(names).chain(rows.iter().map(Vec::as_slice));
    let column = |at: usize| lines().map(move |line| line.get(at).cloned().unwrap_or_default());
    let heads = column(0).map(|head| vec![head]).collect();
    (heads, (1..names.len()).map(|at| column(at).collect()).collect())
}

/// Every field on a line of its own, a blank line between rows.
fn list(
    names: &[String],
    rows: &[Vec<String>],
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let value_at = names.iter().map(|name| name.width()).max().unwrap_or_default() + 2;
    for (nth, row) in rows.iter().enumerate() {
        if nth > 0 {
            writeln!(out)?;
        }
        for (name, cell) in names.iter().zip(row) {
            let name = style.paint.padded(Tone::Label, name, value_at);
            let cell = wrap(cell, value_at, style.columns);
            writeln!(out, "{}", format!("{name}{cell}").trim_end())?;
        }
    }
    Ok(())
}

/// What stands over the columns, line by line, and the columns.
struct Grid<'a> {
    heads: Vec<Vec<String>>,
    columns: Vec<Column>,
    style: &'a Style,
}

impl<'a> Grid<'a> {
    /// `None` if the terminal has no room for it.
    fn fitting(heads: Vec<Vec<String>>, rows: &[Vec<String>], style: &'a Style) -> Option<Self> {
        let columns: Vec<Column> =
            heads.iter().enumerate().map(|(at, head)| Column::of(head, at, rows)).collect();
        let (between, edges) = if style.plain { (2, 0) } else { (3, 4) };
        let cells: usize = columns.iter().map(|column| column.width).sum();
        let width = cells + edges + between * columns.len().saturating_sub(1);
        style.columns.is_none_or(|room| width <= room).then_some(Self { heads, columns, style })
    }

    fn draw(&self, rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
        self.rule(out)?;
        for nth in 0..self.heads.iter().map(Vec::len).max().unwrap_or_default() {
            let words = self.heads.iter().map(|head| head.get(nth).map_or("", String::as_str));
            self.line(words, self.style.paint, out)?;
        }
        self.rule(out)?;
        for row in rows {
            self.line(row.iter().map(String::as_str), Paint::default(), out)?;
        }
        self.rule(out)
    }

    fn rule(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.style.plain {
            return Ok(());
        }
        let lines: Vec<_> =
            self.columns.iter().map(|column| "-".repeat(column.width + 2)).collect();
        writeln!(out, "+{}+", lines.join("+"))
    }

    fn line<'c>(
        &self,
        cells: impl Iterator<Item = &'c str>,
        paint: Paint,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let cells: Vec<_> =
            cells.zip(&self.columns).map(|(cell, column)| column.pad(cell, paint)).collect();
        if self.style.plain {
            writeln!(out, "{}", cells.join("  ").trim_end())
        } else {
            writeln!(out, "| {} |", cells.join(" | "))
        }
    }
}

struct Column {
    width: usize,
    numbers: bool,
}

impl Column {
    fn of(head: &[String], at: usize, rows: &[Vec<String>]) -> Self {
        let cells = || rows.iter().filter_map(|row| row.get(at));
        let width = cells().chain(head).map(|cell| cell.width()).max();
        let number = |cell: &String| cell.bytes().all(|byte| byte.is_ascii_digit());
        let filled = cells().any(|cell| !cell.is_empty());
        Self { width: width.unwrap_or_default(), numbers: filled && cells().all(number) }
    }

    fn pad(&self, cell: &str, paint: Paint) -> String {
        let blanks = " ".repeat(self.width.saturating_sub(cell.width()));
        let cell = paint.of(Tone::Label, cell);
        if self.numbers { blanks + &cell } else { cell + &blanks }
    }
}

#[cfg(test)]
mod tests {
    use super::{Paint, Style, draw_table};

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
    fn a_table_too_wide_for_its_terminal_is_turned_if_that_is_narrower() {
        let header = ["endpoint", "version", "is leader", "raft term"];
        let row = |endpoint: &str, leader: &str| {
            [endpoint, "3.6.0", leader, "12"].map(str::to_owned).to_vec()
        };
        let rows = [row("a:2379", "true"), row("b:2379", "false")];
        let style = Style { columns: Some(32), ..Style::default() };
        let mut out = Vec::new();
        draw_table(&header, &rows, &style, &mut out).unwrap();
        let expected = "+-----------+--------+--------+\n\
                        | ENDPOINT  | a:2379 | b:2379 |\n\
                        +-----------+--------+--------+\n\
                        | VERSION   | 3.6.0  | 3.6.0  |\n\
                        | IS LEADER | true   | false  |\n\
                        | RAFT TERM | 12     | 12     |\n\
                        +-----------+--------+--------+\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut out = Vec::new();
        draw_table(&header, &rows[..1], &style, &mut out).unwrap();
        assert!(out.starts_with(b"ENDPOINT   a:2379\n"));
    }

    #[test]
    fn names_are_broken_for_a_terminal_and_what_is_still_too_wide_is_a_list() {
        let rows = vec![vec!["127.0.0.1:2379".to_owned(), "a b".to_owned()]; 2];
        let header = ["endpoint", "errors told"];
        let drawn = |style: Style| {
            let mut out = Vec::new();
            draw_table(&header, &rows, &style, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let of = |columns, plain| Style { columns: Some(columns), plain, ..Style::default() };
        let list = "ENDPOINT     127.0.0.1:2379\nERRORS TOLD  a b\n";
        assert_eq!(drawn(of(26, false)), format!("{list}\n{list}"));
        assert_eq!(drawn(of(21, true)), format!("{list}\n{list}"));
        let broken = "| ENDPOINT       | ERRORS |\n|                | TOLD   |\n+";
        assert!(drawn(of(27, false)).contains(broken));
        assert!(
            drawn(of(22, true)).starts_with("ENDPOINT        ERRORS\n                TOLD\n12")
        );
        assert!(drawn(of(32, false)).contains("| 127.0.0.1:2379 | a b         |"));
        let painted = Style { paint: Paint::new(true), ..Style::default() };
        assert!(drawn(painted).contains("| \x1b[1mENDPOINT\x1b[0m       | \x1b[1mERRORS"));
    }

    #[test]
    fn a_plain_table_has_no_boxes() {
        let expected = "KEY             REV  LEASE\n\
                        日                7\n\
                        two\\nlines\\x1b   12  ff\n";
        assert_eq!(drawn(true, &ROWS), expected);
    }
}
