//! The output of kvorum's own verbs: rows, printed as they come in whatever format is wanted.

use std::io::Write;

use super::rich::Rich;
use super::value::Value;
use super::{Format, PrintError, Style, draw_table};

/// One thing that a verb shows: a branch, a lock, a finding.
pub trait Row {
    /// For people: a line or several, without the last line's end. Control characters of keys and
    /// values are escaped by whoever makes the text; of the style it takes colours and columns.
    fn simple(&self, style: &Style) -> String;

    /// For programs. Names are in snake_case, as etcd writes its own, with the unit last.
    fn value(&self) -> Value;

    /// One cell for each of the header's columns.
    fn cells(&self) -> Vec<String>;

    /// The key that the row is about, for `-o keys`.
    fn key(&self) -> Option<&[u8]> {
        None
    }

    /// The bytes themselves, for `-o raw`.
    fn raw(&self) -> Option<&[u8]> {
        None
    }
}

/// Rows kept until the end by the formats that need all of them: tables and paths. More would fill
/// the memory for something nobody reads.
pub const MAX_KEPT: usize = 1_000_000;

/// Prints rows, and closes what has to be closed at the end.
pub struct Rows<'a> {
    style: &'a Style,
    header: &'a [&'a str],
    out: &'a mut dyn Write,
    printed: usize,
    cells: Vec<Vec<String>>,
    values: Vec<Value>,
    /// The last row, until it is known what ends its line: what is flushed are whole lines.
    held: Vec<u8>,
}

impl<'a> Rows<'a> {
    /// `header` names the columns of a table.
    pub fn new(style: &'a Style, header: &'a [&'a str], out: &'a mut dyn Write) -> Self {
        Self {
            style,
            header,
            out,
            printed: 0,
            cells: Vec::new(),
            values: Vec::new(),
            held: Vec::new(),
        }
    }

    pub fn row(&mut self, row: &dyn Row) -> Result<(), PrintError> {
        match &self.style.format {
            Format::Simple => writeln!(self.out, "{}", row.simple(self.style))?,
            Format::Table | Format::Rich(Rich::Table) => {
                kept(self.cells.len())?;
                self.cells.push(row.cells());
            }
            Format::Fields => {
                super::rich::fields(&row.value(), self.out)?;
                writeln!(self.out)?;
            }
            // etcdctl has none of these verbs: both JSON formats are the same here.
            Format::Json | Format::Rich(Rich::Json) => {
                let before = if self.printed == 0 { "[" } else { "," };
                self.out.write_all(&std::mem::take(&mut self.held))?;
                writeln!(self.out, "{before}")?;
                self.held.extend_from_slice(b"  ");
                super::rich::json_line(&row.value(), self.style, &mut self.held)?;
            }
            Format::Protobuf => return Err(PrintError::Unsupported("protobuf")),
            Format::Rich(Rich::Ndjson) => {
                super::rich::json_line(&row.value(), self.style, self.out)?;
                writeln!(self.out)?;
            }
            Format::Rich(Rich::Yaml) => {
                super::rich::yaml(&Value::list([row.value()]), self.style, self.out)?;
            }
            Format::Rich(Rich::Keys) => {
                let key = row.key().ok_or(PrintError::Unsupported("keys"))?;
                super::rich::key_line(key, self.style, self.out)?;
            }
            Format::Rich(Rich::Raw) => {
                self.out.write_all(row.raw().ok_or(PrintError::Unsupported("raw"))?)?;
            }
            Format::Rich(Rich::Path(_)) => {
                kept(self.values.len())?;
                self.values.push(row.value());
            }
        }
        self.printed += 1;
        Ok(())
    }

    /// Lets what was printed so far be seen.
    pub fn flush(&mut self) -> Result<(), PrintError> {
        Ok(self.out.flush()?)
    }

    /// Must be called at the end, rows or none.
    pub fn end(self) -> Result<(), PrintError> {
        match &self.style.format {
            Format::Table | Format::Rich(Rich::Table) => {
                draw_table(self.header, &self.cells, self.style, self.out)?;
            }
            Format::Json | Format::Rich(Rich::Json) => {
                self.out.write_all(&self.held)?;
                self.out.write_all(if self.printed == 0 { b"[]\n" } else { b"\n]\n" })?;
            }
            Format::Rich(Rich::Yaml) if self.printed == 0 => writeln!(self.out, "[]")?,
            Format::Rich(Rich::Path(path)) => {
                path.print(&Value::List(self.values), self.style, self.out)?;
            }
            _ => {}
        }
        self.out.flush()?;
        Ok(())
    }
}

/// Prints one thing that is not a list.
pub fn print_one(
    row: &dyn Row,
    header: &[&str],
    style: &Style,
    out: &mut dyn Write,
) -> Result<(), PrintError> {
    match &style.format {
        Format::Json | Format::Rich(Rich::Json) => {
            super::rich::json(&row.value(), style, out)?;
        }
        Format::Rich(Rich::Yaml) => super::rich::yaml(&row.value(), style, out)?,
        Format::Rich(Rich::Path(path)) => path.print(&row.value(), style, out)?,
        _ => {
            let mut rows = Rows::new(style, header, out);
            rows.row(row)?;
            return rows.end();
        }
    }
    out.flush()?;
    Ok(())
}

fn kept(count: usize) -> Result<(), PrintError> {
    if count < MAX_KEPT { Ok(()) } else { Err(PrintError::TooManyRows) }
}

#[cfg(test)]
mod tests {
    use super::{Row, Rows, Value};
    use crate::output::{Format, Style};

