//! Golden scripts: commands to a cluster, and all that its members do, in order.
//!
//! A script is a sequence of blocks: commands, a line `---`, what they printed, an empty line.
//! `KVORUM_UPDATE=1` rewrites what they print. Lines that begin with `#` are comments.
//!
//! | command | |
//! |---|---|
//! | `cluster N` | a new cluster of N members |
//! | `tick ID [N]`, `tick all [N]` | time passes |
//! | `propose ID WRITE`, `read ID READ` | a request of a client; ids are unique |
//! | `deliver [FROM TO]` | all that is on the network now, or on one way |
//! | `drop [FROM TO]` | the same is lost |
//! | `persist ID`, `apply ID`, `flush ID` | the disk, the state machine, and its disk catch up |
//! | `crash ID`, `restart ID` | |
//! | `transfer ID TO`, `unreachable ID PEER` | inputs as they are named |
//! | `forge TO FIELD=VALUE ...` | a message from nowhere: type, from, term, log, index, commit |
//! | `stabilize` | everything catches up and is delivered, until nothing is left |
//! | `status ID`, `answers` | |
//!
//! Effects are performed as they come, so a group waits for `persist` and a message for
//! `deliver`. `quiet` before a command keeps its effects out of the output.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;

use kvorum_core::node::{Effect, Input};
use raft_proto::eraftpb::{Entry, Message, MessageType};

use crate::cluster::{Cluster, Packet, write_id};

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
            "propose" => self.cluster.propose(number(1), number(2)),
            "read" => self.cluster.read(number(1), number(2)),
            "deliver" | "drop" => {
                let way = (words.len() > 1).then(|| (number(1), number(2)));
                let (now, rest) = std::mem::take(&mut self.cluster.network)
                    .into_iter()
                    .partition(|packet| way.is_none_or(|way| way == (packet.from, packet.to)));
                self.cluster.network = rest;
                if words[0] == "deliver" {
                    self.deliver(now);
                }
            }
            "persist" => drop(self.cluster.persist(number(1))),
            "apply" => {
                while self.cluster.apply(number(1)) {
                    self.perform();
                }
            }
            "flush" => self.cluster.flush(number(1)),
            "crash" => self.cluster.crash(number(1)),
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

    fn deliver(&mut self, packets: VecDeque<Packet>) {
        for packet in packets {
            self.cluster.deliver(packet);
            self.perform();
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
            "{id} {:?} term={} leader={} commit={} applied={} last={} persisted={} rejected={}{}",
            status.role,
            status.term,
            status.leader,
            status.committed,
            status.applied,
            status.last_index,
            status.persisted,
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
            format!("append #{}{}{hard_state}", group.number, entries_text(&group.entries))
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
