//! Golden scripts: commands to a cluster, and all that its members do, in order.
//!
//! A script is a sequence of blocks: commands, a line `---`, what they printed, an empty line.
//! `KVORUM_UPDATE=1` rewrites what they print. Lines that begin with `#` are comments.
//!
//! | command | |
//! |---|---|
//! | `cluster N [COUNT KEPT]` | a new cluster of N members, which cut their logs after COUNT entries and keep KEPT |
//! | `tick ID [N]`, `tick all [N]` | time passes |
//! | `pass N ID ...` | the same for all, and what they send is delivered; the disks of these keep up |
//! | `propose ID WRITE`, `read ID READ` | a request of a client; ids are unique |
//! | `deliver [FROM TO]` | all that is on the network now, or on one way |
//! | `drop [FROM TO]` | the same is lost |
//! | `persist ID`, `apply ID`, `flush ID` | the disk, the state machine, and its disk catch up |
//! | `sync ID` | what was appended reaches the disk, but the node does not hear of it |
//! | `crash ID`, `restart ID` | |
//! | `damage ID GROUPS` | a member that is down finds its log damaged, without its newest groups |
//! | `taken ID TO TERM INDEX`, `sent ID TO` | inputs from a shell that is late or odd |
//! | `transfer ID TO`, `unreachable ID PEER` | inputs as they are named |
//! | `forge TO FIELD=VALUE ...` | a message from nowhere: type, from, term, log, index, commit, snapshot |
//! | `stabilize` | everything catches up and is delivered, until nothing is left |
//! | `status ID`, `answers` | |
//!
//! Effects are performed as they come, so a group waits for `persist` and a message for
//! `deliver`. `quiet` before a command keeps its effects out of the output.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;

use kvorum_core::node::{Effect, Input};
use raft_proto::eraftpb::{ConfState, Entry, Message, MessageType, Snapshot, SnapshotMetadata};

use crate::cluster::{Cluster, Packet};
use crate::disk::write_id;

struct Script {
    cluster: Cluster,
    out: String,
    quiet: bool,
}

impl Script {
    fn command(&mut self, line: &str) {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        self.quiet = words.first() == Some(&"quiet");
        if self.quiet {
            words.remove(0);
        }
        let number = |at: usize| -> u64 {
            let word = words.get(at).unwrap_or_else(|| panic!("{line}: argument {at} is missing"));
            word.parse().unwrap_or_else(|_| panic!("{line}: {word} is not a number"))
        };
        match words[0] {
            "cluster" if words.len() > 2 => {
                let (count, kept) = (number(2), number(3));
                self.cluster = Cluster::with(number(1), 1, move |config| {
                    (config.snapshot_count, config.catch_up_entries) = (count, kept);
                });
            }
            "cluster" => self.cluster = Cluster::new(number(1), 1),
            "tick" => {
                let ids = if words[1] == "all" { self.cluster.ids() } else { vec![number(1)] };
                for _ in 0..if words.len() > 2 { number(2) } else { 1 } {
                    for id in &ids {
                        self.cluster.input(*id, Input::Tick);
                        self.perform();
                    }
                }
            }
            "pass" => self.pass(number(1), &(2..words.len()).map(number).collect::<Vec<_>>()),
            "propose" => self.cluster.propose(number(1), number(2)),
            "read" => self.cluster.read(number(1), number(2)),
            "deliver" | "drop" => {
                let way = (words.len() > 1).then(|| (number(1), number(2)));
                let (now, rest): (VecDeque<Packet>, _) = std::mem::take(&mut self.cluster.network)
                    .into_iter()
                    .partition(|packet| way.is_none_or(|way| way == (packet.from, packet.to)));
                self.cluster.network = rest;
                for packet in now {
                    if words[0] == "deliver" {
                        self.cluster.deliver(packet);
                    } else {
                        self.cluster.lose(packet);
                    }
                    self.perform();
                }
            }
            "persist" => drop(self.cluster.persist(number(1))),
            "apply" => {
                while self.cluster.apply(number(1)) {
                    self.perform();
                }
            }
            "flush" => self.cluster.flush(number(1)),
            "sync" => self.cluster.sync_unnoticed(number(1), usize::MAX),
            "taken" => {
                let conf_state = self.cluster.member(number(1)).state.conf_state.clone();
                let (to, term, index) = (number(2), number(3), number(4));
                let taken = Input::SnapshotTaken { to, index, term, conf_state };
                self.cluster.input(number(1), taken);
            }
            "sent" => {
                let (to, term, index) = (number(2), number(3), number(4));
                let sent = Input::SnapshotSent { to, term, index, ok: true };
                self.cluster.input(number(1), sent);
            }
            "crash" => self.cluster.crash(number(1)),
            "damage" => self.cluster.member(number(1)).disk.damage(number(2)),
            "restart" => self.cluster.restart(number(1)),
            "transfer" => {
                self.cluster.input(number(1), Input::TransferLeader { to: number(2) });
            }
            "unreachable" => {
                self.cluster.input(number(1), Input::Unreachable { peer: number(2) });
            }
            "forge" => {
                let message = forge(number(1), &words[2..]);
                self.cluster.input(number(1), Input::Raft(message));
            }
            "stabilize" => self.stabilize(),
            "status" => self.status(number(1)),
            "answers" => self.answers(),
            other => panic!("{other} is no command"),
        }
        self.perform();
    }

