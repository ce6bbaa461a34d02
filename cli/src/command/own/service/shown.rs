//! How an address of a service is shown.

use kvorum_client::explore::KeyValue;
use kvorum_client::naming::Instance;

use crate::command::own::shown;
use crate::output::{Row, Style, Tone, Value};

pub(super) const HEADER: [&str; 5] = ["address", "lease", "revision", "metadata", "key"];

/// An address, and the key it is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: Vec<u8>,
    pub(super) instance: Instance,
    pub(super) lease: i64,
    pub(super) create_revision: i64,
    pub(super) mod_revision: i64,
}

impl Place {
    /// `None` for a key that a resolver leaves out, or that leads nowhere.
    pub(super) fn of(kv: &KeyValue) -> Option<Self> {
        let instance = Instance::read(&kv.value).filter(|instance| !instance.addr.is_empty())?;
        let (create_revision, mod_revision) = (kv.create_revision, kv.mod_revision);
        Some(Self {
            key: kv.key.to_vec(),
            instance,
            lease: kv.lease,
            create_revision,
            mod_revision,
        })
    }

    pub(super) fn address(&self) -> String {
        shown::line(self.instance.addr.as_bytes())
    }

    fn metadata(&self) -> String {
        match &self.instance.metadata {
            serde_json::Value::Null => String::new(),
            metadata => shown::line(metadata.to_string().as_bytes()),
        }
    }
}

impl Row for Place {
    fn simple(&self, style: &Style) -> String {
        let address = style.paint.of(Tone::Key, &self.address());
        let lease = match self.lease {
            0 => "no lease".to_owned(),
            lease => format!("lease {lease:016x}"),
        };
        let metadata = self.metadata();
        let metadata = if metadata.is_empty() { metadata } else { format!("  {metadata}") };
        format!("{address}  {lease}, revision {}{metadata}", self.mod_revision)
    }

    fn value(&self) -> Value {
        Value::map([
            ("address", Value::text(&self.instance.addr)),
            ("metadata", self.instance.metadata.clone().into()),
            ("key", Value::bytes(&self.key)),
            ("lease", Value::lease(self.lease)),
            ("create_revision", Value::Int(self.create_revision)),
            ("mod_revision", Value::Int(self.mod_revision)),
        ])
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.address(),
            format!("{:016x}", self.lease),
            self.mod_revision.to_string(),
            self.metadata(),
            shown::line(&self.key),
        ]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.key)
    }
}
