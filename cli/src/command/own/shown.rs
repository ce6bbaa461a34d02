//! How keys and sizes are written for people.

use std::fmt::Write as _;

use kvorum_client::KeyRange;

use crate::output::one_line;

/// A key or a line of a value. `-o json`, `keys` and `raw` have the bytes.
pub(super) fn line(bytes: &[u8]) -> String {
    one_line(bytes)
}

/// A number with its thousands apart.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub(super) fn keys(count: u64) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{} keys", number(count)) }
}

/// That nothing is there.
pub(super) fn none_below(prefix: &[u8]) -> String {
    if prefix.is_empty() {
        "there are no keys".to_owned()
    } else {
        format!("no key begins with {}", line(prefix))
    }
}

pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// Seconds as people say them: `1h 5m`.
pub(super) fn seconds(seconds: i64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let parts = [(days, "d"), (rest / 3600, "h"), (rest % 3600 / 60, "m"), (rest % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(parts.len() - 1);
    let mut out = String::new();
    for (count, unit) in parts.iter().skip(first).take(2).filter(|(count, _)| *count > 0) {
        let _ = write!(out, "{}{count}{unit}", if out.is_empty() { "" } else { " " });
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// A moment, in UTC: `2026-12-01 14:03:10`.
pub(super) fn moment(at_ms: u64) -> String {
    let at = i64::try_from(at_ms / 1000).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    at.map_or_else(String::new, |at| at.to_string().replace('T', " ").replace('Z', ""))
}

/// A range of keys, as it was granted.
pub(super) fn range(range: &KeyRange) -> String {
    if range.is_single() {
        return line(&range.key);
    }
    if range.end == [0] && matches!(range.key.as_slice(), [] | [0]) {
        return "every key".to_owned();
    }
    if *range == KeyRange::prefix(range.key.clone()) {
        return format!("{}*", line(&range.key));
    }
    match range.end.as_slice() {
        [0] => format!("from {} on", line(&range.key)),
        end => format!("from {} to before {}", line(&range.key), line(end)),
    }
}

#[cfg(test)]
mod tests {
    use kvorum_client::KeyRange;

    use super::{bytes, line, moment, number, range, seconds};

    #[test]
    fn whatever_a_key_is_it_takes_one_line() {
        assert_eq!(line("a\nb\tc".as_bytes()), "a\\nb\\tc");
        assert_eq!(line(b"\x00\x1b[31m\xff"), "\\x00\\x1b[31m\\xff");
        assert_eq!(line("日本\u{202e}x".as_bytes()), "日本\\u{202e}x");
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!([number(0), number(999), number(1_234_567)], ["0", "999", "1,234,567"]);
        assert_eq!([bytes(1023), bytes(1536), bytes(1 << 30)], ["1023 B", "1.5 KiB", "1.0 GiB"]);
        let told = [0, 59, 60, 3700, 90_000].map(seconds);
        assert_eq!(told, ["0s", "59s", "1m", "1h 1m", "1d 1h"]);
    }

    #[test]
    fn a_moment_is_told_in_utc() {
        assert_eq!(moment(1_700_000_000_123), "2023-11-14 22:13:20");
    }

    #[test]
    fn ranges_are_told_as_they_are_meant() {
        assert_eq!(range(&KeyRange::single("/a")), "/a");
        assert_eq!(range(&KeyRange::prefix("/a/")), "/a/*");
        assert_eq!(range(&KeyRange::prefix("")), "every key");
        assert_eq!(range(&KeyRange::from_key("m")), "from m on");
        assert_eq!(range(&KeyRange::between("a", "c")), "from a to before c");
    }
}
