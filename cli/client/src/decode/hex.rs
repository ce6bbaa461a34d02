//! Bytes as pairs of hexadecimal digits, and back.

use std::fmt::Write;

/// Bytes on one line.
const COLUMNS: usize = 16;

/// `00000000  6b 76 6f 72 75 6d 00 ff                           |kvorum..|`
pub(super) fn dump(bytes: &[u8]) -> String {
    // A line of 16 bytes takes 78.
    let mut out = String::with_capacity(bytes.len().div_ceil(COLUMNS) * 80);
    for (nth, row) in bytes.chunks(COLUMNS).enumerate() {
        let _ = write!(out, "{:08x} ", nth * COLUMNS);
        for at in 0..COLUMNS {
            let _ = match row.get(at) {
                Some(byte) => write!(out, " {byte:02x}"),
                None => write!(out, "   "),
            };
        }
        out.push_str("  |");
        out.extend(row.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
        out.push_str("|\n");
    }
    out
}

/// Reads what [`dump`] writes, edited or not: pairs of digits between two spaces and `|`. The
/// offset and the readable column are not looked at, so bytes can be taken out and put in.
pub(super) fn parse(dump: &str) -> Result<Vec<u8>, BadHex> {
    let mut bytes = Vec::new();
    for (nth, line) in dump.lines().enumerate() {
        let pairs = line.split_once("  ").map_or("", |(_, rest)| rest);
        let pairs = pairs.split_once('|').map_or(pairs, |(pairs, _)| pairs);
        if pairs.is_empty() && !line.trim().is_empty() {
            return Err(BadHex { line: nth + 1 });
        }
        for pair in pairs.split_whitespace() {
            let digits = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            let byte = digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten();
            bytes.push(byte.ok_or(BadHex { line: nth + 1 })?);
        }
    }
    Ok(bytes)
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} is not hexadecimal: an offset, two spaces, then bytes as pairs of digits apart \
     from each other"
)]
pub struct BadHex {
    pub line: usize,
}

#[cfg(test)]
mod tests {
    use super::{BadHex, dump, parse};

    #[test]
    fn a_dump_reads_back_as_the_same_bytes() {
        let bytes: Vec<u8> = (0..=255).chain(*b"end").collect();
        assert_eq!(parse(&dump(&bytes)).unwrap(), bytes);
        assert_eq!(parse(&dump(b"")).unwrap(), b"");
        assert_eq!(
            dump(b"kvorum\x00\xff"),
            "00000000  6b 76 6f 72 75 6d 00 ff                          |kvorum..|\n"
        );
    }

    #[test]
    fn bytes_can_be_taken_out_and_put_in() {
        assert_eq!(parse("0  61 62\nzz  63  |whatever|\n\n").unwrap(), b"abc");
        assert_eq!(parse("0  61\n0  6 1"), Err(BadHex { line: 2 }));
        assert_eq!(parse("61"), Err(BadHex { line: 1 }));
    }
}
