//! A dashboard without a terminal and a cluster without a network, wired together: keys go in,
//! requests are answered from a map, and the screen is a buffer.

#![allow(dead_code, reason = "every test crate uses a part of it")]

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::civil::{DateTime, date};
use kvorum_tui::cmd::{Cmd, Request, Slot, Ticket};
use kvorum_tui::model::Model;
use kvorum_tui::msg::{
    Alarm, Answer, Change, Entry, Failure, KeyValue, LeaseLeft, LevelPart, Member, Membership,
    Moment, Msg, Reply, Size, Status, WatchEvent, WatchSignal,
};
use kvorum_tui::update::update;
use kvorum_tui::view::{self, Look};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

/// The wall clock when a test begins.
pub(crate) const START: DateTime = date(2026, 3, 1).at(3, 0, 0, 0);

/// A cluster as the client would describe it.
pub(crate) struct Cluster {
    pub(crate) members: Vec<FakeMember>,
    /// 0: an election is under way.
    pub(crate) leader: u64,
    pub(crate) revision: i64,
    pub(crate) keys: BTreeMap<Vec<u8>, KeyValue>,
    pub(crate) alarms: Vec<Alarm>,
}

pub(crate) struct FakeMember {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) up: bool,
    pub(crate) errors: Vec<String>,
}

impl Cluster {
    pub(crate) fn new(members: u64) -> Self {
        let member = |id| FakeMember {
            id: 0x8000 + id,
            name: format!("infra{id}"),
            up: true,
            errors: Vec::new(),
        };
        Self {
            members: (1..=members).map(member).collect(),
            leader: 0x8001,
            revision: 1,
            keys: BTreeMap::new(),
            alarms: Vec::new(),
        }
    }

    /// Three members with a little of everything.
    pub(crate) fn example() -> Self {
        let mut cluster = Self::new(3);
        cluster.put(
            "/app/config/db.json",
            r#"{"pool":{"max":50,"min":2},"host":"db.internal","tags":["a","b"]}"#,
        );
        cluster.put("/app/config/log.level", "info");
        cluster.put("/app/config/motd", "Welcome\n\tto the demonstration\n");
        cluster.put("/app/flags/new-ui", "on");
        cluster.put("/locks/cron/694d71", "");
        for host in 1..=3 {
            cluster.put(format!("/services/api/10.0.0.{host}"), "up");
            let key = format!("/services/api/10.0.0.{host}").into_bytes();
            cluster.keys.get_mut(&key).expect("just put").lease = 0x694d_71ab;
        }
        cluster
    }

