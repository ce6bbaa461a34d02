//! `txn`: comparisons and operations, one a line, three groups ended by empty lines.
//!
//! ```text
//! mod("key1") > "0"
//!
//! put key1 "was there"
//!
//! put key1 "is new"
//!
//! ```

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use clap::{Args, CommandFactory, FromArgMatches, Parser};
use kvorum_client::{Compare, CompareOp, CompareTarget, KeyRange, Op};

use super::value::{parse_bool, parse_radix};
use super::{DelArgs, GetArgs, PutArgs, PutRequest, UsageError};
use crate::exit;
use crate::output::go::unquote_prefix;

/// Do several things at one revision, or none of them
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "txn [OPTIONS]",
    after_help = "Reads comparisons, then what to do if all of them hold, then what to do if not;\n\
                  an empty line ends each group.\n\nExample:\n  mod(\"key1\") > \"0\"\n\n  \
                  put key1 \"was there\"\n\n  put key1 \"is new\"\n"
)]
pub struct TxnArgs {
    /// Say what is to be typed next
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub interactive: bool,

    #[arg(hide = true)]
    pub operands: Vec<OsString>,
}

#[derive(Parser)]
#[command(no_binary_name = true, args_override_self = true, disable_help_subcommand = true)]
enum OpLine {
    Put(PutArgs),
    Get(GetArgs),
    Del(DelArgs),
}

impl TxnArgs {
    pub(super) fn check(&self) -> Result<(), UsageError> {
        if self.operands.is_empty() {
            return Ok(());
        }
        Err(UsageError::arguments("txn command does not accept argument"))
    }
}

/// Reads a line such as `mod("key") > "0"`.
pub fn parse_compare(line: &[u8]) -> Result<Compare, UsageError> {
    let text = String::from_utf8_lossy(line);
    let malformed = |why: &str| invalid(format!("malformed comparison: {text}{why}"));
    let open = line.iter().position(|byte| *byte == b'(').ok_or_else(|| malformed(""))?;
    let (target, rest) = (&line[..open], &line[open + 1..]);
    let (key, rest) = unquote_prefix(skip_spaces(rest))
        .ok_or_else(|| malformed("; the key is to be in double quotes"))?;
    let rest = rest.strip_prefix(b")").ok_or_else(|| malformed("; a ) is to follow the key"))?;
    let rest = skip_spaces(rest);
    let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
    let (operator, rest) = rest.split_at(end);
    let (value, _) = unquote_prefix(skip_spaces(rest))
        .ok_or_else(|| malformed("; the value is to be in double quotes"))?;
    let op = match operator {
        b"=" => CompareOp::Equal,
        b"!=" => CompareOp::NotEqual,
        b">" => CompareOp::Greater,
        b"<" => CompareOp::Less,
        _ => return Err(malformed("; compare with =, !=, < or >")),
    };
    let number = |radix| {
        parse_radix(&String::from_utf8_lossy(&value), radix)
            .map_err(|_| invalid(format!("invalid txn compare request: {text}")))
    };
    let target = match target {
        b"ver" | b"version" => CompareTarget::Version(number(10)?),
        b"c" | b"create" => CompareTarget::CreateRevision(number(10)?),
        b"m" | b"mod" => CompareTarget::ModRevision(number(10)?),
        b"val" | b"value" => CompareTarget::Value(value),
        b"lease" => CompareTarget::Lease(number(16)?),
        other => {
            let other = String::from_utf8_lossy(other).into_owned();
            return Err(malformed(&format!(" (unknown target {other})")));
        }
    };
    Ok(Compare { range: KeyRange::single(key), op, target })
}

/// Reads a line such as `put key "value"`; `abbreviated` allows `pu`.
pub fn parse_op(line: &[u8], abbreviated: bool) -> Result<Op, UsageError> {
    let text = String::from_utf8_lossy(line);
    let words = words(line).ok_or_else(|| invalid(format!("invalid quotes: {text}")))?;
    if words.len() < 2 {
        return Err(invalid(format!("invalid txn compare request: {text}")));
    }
    let parsed = OpLine::command()
        .infer_subcommands(abbreviated)
        .try_get_matches_from(words)
        .and_then(|matches| OpLine::from_arg_matches(&matches))
        .map_err(|_| invalid(format!("invalid txn request: {text}")))?;
    Ok(match parsed {
        OpLine::Get(args) => Op::Get(args.request()?),
        OpLine::Del(args) => Op::Delete(args.request()?),
        OpLine::Put(args) => match args.request()? {
            PutRequest::Ready(put) => Op::Put(put),
            // Standard input holds the transaction itself.
            PutRequest::NeedsValue(_) => return Err(UsageError::arguments(PutArgs::NEEDS)),
        },
    })
}

