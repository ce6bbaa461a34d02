//! The wire format of protocol buffers, read and written field by field.

use super::Undecodable;

/// One field as it lies on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of one message, in their order.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// Field numbers have 29 bits.
const MAX_NUMBER: u64 = (1 << 29) - 1;

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn next_field(&mut self) -> Result<(u32, Wire<'a>), Undecodable> {
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number > MAX_NUMBER {
            return Err(Undecodable::Malformed("a field has an impossible number"));
        }
        let wire = match tag & 7 {
            VARINT => Wire::Varint(self.varint()?),
            FIXED64 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            BYTES => {
                let length = usize::try_from(self.varint()?).map_err(|_| Undecodable::Truncated)?;
                Wire::Bytes(self.take(length)?)
            }
            FIXED32 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Undecodable::Malformed("a field is of no known wire type")),
        };
        Ok((number as u32, wire))
    }

    fn varint(&mut self) -> Result<u64, Undecodable> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(Undecodable::Truncated)?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Undecodable::Malformed("a number has more than 64 bits"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Undecodable> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Undecodable::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Undecodable> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Undecodable::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Undecodable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.next_field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

pub(super) fn put_varint(number: u32, value: u64, out: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | VARINT, out);
    varint(value, out);
}

pub(super) fn put_fixed64(number: u32, value: u64, out: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | FIXED64, out);
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | BYTES, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::{Fields, Wire, put_bytes, put_fixed64, put_varint};

    #[test]
    fn what_is_written_is_read() {
        let mut message = Vec::new();
        put_varint(1, u64::MAX, &mut message);
        put_bytes(2, b"text", &mut message);
        put_fixed64(536_870_911, 7, &mut message);
        let fields: Result<Vec<_>, _> = Fields::of(&message).collect();
        let expected = vec![
            (1, Wire::Varint(u64::MAX)),
            (2, Wire::Bytes(b"text")),
            (536_870_911, Wire::Fixed64(7)),
        ];
        assert_eq!(fields.unwrap(), expected);
    }

    #[test]
    fn what_is_cut_or_impossible_is_refused() {
        for bad in [
            &b"\x08"[..],
            b"\x0a\x05abc",
            b"\x00\x01",
            b"\x0b\x0c",
            b"\x0f\x00",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0d\x00\x00",
        ] {
            assert!(Fields::of(bad).any(|field| field.is_err()), "{bad:?}");
        }
    }
}
