//! Bytes in JSON, exactly: text where they are text, else `{"base64": "…"}`.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// Bytes as `-o json` has them: of every byte string there is one form, and all of it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exact<'a>(pub Cow<'a, [u8]>);

const BASE64: &str = "base64";

impl From<&[u8]> for Exact<'static> {
    fn from(bytes: &[u8]) -> Self {
        Self(Cow::Owned(bytes.to_vec()))
    }
}

impl Serialize for Exact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = str::from_utf8(&self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(BASE64, &STANDARD.encode(&self.0))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Exact<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = deserializer.deserialize_any(ExactVisitor)?;
        Ok(Self(Cow::Owned(bytes)))
    }
}

struct ExactVisitor;

impl<'de> Visitor<'de> for ExactVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"text or {"base64": "…"}"#)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        Ok(text.as_bytes().to_vec())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Vec<u8>, E> {
        Ok(text.into_bytes())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<u8>, A::Error> {
        let entry = map.next_entry::<Cow<'de, str>, Cow<'de, str>>()?;
        let Some((name, text)) = entry.filter(|(name, _)| name == BASE64) else {
            return Err(de::Error::invalid_type(de::Unexpected::Map, &self));
        };
        let bytes = STANDARD.decode(text.as_bytes());
        let bytes = bytes.map_err(|error| de::Error::custom(format!("{name} is none: {error}")))?;
        match map.next_key::<Cow<'de, str>>()? {
            None => Ok(bytes),
            Some(other) => Err(de::Error::unknown_field(&other, &[BASE64])),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::Exact;

    fn read(json: &str) -> Result<Vec<u8>, String> {
        let read: Result<Exact<'_>, _> = serde_json::from_str(json);
        read.map(|exact| exact.0.into_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn text_is_text_and_what_is_none_is_base64() {
        let json = |bytes: &[u8]| serde_json::to_string(&Exact(Cow::Borrowed(bytes))).unwrap();
        assert_eq!(json("é\u{1b}\n".as_bytes()), r#""é\u001b\n""#);
        assert_eq!(json(b"\xff\0"), r#"{"base64":"/wA="}"#);
    }

    #[test]
    fn anything_else_is_refused_with_what_is_wrong() {
        for (json, told) in [
            ("7", "expected text or"),
            (r#"{"hex":"00"}"#, "expected text or"),
            (r#"{"base64":"?"}"#, "base64 is none"),
            (r#"{"base64":"/wA"}"#, "base64 is none"),
            (r#"{"base64":"","x":1}"#, "unknown field `x`"),
            (r#""\ud800""#, "hex escape"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(told), "{json}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let json = serde_json::to_string(&Exact(Cow::Borrowed(&bytes))).unwrap();
            prop_assert_eq!(read(&json).unwrap(), bytes);
        }
    }
}