/// Splits a line as etcdctl does: `"…"` as a Go string, `'…'` as it stands, bare words up to
/// white space. `None`: a Go string with an escape that does not exist.
pub fn words(line: &[u8]) -> Option<Vec<OsString>> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(&first) = rest.first() {
        let end = match first {
            b'"' => closing_quote(rest),
            b'\'' => rest[1..].iter().position(|byte| *byte == b'\'').map(|at| at + 1),
            byte if byte.is_ascii_whitespace() => None,
            _ => Some(rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len())),
        };
        // White space, or a quote without its partner, which is nothing.
        let Some(end) = end else {
            rest = &rest[1..];
            continue;
        };
        let word = match first {
            b'"' => unquote_prefix(&rest[..=end])?.0,
            b'\'' => rest[1..end].to_vec(),
            _ => rest[..end].to_vec(),
        };
        words.push(OsString::from_vec(word));
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Some(words)
}

fn closing_quote(line: &[u8]) -> Option<usize> {
    let mut at = 1;
    while at < line.len() {
        match line[at] {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

fn skip_spaces(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(line.len());
    &line[start..]
}

fn invalid(message: String) -> UsageError {
    UsageError { code: exit::INVALID_INPUT, message }
}

#[cfg(test)]
mod tests {
    use kvorum_client::{CompareTarget, Op};

    use super::{parse_compare, parse_op, words};

    #[test]
    fn a_comparison_names_a_target_a_key_and_a_value() {
        for (line, target) in [
            (r#"mod("a") > "5""#, CompareTarget::ModRevision(5)),
            (r#"c("a") = "5""#, CompareTarget::CreateRevision(5)),
            (r#"version("a")  <  "5""#, CompareTarget::Version(5)),
            (r#"val("a") != "x\ny""#, CompareTarget::Value(b"x\ny".to_vec())),
            (r#"lease("a") = "ff""#, CompareTarget::Lease(255)),
        ] {
            let compare = parse_compare(line.as_bytes()).unwrap();
            assert_eq!(compare.target, target, "{line}");
            assert_eq!(compare.range.key, b"a");
        }
    }

    #[test]
    fn a_comparison_that_cannot_be_read_says_so_and_exits_3() {
        for line in [
            "mod",
            "mod(a) > \"1\"",
            "age(\"a\") = \"1\"",
            "mod(\"a\") = \"x\"",
            "mod(\"a\") ~ \"1\"",
            "mod(\"a\" = \"1\"",
        ] {
            assert_eq!(parse_compare(line.as_bytes()).unwrap_err().code, 3, "{line}");
        }
    }

    #[test]
    fn an_operation_is_a_command_line() {
        let Op::Get(get) = parse_op(b"get --prefix \"a b\"", false).unwrap() else { panic!() };
        assert_eq!(get.range.key, b"a b");
        assert!(parse_op(b"ge a", true).is_ok());
        assert!(parse_op(b"ge a", false).is_err());
        assert_eq!(parse_op(b"watch a", true).unwrap_err().code, 3);
        assert_eq!(parse_op(b"put", true).unwrap_err().code, 3);
        assert_eq!(parse_op(b"put a", true).unwrap_err().code, 128);
    }

    #[test]
    fn words_are_split_as_etcdctl_splits_them() {
        assert_eq!(
            words(br#"put k "a\tb" 'c "d"' e"f g"#).unwrap(),
            ["put", "k", "a\tb", "c \"d\"", "e\"f", "g"]
        );
        assert_eq!(words(br#"a "unclosed"#).unwrap(), ["a", "unclosed"]);
        assert_eq!(words(br#""\q""#), None);
    }
}