    fn perform(&mut self) {
        for id in self.cluster.ids() {
            while let Some(effect) = self.cluster.perform(id) {
                if !self.quiet {
                    writeln!(self.out, "{id} {}", effect_text(&effect)).expect("text grows");
                }
            }
        }
    }

    fn pass(&mut self, ticks: u64, disks: &[u64]) {
        for _ in 0..ticks {
            for id in self.cluster.ids() {
                self.cluster.input(id, Input::Tick);
                self.perform();
            }
            while let Some(packet) = self.cluster.network.pop_front() {
                self.cluster.deliver(packet);
                self.perform();
                for id in disks {
                    while self.cluster.persist(*id) {
                        self.perform();
                    }
                }
            }
        }
    }

    fn stabilize(&mut self) {
        loop {
            self.perform();
            let mut quiet = true;
            for id in self.cluster.ids() {
                while self.cluster.persist(id) || self.cluster.apply(id) {
                    self.perform();
                    quiet = false;
                }
            }
            match self.cluster.network.pop_front() {
                Some(packet) => self.cluster.deliver(packet),
                None if quiet => return,
                None => {}
            }
        }
    }

    fn status(&mut self, id: u64) {
        let Some(node) = &self.cluster.member(id).node else {
            writeln!(self.out, "{id} is down").expect("text grows");
            return;
        };
        let status = node.status();
        writeln!(
            self.out,
            "{id} {:?} term={} leader={} commit={} applied={}{} last={} persisted={}{} rejected={}{}",
            status.role,
            status.term,
            status.leader,
            status.committed,
            status.applied,
            if status.base > 0 { format!(" base={}", status.base) } else { String::new() },
            status.last_index,
            status.persisted,
            if status.incomplete { " incomplete" } else { "" },
            status.rejected,
            status.last_rejection.map(|(_, why)| format!(" ({why})")).unwrap_or_default(),
        )
        .expect("text grows");
    }

    fn answers(&mut self) {
        let Cluster { acked, served, refused, .. } = &self.cluster;
        for (what, answers) in [
            ("acked", format!("{acked:?}")),
            ("served", format!("{served:?}")),
            ("refused", format!("{refused:?}")),
        ] {
            writeln!(self.out, "{what} {answers}").expect("text grows");
        }
    }
}

fn forge(to: u64, fields: &[&str]) -> Message {
    let mut message = Message { to, ..Message::default() };
    for field in fields {
        let (name, value) = field.split_once('=').expect("name=value");
        let number = || value.parse().expect("a number");
        match name {
            "type" => {
                let mut kinds = (0..).map_while(|kind| MessageType::try_from(kind).ok());
                let kind = kinds.find(|kind| format!("{kind:?}") == value);
                message.msg_type = kind.expect("a message type") as i32;
            }
            "from" => message.from = number(),
            "term" => message.term = number(),
            "log" => message.log_term = number(),
            "index" => message.index = number(),
            "commit" => message.commit = number(),
            "snapshot" => {
                let conf_state = Some(ConfState::from(([1, 2, 3], [])));
                let (term, index) = (message.term, number());
                let metadata = Some(SnapshotMetadata { conf_state, index, term });
                message.snapshot = Some(Snapshot { metadata, ..Snapshot::default() });
            }
            "reject_hint" => (message.reject, message.reject_hint) = (true, number()),
            "request_snapshot" => message.request_snapshot = number(),
            "entry" => message.entries.push(Entry {
                index: number(),
                term: message.term,
                ..Entry::default()
            }),
            other => panic!("{other} is no field"),
        }
    }
    message
}

