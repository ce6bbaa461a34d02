//! Kubernetes objects as the API server stores them: `k8s\0`, then an envelope (`runtime.Unknown`)
//! with the apiVersion, the kind and the object in protocol buffers.
//!
//! The form is what `kubectl get -o json` shows. Fields that are on the wire whatever they are
//! worth are left out while they are zero, and written back, so that the form encodes to the bytes
//! it came from; [`Object::encode`] is only offered where that has been seen to be so.

mod read;
mod special;
mod table;
mod write;

use serde_json::{Map, Value};

use super::wire::{Fields, Wire, put_bytes};
use super::{Budget, Undecodable, json};
use table::{ANY_OBJECT, Message, find};

/// What an object in protocol buffers begins with.
const MAGIC: &[u8] = b"k8s\0";

/// One object with what its envelope says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    pub(super) value: Map<String, Value>,
    content_encoding: Vec<u8>,
    content_type: Vec<u8>,
}

pub(super) fn is_object(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub(super) fn decode(bytes: &[u8]) -> Result<Object, Undecodable> {
    let envelope = Envelope::read(bytes)?;
    let mut value = Map::new();
    value.insert("apiVersion".to_owned(), envelope.api_version.clone().into());
    value.insert("kind".to_owned(), envelope.kind.clone().into());
    let mut budget = Budget::new();
    let fields = if envelope.raw.starts_with(b"{") {
        match json::tree(envelope.raw, &mut budget)? {
            Value::Object(fields) => fields,
            _ => return Err(Undecodable::NotJson),
        }
    } else {
        read::object(message(&envelope.api_version, &envelope.kind), envelope.raw, &mut budget)?
    };
    value.extend(fields);
    Ok(Object {
        value,
        content_encoding: envelope.content_encoding.to_vec(),
        content_type: envelope.content_type.to_vec(),
    })
}

impl Object {
    /// `v1 Pod default/web`
    pub(super) fn name(&self) -> String {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let metadata = self.value.get("metadata");
        let part = |name: &str| text(metadata.and_then(|metadata| metadata.get(name)));
        let name = match (part("namespace"), part("name")) {
            (Some(namespace), Some(name)) => format!(" {namespace}/{name}"),
            (None, Some(name)) => format!(" {name}"),
            _ => String::new(),
        };
        let kind = text(self.value.get("kind")).unwrap_or_default();
        let version = text(self.value.get("apiVersion")).unwrap_or_default();
        format!("{version} {kind}{name}")
    }

    /// The bytes that this form stands for.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Unencodable> {
        let mut fields = self.value.clone();
        let mut take = |name: &str| match fields.shift_remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(Unencodable(format!("{name} is missing"))),
        };
        let (api_version, kind) = (take("apiVersion")?, take("kind")?);
        let raw = write::object(message(&api_version, &kind), &fields)?;
        let mut type_meta = Vec::new();
        put_bytes(1, api_version.as_bytes(), &mut type_meta);
        put_bytes(2, kind.as_bytes(), &mut type_meta);
        let mut out = MAGIC.to_vec();
        put_bytes(1, &type_meta, &mut out);
        put_bytes(2, &raw, &mut out);
        put_bytes(3, &self.content_encoding, &mut out);
        put_bytes(4, &self.content_type, &mut out);
        Ok(out)
    }

    /// The same envelope around another form, as it was edited.
    pub(super) fn with(&self, value: Map<String, Value>) -> Self {
        Self { value, ..self.clone() }
    }
}

/// Why a form has no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unencodable(pub(super) String);

#[derive(Default)]
struct Envelope<'a> {
    api_version: String,
    kind: String,
    raw: &'a [u8],
    content_encoding: &'a [u8],
    content_type: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Undecodable> {
        let message = bytes.strip_prefix(MAGIC).ok_or(Undecodable::Malformed("no k8s\\0"))?;
        let mut envelope = Self::default();
        for field in Fields::of(message) {
            match field? {
                (1, Wire::Bytes(type_meta)) => envelope.type_meta(type_meta)?,
                (2, Wire::Bytes(raw)) => envelope.raw = raw,
                (3, Wire::Bytes(encoding)) => envelope.content_encoding = encoding,
                (4, Wire::Bytes(kind)) => envelope.content_type = kind,
                _ => return Err(Undecodable::Malformed("the envelope has an unknown field")),
            }
        }
        Ok(envelope)
    }

    fn type_meta(&mut self, message: &[u8]) -> Result<(), Undecodable> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for field in Fields::of(message) {
            match field? {
                (1, Wire::Bytes(version)) => self.api_version = text(version),
                (2, Wire::Bytes(kind)) => self.kind = text(kind),
                _ => return Err(Undecodable::Malformed("the type has an unknown field")),
            }
        }
        Ok(())
    }
}

fn message(api_version: &str, kind: &str) -> Option<&'static Message> {
    find(api_version, kind).or_else(|| find(ANY_OBJECT.0, ANY_OBJECT.1))
}

#[cfg(test)]
mod tests;
