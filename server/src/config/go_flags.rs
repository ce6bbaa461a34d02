//! The syntax of Go's `flag` package: one dash or two, `-name=value` or `-name value`, switches
//! without a value, and an end at the first word that is no flag.

use super::ConfigError;
use super::table::{self, Flag};

/// A flag as it was given, later ones after earlier ones.
#[derive(Debug, PartialEq)]
pub(super) struct Given {
    pub(super) flag: &'static Flag,
    pub(super) value: String,
}

pub(super) enum Words {
    Flags(Vec<Given>),
    Help,
}

pub(super) fn split(args: &[String]) -> Result<Words, ConfigError> {
    let mut given = Vec::new();
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        let Some(body) = flag_body(word)? else {
            return Err(ConfigError::StrayArgument(word.clone()));
        };
        if body.is_empty() {
            return match rest.next() {
                Some(word) => Err(ConfigError::StrayArgument(word.clone())),
                None => Ok(Words::Flags(given)),
            };
        }
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        if name == "help" || name == "h" {
            return Ok(Words::Help);
        }
        let Some(flag) = table::find(name) else {
            return Err(ConfigError::UnknownFlag(name.to_owned()));
        };
        let value = match value {
            Some(value) => value,
            None if flag.is_switch() => "true".to_owned(),
            None => match rest.next() {
                Some(value) => value.clone(),
                None => return Err(ConfigError::NeedsArgument(name.to_owned())),
            },
        };
        given.push(Given { flag, value });
    }
    Ok(Words::Flags(given))
}

/// What follows the dashes; empty for `--` alone, `None` for a word that is no flag.
fn flag_body(word: &str) -> Result<Option<&str>, ConfigError> {
    let Some(body) = word.strip_prefix('-') else { return Ok(None) };
    if body.is_empty() {
        return Ok(None);
    }
    let body = body.strip_prefix('-').unwrap_or(body);
    if body.starts_with('-') || body.starts_with('=') {
        return Err(ConfigError::BadSyntax(word.to_owned()));
    }
    Ok(Some(body))
}

/// `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// An unsigned number in decimal or, with `0x`, hexadecimal.
pub(super) fn parse_uint(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The same with a sign.
pub(super) fn parse_int(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(below_zero) => 0i64.checked_sub_unsigned(parse_uint(below_zero)?),
        None => i64::try_from(parse_uint(text)?).ok(),
    }
}

/// A duration such as `1h30m`, `100ms` or `0`, in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Option<std::time::Duration> {
    if text == "0" {
        return Some(std::time::Duration::ZERO);
    }
    let mut rest = text;
    let mut total_s = 0.0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit_s = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total_s += number.parse::<f64>().ok()? * unit_s;
        rest = tail;
    }
    if text.is_empty() {
        return None;
    }
    std::time::Duration::try_from_secs_f64(total_s).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn whole_numbers_may_have_a_sign() {
        assert_eq!(parse_int("8589934592"), Some(8 << 30));
        assert_eq!(parse_int("0x10"), Some(16));
        assert_eq!(parse_int("-1"), Some(-1));
        for bad in ["", "-", "--1", "1.5", "2GB", "9223372036854775808"] {
            assert_eq!(parse_int(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_are_read_as_go_prints_them() {
        assert_eq!(parse_duration("10m0s"), Some(Duration::from_secs(600)));
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_duration("0"), Some(Duration::ZERO));
        for bad in ["", "5", "m", "1x", "-1s", "1.2.3s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
