//! Bundles: the keys of a prefix as they were at one revision, in a file of text.
//!
//! One record of JSON a line, so that git shows what changed and grep and jq find what is wanted:
//!
//! ```text
//! {"kvorum_bundle":1,"cluster_id":"cdf818194e3a8c32","prefix":"/app/","revision":12}
//! {"key":"/app/a","value":"on","create_revision":4,"mod_revision":9,"version":2}
//! {"key":"/app/b","value":{"base64":"/wA="},"lease":{"id":"694d…","granted_ttl_s":60},…}
//! {"keys":2,"sha256":"…"}
//! ```
//!
//! - Keys and values are text, or base64 where they are none: any bytes come back ([`Record`]).
//! - Keys stand in the order of their bytes, each once, and all begin with the prefix of the header;
//!   so a bundle can be compared with a cluster without holding either in memory.
//! - The last line has the number of keys and the SHA-256 of all lines before it, each ended by a
//!   line feed: a bundle that was cut is noticed. Whoever edits a bundle leaves the sum out.
//!
//! Reading and writing need no more memory than the longest line takes.

mod line;
mod reader;
mod writer;

use thiserror::Error;

pub use reader::Reader;
pub use writer::{WriteError, Writer};

/// What all keys of a bundle have in common: its first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Of the cluster that the keys were read from: leases mean something only there.
    pub cluster_id: u64,
    /// What every key begins with.
    pub prefix: Vec<u8>,
    /// The revision that the keys were read at.
    pub revision: i64,
}

/// One key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub lease: Option<RecordedLease>,
    pub create_revision: i64,
    pub mod_revision: i64,
    pub version: i64,
}

/// The lease that a key was under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedLease {
    /// Never 0.
    pub id: i64,
    /// The time to live that was granted, in seconds; `None` if it could not be found out.
    pub granted_ttl_s: Option<i64>,
}

/// Why a bundle cannot be read.
#[derive(Debug, Error)]
pub enum BundleError {
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("it is no bundle: {0}")]
    Foreign(String),
    #[error("it is a bundle of version {0}, and this program reads version {VERSION}")]
    Version(u64),
    #[error("line {line}: {problem}")]
    Line { line: u64, problem: String },
    #[error("it is cut: it ends after {0} keys, without a last line that counts them")]
    Cut(u64),
    #[error("it has {found} keys, but its last line says {said}")]
    Count { found: u64, said: u64 },
    #[error("its content is not what its last line says: the sha256 does not fit")]
    Checksum,
}

/// Of the format.
pub const VERSION: u64 = 1;

/// A longer line is refused, by who writes as by who reads. A value of 10 MiB, several times what a
/// server takes unless it is set otherwise, fits even when each of its bytes has to be escaped.
pub const MAX_LINE_BYTES: usize = 64 << 20;

