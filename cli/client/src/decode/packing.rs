//! Compressed values, known by their first bytes.

use std::fmt;
use std::io::Read;

use ruzstd::decoding::StreamingDecoder;

use super::Undecodable;

/// How a value is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Gzip,
    Zstd,
}

/// Ten times what etcd takes as a value by default; a few kilobytes can stand for gigabytes.
pub const MAX_UNPACKED_BYTES: usize = 16 * 1024 * 1024;

impl Packing {
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, 0x08, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    pub(super) fn unpack(self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        match self {
            Self::Gzip => read_all(flate2::bufread::MultiGzDecoder::new(bytes)),
            Self::Zstd => {
                let decoder =
                    StreamingDecoder::new_with_max_window_size(bytes, MAX_UNPACKED_BYTES as u64)
                        .map_err(|error| Undecodable::Packed(error.to_string()))?;
                read_all(decoder)
            }
        }
    }
}

fn read_all(decoder: impl Read) -> Result<Vec<u8>, Undecodable> {
    let mut unpacked = Vec::new();
    let most = MAX_UNPACKED_BYTES as u64 + 1;
    decoder
        .take(most)
        .read_to_end(&mut unpacked)
        .map_err(|error| Undecodable::Packed(error.to_string()))?;
    if unpacked.len() > MAX_UNPACKED_BYTES {
        return Err(Undecodable::TooLarge);
    }
    Ok(unpacked)
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

#[cfg(test)]
pub(in crate::decode) mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::{MAX_UNPACKED_BYTES, Packing};
    use crate::decode::Undecodable;

    pub(in crate::decode) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let packed = gzip(b"text");
        assert_eq!(Packing::of(&packed), Some(Packing::Gzip));
        assert_eq!(Packing::Gzip.unpack(&packed).unwrap(), b"text");
        let packed = ruzstd::encoding::compress_to_vec(
            &b"text"[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        assert_eq!(Packing::of(&packed), Some(Packing::Zstd));
        assert_eq!(Packing::Zstd.unpack(&packed).unwrap(), b"text");
    }

    #[test]
    fn a_bomb_is_given_up_where_it_gets_too_large() {
        let bomb = gzip(&vec![0; MAX_UNPACKED_BYTES + 1]);
        assert_eq!(Packing::Gzip.unpack(&bomb), Err(Undecodable::TooLarge));
        assert!(Packing::Gzip.unpack(&gzip(&vec![0; MAX_UNPACKED_BYTES])).is_ok());
    }

    #[test]
    fn what_is_cut_is_refused() {
        let packed = gzip(&[7; 1000]);
        for end in 3..packed.len() {
            assert!(Packing::Gzip.unpack(&packed[..end]).is_err(), "{end}");
        }
        assert!(Packing::Zstd.unpack(b"\x28\xb5\x2f\xfd").is_err());
    }
}