    struct Pair(&'static str, i64);

    impl Row for Pair {
        fn simple(&self, _: &Style) -> String {
            format!("{} {}", self.0, self.1)
        }

        fn value(&self) -> Value {
            Value::map([("key", Value::text(self.0)), ("count", Value::Int(self.1))])
        }

        fn cells(&self) -> Vec<String> {
            vec![self.0.to_owned(), self.1.to_string()]
        }

        fn key(&self) -> Option<&[u8]> {
            Some(self.0.as_bytes())
        }
    }

    fn printed(format: &str, rows: &[Pair]) -> String {
        let style = Style { format: Format::parse_own(format).unwrap(), ..Style::default() };
        let mut out = Vec::new();
        let mut printer = Rows::new(&style, &["key", "count"], &mut out);
        for row in rows {
            printer.row(row).unwrap();
        }
        printer.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_come_in_every_format() {
        let rows = [Pair("a", 1), Pair("b c", 2)];
        for (format, expected) in [
            ("simple", "a 1\nb c 2\n"),
            ("fields", "\"key\" : \"a\"\n\"count\" : 1\n\n\"key\" : \"b c\"\n\"count\" : 2\n\n"),
            ("json", "[\n  {\"key\":\"a\",\"count\":1},\n  {\"key\":\"b c\",\"count\":2}\n]\n"),
            ("ndjson", "{\"key\":\"a\",\"count\":1}\n{\"key\":\"b c\",\"count\":2}\n"),
            ("yaml", "- key: a\n  count: 1\n- key: b c\n  count: 2\n"),
            ("keys", "a\nb c\n"),
            ("jsonpath={[*].key}", "a\nb c\n"),
        ] {
            assert_eq!(printed(format, &rows), expected, "{format}");
        }
        assert!(printed("table", &rows).contains("| b c |     2 |"));
    }

    #[test]
    fn what_is_flushed_between_rows_are_whole_lines() {
        let style = Style { format: Format::Json, ..Style::default() };
        let mut out = Vec::new();
        let mut printer = Rows::new(&style, &["key", "count"], &mut out);
        printer.row(&Pair("a", 1)).unwrap();
        printer.row(&Pair("b", 2)).unwrap();
        printer.flush().unwrap();
        drop(printer);
        assert_eq!(String::from_utf8(out).unwrap(), "[\n  {\"key\":\"a\",\"count\":1},\n");
    }

    #[test]
    fn no_rows_are_an_empty_list() {
        for (format, expected) in
            [("simple", ""), ("json", "[]\n"), ("ndjson", ""), ("yaml", "[]\n")]
        {
            assert_eq!(printed(format, &[]), expected, "{format}");
        }
    }
}