impl BundleError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io(_) => "check the file",
            Self::Foreign(_) => "kvorum export makes a bundle",
            Self::Version(_) => "a newer kvorum has written it: take that one",
            Self::Cut(_) | Self::Count { .. } => "take a whole one, or export it again",
            Self::Line { line: 1, .. } => {
                "its first line is {\"kvorum_bundle\":1,\"cluster_id\":\"ID\",\"prefix\":\"/a/\",\
                 \"revision\":N}; kvorum export makes a bundle"
            }
            Self::Line { .. } | Self::Checksum => {
                "export it again; if it was edited on purpose, its last line is {\"keys\":N} without \
                 the sum"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{BundleError, Header, Reader, Record, RecordedLease, Writer};

    fn header(prefix: &[u8]) -> Header {
        Header { cluster_id: 0xcdf8_1819_4e3a_8c32, prefix: prefix.to_vec(), revision: 12 }
    }

    fn record(key: &[u8], value: &[u8]) -> Record {
        Record {
            key: key.to_vec(),
            value: value.to_vec(),
            lease: None,
            create_revision: 4,
            mod_revision: 9,
            version: 2,
        }
    }

    fn bundle(prefix: &[u8], records: &[Record]) -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new(), &header(prefix)).unwrap();
        for record in records {
            writer.record(record).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(text: &[u8]) -> Result<(Header, Vec<Record>), BundleError> {
        let mut reader = Reader::begin(text)?;
        let records = reader.by_ref().collect::<Result<_, _>>()?;
        Ok((reader.header().clone(), records))
    }

    fn two() -> Vec<Record> {
        let lease = RecordedLease { id: -1, granted_ttl_s: Some(60) };
        vec![
            record(b"/a/1", "é\n".as_bytes()),
            Record { lease: Some(lease), ..record(b"/a/\xff", b"\x00\xfe") },
        ]
    }

    #[test]
    fn a_bundle_is_text_of_one_record_a_line() {
        let text = String::from_utf8(bundle(b"/a/", &two())).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                r#"{"kvorum_bundle":1,"cluster_id":"cdf818194e3a8c32","prefix":"/a/","revision":12}"#,
                r#"{"key":"/a/1","value":"é\n","create_revision":4,"mod_revision":9,"version":2}"#,
                r#"{"key":{"base64":"L2Ev/w=="},"value":{"base64":"AP4="},"lease":{"id":"ffffffffffffffff","granted_ttl_s":60},"create_revision":4,"mod_revision":9,"version":2}"#,
            ]
        );
        assert!(lines[3].starts_with(r#"{"keys":2,"sha256":""#), "{}", lines[3]);
        assert_eq!(read(text.as_bytes()).unwrap(), (header(b"/a/"), two()));
    }

    #[test]
    fn a_bundle_that_is_cut_anywhere_is_noticed() {
        let whole = bundle(b"/a/", &two());
        for length in 0..whole.len() - 1 {
            let error = read(&whole[..length]).expect_err("it is cut");
            assert!(matches!(error, BundleError::Cut(_)), "{length}: {error}");
        }
        // Only the end of the last line is missing, and nothing of what it says.
        assert!(read(&whole[..whole.len() - 1]).is_ok());
    }

    #[test]
    fn what_was_changed_is_noticed_unless_the_sum_is_left_out() {
        let text = String::from_utf8(bundle(b"/a/", &two())).unwrap();
        let edited = text.replace("é", "e");
        assert!(matches!(read(edited.as_bytes()), Err(BundleError::Checksum)));
        let (before, _) = edited.rsplit_once("{\"keys\"").unwrap();
        let by_hand = |end: &str| read(format!("{before}{end}").as_bytes());
        assert_eq!(by_hand("{\"keys\":2}").unwrap().1[0].value, b"e\n");
        assert!(matches!(by_hand("{\"keys\":3}"), Err(BundleError::Count { found: 2, said: 3 })));
        // Editors and git may end lines as Windows does.
        assert!(read(text.replace('\n', "\r\n").as_bytes()).is_ok());
    }

    #[test]
    fn a_bad_line_is_named_with_what_is_wrong() {
        let head = r#"{"kvorum_bundle":1,"cluster_id":"1","prefix":"/a/","revision":1}"#;
        for (line, told) in [
            (r#"{"key":"/b","value":""}"#, "line 3: the key does not begin with the prefix"),
            (r#"{"key":"/a/b","value":""}"#, "line 3: the key is there twice"),
            (r#"{"key":"/a/a","value":""}"#, "line 3: the keys are not in their order"),
            (r#"{"key":"/a/c"}"#, "line 3: it has no value"),
            (r#"{"value":"x"}"#, "line 3: it has no key"),
            (r#"{"key":"/a/c","value":"","ttl":1}"#, "line 3: unknown field `ttl`"),
            (r#"{"key":"/a/c","value":7}"#, "line 3: invalid type: integer `7`, expected text"),
            (r#"{"key":"/a/c","value":"","lease":{"id":"0"}}"#, "line 3: a lease is no 0"),
            (r#"{"key":"/a/c","value":"","lease":{"id":"+1"}}"#, "line 3: +1 is no id"),
            ("", "line 3: it is empty"),
            ("{\"keys\":1}\n{}", "line 4: nothing follows the last line"),
        ] {
            let text = format!("{head}\n{{\"key\":\"/a/b\",\"value\":\"\"}}\n{line}\n");
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(told), "{line}: {error}");
        }
    }

    #[test]
    fn what_is_no_bundle_is_told_so() {
        let told = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        for foreign in ["SQLite format 3\0\n", "{\"a\": 1}\n", "\n", "[]\n", "\u{fffd}\n"] {
            assert!(told(foreign).starts_with("it is no bundle: "), "{}", told(foreign));
        }
        let newer = r#"{"kvorum_bundle":2,"colour":"blue"}"#;
        assert!(told(&format!("{newer}\n")).contains("version 2"));
        assert!(read(b"\xff\xfe\n").unwrap_err().to_string().contains("no bundle"));
    }

    proptest! {
        #[test]
        fn any_keys_and_values_come_back(
            keys in proptest::collection::btree_map(
                proptest::collection::vec(any::<u8>(), 0..6),
                (proptest::collection::vec(any::<u8>(), 0..20), any::<i64>(), any::<i64>()),
                0..8,
            )
        ) {
            let keys: BTreeMap<Vec<u8>, _> = keys;
            let records: Vec<_> = keys
                .into_iter()
                .map(|(key, (value, id, ttl_s))| Record {
                    lease: (id != 0).then_some(RecordedLease { id, granted_ttl_s: Some(ttl_s) }),
                    mod_revision: ttl_s,
                    ..record(&[b"/\xf0", &key[..]].concat(), &value)
                })
                .collect();
            let text = bundle(b"/\xf0", &records);
            prop_assert!(str::from_utf8(&text).is_ok());
            prop_assert_eq!(read(&text).unwrap(), (header(b"/\xf0"), records));
        }

        #[test]
        fn no_bytes_are_too_strange_to_be_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            prop_assert!(read(&bytes).is_err());
        }
    }
}
