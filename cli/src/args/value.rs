//! Values of flags, as Go's flag package reads them, with its words for a bad one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use crate::output::go;

/// The bytes of an argument, exact: keys and values need not be text.
pub fn bytes_of(argument: &OsStr) -> Vec<u8> {
    argument.as_bytes().to_vec()
}

pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {}: invalid syntax", quoted(text))),
    }
}

/// A decimal integer, or one with Go's prefixes (`0x`, `0o`, `0b`, `0`).
pub fn parse_int(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = digits.to_ascii_lowercase();
    let (radix, rest) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let sign = if text.starts_with('-') { "-" } else { "" };
    from_radix(text, &format!("{sign}{rest}"), radix)
}

/// Digits of one base only: decimal revisions and TTLs, hexadecimal IDs.
pub(crate) fn parse_radix(text: &str, radix: u32) -> Result<i64, String> {
    from_radix(text, text, radix)
}

/// The ID of a member: hexadecimal, without a sign or a prefix.
pub(crate) fn parse_id(text: &str) -> Result<u64, String> {
    use std::num::IntErrorKind;
    let refused = |reason| format!("strconv.ParseUint: parsing {}: {reason}", quoted(text));
    if text.starts_with('+') {
        return Err(refused("invalid syntax"));
    }
    u64::from_str_radix(text, 16).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow => refused("value out of range"),
        _ => refused("invalid syntax"),
    })
}

fn from_radix(whole: &str, digits: &str, radix: u32) -> Result<i64, String> {
    use std::num::IntErrorKind;
    i64::from_str_radix(digits, radix).map_err(|error| {
        let reason = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.ParseInt: parsing {}: {reason}", quoted(whole))
    })
}

fn quoted(text: &str) -> String {
    go::quote(text.as_bytes())
}

/// A duration in Go's notation: `1m30s`, `500ms`, `1.5h`, `0`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() || rest.starts_with('-') {
        return Err(invalid());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| format!("time: missing unit in duration {text:?}"))?;
        let amount: f64 = rest[..end].parse().map_err(|_| invalid())?;
        let unit_end = rest[end..]
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .map_or(rest.len(), |at| end + at);
        seconds += amount
            * match &rest[end..unit_end] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                unit => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
            };
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse_bool, parse_duration, parse_id, parse_int, parse_radix};

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        assert_eq!(parse_int("0x10"), Ok(16));
        assert_eq!(parse_int("010"), Ok(8));
        assert_eq!(parse_int("-5"), Ok(-5));
        assert_eq!(parse_int("x").unwrap_err(), "strconv.ParseInt: parsing \"x\": invalid syntax");
        assert_eq!(
            parse_radix("99999999999999999999", 10).unwrap_err(),
            "strconv.ParseInt: parsing \"99999999999999999999\": value out of range"
        );
        assert!(parse_bool("yes").is_err());
    }

    #[test]
    fn an_id_is_hexadecimal_and_has_no_sign() {
        assert_eq!(parse_id("8211f1d0f64f3269"), Ok(0x8211_f1d0_f64f_3269));
        for bad in ["", "x", "+1", "-1", "0x1"] {
            assert!(parse_id(bad).unwrap_err().ends_with("invalid syntax"), "{bad}");
        }
        assert!(parse_id("11111111111111111").unwrap_err().ends_with("value out of range"));
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for bad in ["", "5", "5 s", "-1s", "1y", "s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
