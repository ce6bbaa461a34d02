//! `show KEY[@REV]`

use std::ffi::OsString;
use std::fmt;

use clap::Args;
use kvorum_client::decode::View;

use crate::args::{UsageError, bytes_of};

/// Show one value with all that is known of it, decoded
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "show [OPTIONS] <KEY[@REV]>",
    after_help = "JSON, Kubernetes objects, gzip and zstd are recognised; protobuf and MessagePack \
                  are read if --as says so.\nOf a key that ends in @ and digits itself, give \
                  --rev as well.\n\nExamples:\n  show /config/app\n  show /config/app@1204\n  \
                  show /registry/pods/default/web -o yaml\n  show /cache/x --as msgpack"
)]
pub struct ShowArgs {
    /// The key, and the revision to read it at
    #[arg(value_name = "KEY[@REV]")]
    // The name `key` is taken by a global flag.
    pub operand: OsString,

    /// As it was at this revision; 0 is now
    #[arg(long, value_name = "REV")]
    pub rev: Option<i64>,

    /// Read the value as text, json, k8s, protobuf, msgpack, hex, or raw: its bytes alone
    #[arg(long = "as", value_name = "FORM", value_parser = ViewAs::parse)]
    pub view: Option<ViewAs>,

    /// Who manages which field of a Kubernetes object, too
    #[arg(long)]
    pub managed_fields: bool,
}

/// What a value is to be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewAs {
    View(View),
    /// Its bytes.
    Raw,
}

impl ViewAs {
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        Ok(Self::View(match name {
            "text" => View::Text,
            "json" => View::Json,
            "k8s" => View::Kubernetes,
            "protobuf" => View::Protobuf,
            "msgpack" => View::MessagePack,
            "hex" => View::Hex,
            "raw" => return Ok(Self::Raw),
            _ => return Err("there are text, json, k8s, protobuf, msgpack, hex and raw".to_owned()),
        }))
    }
}

impl fmt::Display for ViewAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::View(View::Text) => "text",
            Self::View(View::Json) => "json",
            Self::View(View::Kubernetes) => "k8s",
            Self::View(View::Protobuf) => "protobuf",
            Self::View(View::MessagePack) => "msgpack",
            Self::View(View::Hex) => "hex",
            Self::Raw => "raw",
        })
    }
}

impl ShowArgs {
    /// The key, and the revision it is meant at; 0 is now.
    pub fn place(&self) -> Result<(Vec<u8>, i64), UsageError> {
        let whole = bytes_of(&self.operand);
        let (key, revision) = match self.rev {
            Some(revision) => (whole, revision),
            None => split_revision(&whole).unwrap_or((whole, 0)),
        };
        if key.is_empty() {
            return Err(UsageError::arguments("show needs a key"));
        }
        if revision < 0 {
            return Err(UsageError::arguments("a revision is not negative"));
        }
        Ok((key, revision))
    }
}

/// What stands behind the last `@`, if it is a number that is no revision, as in `key@0`: nobody
/// means a key by that.
fn no_revision(whole: &[u8]) -> Option<&str> {
    let at = whole.iter().rposition(|byte| *byte == b'@')?;
    let text = str::from_utf8(&whole[at + 1..]).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_revision = text.parse::<i64>().is_ok_and(|revision| revision > 0);
    (is_number && !is_revision).then_some(text)
}

/// Says what is wrong with `KEY@0`.
pub(super) fn refuse_no_revision(operand: &[u8]) -> Result<(), UsageError> {
    let Some(text) = no_revision(operand) else { return Ok(()) };
    Err(UsageError::arguments(format!(
        "{text} is no revision; of a key that ends in @{text} itself, give --rev as well"
    )))
}

/// `key@12` apart. Digits that are no revision belong to the key.
pub(crate) fn split_revision(whole: &[u8]) -> Option<(Vec<u8>, i64)> {
    let at = whole.iter().rposition(|byte| *byte == b'@')?;
    let digits = str::from_utf8(&whole[at + 1..]).ok()?;
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let revision = decimal.then(|| digits.parse().ok()).flatten()?;
    Some((whole[..at].to_vec(), revision))
}

#[cfg(test)]
mod tests {
    use super::{ViewAs, no_revision, split_revision};

    #[test]
    fn a_form_is_read_as_it_is_written() {
        for name in ["text", "json", "k8s", "protobuf", "msgpack", "hex", "raw"] {
            assert_eq!(ViewAs::parse(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn a_revision_stands_behind_the_last_at() {
        assert_eq!(split_revision(b"/a@12"), Some((b"/a".to_vec(), 12)));
        assert_eq!(split_revision(b"a@b@3"), Some((b"a@b".to_vec(), 3)));
        for key in [&b"/a"[..], b"a@", b"me@example.com", b"a@-1", b"a@99999999999999999999"] {
            assert_eq!(split_revision(key), None);
        }
        let wrong = [&b"/a@0"[..], b"/a@-5", b"/a@99999999999999999999", b"/a@12", b"/a@x", b"/a@"];
        let told = wrong.map(no_revision);
        let expected = [Some("0"), Some("-5"), Some("99999999999999999999"), None, None, None];
        assert_eq!(told, expected);
    }
}
