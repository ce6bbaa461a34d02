//! From the form in JSON to the wire, in the order and with the zeros that Kubernetes writes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::table::{Field, Kind, Message, Shape};
use super::{Unencodable, special};
use crate::decode::MAX_DEPTH;
use crate::decode::wire::{put_bytes, put_fixed64, put_varint};

pub(super) fn object(
    message: Option<&'static Message>,
    fields: &Map<String, Value>,
) -> Result<Vec<u8>, Unencodable> {
    self::message(message, fields, 0)
}

pub(super) fn message(
    message: Option<&'static Message>,
    fields: &Map<String, Value>,
    depth: usize,
) -> Result<Vec<u8>, Unencodable> {
    let message = message.ok_or_else(|| Unencodable("of no known kind".to_owned()))?;
    if depth > MAX_DEPTH {
        return Err(Unencodable("nested too deeply".to_owned()));
    }
    if let Some(unknown) = fields.keys().find(|name| !message.owns(name)) {
        return Err(Unencodable(format!("{unknown} is no field that is known there")));
    }
    let mut out = Vec::new();
    for field in &message.fields {
        put_field(field, fields, depth, &mut out)?;
    }
    Ok(out)
}

fn put_field(
    field: &Field,
    fields: &Map<String, Value>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Unencodable> {
    if field.shape == Shape::Inline {
        let owns = |name: &str| field.message().is_some_and(|message| message.owns(name));
        let own = fields.iter().filter(|(name, _)| owns(name));
        let own = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        put_bytes(field.number, &message(field.message(), &own, depth + 1)?, out);
        return Ok(());
    }
    match (field.shape, fields.get(field.name)) {
        (Shape::List, Some(Value::Array(list))) => {
            list.iter().try_for_each(|value| put_value(field, field.number, value, depth, out))
        }
        (Shape::Map, Some(Value::Object(map))) => {
            // Go sorts the keys by their bytes, as Rust does.
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            for (key, value) in sorted {
                let mut entry = Vec::new();
                put_bytes(1, key.as_bytes(), &mut entry);
                put_value(field, 2, value, depth, &mut entry)?;
                put_bytes(field.number, &entry, out);
            }
            Ok(())
        }
        (Shape::List | Shape::Map, Some(Value::Null)) => Ok(()),
        (Shape::One, Some(value)) => put_value(field, field.number, value, depth, out),
        (Shape::One, None) if field.always => {
            put_value(field, field.number, &Value::Null, depth, out)
        }
        (_, Some(value)) => Err(wrong(field, value)),
        (_, None) => Ok(()),
    }
}

/// Null is the zero of each type.
fn put_value(
    field: &Field,
    number: u32,
    value: &Value,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Unencodable> {
    match (field.kind, value) {
        (Kind::Text | Kind::Bytes, Value::Null) => put_bytes(number, b"", out),
        (Kind::Text, Value::String(text)) => put_bytes(number, text.as_bytes(), out),
        (Kind::Bytes, Value::String(text)) => put_bytes(number, &special::unbase64(text)?, out),
        (Kind::Integer | Kind::Truth, Value::Null) => put_varint(number, 0, out),
        (Kind::Integer, Value::Number(value)) => {
            let value = value.as_i64().ok_or_else(|| wrong(field, &value.clone().into()))?;
            put_varint(number, value as u64, out);
        }
        (Kind::Truth, Value::Bool(value)) => put_varint(number, u64::from(*value), out),
        (Kind::Double, Value::Null) => put_fixed64(number, 0, out),
        (Kind::Double, Value::Number(value)) => {
            put_fixed64(number, value.as_f64().unwrap_or_default().to_bits(), out);
        }
        (Kind::Message { .. }, Value::Null) => {
            put_bytes(number, &message(field.message(), &Map::new(), depth + 1)?, out);
        }
        (Kind::Message { .. }, Value::Object(fields)) => {
            put_bytes(number, &message(field.message(), fields, depth + 1)?, out);
        }
        (Kind::Special(kind), value) => {
            put_bytes(number, &special::write(kind, value, depth + 1)?, out);
        }
        (_, value) => return Err(wrong(field, value)),
    }
    Ok(())
}

fn wrong(field: &Field, value: &Value) -> Unencodable {
    let mut shown = value.to_string();
    if let Some((end, _)) = shown.char_indices().nth(40) {
        shown.truncate(end);
        shown.push('…');
    }
    Unencodable(format!("{} cannot be {shown}", field.name))
}
