//! From the wire to the form in JSON, by the table of messages.

use serde_json::{Map, Value, json};

use super::special;
use super::table::{Field, Kind, Message, Shape};
use crate::decode::wire::{Fields, Wire};
use crate::decode::{Budget, Undecodable, bytes_value, protobuf};

pub(super) fn object(
    message: Option<&'static Message>,
    bytes: &[u8],
    budget: &mut Budget,
) -> Result<Map<String, Value>, Undecodable> {
    let mut object = Map::new();
    fields(message, bytes, &mut object, budget)?;
    Ok(object)
}

/// Adds the fields of a message to an object. What the table does not know, or knows to be of
/// another type, is shown under its number.
fn fields(
    message: Option<&'static Message>,
    bytes: &[u8],
    object: &mut Map<String, Value>,
    budget: &mut Budget,
) -> Result<(), Undecodable> {
    budget.enter()?;
    for read in Fields::of(bytes) {
        let (number, wire) = read?;
        budget.spend()?;
        let known = message.and_then(|message| message.field(number));
        let known = known.filter(|field| fits(field, wire));
        let Some(field) = known else {
            let value = protobuf::likeliest(wire, budget)?;
            protobuf::add(object, number, value);
            continue;
        };
        match (field.shape, wire) {
            (Shape::Inline, Wire::Bytes(inner)) => {
                fields(field.message(), inner, object, budget)?;
            }
            (Shape::Map, Wire::Bytes(entry)) => {
                let (key, value) = map_entry(field, entry, budget)?;
                if let Value::Object(map) = object.entry(field.name).or_insert_with(|| json!({})) {
                    map.insert(key, value);
                }
            }
            (Shape::List, wire) => {
                let value = self::value(field, wire, budget)?;
                if let Value::Array(list) = object.entry(field.name).or_insert_with(|| json!([])) {
                    list.push(value);
                }
            }
            (_, wire) => {
                let value = self::value(field, wire, budget)?;
                if !(field.always && is_zero(&value)) {
                    object.insert(field.name.to_owned(), value);
                }
            }
        }
    }
    budget.leave();
    Ok(())
}

fn fits(field: &Field, wire: Wire<'_>) -> bool {
    match (field.shape, field.kind) {
        (Shape::One | Shape::List, Kind::Integer | Kind::Truth) => matches!(wire, Wire::Varint(_)),
        (Shape::One | Shape::List, Kind::Double) => matches!(wire, Wire::Fixed64(_)),
        _ => matches!(wire, Wire::Bytes(_)),
    }
}

fn value(field: &Field, wire: Wire<'_>, budget: &mut Budget) -> Result<Value, Undecodable> {
    Ok(match (field.kind, wire) {
        (Kind::Truth, Wire::Varint(value)) => json!(value != 0),
        (_, Wire::Varint(value)) => json!(value as i64),
        (_, Wire::Fixed64(bits)) => json!(f64::from_bits(bits)),
        (Kind::Text, Wire::Bytes(bytes)) => {
            str::from_utf8(bytes).map_or_else(|_| bytes_value(bytes), |text| json!(text))
        }
        (Kind::Message { .. }, Wire::Bytes(bytes)) => {
            Value::Object(object(field.message(), bytes, budget)?)
        }
        (Kind::Special(kind), Wire::Bytes(bytes)) => special::read(kind, bytes, budget)?,
        // As Kubernetes shows bytes.
        (_, Wire::Bytes(bytes)) => json!(special::base64(bytes)),
        (_, wire) => protobuf::likeliest(wire, budget)?,
    })
}

/// An entry of a map: its key is field 1, its value field 2.
fn map_entry(
    field: &Field,
    entry: &[u8],
    budget: &mut Budget,
) -> Result<(String, Value), Undecodable> {
    let (mut key, mut value) = (String::new(), None);
    for read in Fields::of(entry) {
        match read? {
            (1, Wire::Bytes(bytes)) => key = String::from_utf8_lossy(bytes).into_owned(),
            (2, wire) => value = Some(self::value(field, wire, budget)?),
            _ => return Err(Undecodable::Malformed("an entry of a map has an unknown field")),
        }
    }
    Ok((key, value.unwrap_or_else(|| json!(""))))
}

pub(super) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
