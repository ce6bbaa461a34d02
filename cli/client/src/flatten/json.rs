//! JSON, with numbers as they are written and names as often as they are there.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::node::Node;
use super::{FlattenError, MAX_DEPTH};

pub(super) fn parse(text: &str) -> Result<Node, FlattenError> {
    node(read(text)?, 0)
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, FlattenError> {
    serde_json::from_str(text).map_err(|error| FlattenError::Syntax(error.to_string()))
}

fn node(raw: &RawValue, depth: usize) -> Result<Node, FlattenError> {
    if depth > MAX_DEPTH {
        return Err(FlattenError::TooDeep);
    }
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let Pairs(pairs) = read(text)?;
            let pairs = pairs.into_iter().map(|(name, raw)| Ok((name, node(raw, depth + 1)?)));
            Node::Map(pairs.collect::<Result<_, FlattenError>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = read(text)?;
            let items = items.into_iter().map(|raw| node(raw, depth + 1));
            Node::List(items.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Node::Text(read(text)?),
        Some(b'n') => Node::Null,
        _ => Node::Bare(text.to_owned()),
    })
}

/// An object's fields in their order.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
