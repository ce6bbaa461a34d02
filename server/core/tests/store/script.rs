//! Golden scripts: blocks of commands, `---`, and what they answer; of several commands in a block
//! each answer begins with its command. `KVORUM_UPDATE=1` rewrites the answers.
//!
//! After each script, and after sweeping what it compacted, the store must be equal to the one
//! that a restart makes of its backend.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use kvorum_core::error::StoreError;
use kvorum_core::store::{Applied, OpReply, RangeReply, Reply, Root, TxnReply};
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::{
    AlarmRequest, AlarmType, CompactionRequest, DowngradeVersionTestRequest, InternalRaftRequest,
    LeaseCheckpoint, LeaseCheckpointRequest, LeaseExpireRequest, LeaseGrantRequest,
    LeaseRevokeRequest,
};
use kvorum_proto::membershippb::{
    Attributes, ClusterMemberAttrSetRequest, ClusterVersionSetRequest,
};

use crate::auth;
use crate::dump::{Shown, dump};
use crate::machine::Machine;
use crate::parse::{self, Tree, Words, number};

#[test]
fn every_script_answers_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts/store");
    let update = std::env::var_os("KVORUM_UPDATE").is_some();
    let mut failed = Vec::new();
    let mut count = 0;
    for file in fs::read_dir(&folder).expect("the folder of scripts") {
        let path = file.expect("a file").path();
        let expected = fs::read_to_string(&path).expect("a script");
        let actual = run(&expected);
        count += 1;
        if update {
            fs::write(&path, &actual).expect("writing the script");
        } else if let Some((line, wanted, got)) = first_difference(&expected, &actual) {
            failed.push(format!("{}:{line}: expected {wanted:?}, got {got:?}", path.display()));
        }
    }
    assert!(count > 0, "there are scripts");
    assert!(failed.is_empty(), "{}\nKVORUM_UPDATE=1 rewrites them", failed.join("\n"));
}

/// The script with the answers it gets.
fn run(script: &str) -> String {
    let mut session = Session { machine: Machine::new(), held: BTreeMap::new() };
    let mut text = String::new();
    for block in script.trim_end().split("\n\n") {
        let commands = block.split("\n---").next().expect("a split has a first part");
        if !text.is_empty() {
            text.push('\n');
        }
        writeln!(text, "{commands}").expect("text");
        let lines: Vec<&str> =
            commands.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        if lines.is_empty() {
            continue;
        }
        text.push_str("---\n");
        let commands = Tree::parse(&lines);
        for command in &commands {
            let mut answer = String::new();
            session.execute(command, &mut answer);
            if commands.len() > 1 && !answer.is_empty() {
                write!(text, "{}: ", command.words.join(" ")).expect("text");
            }
            text.push_str(&answer);
        }
    }
    session.held.clear();
    session.assert_restart_changes_nothing();
    while session.machine.sweep(2).1 {}
    session.assert_restart_changes_nothing();
    text
}

fn first_difference(expected: &str, actual: &str) -> Option<(usize, String, String)> {
    let (mut wanted, mut got) = (expected.lines(), actual.lines());
    for line in 1.. {
        match (wanted.next(), got.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => {
                return Some((line, a.unwrap_or_default().into(), b.unwrap_or_default().into()));
            }
        }
    }
    None
}

struct Session {
    machine: Machine,
    /// Roots that the script holds, by name.
    held: BTreeMap<String, Root>,
}

