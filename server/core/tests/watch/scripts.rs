//! Golden scripts of the watch hub: `tests/scripts/watch/*.txt`.
//!
//! A script is a list of blocks, each some commands, a line `---`, and what they printed. With
//! `KVORUM_UPDATE=1` the outputs are rewritten, to be reviewed as a diff. A store and a hub live
//! through the whole script; nothing moves but by a command:
//!
//! ```text
//! put KEY VALUE | del KEY [END] | txn put KEY VALUE ; del KEY ; …    one revision each
//! compact REVISION | durable | sweep
//! hub RESPONSE_BYTES                a new hub over the store as it is
//! open STREAM [CREDIT] | close STREAM | credit STREAM REPLIES | backlog STREAM
//! create STREAM KEY [END] [rev=N] [id=N] [prev] [noput] [nodelete] [fragment] [progress]
//! cancel STREAM WATCH | progress STREAM | tick
//! step                              one call of `advance`
//! run                               `advance` until nothing is due
//! ```
//!
//! In keys, ends and values `\0` stands for a zero byte and `*N` for N times the letter before.

use std::path::Path;

use bytes::Bytes;
use kvorum_core::store::{Root, Store, Version};
use kvorum_core::watch::{Body, Delivery, Hub, RESPONSE_BYTES, StreamId};
use kvorum_proto::etcdserverpb::watch_create_request::FilterType;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, InternalRaftRequest, PutRequest, RequestOp, TxnRequest,
    WatchCreateRequest, request_op,
};
use raft_proto::eraftpb::ConfState;

struct Script {
    store: Store,
    hub: Hub,
    out: Vec<Delivery>,
    notes: Vec<String>,
}

impl Script {
    fn new() -> Script {
        let store = Store::bootstrap(Vec::new(), ConfState::default());
        let hub = Hub::new(store.root().revision(), RESPONSE_BYTES);
        Script { store, hub, out: Vec::new(), notes: Vec::new() }
    }

    fn run(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let root = self.store.root();
        match words[..] {
            ["put" | "del" | "txn", ..] => self.write(&words),
            ["compact", revision] => {
                let compaction = CompactionRequest { revision: number(revision), physical: false };
                let request = InternalRaftRequest { compaction: Some(compaction), ..entry() };
                self.apply(&request);
            }
            ["durable"] => self.store.durable(root.revision()),
            ["sweep"] => {
                drop(root);
                while self.store.sweep(1).1 {}
            }
            ["hub", bytes] => self.hub = Hub::new(root.revision(), number(bytes)),
            ["open", stream] => self.hub.open(id(stream), 100),
            ["open", stream, credit] => self.hub.open(id(stream), number(credit)),
            ["close", stream] => self.hub.close(id(stream)),
            ["credit", stream, n] => self.hub.credit(id(stream), number(n), &mut self.out),
            ["backlog", stream] => {
                self.notes.push(format!("backlog {}", self.hub.backlog(id(stream))));
            }
            ["create", stream, key, ref options @ ..] => {
                let request = create(key, options);
                self.hub.create(id(stream), &request, &root, &mut self.out);
            }
            ["cancel", stream, watch] => {
                self.hub.cancel(id(stream), number(watch), &root, &mut self.out);
            }
            ["progress", stream] => {
                self.hub.progress_request(id(stream), &root, &mut self.out);
            }
            ["tick"] => self.hub.tick(&mut self.out),
            ["step"] => self.advance(&root),
            ["run"] => while self.hub.advance(&root, &mut self.out) {},
            _ => panic!("no such command: {line}"),
        }
    }

    fn advance(&mut self, root: &Root) {
        let more = self.hub.advance(root, &mut self.out);
        let word = if more { "more is due" } else { "nothing is due" };
        self.notes.push(format!("at {}, {word}", self.hub.revision()));
    }

    fn write(&mut self, words: &[&str]) {
        let request = match words {
            ["put", key, value] => InternalRaftRequest { put: Some(put(key, value)), ..entry() },
            ["del", rest @ ..] => {
                InternalRaftRequest { delete_range: Some(delete(rest)), ..entry() }
            }
            ["txn", rest @ ..] => {
                let ops = rest.split(|word| *word == ";").map(|words| match words {
                    ["put", key, value] => request_op::Request::RequestPut(put(key, value)),
                    ["del", rest @ ..] => request_op::Request::RequestDeleteRange(delete(rest)),
                    _ => panic!("no such operation: {words:?}"),
                });
                let success = ops.map(|op| RequestOp { request: Some(op) }).collect();
                let txn = TxnRequest { success, ..TxnRequest::default() };
                InternalRaftRequest { txn: Some(txn), ..entry() }
            }
            _ => panic!("no such write: {words:?}"),
        };
        self.apply(&request);
    }