    pub(crate) fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.revision += 1;
        let (key, revision) = (key.as_ref().to_vec(), self.revision);
        let kv = self.keys.entry(key.clone()).or_insert_with(|| KeyValue {
            key: Bytes::from(key),
            create_revision: revision,
            ..KeyValue::default()
        });
        kv.value = Bytes::copy_from_slice(value.as_ref());
        kv.mod_revision = revision;
        kv.version += 1;
    }

    pub(crate) fn kill(&mut self, nth: usize) {
        self.members[nth].up = false;
        let up = self.members.iter().filter(|member| member.up).count();
        if up <= self.members.len() / 2 {
            self.leader = 0;
        } else if self.leader == self.members[nth].id {
            self.leader =
                self.members.iter().find(|member| member.up).map_or(0, |member| member.id);
        }
    }

    pub(crate) fn address(id: u64) -> String {
        format!("http://127.0.0.1:{}2379", id - 0x8000)
    }

    /// What the client would answer. A watch has no answer of its own.
    fn answer(&mut self, request: Request) -> Result<Option<Reply>, Failure> {
        if let Request::Status { address } = &request {
            return self.status(address).map(Some);
        }
        if !self.members.iter().any(|member| member.up) {
            return Err(unreachable("127.0.0.1:12379"));
        }
        let writes = matches!(
            request,
            Request::Put { .. }
                | Request::Delete { .. }
                | Request::DeletePrefix { .. }
                | Request::Count { .. }
        );
        if writes && self.leader == 0 {
            let text = "etcdserver: request timed out".to_owned();
            return Err(Failure { text, refused: false, unreachable: false });
        }
        Ok(Some(match request {
            Request::Membership => Reply::Membership(self.membership()),
            Request::Level { prefix, separator, from, limit, .. } => {
                Reply::Level(self.level(&prefix, separator, from.as_ref(), limit))
            }
            Request::Sizes { mut prefixes } => {
                let prefix = prefixes.pop().expect("nobody asks for nothing");
                Reply::Size { keys: self.count(&prefix), prefix, done: true }
            }
            Request::Value { key, .. } => {
                Reply::Value { found: self.keys.get(&key[..]).cloned(), revision: self.revision }
            }
            Request::Lease { id } => Reply::Lease(LeaseLeft { id, granted_s: 60, left_s: 42 }),
            Request::Count { prefix } => {
                Reply::Count { keys: self.count(&prefix), revision: self.revision }
            }
            Request::Put { key, value, expected, lease } => {
                if let Some(conflict) = self.conflict(&key, expected) {
                    return Ok(Some(conflict));
                }
                self.put(&key, &value);
                self.keys.get_mut(&key[..]).expect("just put").lease = lease;
                Reply::Written { revision: self.revision }
            }
            Request::Delete { key, expected } => {
                if let Some(conflict) = self.conflict(&key, expected) {
                    return Ok(Some(conflict));
                }
                self.revision += 1;
                self.keys.remove(&key[..]);
                Reply::Deleted { keys: 1, revision: self.revision }
            }
            Request::DeletePrefix { prefix } => {
                let keys = self.count(&prefix);
                self.revision += 1;
                self.keys.retain(|key, _| !key.starts_with(&prefix));
                Reply::Deleted { keys, revision: self.revision }
            }
            Request::Watch { .. } => Reply::Watch(WatchSignal::Opened { revision: self.revision }),
            Request::Status { .. } => return Ok(None),
        }))
    }

    fn conflict(&self, key: &[u8], expected: i64) -> Option<Reply> {
        let current = self.keys.get(key).cloned();
        let newest = current.as_ref().map_or(0, |kv| kv.mod_revision);
        (newest != expected).then_some(Reply::Conflict { current, revision: self.revision })
    }

    fn status(&self, address: &str) -> Result<Reply, Failure> {
        let bare = |url: &str| url.trim_start_matches("http://").to_owned();
        let member =
            self.members.iter().find(|member| bare(&Self::address(member.id)) == bare(address));
        let Some(member) = member.filter(|member| member.up) else {
            return Err(unreachable(address));
        };
        Ok(Reply::Status(Status {
            cluster_id: 0x4d1e_902b,
            member_id: member.id,
            leader: self.leader,
            raft_term: 2,
            raft_index: self.revision as u64 + 5,
            raft_applied: self.revision as u64 + 5,
            revision: self.revision,
            db_size_bytes: 24 * 1024,
            db_in_use_bytes: 20 * 1024,
            version: "3.6.0".into(),
            learner: false,
            errors: member.errors.clone(),
            latency_us: 400,
        }))
    }

    fn membership(&self) -> Membership {
        let member = |member: &FakeMember| Member {
            id: member.id,
            name: member.name.clone(),
            peer_urls: vec![format!("http://127.0.0.1:{}2380", member.id - 0x8000)],
            client_urls: vec![Self::address(member.id)],
            learner: false,
        };
        Membership {
            cluster_id: 0x4d1e_902b,
            members: self.members.iter().map(member).collect(),
            alarms: Some(self.alarms.clone()),
        }
    }

    fn level(&self, prefix: &[u8], separator: u8, from: Option<&Bytes>, limit: usize) -> LevelPart {
        let start = from.map_or(prefix, |from| &from[..]).to_vec();
        let mut entries: Vec<Entry> = Vec::new();
        let mut rest = None;
        for key in
            self.keys.range(start..).map(|(key, _)| key).take_while(|key| key.starts_with(prefix))
        {
            let name = &key[prefix.len()..];
            let entry = match name.iter().position(|byte| *byte == separator) {
                Some(at) => Entry { name: Bytes::copy_from_slice(&name[..at]), folder: true },
                None => Entry { name: Bytes::copy_from_slice(name), folder: false },
            };
            if entries.last() == Some(&entry) {
                continue;
            }
            if entries.len() == limit {
                rest = Some(Bytes::copy_from_slice(key));
                break;
            }
            entries.push(entry);
        }
        LevelPart { continued: from.is_some(), entries, revision: self.revision, done: true, rest }
    }

    fn count(&self, prefix: &[u8]) -> u64 {
        self.keys.keys().filter(|key| key.starts_with(prefix)).count() as u64
    }
}

fn unreachable(address: &str) -> Failure {
    Failure { text: format!("nothing answers at {address}"), refused: true, unreachable: true }
}

/// The dashboard, its screen, and what it waits for.
pub(crate) struct Dashboard {
    pub(crate) model: Model,
    pub(crate) look: Look,
    pub(crate) waiting: VecDeque<(Ticket, Request)>,
    pub(crate) quit: bool,
    mono_ms: u64,
    terminal: Terminal<TestBackend>,
}

impl Dashboard {
    pub(crate) fn new(width: u16, height: u16) -> Self {
        let now = Moment { mono_ms: 0, wall: START };
        let mut dashboard = Self {
            model: Model::new(vec!["127.0.0.1:12379".into()], b'/', now),
            look: Look { color: true, ascii: false },
            waiting: VecDeque::new(),
            quit: false,
            mono_ms: 0,
            terminal: Terminal::new(TestBackend::new(width, height)).expect("a buffer"),
        };
        dashboard.resize(width, height);
        dashboard
    }