impl Session {
    fn execute(&mut self, command: &Tree, out: &mut String) {
        let (name, words) = command.words.split_first().expect("a command");
        match *name {
            "range" => {
                let root = self.machine.store.root();
                self.read(&root, words, out);
            }
            "auth" => auth::show(&self.machine.store.root(), out),
            "may" => {
                let root = self.machine.store.root();
                let (who, what) = words.split_first().expect("may WHO WHAT");
                let answer = auth::may(&root, who, what, &command.children);
                line(out, &answer.map_or_else(|error| refusal(error.into()), |()| "yes".into()));
            }
            "as" => {
                let (who, words) = words.split_first().expect("as WHO COMMAND");
                let header = auth::principal(&self.machine.store.root(), who).header(0);
                let (name, words) = words.split_first().expect("a command");
                let entry = entry(name, words, &command.children);
                self.apply(InternalRaftRequest { header: Some(header), ..entry }, out);
            }
            "events" => self.events(number(words[0]), out),
            "status" => self.status(out),
            "leases" => self.leases(out),
            "members" => {
                let root = self.machine.store.root();
                line(out, &format!("{:?}", root.members()));
                line(out, &format!("cluster version {:?}", root.cluster_version()));
            }
            "term" => self.machine.term = number(words[0]) as u64,
            "durable" => self.machine.store.durable(number(words[0])),
            "sweep" => {
                let (removed, more) =
                    self.machine.sweep(words.first().map_or(1000, |n| number(n) as usize));
                line(out, &format!("removed {removed}{}", if more { ", more to do" } else { "" }));
            }
            "restart" => {
                self.held.clear();
                self.machine.restart();
                self.status(out);
            }
            "hold" => {
                self.held.insert(words[0].into(), self.machine.store.root());
            }
            "release" => {
                self.held.remove(words[0]).expect("a held root");
            }
            held if held.starts_with('@') => {
                let root = self.held.get(&held[1..]).expect("a held root").clone();
                assert_eq!(words[0], "range", "a held root is read");
                self.read(&root, &words[1..], out);
            }
            "read" => {
                let root = self.machine.store.root();
                match root.txn_read(&parse::txn(&command.children)) {
                    Ok(reply) => self.txn(&reply, 0, out),
                    Err(error) => line(out, &refusal(error)),
                }
            }
            _ => self.write(name, words, &command.children, out),
        }
    }

    fn write(&mut self, name: &str, words: Words, children: &[Tree], out: &mut String) {
        self.apply(entry(name, words, children), out);
    }

    fn apply(&mut self, entry: InternalRaftRequest, out: &mut String) {
        let Applied { revision, reply, tokens, .. } = self.machine.apply(entry);
        if let Some(news) = tokens {
            line(out, &format!("tokens {news:?}"));
        }
        match reply {
            Ok(Reply::Done) => line(out, &format!("revision {revision}")),
            Ok(Reply::Put(put)) => {
                line(out, &format!("revision {revision}"));
                if let Some(prev) = put.prev {
                    line(out, &format!("prev {}", Shown(&prev)));
                }
            }
            Ok(Reply::Delete(delete)) => {
                line(out, &format!("revision {revision} deleted {}", delete.deleted));
                for prev in delete.prev {
                    line(out, &format!("prev {}", Shown(&prev)));
                }
            }
            Ok(Reply::Txn(txn)) => {
                line(out, &format!("revision {revision}"));
                self.txn(&txn, 0, out);
            }
            Ok(Reply::LeaseGranted { id, ttl }) => line(out, &format!("lease {id} ttl {ttl}")),
            Ok(Reply::Alarms(alarms)) => {
                line(out, &format!("revision {revision} alarms {}", alarms.len()));
                for alarm in alarms {
                    let kind = alarm.alarm().as_str_name();
                    line(out, &format!("  {kind} at member {}", alarm.member_id));
                }
            }
            Err(error) => line(out, &refusal(error)),
        }
    }

    fn read(&self, root: &Root, words: Words, out: &mut String) {
        match root.range(&parse::range(words)) {
            Ok(reply) => self.range(reply, "", out),
            Err(error) => line(out, &refusal(error)),
        }
    }

    fn range(&self, mut reply: RangeReply, indent: &str, out: &mut String) {
        let stored = if reply.pin.is_some() { " (values from the backend)" } else { "" };
        self.machine.resolve(&mut reply);
        let more = if reply.more { " more" } else { "" };
        line(out, &format!("{indent}count {}{more}{stored}", reply.count));
        for version in &reply.versions {
            let shown =
                if reply.keys_only { Shown(version).short() } else { Shown(version).to_string() };
            line(out, &format!("{indent}  {shown}"));
        }
    }

    fn txn(&self, reply: &TxnReply, depth: usize, out: &mut String) {
        let indent = "  ".repeat(depth);
        line(out, &format!("{indent}{}", if reply.succeeded { "then" } else { "else" }));
        for op in &reply.ops {
            match op {
                OpReply::Range(range, revision) => {
                    line(out, &format!("{indent}  range at {revision}"));
                    self.range(range.read(), &format!("{indent}    "), out);
                }
                OpReply::Put(put, revision) => {
                    let prev = put.prev.as_ref().map(|prev| format!(" prev {}", Shown(prev)));
                    let prev = prev.unwrap_or_default();
                    line(out, &format!("{indent}  put at {revision}{prev}"));
                }
                OpReply::Delete(delete, revision) => {
                    line(out, &format!("{indent}  deleted {} at {revision}", delete.deleted));
                }
                OpReply::Txn(nested, revision) => {
                    line(out, &format!("{indent}  txn at {revision}"));
                    self.txn(nested, depth + 2, out);
                }
            }
        }
    }

