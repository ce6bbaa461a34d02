//! JSON, written as a message on the wire while it is read.
//!
//! There is no tree in between: a text of a few million braces would make one many times its size,
//! and whoever sends it need not be anybody. What is written is no longer than a message may be.
//!
//! The form is what etcd 3.6 takes. What is unknown is ignored; a number may be a string, bytes may
//! be in either alphabet of base64, an enumeration a name or a number, a field named as in the
//! protocol or in camel case, but only once; `null` is a field that is not there.

use std::fmt;

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// What one message may take.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: usize,
    /// Messages within it, itself included.
    pub(super) messages: usize,
}

/// Which bound a message goes beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    Bytes,
    Messages,
}

/// A message that is being written.
pub(super) struct Wire {
    bytes: Vec<u8>,
    bounds: Bounds,
    messages: usize,
    beyond: Option<Beyond>,
}

impl Wire {
    /// After `head`, which counts for nothing.
    pub(super) fn after(head: &[u8], bounds: Bounds) -> Wire {
        let bounds = Bounds { bytes: bounds.bytes.saturating_add(head.len()), ..bounds };
        Wire { bytes: head.to_vec(), bounds, messages: 0, beyond: None }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether it was for a bound that writing failed.
    pub(super) fn beyond(&self) -> Option<Beyond> {
        self.beyond
    }

    /// Writes the first value of `json`; what comes after it is not looked at.
    pub(super) fn write(
        &mut self,
        descriptor: &MessageDescriptor,
        json: &[u8],
    ) -> Result<(), serde_json::Error> {
        let mut json = serde_json::Deserializer::from_slice(json);
        MessageSeed { descriptor, wire: self }.deserialize(&mut json)
    }

    fn check<E: Error>(&mut self) -> Result<(), E> {
        if self.messages > self.bounds.messages {
            self.beyond = Some(Beyond::Messages);
        } else if self.bytes.len() > self.bounds.bytes {
            self.beyond = Some(Beyond::Bytes);
        }
        match self.beyond {
            None => Ok(()),
            Some(_) => Err(E::custom("there is more than one message may have")),
        }
    }

    fn varint<E: Error>(&mut self, field: &FieldDescriptor, value: u64) -> Result<(), E> {
        encode_key(field.number(), WireType::Varint, &mut self.bytes);
        encode_varint(value, &mut self.bytes);
        self.check()
    }

    /// A field with its length in front, which is known when the rest is there.
    fn delimited<E: Error>(
        &mut self,
        field: &FieldDescriptor,
        write: impl FnOnce(&mut Wire) -> Result<(), E>,
    ) -> Result<(), E> {
        encode_key(field.number(), WireType::LengthDelimited, &mut self.bytes);
        let start = self.bytes.len();
        write(self)?;
        let length = self.bytes.len() - start;
        let width = encoded_len_varint(length as u64);
        self.bytes.resize(start + length + width, 0);
        self.bytes.copy_within(start..start + length, start + width);
        encode_varint(length as u64, &mut &mut self.bytes[start..start + width]);
        self.check()
    }

    fn base64(&mut self, text: &str) -> Result<(), base64::DecodeSliceError> {
        let start = self.bytes.len();
        // As Go does, lines' ends count for whether there is padding, and then for nothing.
        let engine = engine(text);
        let joined: String;
        let text = if text.contains(['\r', '\n']) {
            joined = text.replace(['\r', '\n'], "");
            &joined
        } else {
            text
        };
        self.bytes.resize(start + base64::decoded_len_estimate(text.len()), 0);
        let length = engine.decode_slice(text, &mut self.bytes[start..])?;
        self.bytes.truncate(start + length);
        Ok(())
    }
}

/// As Go chooses: by what is in the text, and padding by its length.
fn engine(text: &str) -> &'static GeneralPurpose {
    const fn engine(alphabet: &Alphabet, padding: DecodePaddingMode) -> GeneralPurpose {
        let config = GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(padding);
        GeneralPurpose::new(alphabet, config)
    }
    use DecodePaddingMode::{RequireCanonical, RequireNone};
    static ENGINES: [[GeneralPurpose; 2]; 2] = [
        [engine(&STANDARD, RequireCanonical), engine(&STANDARD, RequireNone)],
        [engine(&URL_SAFE, RequireCanonical), engine(&URL_SAFE, RequireNone)],
    ];
    let is_url_safe = text.contains(['-', '_']);
    let is_bare = !text.len().is_multiple_of(4);
    &ENGINES[usize::from(is_url_safe)][usize::from(is_bare)]
}