    /// On the screen of a healthy cluster, with everything it asked for.
    pub(crate) fn on(cluster: &mut Cluster, width: u16, height: u16) -> Self {
        let mut dashboard = Self::new(width, height);
        dashboard.wait(cluster, 3);
        dashboard
    }

    pub(crate) fn send(&mut self, msg: Msg) {
        for cmd in update(&mut self.model, msg) {
            match cmd {
                Cmd::Ask { ticket, request } => {
                    self.waiting.retain(|(other, _)| other.slot != ticket.slot);
                    self.waiting.push_back((ticket, request));
                }
                Cmd::Cancel(slot) => self.waiting.retain(|(other, _)| other.slot != slot),
                Cmd::Quit => self.quit = true,
                Cmd::Draw | Cmd::Repaint | Cmd::Reach(_) => {}
            }
        }
    }

    /// Time goes on, and everything that is asked for is answered.
    pub(crate) fn wait(&mut self, cluster: &mut Cluster, seconds: u64) {
        for _ in 0..seconds * 2 {
            self.mono_ms += 500;
            let wall = START
                .checked_add(jiff::SignedDuration::from_millis(self.mono_ms as i64))
                .expect("a near date");
            self.send(Msg::Tick { now: Moment { mono_ms: self.mono_ms, wall } });
            self.serve(cluster);
        }
    }

    pub(crate) fn serve(&mut self, cluster: &mut Cluster) {
        while let Some((ticket, request)) = self.waiting.pop_front() {
            if let Some(body) = cluster.answer(request).transpose() {
                self.send(Msg::Answer(Answer { ticket, body }));
            }
        }
    }

    /// Presses keys: single characters, and names like `Enter` or `Ctrl-S`.
    pub(crate) fn press(&mut self, cluster: &mut Cluster, keys: &str) {
        for key in keys.split(' ') {
            self.send(Msg::Key(key_event(key)));
            self.serve(cluster);
        }
    }

    pub(crate) fn type_text(&mut self, cluster: &mut Cluster, text: &str) {
        for letter in text.chars() {
            self.send(Msg::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE)));
            self.serve(cluster);
        }
    }

    pub(crate) fn resize(&mut self, width: u16, height: u16) {
        self.terminal.backend_mut().resize(width, height);
        self.send(Msg::Resize(Size { width, height }));
    }

    pub(crate) fn watch_signal(&mut self, id: u32, signal: WatchSignal) {
        let generation =
            self.model.requests.generation(&Slot::Watch(id)).expect("the watch is open");
        let ticket = Ticket { slot: Slot::Watch(id), generation };
        self.send(Msg::Answer(Answer { ticket, body: Ok(Reply::Watch(signal)) }));
    }

    pub(crate) fn draw(&mut self) -> &Buffer {
        let (model, look) = (&self.model, self.look);
        self.terminal.draw(|frame| view::draw(model, look, frame)).expect("a buffer");
        self.terminal.backend().buffer()
    }

    pub(crate) fn screen(&mut self) -> String {
        let buffer = self.draw();
        let area = buffer.area;
        let mut screen = String::new();
        for y in 0..area.height {
            let mut line = String::new();
            let mut x = 0;
            while x < area.width {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                x += (kvorum_tui::text::width(symbol) as u16).max(1);
            }
            screen.push_str(line.trim_end());
            screen.push('\n');
        }
        screen
    }
}

pub(crate) fn key_event(name: &str) -> KeyEvent {
    let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
    match name {
        "Enter" => plain(KeyCode::Enter),
        "Esc" => plain(KeyCode::Esc),
        "Tab" => plain(KeyCode::Tab),
        "Shift-Tab" => KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT),
        "Space" => plain(KeyCode::Char(' ')),
        "Up" => plain(KeyCode::Up),
        "Down" => plain(KeyCode::Down),
        "Left" => plain(KeyCode::Left),
        "Right" => plain(KeyCode::Right),
        "PgUp" => plain(KeyCode::PageUp),
        "PgDn" => plain(KeyCode::PageDown),
        "Home" => plain(KeyCode::Home),
        "End" => plain(KeyCode::End),
        "Backspace" => plain(KeyCode::Backspace),
        "Del" => plain(KeyCode::Delete),
        name => match name.strip_prefix("Ctrl-") {
            Some(letter) => {
                let letter = letter.chars().next().expect("a letter").to_ascii_lowercase();
                KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)
            }
            None => plain(KeyCode::Char(name.chars().next().expect("a key"))),
        },
    }
}

pub(crate) fn put_event(revision: i64, key: &str, value: &[u8]) -> WatchEvent {
    let change = Change::Put {
        preview: Bytes::copy_from_slice(value),
        size: value.len() as u64,
        created: revision % 2 == 0,
    };
    WatchEvent { revision, change, key: Bytes::copy_from_slice(key.as_bytes()) }
}
