//! Everything a root can be asked, as text.

use std::fmt::{Display, Formatter, Result as FmtResult, Write};

use kvorum_core::store::{Root, Value, Version};
use kvorum_proto::etcdserverpb::RangeRequest;

use crate::machine::Machine;

/// Equal dumps mean that no reader can tell two roots apart.
pub(crate) fn dump(machine: &Machine, root: &Root) -> String {
    let mut text = String::new();
    let out = &mut text;
    let write =
        |out: &mut String, line: std::fmt::Arguments| writeln!(out, "{line}").expect("text");
    write(out, format_args!("revision {}", root.revision()));
    write(out, format_args!("compacted {}", root.compacted_revision()));
    write(out, format_args!("hash {}", root.state_hash()));
    write(out, format_args!("keys {}", root.key_count()));
    write(out, format_args!("cluster version {:?}", root.cluster_version()));
    write(out, format_args!("members {:?}", root.members()));
    write(out, format_args!("alarms {:?}", root.alarms()));
    let auth = root.auth();
    write(out, format_args!("auth {} at {}", auth.is_enabled(), auth.revision()));
    auth.users().for_each(|user| write(out, format_args!("{user:?} {:?}", user.password)));
    auth.roles().for_each(|role| write(out, format_args!("{role:?}")));
    for lease in root.leases() {
        let keys: Vec<_> = root.lease_keys(lease.id).collect();
        write(out, format_args!("{lease:?} {keys:?}"));
    }
    for revision in root.compacted_revision().max(1)..=root.revision() {
        write(out, format_args!("at {revision}"));
        let request = RangeRequest {
            key: "\0".into(),
            range_end: "\0".into(),
            revision,
            ..RangeRequest::default()
        };
        let mut reply = root.range(&request).expect("the revision can be read");
        machine.resolve(&mut reply);
        assert_eq!(reply.count as usize, reply.versions.len());
        for version in &reply.versions {
            write(out, format_args!("  {}", Shown(version)));
            let found = root.version_at(&version.key, revision).expect("it was listed");
            assert_eq!(found.at, version.at);
        }
    }
    for event in root.events(root.compacted_revision()) {
        let prev = root.prev(event).map(|prev| prev.at);
        write(
            out,
            format_args!("event {}.{} {}", event.at.main, event.at.sub, Shown(event).short()),
        );
        write(out, format_args!("  prev {prev:?}"));
    }
    text
}

/// A version as scripts show it.
pub(crate) struct Shown<'a>(pub(crate) &'a Version);

impl Shown<'_> {
    /// Without the value.
    pub(crate) fn short(&self) -> String {
        let Version { key, at, create_revision, version, lease, .. } = self.0;
        let key = key.escape_ascii();
        if self.0.is_deletion() {
            return format!("{key} deleted mod={}", at.main);
        }
        let lease = if *lease == 0 { String::new() } else { format!(" lease={lease}") };
        format!("{key} create={create_revision} mod={} version={version}{lease}", at.main)
    }
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter) -> FmtResult {
        match &self.0.value {
            Value::Resident(_) if self.0.is_deletion() => f.write_str(&self.short()),
            Value::Resident(value) => write!(f, "{} value={}", self.short(), value.escape_ascii()),
            Value::Stored => write!(f, "{} value stored", self.short()),
        }
    }
}
