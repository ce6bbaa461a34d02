//! Messages with every field set, made from their description.

use bytes::Bytes;
use protox::prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// A message with every field set, no two alike. `variant` chooses the branch of each oneof
/// and the value of each enum.
pub(crate) fn sample(message: &MessageDescriptor, variant: usize) -> DynamicMessage {
    Filler { variant, last: 0 }.message(message, 0)
}

/// How many samples show every branch of every oneof and every value of every enum.
pub(crate) fn variants(message: &MessageDescriptor) -> usize {
    let enums = message.fields().filter_map(|field| match field.kind() {
        Kind::Enum(values) => Some(values.values().len()),
        _ => None,
    });
    let oneofs = message.oneofs().map(|oneof| oneof.fields().len());
    enums.chain(oneofs).max().unwrap_or(1)
}

struct Filler {
    variant: usize,
    /// The last number used: every value of a sample is made from a number of its own.
    last: u32,
}

impl Filler {
    /// A transaction nests in itself; one level inside another shows it all.
    const DEEPEST: usize = 6;

    fn message(&mut self, descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        if depth == Self::DEEPEST {
            return message;
        }
        for field in descriptor.fields() {
            if let Some(oneof) = field.containing_oneof() {
                let chosen = oneof.fields().nth(self.variant % oneof.fields().len());
                if chosen.as_ref() != Some(&field) {
                    continue;
                }
            }
            let value = if field.is_list() {
                Value::List(vec![self.value(&field, depth), self.value(&field, depth)])
            } else {
                self.value(&field, depth)
            };
            message.set_field(&field, value);
        }
        message
    }

    fn value(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        self.last += 1;
        let number = self.last;
        match field.kind() {
            Kind::Bool => Value::Bool(true),
            Kind::Int32 => Value::I32(number.cast_signed()),
            Kind::Uint32 => Value::U32(u32::MAX - number),
            // Negative and large ones show that the type is etcd's and not a narrower one.
            Kind::Int64 if number.is_multiple_of(2) => Value::I64(-i64::from(number)),
            Kind::Int64 => Value::I64(i64::MAX - i64::from(number)),
            Kind::Uint64 => Value::U64(u64::MAX - u64::from(number)),
            Kind::String => Value::String(format!("s{number}")),
            Kind::Bytes => Value::Bytes(Bytes::from(format!("b{number}"))),
            Kind::Enum(values) => {
                let value = values.values().nth(self.variant % values.values().len());
                Value::EnumNumber(value.expect("an enum has values").number())
            }
            Kind::Message(message) => Value::Message(self.message(&message, depth + 1)),
            other => panic!("{}: etcd's contract has no {other:?}", field.full_name()),
        }
    }
}