fn effect_text(effect: &Effect) -> String {
    match effect {
        Effect::Send(message) => format!("send {}", message_text(message)),
        Effect::Append(group) => {
            let hard_state = group.hard_state.as_ref().map(|state| {
                format!(" term={} vote={} commit={}", state.term, state.vote, state.commit)
            });
            let hard_state = hard_state.unwrap_or_default();
            let base = group.base.map(|(index, term)| format!(" base={term}/{index}"));
            let (base, entries) = (base.unwrap_or_default(), entries_text(&group.entries));
            format!("append #{}{base}{entries}{hard_state}", group.number)
        }
        Effect::Commit(entries) => format!("commit{}", entries_text(entries)),
        Effect::Forward { to, proposal } => format!("forward to={to} write={}", proposal.id),
        Effect::ForwardResult { to, id, appended } => match appended {
            Some((term, index)) => format!("result to={to} write={id} appended={term}/{index}"),
            None => format!("result to={to} write={id} refused"),
        },
        Effect::ReadReady { ids, index } => format!("read-ready {ids:?} index={index}"),
        Effect::Refused { id, refusal } => format!("refused {id} {refusal:?}"),
        Effect::Role { role, term, leader } => format!("role {role:?} term={term} leader={leader}"),
        Effect::ConfChanged { index, conf_state } => {
            format!("conf-changed index={index} voters={:?}", conf_state.voters)
        }
        Effect::Fetch { low, high, .. } => format!("fetch {low}..{high}"),
        Effect::Compact { index } => format!("compact {index}"),
        Effect::TakeSnapshot { to } => format!("take-snapshot to={to}"),
        Effect::DropSnapshot { to } => format!("drop-snapshot to={to}"),
        Effect::SendSnapshot(message) => format!("send-snapshot {}", message_text(message)),
        Effect::Install { index, term, conf_state } => {
            format!("install {term}/{index} voters={:?}", conf_state.voters)
        }
        Effect::DiscardSnapshot { index } => format!("discard-snapshot {index}"),
        // The nonce depends on the boot.
        Effect::AskBound { to, last, .. } => format!("ask-bound to={to} last={last}"),
        Effect::TellBound { to, term, index, .. } => {
            format!("tell-bound to={to} term={term} index={index}")
        }
        Effect::LogComplete => "log-complete".to_owned(),
    }
}

/// What is not zero, in the order of reading.
fn message_text(message: &Message) -> String {
    let name = format!("{:?}", message.get_msg_type());
    let mut text = format!("{} to={}", name.strip_prefix("Msg").unwrap_or(&name), message.to);
    let numbers = [
        ("term", message.term),
        ("log", message.log_term),
        ("index", message.index),
        ("commit", message.commit),
        ("hint", message.reject_hint),
    ];
    for (name, value) in numbers.into_iter().filter(|(_, value)| *value != 0) {
        write!(text, " {name}={value}").expect("text grows");
    }
    if message.reject {
        text.push_str(" reject");
    }
    if let Some(metadata) = message.snapshot.as_ref().and_then(|it| it.metadata.as_ref()) {
        write!(text, " snapshot={}/{}", metadata.term, metadata.index).expect("text grows");
    }
    if let Some(question) = question(&message.context) {
        write!(text, " {question}").expect("text grows");
    }
    text + &entries_text(&message.entries)
}

fn entries_text(entries: &[Entry]) -> String {
    entries.iter().flat_map(|entry| [" ".to_owned(), entry_text(entry)]).collect()
}

fn entry_text(entry: &Entry) -> String {
    let what = question(&entry.data)
        .or_else(|| write_id(entry).map(|write| format!("={write}")))
        .unwrap_or_default();
    if entry.index == 0 { what } else { format!("{}/{}{what}", entry.term, entry.index) }
}

/// The context of a read: member and number; its nonce depends on the boot.
fn question(context: &[u8]) -> Option<String> {
    let context: &[u8; 24] = context.try_into().ok()?;
    let part = |at: usize| u64::from_be_bytes(context[at..at + 8].try_into().expect("8 bytes"));
    Some(format!("question={}.{}", part(0), part(16)))
}

/// Runs a script and returns it with what its commands print now.
fn run(script: &str) -> String {
    let mut state = Script { cluster: Cluster::new(1, 1), out: String::new(), quiet: false };
    let mut rewritten = Vec::new();
    for block in script.trim_end().split("\n\n") {
        let commands = block.split_once("\n---").map_or(block, |(commands, _)| commands);
        state.out.clear();
        let mut any = false;
        for line in commands.lines().filter(|line| !line.starts_with('#')) {
            state.command(line);
            any = true;
        }
        let output = if any { format!("\n---\n{}", state.out) } else { String::new() };
        rewritten.push(format!("{commands}{output}").trim_end().to_owned());
    }
    rewritten.join("\n\n") + "\n"
}

#[test]
fn nodes_do_what_their_scripts_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts/node");
    let mut scripts: Vec<_> = std::fs::read_dir(&folder)
        .expect("a folder of scripts")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 6, "the scripts are missing");
    for path in scripts {
        let script = std::fs::read_to_string(&path).expect("a readable script");
        let now = run(&script);
        if std::env::var_os("KVORUM_UPDATE").is_some() {
            std::fs::write(&path, now).expect("a writable script");
        } else {
            assert!(now == script, "{} now reads:\n{now}", path.display());
        }
    }
}
