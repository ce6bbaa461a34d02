//! Protocol buffers without a schema: fields by their numbers, and for what is inside them the
//! likeliest reading.

use serde_json::{Map, Value, json};

use super::wire::{Fields, Wire};
use super::{Budget, Undecodable, bytes_value, is_readable};

/// Reads a whole message. Nothing in it is known for certain: a field with a length is text if it
/// reads as text, else a message if it can be one, else bytes.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, Undecodable> {
    if bytes.is_empty() {
        return Err(Undecodable::Truncated);
    }
    message(bytes, &mut Budget::new())
}

fn message(bytes: &[u8], budget: &mut Budget) -> Result<Value, Undecodable> {
    budget.enter()?;
    let mut fields = Map::new();
    let outcome = Fields::of(bytes).try_for_each(|field| {
        let (number, wire) = field?;
        let value = likeliest(wire, budget)?;
        add(&mut fields, number, value);
        Ok(())
    });
    budget.leave();
    outcome.map(|()| Value::Object(fields))
}

/// The likeliest reading of one field.
pub(super) fn likeliest(wire: Wire<'_>, budget: &mut Budget) -> Result<Value, Undecodable> {
    budget.spend()?;
    Ok(match wire {
        // What would be larger than any sensible number is a negative one.
        Wire::Varint(value) => json!(value as i64),
        Wire::Fixed64(value) => json!(format!("{value:#018x}")),
        Wire::Fixed32(value) => json!(format!("{value:#010x}")),
        Wire::Bytes(bytes) => match is_readable(bytes) {
            Some(text) => json!(text),
            None if Fields::of(bytes).all(|field| field.is_ok()) => match message(bytes, budget) {
                Err(Undecodable::TooDeep) => bytes_value(bytes),
                outcome => outcome?,
            },
            None => bytes_value(bytes),
        },
    })
}

/// Puts a field among the others; one that is there again makes a list.
pub(super) fn add(fields: &mut Map<String, Value>, number: u32, value: Value) {
    let name = number.to_string();
    match fields.get_mut(&name) {
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
        None => _ = fields.insert(name, value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::decode;

    #[test]
    fn fields_are_shown_by_number_and_repeated_ones_as_a_list() {
        let message =
            b"\x08\x96\x01\x12\x07testing\x1a\x02\x08\x01\x1a\x02\x08\x02\x22\x02\xff\xfe\
                        \x2d\x00\x00\x80\x3f";
        let expected = json!({
            "1": 150,
            "2": "testing",
            "3": [{"1": 1}, {"1": 2}],
            "4": {"base64": "//4="},
            "5": "0x3f800000",
        });
        assert_eq!(decode(message).unwrap(), expected);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(decode(b"").is_err());
        assert!(decode(b"plain text").is_err());
    }
}