    fn apply(&mut self, request: &InternalRaftRequest) {
        let index = self.store.root().index() + 1;
        if let Err(error) = self.store.apply(index, 1, request).reply {
            self.notes.push(error.to_string());
        }
    }

    /// What was printed since the last call.
    fn printed(&mut self) -> String {
        let mut text = String::new();
        for delivery in self.out.drain(..) {
            text += &describe(&delivery);
            text.push('\n');
        }
        for note in self.notes.drain(..) {
            text += &note;
            text.push('\n');
        }
        text
    }
}

fn describe(Delivery { stream, reply }: &Delivery) -> String {
    let head = format!("{} watch {} @{}", stream.0, reply.watch_id, reply.revision);
    match &reply.body {
        Body::Created => format!("{head} created"),
        Body::Refused(refusal) => format!("{head} refused: {refusal}"),
        Body::Canceled => format!("{head} canceled"),
        Body::Overtaken { compact_revision } => {
            format!("{head} canceled, compacted at {compact_revision}")
        }
        Body::Progress => format!("{head} progress"),
        Body::Events { events, fragment } => {
            let events = events.iter().map(|event| match &event.prev {
                Some(prev) => format!("[{} was {}]", change(&event.version), change(prev)),
                None => format!("[{}]", change(&event.version)),
            });
            let text = format!("{head} events {}", events.collect::<Vec<_>>().join(" "));
            text + if *fragment { " to be continued" } else { "" }
        }
    }
}

fn change(version: &Version) -> String {
    let key = version.key.escape_ascii();
    let at = version.at.main;
    if version.is_deletion() {
        return format!("{at} del {key}");
    }
    let value = match version.value.resident() {
        Some(value) if value.len() > 20 => format!("{} bytes", value.len()),
        Some(value) => value.escape_ascii().to_string(),
        None => "(stored)".to_owned(),
    };
    format!("{at} put {key}={value}")
}

fn create(key: &str, options: &[&str]) -> WatchCreateRequest {
    let mut request = WatchCreateRequest { key: text(key), ..WatchCreateRequest::default() };
    for option in options {
        match option.split_once('=').unwrap_or((option, "")) {
            ("rev", revision) => request.start_revision = number(revision),
            ("id", id) => request.watch_id = number(id),
            ("prev", _) => request.prev_kv = true,
            ("noput", _) => request.filters.push(FilterType::Noput.into()),
            ("nodelete", _) => request.filters.push(FilterType::Nodelete.into()),
            ("fragment", _) => request.fragment = true,
            ("progress", _) => request.progress_notify = true,
            (end, _) => request.range_end = text(end),
        }
    }
    request
}

fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: text(key), value: text(value), ..PutRequest::default() }
}

fn delete(range: &[&str]) -> DeleteRangeRequest {
    let range_end = range.get(1).map_or_else(Bytes::new, |end| text(end));
    DeleteRangeRequest { key: text(range[0]), range_end, prev_kv: false }
}

fn entry() -> InternalRaftRequest {
    InternalRaftRequest::default()
}

fn id(word: &str) -> StreamId {
    StreamId(number(word))
}

fn number<N: std::str::FromStr>(word: &str) -> N {
    word.parse().unwrap_or_else(|_| panic!("not a number: {word}"))
}

fn text(word: &str) -> Bytes {
    if let Some((letter, times)) = word.split_once('*') {
        return letter.repeat(number(times)).into();
    }
    if word == "\"\"" { Bytes::new() } else { word.replace("\\0", "\0").into() }
}

/// What the script should look like.
fn replay(script: &str) -> String {
    let mut state = Script::new();
    let mut replayed = Vec::new();
    for block in script.trim_end().split("\n\n") {
        let (commands, _) = block.split_once("\n---").unwrap_or((block, ""));
        let lines = commands.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let mut any = false;
        for line in lines {
            state.run(line);
            any = true;
        }
        let printed = state.printed();
        replayed.push(match (any, printed.trim_end()) {
            (false, _) => commands.to_owned(),
            (true, "") => format!("{commands}\n---"),
            (true, printed) => format!("{commands}\n---\n{printed}"),
        });
    }
    replayed.join("\n\n") + "\n"
}

#[test]
fn scripts_print_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts/watch");
    let mut scripts: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let mut wrong = Vec::new();
    for path in scripts {
        let script = std::fs::read_to_string(&path).unwrap();
        let replayed = replay(&script);
        if std::env::var_os("KVORUM_UPDATE").is_some() {
            std::fs::write(&path, replayed).unwrap();
        } else if script != replayed {
            wrong.push(format!("{}:\n{}", path.display(), first_difference(&script, &replayed)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn first_difference(script: &str, replayed: &str) -> String {
    let at = script.lines().zip(replayed.lines()).take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(at).unwrap_or("(end)").to_owned();
    format!("line {}\n  expected {}\n  got      {}", at + 1, line(script), line(replayed))
}
