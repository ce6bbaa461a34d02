//! MessagePack, shown as JSON. Nothing marks a value as MessagePack, so it is read on request only.

use serde_json::{Map, Value, json};

use super::{Budget, Undecodable, bytes_value};

/// Reads one value that takes all the bytes.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, Undecodable> {
    let mut reader = Reader { rest: bytes, budget: Budget::new() };
    let value = reader.value()?;
    if reader.rest.is_empty() {
        Ok(value)
    } else {
        Err(Undecodable::Malformed("something follows the first value"))
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Value, Undecodable> {
        self.budget.spend()?;
        let kind = self.uint(1)? as u8;
        Ok(match kind {
            0x00..=0x7f => json!(kind),
            0x80..=0x8f => self.map(usize::from(kind & 0x0f))?,
            0x90..=0x9f => self.list(usize::from(kind & 0x0f))?,
            0xa0..=0xbf => self.text(usize::from(kind & 0x1f))?,
            0xc0 => Value::Null,
            0xc2 | 0xc3 => json!(kind == 0xc3),
            0xc4..=0xc6 => {
                let length = self.length(kind - 0xc4)?;
                bytes_value(self.take(length)?)
            }
            0xc7..=0xc9 => {
                let length = self.length(kind - 0xc7)?;
                self.extension(length)?
            }
            0xca => json!(f32::from_bits(self.uint(4)? as u32)),
            0xcb => json!(f64::from_bits(self.uint(8)?)),
            0xcc..=0xcf => json!(self.uint(1 << (kind - 0xcc))?),
            0xd0 => json!(self.uint(1)? as i8),
            0xd1 => json!(self.uint(2)? as i16),
            0xd2 => json!(self.uint(4)? as i32),
            0xd3 => json!(self.uint(8)? as i64),
            0xd4..=0xd8 => self.extension(1 << (kind - 0xd4))?,
            0xd9..=0xdb => {
                let length = self.length(kind - 0xd9)?;
                self.text(length)?
            }
            0xdc | 0xdd => {
                let length = self.length(kind - 0xdc + 1)?;
                self.list(length)?
            }
            0xde | 0xdf => {
                let length = self.length(kind - 0xde + 1)?;
                self.map(length)?
            }
            0xe0..=0xff => json!(kind as i8),
            0xc1 => return Err(Undecodable::Malformed("a value is of no known type")),
        })
    }

    fn map(&mut self, length: usize) -> Result<Value, Undecodable> {
        self.budget.enter()?;
        let mut fields = Map::new();
        for _ in 0..length {
            let name = match self.value()? {
                Value::String(text) => text,
                // Written as text, each level would double the escapes of the one before.
                Value::Array(_) | Value::Object(_) => {
                    return Err(Undecodable::Malformed("a key of a map is no single value"));
                }
                other => other.to_string(),
            };
            fields.insert(name, self.value()?);
        }
        self.budget.leave();
        Ok(Value::Object(fields))
    }

    fn list(&mut self, length: usize) -> Result<Value, Undecodable> {
        self.budget.enter()?;
        // The length is only claimed: nothing is set aside for it.
        let mut values = Vec::new();
        for _ in 0..length {
            values.push(self.value()?);
        }
        self.budget.leave();
        Ok(Value::Array(values))
    }

    fn text(&mut self, length: usize) -> Result<Value, Undecodable> {
        let bytes = self.take(length)?;
        Ok(str::from_utf8(bytes).map_or_else(|_| bytes_value(bytes), |text| json!(text)))
    }

    fn extension(&mut self, length: usize) -> Result<Value, Undecodable> {
        let kind = self.uint(1)? as i8;
        Ok(json!({ "extension": kind, "data": bytes_value(self.take(length)?) }))
    }

    /// A length in 1, 2 or 4 bytes.
    fn length(&mut self, power: u8) -> Result<usize, Undecodable> {
        usize::try_from(self.uint(1 << power)?).map_err(|_| Undecodable::Truncated)
    }

    fn uint(&mut self, bytes: usize) -> Result<u64, Undecodable> {
        let taken = self.take(bytes)?;
        Ok(taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Undecodable> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Undecodable::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::decode;
    use crate::decode::Undecodable;

    #[test]
    fn every_type_has_its_form() {
        for (bytes, value) in [
            (&b"\x82\xa7compact\xc3\xa6schema\x00"[..], json!({"compact": true, "schema": 0})),
            (b"\x93\xc0\xff\xd1\xff\x00", json!([null, -1, -256])),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", json!(u64::MAX)),
            (b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", json!(1.5)),
            (b"\xc4\x02\xff\x00", json!({"base64": "/wA="})),
            (b"\xd9\x02ab", json!("ab")),
            (b"\x81\x01\xa1x", json!({"1": "x"})),
            (b"\xd4\x05\x61", json!({"extension": 5, "data": {"base64": "YQ=="}})),
            (b"\xdd\x00\x00\x00\x01\xc2", json!([false])),
        ] {
            assert_eq!(decode(bytes).unwrap(), value);
        }
    }

    #[test]
    fn lengths_that_lie_and_depths_without_end_are_refused() {
        assert_eq!(decode(b"\xdd\xff\xff\xff\xff"), Err(Undecodable::Truncated));
        assert_eq!(decode(b"\xc6\xff\xff\xff\xff"), Err(Undecodable::Truncated));
        assert_eq!(decode(&vec![0x91; 100_000]), Err(Undecodable::TooDeep));
        assert!(decode(b"\x01\x02").is_err());
        assert!(decode(b"").is_err());
        let keys_of_keys = [vec![0x81; 90], vec![0xa0; 91]].concat();
        assert!(matches!(decode(&keys_of_keys), Err(Undecodable::Malformed(_))));
    }
}
