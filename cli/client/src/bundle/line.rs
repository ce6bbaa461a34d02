//! The lines of a bundle as JSON has them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Header, Record, RecordedLease, VERSION};
use crate::exact::Exact;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderLine<'a> {
    pub(super) kvorum_bundle: u64,
    cluster_id: String,
    prefix: Exact<'a>,
    revision: i64,
}

/// The version alone: of another one, nothing else is known.
#[derive(Deserialize)]
pub(super) struct VersionLine {
    pub(super) kvorum_bundle: u64,
}

/// A key, or what stands at the end.
#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Exact<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Exact<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<LeaseField>,
    #[serde(default, skip_serializing_if = "is_0")]
    create_revision: i64,
    #[serde(default, skip_serializing_if = "is_0")]
    mod_revision: i64,
    #[serde(default, skip_serializing_if = "is_0")]
    version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseField {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    granted_ttl_s: Option<i64>,
}

/// What a line that is not the first one says.
pub(super) enum Meaning {
    Record(Record),
    End { keys: u64, sha256: Option<String> },
}

impl<'a> HeaderLine<'a> {
    pub(super) fn of(header: &'a Header) -> Self {
        Self {
            kvorum_bundle: VERSION,
            cluster_id: format!("{:x}", header.cluster_id),
            prefix: Exact(Cow::Borrowed(&header.prefix)),
            revision: header.revision,
        }
    }

    pub(super) fn header(self) -> Result<Header, String> {
        Ok(Header {
            cluster_id: hexadecimal(&self.cluster_id)?,
            prefix: self.prefix.0.into_owned(),
            revision: self.revision,
        })
    }
}

impl<'a> Line<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let lease = record.lease.map(|lease| LeaseField {
            id: format!("{:016x}", lease.id),
            granted_ttl_s: lease.granted_ttl_s,
        });
        Self {
            key: Some(Exact(Cow::Borrowed(&record.key))),
            value: Some(Exact(Cow::Borrowed(&record.value))),
            lease,
            create_revision: record.create_revision,
            mod_revision: record.mod_revision,
            version: record.version,
            ..Self::default()
        }
    }

    pub(super) fn end(keys: u64, sha256: String) -> Self {
        Self { keys: Some(keys), sha256: Some(sha256), ..Self::default() }
    }

    pub(super) fn meaning(self) -> Result<Meaning, String> {
        let (key, value) = match (self.key, self.value, self.keys) {
            (None, None, Some(keys)) => return Ok(Meaning::End { keys, sha256: self.sha256 }),
            (Some(key), Some(value), None) => (key.0.into_owned(), value.0.into_owned()),
            (_, _, Some(_)) => return Err("it is a key and the end as well".to_owned()),
            (None, _, None) => return Err("it has no key".to_owned()),
            (_, None, None) => return Err("it has no value".to_owned()),
        };
        if key.is_empty() {
            return Err("its key is empty".to_owned());
        }
        let lease = self.lease.map(LeaseField::lease).transpose()?;
        let Self { create_revision, mod_revision, version, .. } = self;
        Ok(Meaning::Record(Record { key, value, lease, create_revision, mod_revision, version }))
    }
}

impl LeaseField {
    fn lease(self) -> Result<RecordedLease, String> {
        let id = hexadecimal(&self.id)?.cast_signed();
        if id == 0 {
            return Err("a lease is no 0: leave it out".to_owned());
        }
        Ok(RecordedLease { id, granted_ttl_s: self.granted_ttl_s })
    }
}

fn hexadecimal(text: &str) -> Result<u64, String> {
    let number = u64::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'));
    number.ok_or_else(|| format!("{} is no id", text.escape_debug()))
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes fields so
fn is_0(number: &i64) -> bool {
    *number == 0
}