    fn events(&self, from: i64, out: &mut String) {
        let root = self.machine.store.root();
        for event in root.events(from) {
            let prev = root.prev(event);
            let prev = prev.map_or("-".into(), |prev| format!("mod={}", prev.at.main));
            let shown = Shown(event).short();
            line(out, &format!("{}.{} {shown} prev {prev}", event.at.main, event.at.sub));
        }
    }

    fn status(&self, out: &mut String) {
        let root = self.machine.store.root();
        let versions = root.events(0).count();
        line(
            out,
            &format!(
                "revision {} compacted {} keys {} versions readable {versions}",
                root.revision(),
                root.compacted_revision(),
                root.key_count(),
            ),
        );
    }

    fn leases(&self, out: &mut String) {
        let root = self.machine.store.root();
        for lease in root.leases() {
            let keys: Vec<_> = root.lease_keys(lease.id).collect();
            let keys = keys.iter().map(|key| key.escape_ascii().to_string()).collect::<Vec<_>>();
            line(
                out,
                &format!(
                    "lease {} ttl {} remaining {} keys {}",
                    lease.id,
                    lease.ttl_s,
                    lease.remaining_s,
                    keys.join(",")
                ),
            );
        }
        line(out, &format!("leases {}", root.lease_count()));
    }

    fn assert_restart_changes_nothing(&self) {
        let before = dump(&self.machine, &self.machine.store.root());
        let after = dump(&self.machine, &self.machine.restored().root());
        assert_eq!(before, after, "a restart changes nothing that can be seen");
    }
}

fn entry(name: &str, words: Words, children: &[Tree]) -> InternalRaftRequest {
    let mut entry = InternalRaftRequest::default();
    match (name, words) {
        ("put", _) => entry.put = Some(parse::put(words)),
        ("del", _) => entry.delete_range = Some(parse::delete(words)),
        ("txn", _) => entry.txn = Some(parse::txn(children)),
        ("compact", [revision]) => {
            let revision = number(revision);
            entry.compaction = Some(CompactionRequest { revision, physical: false });
        }
        ("grant", [id, ttl]) => {
            entry.lease_grant = Some(LeaseGrantRequest { id: number(id), ttl: number(ttl) });
        }
        ("revoke", [id]) => entry.lease_revoke = Some(LeaseRevokeRequest { id: number(id) }),
        ("checkpoint", [id, remaining]) => {
            let checkpoint = LeaseCheckpoint { id: number(id), remaining_ttl: number(remaining) };
            entry.lease_checkpoint = Some(LeaseCheckpointRequest { checkpoints: vec![checkpoint] });
        }
        ("expire", [term, ids @ ..]) => {
            let i_ds = ids.iter().map(|id| number(id)).collect();
            entry.lease_expire = Some(LeaseExpireRequest { i_ds, term: number(term) as u64 });
        }
        ("alarm", [action, kind, member @ ..]) => {
            let action = AlarmAction::from_str_name(&action.to_uppercase()).expect("an action");
            let kind = AlarmType::from_str_name(kind).expect("a kind of alarm");
            entry.alarm = Some(AlarmRequest {
                action: action.into(),
                member_id: member.first().map_or(0, |id| number(id) as u64),
                alarm: kind.into(),
            });
        }
        ("member", [id, name, url]) => {
            entry.cluster_member_attr_set = Some(ClusterMemberAttrSetRequest {
                member_id: number(id) as u64,
                member_attributes: Some(Attributes {
                    name: (*name).into(),
                    client_urls: vec![(*url).into()],
                    ..Attributes::default()
                }),
            });
        }
        ("cluster_version", [version]) => {
            entry.cluster_version_set = Some(ClusterVersionSetRequest { ver: (*version).into() });
        }
        ("future", []) => {
            entry.downgrade_version_test = Some(DowngradeVersionTestRequest::default());
        }
        ("nothing", []) => {}
        _ => auth::fill(&mut entry, name, words),
    }
    entry
}

fn refusal(error: StoreError) -> String {
    let fatal = if error.is_deterministic() { "" } else { " (the member stops)" };
    format!("error: {error}{fatal}")
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
