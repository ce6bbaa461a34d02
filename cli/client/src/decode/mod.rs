//! What a value says: bytes in, a described and printable form out.
//!
//! Nothing here asks a cluster or a terminal. Every decoder is meant for hostile bytes: depth, size
//! and number of pieces are limited, and what cannot be read is named and shown as hexadecimal.
//!
//! - Text is always text; JSON among it is recognised, and its bytes are never rewritten.
//! - Kubernetes objects are known by their first bytes, gzip and zstd as well; what is inside a
//!   compressed value is decoded in turn.
//! - Protocol buffers without a schema and MessagePack are read on request only ([`View`]), because
//!   nothing marks them.
//! - [`Editable`] is a form that encodes back to the same bytes.

mod editable;
mod hex;
mod json;
mod kubernetes;
mod messagepack;
mod packing;
mod protobuf;
mod wire;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use thiserror::Error;

pub use editable::{Editable, NotEditable, NotEncodable};
pub use hex::BadHex;
pub use json::pretty_json;
pub use packing::{MAX_UNPACKED_BYTES, Packing};

/// What is asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    Text,
    Json,
    Kubernetes,
    Protobuf,
    MessagePack,
    Hex,
}

/// What a value turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Text,
    Json,
    Yaml,
    Kubernetes,
    Protobuf,
    MessagePack,
    /// Bytes that mean nothing to us.
    Bytes,
}

/// A value and what it was decoded as.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Compressions taken off, the outermost first.
    pub packings: Vec<Packing>,
    pub format: Format,
    /// What more is known: the name of a Kubernetes object, why bytes could not be decoded.
    pub detail: Option<String>,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Exactly what was stored, or what was packed.
    Text(String),
    Tree(Value),
    Bytes(Vec<u8>),
}

/// Why bytes are not what they were taken for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Undecodable {
    #[error("it ends in the middle")]
    Truncated,
    #[error("{0}")]
    Malformed(&'static str),
    #[error("it is nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("it has more than {MAX_PIECES} pieces")]
    TooManyPieces,
    #[error("unpacked it is larger than {} MiB", MAX_UNPACKED_BYTES >> 20)]
    TooLarge,
    #[error("{0}")]
    Packed(String),
    #[error("it is not UTF-8")]
    NotText,
    #[error("it is no object and no array of JSON")]
    NotJson,
}

/// Messages in messages. The schemas of CustomResourceDefinitions go deepest, and those that people
/// write stay below 60.
const MAX_DEPTH: usize = 100;

/// Fields and items together. Each takes about a hundred bytes of memory, and the largest objects
/// that fit into etcd have some 100,000.
const MAX_PIECES: usize = 400_000;

/// Something packed more often than this was not packed to save space.
const MAX_PACKINGS: usize = 4;

/// Decodes a value by what it is. `key` only helps to tell YAML by the ending of its name.
pub fn decode(key: &[u8], value: &[u8]) -> Decoded {
    let mut packings = Vec::new();
    let mut unpacked = None;
    loop {
        let bytes = unpacked.as_deref().unwrap_or(value);
        let Some(packing) = Packing::of(bytes) else {
            let (format, detail, body) = recognise(key, bytes);
            return Decoded { packings, format, detail, body };
        };
        let outcome = if packings.len() == MAX_PACKINGS {
            Err(Undecodable::TooDeep)
        } else {
            packing.unpack(bytes)
        };
        match outcome {
            Ok(inner) => {
                packings.push(packing);
                unpacked = Some(inner);
            }
            Err(error) => {
                let detail = Some(format!("{packing} that cannot be unpacked: {error}"));
                let body = Body::Bytes(bytes.to_vec());
                return Decoded { packings, format: Format::Bytes, detail, body };
            }
        }
    }
}

/// Decodes a value as what it is said to be. Compressed values are unpacked first, unless their
/// bytes are asked for.
pub fn decode_as(view: View, key: &[u8], value: &[u8]) -> Result<Decoded, Undecodable> {
    if view == View::Hex {
        let body = Body::Bytes(value.to_vec());
        return Ok(Decoded { packings: Vec::new(), format: Format::Bytes, detail: None, body });
    }
    let (packings, unpacked) = unpack_all(value)?;
    let bytes = unpacked.as_deref().unwrap_or(value);
    let text = || str::from_utf8(bytes).map_err(|_| Undecodable::NotText);
    let (format, detail, body) = match view {
        View::Text => (Format::Text, None, Body::Text(text()?.to_owned())),
        View::Json => match recognise(key, bytes) {
            // A tree has its form in JSON.
            found @ (Format::Kubernetes | Format::Json, ..) => found,
            _ => return Err(Undecodable::NotJson),
        },
        View::Kubernetes => {
            let object = kubernetes::decode(bytes)?;
            (Format::Kubernetes, Some(object.name()), Body::Tree(Value::Object(object.value)))
        }
        View::Protobuf => {
            let tree = protobuf::decode(bytes)?;
            (Format::Protobuf, Some("without a schema".to_owned()), Body::Tree(tree))
        }
        View::MessagePack => (Format::MessagePack, None, Body::Tree(messagepack::decode(bytes)?)),
        View::Hex => (Format::Bytes, None, Body::Bytes(bytes.to_vec())),
    };
    Ok(Decoded { packings, format, detail, body })
}

