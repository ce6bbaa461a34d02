//! A value in a form that can be edited: one that encodes back to the bytes it came from.

use serde_json::Value;
use thiserror::Error;

use super::{View, hex, kubernetes};

/// A value as an editor is given it.
#[derive(Debug, Clone, PartialEq)]
pub struct Editable {
    form: Vec<u8>,
    codec: Codec,
}

#[derive(Debug, Clone, PartialEq)]
enum Codec {
    /// The bytes themselves.
    Plain,
    Hex,
    Kubernetes(Box<kubernetes::Object>),
}

/// Why a value has no form that can be edited; `hex` always has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotEditable {
    #[error("the value is not text")]
    NotText,
    #[error("the value is no Kubernetes object: {0}")]
    NotKubernetes(String),
    #[error("this Kubernetes object does not encode back to the same bytes{}", why(.0.as_deref()))]
    NotExact(Option<String>),
    #[error("{0:?} can be shown, not written")]
    ReadOnly(View),
}

/// Why what was edited has no bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotEncodable(String);

fn why(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

impl Editable {
    /// The form for a view, or for none asked for the one that fits the value.
    pub fn new(value: &[u8], view: Option<View>) -> Result<Self, NotEditable> {
        match view {
            None if kubernetes::is_object(value) => Self::kubernetes(value),
            None | Some(View::Text | View::Json) if str::from_utf8(value).is_ok() => {
                Ok(Self::raw(value))
            }
            None | Some(View::Text | View::Json) => Err(NotEditable::NotText),
            Some(View::Kubernetes) => Self::kubernetes(value),
            Some(View::Hex) => Ok(Self { form: hex::dump(value).into_bytes(), codec: Codec::Hex }),
            Some(view @ (View::Protobuf | View::MessagePack)) => Err(NotEditable::ReadOnly(view)),
        }
    }

    /// The bytes as they are, whatever they are.
    pub fn raw(value: &[u8]) -> Self {
        Self { form: value.to_vec(), codec: Codec::Plain }
    }

    fn kubernetes(value: &[u8]) -> Result<Self, NotEditable> {
        let object = kubernetes::decode(value)
            .map_err(|error| NotEditable::NotKubernetes(error.to_string()))?;
        let form = format!("{:#}\n", Value::Object(object.value.clone())).into_bytes();
        let editable = Self { form, codec: Codec::Kubernetes(Box::new(object)) };
        match editable.encode(&editable.form) {
            Ok(again) if again == value => Ok(editable),
            Ok(_) => Err(NotEditable::NotExact(None)),
            Err(error) => Err(NotEditable::NotExact(Some(error.to_string()))),
        }
    }

    /// What to edit.
    pub fn form(&self) -> &[u8] {
        &self.form
    }

    /// The same form of another value, to merge with; `None` if it has none.
    pub fn form_of(&self, value: &[u8]) -> Option<Vec<u8>> {
        let view = match self.codec {
            Codec::Plain => return Some(value.to_vec()),
            Codec::Hex => View::Hex,
            Codec::Kubernetes(_) => View::Kubernetes,
        };
        Some(Self::new(value, Some(view)).ok()?.form)
    }

    /// Whether the form is the value itself, so that its last line may lack an end.
    pub fn is_plain(&self) -> bool {
        self.codec == Codec::Plain
    }

    /// The ending of a file's name by which editors know what is in it.
    pub fn extension(&self) -> &'static str {
        match &self.codec {
            Codec::Plain if super::pretty_json(&self.form).is_some() => "json",
            Codec::Kubernetes(_) => "json",
            Codec::Plain | Codec::Hex => "txt",
        }
    }

    /// The bytes that an edited form stands for.
    pub fn encode(&self, form: &[u8]) -> Result<Vec<u8>, NotEncodable> {
        let text = || str::from_utf8(form).map_err(|_| NotEncodable("it is not UTF-8".to_owned()));
        match &self.codec {
            Codec::Plain => Ok(form.to_vec()),
            Codec::Hex => hex::parse(text()?).map_err(|error| NotEncodable(error.to_string())),
            Codec::Kubernetes(object) => {
                let value = serde_json::from_str(text()?)
                    .map_err(|error| NotEncodable(format!("it is no JSON object: {error}")))?;
                object.with(value).encode().map_err(|error| NotEncodable(error.to_string()))
            }
        }
    }
}