/// An object: a message, without key and length.
struct MessageSeed<'a> {
    descriptor: &'a MessageDescriptor,
    wire: &'a mut Wire,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        self.wire.messages += 1;
        self.wire.check()?;
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object for {}", self.descriptor.full_name())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        // Of one field at a time there are few; no message has more than some twenty.
        let mut seen: Vec<u32> = Vec::new();
        let mut chosen: Vec<String> = Vec::new();
        while let Some(field) = fields.next_key_seed(NameSeed(self.descriptor))? {
            let Some(field) = field else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen.contains(&field.number()) {
                return Err(A::Error::custom(format_args!("duplicate field {:?}", field.name())));
            }
            seen.push(field.number());
            let is_there =
                fields.next_value_seed(FieldSeed { field: &field, wire: &mut *self.wire })?;
            let Some(oneof) = field.containing_oneof().filter(|_| is_there) else { continue };
            if chosen.iter().any(|name| name == oneof.name()) {
                let (field, oneof) = (field.name(), oneof.name());
                let text = format_args!("error parsing {field:?}, oneof {oneof} is already set");
                return Err(A::Error::custom(text));
            }
            chosen.push(oneof.name().to_owned());
        }
        Ok(())
    }
}

/// The name of a field; none for one that is not known.
struct NameSeed<'a>(&'a MessageDescriptor);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Option<FieldDescriptor>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<FieldDescriptor>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get_field_by_json_name(name).or_else(|| self.0.get_field_by_name(name)))
    }
}

/// What stands after a field's name. Whether that is anything.
struct FieldSeed<'a> {
    field: &'a FieldDescriptor,
    wire: &'a mut Wire,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value for {}", self.field.name())
    }

    fn visit_none<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        if self.field.is_list() {
            json.deserialize_seq(ListVisitor(self.field, self.wire))?;
        } else {
            ValueSeed(self.field, self.wire).deserialize(json)?;
        }
        Ok(true)
    }
}

struct ListVisitor<'a>(&'a FieldDescriptor, &'a mut Wire);

impl<'de> Visitor<'de> for ListVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list for {}", self.0.name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(ValueSeed(self.0, &mut *self.1))?.is_some() {}
        Ok(())
    }
}

/// One value of a field, written with its key.
struct ValueSeed<'a>(&'a FieldDescriptor, &'a mut Wire);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let ValueSeed(field, wire) = self;
        match field.kind() {
            Kind::Message(descriptor) => wire.delimited(field, |wire| {
                MessageSeed { descriptor: &descriptor, wire }.deserialize(json)
            }),
            Kind::String | Kind::Bytes => json.deserialize_str(ValueSeed(field, wire)),
            Kind::Bool => json.deserialize_bool(ValueSeed(field, wire)),
            _ => json.deserialize_any(ValueSeed(field, wire)),
        }
    }
}

impl Visitor<'_> for ValueSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.0.kind() {
            Kind::String => "a string",
            Kind::Bytes => "a string in base64",
            Kind::Bool => "true or false",
            Kind::Enum(_) => "a name or a number",
            _ => "a number",
        };
        write!(f, "{what} for {}", self.0.name())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.0.kind() {
            Kind::Bool => self.1.varint(self.0, value.into()),
            _ => Err(E::invalid_type(serde::de::Unexpected::Bool(value), &self)),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        let integer = whole(value).ok_or_else(|| self.not_a_number(value))?;
        self.integer(integer)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let ValueSeed(field, wire) = self;
        match field.kind() {
            Kind::String => wire.delimited(field, |wire| {
                wire.bytes.extend_from_slice(text.as_bytes());
                Ok(())
            }),
            Kind::Bytes => wire.delimited(field, |wire| {
                let invalid = |error| E::custom(format_args!("{}: {error}", field.name()));
                wire.base64(text).map_err(invalid)
            }),
            Kind::Enum(kind) => named(&kind, text)
                .map_or(Ok(()), |number| wire.varint(field, i64::from(number) as u64)),
            _ => {
                let seed = ValueSeed(field, wire);
                let integer = integer_in(text).ok_or_else(|| seed.not_a_number(text))?;
                seed.integer(integer)
            }
        }
    }
}

impl ValueSeed<'_> {
    fn not_a_number<E: Error>(&self, value: impl fmt::Display) -> E {
        E::custom(format_args!("invalid value for {}: {value}", self.0.name()))
    }

    fn integer<E: Error>(self, value: i128) -> Result<(), E> {
        let number = match self.0.kind() {
            Kind::Int64 => i64::try_from(value).map(|value| value as u64),
            Kind::Int32 | Kind::Enum(_) => {
                i32::try_from(value).map(|value| i64::from(value) as u64)
            }
            Kind::Uint64 => u64::try_from(value),
            Kind::Uint32 => u32::try_from(value).map(u64::from),
            _ => return Err(E::custom(format_args!("{} is no number", self.0.name()))),
        };
        let number = number.map_err(|_| self.not_a_number(value))?;
        self.1.varint(self.0, number)
    }
}

/// A name that the enumeration has not is as unknown as a field.
fn named(kind: &EnumDescriptor, name: &str) -> Option<i32> {
    kind.get_value_by_name(name).map(|value| value.number())
}

/// A number in a string is written as it would be without.
fn integer_in(text: &str) -> Option<i128> {
    if text.starts_with(|first: char| first.is_ascii_whitespace())
        || text.ends_with(|last: char| last.is_ascii_whitespace())
    {
        return None;
    }
    let number: Number = serde_json::from_str(text).ok()?;
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    integer.or_else(|| whole(number.as_f64()?))
}

fn whole(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() < 2.0_f64.powi(64)).then_some(value as i128)
}