fn unpack_all(value: &[u8]) -> Result<(Vec<Packing>, Option<Vec<u8>>), Undecodable> {
    let (mut packings, mut unpacked) = (Vec::new(), None::<Vec<u8>>);
    while let Some(packing) = Packing::of(unpacked.as_deref().unwrap_or(value)) {
        if packings.len() == MAX_PACKINGS {
            return Err(Undecodable::TooDeep);
        }
        unpacked = Some(packing.unpack(unpacked.as_deref().unwrap_or(value))?);
        packings.push(packing);
    }
    Ok((packings, unpacked))
}

fn recognise(key: &[u8], bytes: &[u8]) -> (Format, Option<String>, Body) {
    let unknown = |detail| (Format::Bytes, detail, Body::Bytes(bytes.to_vec()));
    if kubernetes::is_object(bytes) {
        return match kubernetes::decode(bytes) {
            Ok(object) => {
                let (name, tree) = (object.name(), Value::Object(object.value));
                (Format::Kubernetes, Some(name), Body::Tree(tree))
            }
            Err(error) => unknown(Some(format!("a damaged Kubernetes object: {error}"))),
        };
    }
    let Ok(text) = str::from_utf8(bytes) else { return unknown(encrypted_by(bytes)) };
    let format = if json::is_json(text) {
        Format::Json
    } else if is_yaml(key, text) {
        Format::Yaml
    } else {
        Format::Text
    };
    (format, None, Body::Text(text.to_owned()))
}

/// The text of a value, if it is meant to be read: UTF-8 without control characters other than line
/// ends and tabs.
pub fn is_readable(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?;
    let plain = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\t' | '\r');
    text.chars().all(plain).then_some(text)
}

/// Any text is YAML; it is called so only where it says so, or its key does.
fn is_yaml(key: &[u8], text: &str) -> bool {
    let first = text.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
    first.trim_end() == "---"
        || first.starts_with("%YAML ")
        || key.ends_with(b".yaml")
        || key.ends_with(b".yml")
}

/// `k8s:enc:aescbc:v1:key1:` and bytes: encrypted at rest by the API server.
fn encrypted_by(bytes: &[u8]) -> Option<String> {
    let rest = bytes.strip_prefix(b"k8s:enc:")?;
    let mut parts = rest.split(|byte| *byte == b':').map(str::from_utf8);
    let mut part = || parts.next().and_then(Result::ok);
    let (provider, _version, key) = (part()?, part()?, part()?);
    Some(format!("encrypted by Kubernetes ({provider}, key {key})"))
}

impl Decoded {
    /// Its printable form. JSON is laid out if `pretty`, and is else as it was stored.
    pub fn text(&self, pretty: bool) -> String {
        match &self.body {
            Body::Text(text) if pretty && self.format == Format::Json => {
                pretty_json(text.as_bytes()).unwrap_or_else(|| text.clone())
            }
            Body::Text(text) => text.clone(),
            Body::Tree(tree) if pretty => format!("{tree:#}"),
            Body::Tree(tree) => tree.to_string(),
            Body::Bytes(bytes) => hex::dump(bytes),
        }
    }

    /// What can be looked into: a decoded tree, or JSON as one. Its numbers are those that readers of
    /// JSON understand, so [`Decoded::text`] may say more.
    pub fn tree(&self) -> Option<Value> {
        match &self.body {
            Body::Tree(tree) => Some(tree.clone()),
            Body::Text(text) if self.format == Format::Json => {
                json::tree(text.as_bytes(), &mut Budget::new()).ok()
            }
            Body::Text(_) | Body::Bytes(_) => None,
        }
    }

    /// `gzip, JSON`, `Kubernetes (v1 Pod default/web)`
    pub fn description(&self) -> String {
        let mut words: Vec<String> = self.packings.iter().map(ToString::to_string).collect();
        words.push(match &self.detail {
            Some(detail) => format!("{} ({detail})", self.format),
            None => self.format.to_string(),
        });
        words.join(", ")
    }
}

/// Leaves out of a Kubernetes object what only machines read: who manages which field.
pub fn without_managed_fields(mut tree: Value) -> Value {
    if let Some(Value::Object(metadata)) = tree.get_mut("metadata")
        && let Some(entries @ Value::Array(_)) = metadata.get_mut("managedFields")
    {
        let managers: Vec<_> = entries
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.get("manager")?.as_str())
            .collect();
        *entries = json!(format!("(left out: {})", managers.join(", ")));
    }
    tree
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "JSON",
            Self::Yaml => "YAML",
            Self::Kubernetes => "Kubernetes",
            Self::Protobuf => "protobuf",
            Self::MessagePack => "MessagePack",
            Self::Bytes => "bytes",
        })
    }
}

/// `{"base64": "…"}`: bytes that are no text, in a tree.
pub fn bytes_value(bytes: &[u8]) -> Value {
    let mut value = Map::new();
    value.insert("base64".to_owned(), STANDARD.encode(bytes).into());
    Value::Object(value)
}

/// How much of a message may still be read.
struct Budget {
    pieces: usize,
    depth: usize,
}

impl Budget {
    fn new() -> Self {
        Self { pieces: MAX_PIECES, depth: MAX_DEPTH }
    }

    fn spend(&mut self) -> Result<(), Undecodable> {
        self.spend_many(1)
    }

    fn spend_many(&mut self, pieces: usize) -> Result<(), Undecodable> {
        self.pieces = self.pieces.checked_sub(pieces).ok_or(Undecodable::TooManyPieces)?;
        Ok(())
    }

    fn enter(&mut self) -> Result<(), Undecodable> {
        self.depth = self.depth.checked_sub(1).ok_or(Undecodable::TooDeep)?;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth += 1;
    }
}

#[cfg(test)]
mod tests;
