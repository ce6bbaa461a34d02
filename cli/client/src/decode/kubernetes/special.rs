//! The messages of Kubernetes that have a form of their own: times, quantities, numbers that may be
//! names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::table::{Special, find};
use super::{Unencodable, read, write};
use crate::decode::json::tree;
use crate::decode::wire::{Fields, Wire, put_bytes, put_varint};
use crate::decode::{Budget, Undecodable, bytes_value};

pub(super) fn read(kind: Special, bytes: &[u8], budget: &mut Budget) -> Result<Value, Undecodable> {
    match kind {
        Special::Time | Special::MicroTime => time(kind, bytes),
        Special::IntOrString => int_or_string(bytes),
        Special::Quantity => Ok(text_of(1, bytes)?.map_or(Value::Null, Value::String)),
        Special::Items => items(1, bytes, budget).map(Value::Array),
        Special::Raw => raw(bytes, budget),
        Special::OrArray | Special::OrBool | Special::OrStrings => schema_or(kind, bytes, budget),
    }
}

/// The bytes of the message; what is missing from the form is zero.
pub(super) fn write(kind: Special, value: &Value, depth: usize) -> Result<Vec<u8>, Unencodable> {
    let mut out = Vec::new();
    match (kind, value) {
        (Special::Time | Special::MicroTime | Special::Raw, Value::Null) => {}
        (Special::Time | Special::MicroTime, Value::String(text)) => {
            let time: Timestamp =
                text.parse().map_err(|_| Unencodable(format!("{text:?} is no time")))?;
            put_varint(1, time.as_second() as u64, &mut out);
            put_varint(2, time.subsec_nanosecond() as u64, &mut out);
        }
        (Special::IntOrString, Value::Null) => put_int_or_string(0, 0, "", &mut out),
        (Special::IntOrString, Value::String(text)) => put_int_or_string(1, 0, text, &mut out),
        (Special::IntOrString, Value::Number(number)) if number.is_i64() => {
            put_int_or_string(0, number.as_i64().unwrap_or_default(), "", &mut out);
        }
        (Special::Quantity, Value::Null) => put_bytes(1, b"0", &mut out),
        (Special::Quantity, Value::String(text)) => put_bytes(1, text.as_bytes(), &mut out),
        (Special::Items, Value::Array(items)) => put_items(1, items, &mut out)?,
        (Special::Raw, value) => put_bytes(1, value.to_string().as_bytes(), &mut out),
        (Special::OrArray, Value::Array(schemas)) => {
            for schema in schemas {
                put_bytes(2, &put_schema(schema, depth)?, &mut out);
            }
        }
        (Special::OrBool, Value::Bool(allows)) => put_varint(1, u64::from(*allows), &mut out),
        (Special::OrStrings, Value::Array(texts)) => put_items(2, texts, &mut out)?,
        (Special::OrArray | Special::OrStrings, schema) => {
            put_bytes(1, &put_schema(schema, depth)?, &mut out);
        }
        (Special::OrBool, schema) => {
            put_varint(1, 1, &mut out);
            put_bytes(2, &put_schema(schema, depth)?, &mut out);
        }
        (kind, value) => return Err(Unencodable(format!("{value} is no {kind:?}"))),
    }
    Ok(out)
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn unbase64(text: &str) -> Result<Vec<u8>, Unencodable> {
    STANDARD.decode(text).map_err(|_| Unencodable(format!("{text:?} is no base64")))
}

fn time(kind: Special, bytes: &[u8]) -> Result<Value, Undecodable> {
    let (mut seconds, mut nanos) = (None, 0);
    for field in Fields::of(bytes) {
        match field? {
            (1, Wire::Varint(value)) => seconds = Some(value as i64),
            (2, Wire::Varint(value)) => nanos = value as i32,
            _ => return Err(Undecodable::Malformed("a time has an unknown field")),
        }
    }
    // The zero time is written as an empty message.
    let Some(seconds) = seconds else { return Ok(Value::Null) };
    let Ok(time) = Timestamp::new(seconds, nanos) else {
        return Ok(json!(format!("{seconds}.{nanos:09}")));
    };
    Ok(json!(match kind {
        Special::MicroTime if nanos % 1000 == 0 => format!("{time:.6}"),
        _ => time.to_string(),
    }))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Undecodable> {
    let (mut is_text, mut number, mut text) = (false, 0, Value::from(""));
    for field in Fields::of(bytes) {
        match field? {
            (1, Wire::Varint(kind)) => is_text = kind == 1,
            (2, Wire::Varint(value)) => number = value as i64,
            (3, Wire::Bytes(value)) => text = json!(String::from_utf8_lossy(value)),
            _ => return Err(Undecodable::Malformed("a number or name has an unknown field")),
        }
    }
    Ok(if is_text { text } else { json!(number) })
}

fn put_int_or_string(kind: u64, number: i64, text: &str, out: &mut Vec<u8>) {
    put_varint(1, kind, out);
    put_varint(2, number as u64, out);
    put_bytes(3, text.as_bytes(), out);
}

fn text_of(wanted: u32, bytes: &[u8]) -> Result<Option<String>, Undecodable> {
    let mut text = None;
    for field in Fields::of(bytes) {
        match field? {
            (number, Wire::Bytes(value)) if number == wanted => {
                text = Some(String::from_utf8_lossy(value).into_owned());
            }
            _ => return Err(Undecodable::Malformed("a text has an unknown field")),
        }
    }
    Ok(text)
}

fn items(wanted: u32, bytes: &[u8], budget: &mut Budget) -> Result<Vec<Value>, Undecodable> {
    let mut items = Vec::new();
    for field in Fields::of(bytes) {
        budget.spend()?;
        match field? {
            (number, Wire::Bytes(item)) if number == wanted => {
                items.push(json!(String::from_utf8_lossy(item)));
            }
            _ => return Err(Undecodable::Malformed("a list has an unknown field")),
        }
    }
    Ok(items)
}

fn put_items(number: u32, items: &[Value], out: &mut Vec<u8>) -> Result<(), Unencodable> {
    for item in items {
        let text = item.as_str().ok_or_else(|| Unencodable(format!("{item} is no text")))?;
        put_bytes(number, text.as_bytes(), out);
    }
    Ok(())
}

/// JSON that Kubernetes keeps as it came.
fn raw(bytes: &[u8], budget: &mut Budget) -> Result<Value, Undecodable> {
    let mut value = Value::Null;
    for field in Fields::of(bytes) {
        let (1, Wire::Bytes(json)) = field? else {
            return Err(Undecodable::Malformed("raw JSON has an unknown field"));
        };
        value = match tree(json, budget) {
            Err(Undecodable::NotJson) => bytes_value(json),
            read => read?,
        };
    }
    Ok(value)
}

fn schema_or(kind: Special, bytes: &[u8], budget: &mut Budget) -> Result<Value, Undecodable> {
    let (mut allows, mut schema, mut list) = (false, None, Vec::new());
    for field in Fields::of(bytes) {
        match (kind, field?) {
            (Special::OrBool, (1, Wire::Varint(value))) => allows = value != 0,
            (Special::OrStrings, (2, Wire::Bytes(text))) => {
                budget.spend()?;
                list.push(json!(String::from_utf8_lossy(text)));
            }
            (Special::OrArray, (2, Wire::Bytes(one))) => list.push(read_schema(one, budget)?),
            (_, (_, Wire::Bytes(one))) => schema = Some(read_schema(one, budget)?),
            _ => return Err(Undecodable::Malformed("a schema has an unknown field")),
        }
    }
    Ok(match (kind, schema) {
        (_, Some(schema)) => schema,
        (Special::OrBool, None) => json!(allows),
        (_, None) => Value::Array(list),
    })
}

const SCHEMA: (&str, &str) = ("apiextensions.k8s.io/v1", "JSONSchemaProps");

fn read_schema(bytes: &[u8], budget: &mut Budget) -> Result<Value, Undecodable> {
    read::object(find(SCHEMA.0, SCHEMA.1), bytes, budget).map(Value::Object)
}

fn put_schema(schema: &Value, depth: usize) -> Result<Vec<u8>, Unencodable> {
    let none = Map::new();
    let fields = match schema {
        Value::Object(fields) => fields,
        Value::Null => &none,
        other => return Err(Unencodable(format!("{other} is no schema"))),
    };
    write::message(find(SCHEMA.0, SCHEMA.1), fields, depth)
}
