//! A member lives on whatever comes in at its peer port, and counts what it refuses.

use std::fs;

use crate::support::{Cluster, PATIENCE, eventually};
use bytes::Bytes;
use kvorum_proto::etcdserverpb::{InternalRaftRequest, PutRequest, RequestHeader};
use kvorum_proto::kvorumpb::peer_client::PeerClient;
use kvorum_proto::kvorumpb::{
    Frame, Hello, Proposal, ProposalResult, Record, SnapshotChunk, SnapshotHead,
};
use kvorum_proto::membershippb::DowngradeInfoSetRequest;
use prost::Message as _;
use raft_proto::eraftpb::{ConfState, Entry, Message, MessageType, Snapshot, SnapshotMetadata};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Endpoint;

/// A cluster of three of which one is stopped, so that its id can be spoken for.
struct Attack {
    cluster: Cluster,
    hello: Hello,
    url: String,
}

impl Attack {
    fn new() -> Attack {
        let mut cluster = Cluster::start(3);
        let stopped = cluster.members[2].as_ref().unwrap().identity();
        let target = cluster.members[0].as_ref().unwrap();
        let hello = Hello {
            cluster_id: stopped.cluster_id,
            from: stopped.member_id,
            to: target.identity().member_id,
            protocol: 1,
            incarnation: stopped.incarnation,
        };
        let url = target.peer_urls()[0].clone();
        cluster.stop(2);
        Attack { cluster, hello, url }
    }

    fn refused(&self) -> u64 {
        self.cluster.members[0].as_ref().unwrap().refused_of_peers()
    }

    fn client(&self) -> PeerClient<tonic::transport::Channel> {
        PeerClient::new(Endpoint::from_shared(self.url.clone()).unwrap().connect_lazy())
            .max_encoding_message_size(usize::MAX)
    }

    /// Sends frames on one stream, and gives the member's verdict if it ends the stream.
    async fn exchange(&self, frames: Vec<Frame>) -> Result<(), Status> {
        let frames = tokio_stream::iter(frames);
        self.client().exchange(frames).await.map(drop)
    }

    async fn snapshot(&self, chunks: Vec<SnapshotChunk>) -> Result<(), Status> {
        self.client().snapshot(tokio_stream::iter(chunks)).await.map(drop)
    }

    fn greeting(&self) -> Frame {
        Frame { hello: Some(self.hello), ..Frame::default() }
    }

    fn message(&self, kind: MessageType) -> Message {
        Message {
            msg_type: kind as i32,
            from: self.hello.from,
            to: self.hello.to,
            term: 1_000,
            ..Message::default()
        }
    }

    /// The member takes a write, and a read sees it.
    async fn lives(&self, what: &str) {
        let client = self.cluster.client(0);
        let put = eventually(what, async || {
            client.kv().put(crate::support::put("alive", what)).await.ok()
        });
        put.await;
        assert_eq!(client.get("alive").await.as_deref(), Some(what));
    }
}

fn frame(messages: &[Message]) -> Frame {
    let raft = messages.iter().map(|message| message.encode_to_vec().into()).collect();
    Frame { raft, ..Frame::default() }
}

fn write(id: u64, entry: Vec<u8>) -> Frame {
    Frame { proposals: vec![Proposal { id, entry: entry.into() }], ..Frame::default() }
}

#[test]
fn greetings_that_are_not_from_the_cluster_are_turned_away() {
    let attack = Attack::new();
    attack.cluster.runtime.block_on(async {
        let hello = &attack.hello;
        for (what, greeting) in [
            ("another cluster", Hello { cluster_id: 1, ..*hello }),
            ("a stranger", Hello { from: 7, ..*hello }),
            ("itself", Hello { from: hello.to, ..*hello }),
            ("meant for another", Hello { to: 7, ..*hello }),
            ("one made anew", Hello { incarnation: 1, ..*hello }),
            ("another protocol", Hello { protocol: 99, ..*hello }),
        ] {
            let before = attack.refused();
            let frames = vec![Frame { hello: Some(greeting), ..Frame::default() }];
            assert!(attack.exchange(frames).await.is_err(), "{what}");
            let head = SnapshotHead { hello: Some(greeting), ..SnapshotHead::default() };
            let chunk = SnapshotChunk { head: Some(head), ..SnapshotChunk::default() };
            assert!(attack.snapshot(vec![chunk]).await.is_err(), "{what}");
            assert_eq!(attack.refused(), before + 2, "{what}");
        }
        assert!(attack.exchange(vec![Frame::default()]).await.is_err(), "no greeting");
        attack.lives("after the greetings").await;
    });
}

#[test]
fn messages_that_raft_would_stumble_over_are_dropped_and_counted() {
    let attack = Attack::new();
    attack.cluster.runtime.block_on(async {
        let index = 1 << 40;
        let entries = |index| vec![Entry { index, term: 1_000, ..Entry::default() }];
        let base = |kind| attack.message(kind);
        let messages = [
            // to_commit out of range
            Message { commit: index, ..base(MessageType::MsgHeartbeat) },
            // an empty proposal, and any other message that never leaves a member
            base(MessageType::MsgPropose),
            base(MessageType::MsgHup),
            base(MessageType::MsgTransferLeader),
            // entries that do not follow each other
            Message { index: 5, log_term: 1, entries: entries(9), ..base(MessageType::MsgAppend) },
            Message { index: u64::MAX, log_term: 1, ..base(MessageType::MsgAppend) },
            Message { term: 0, ..base(MessageType::MsgRequestVote) },
            Message { term: u64::MAX, ..base(MessageType::MsgRequestVote) },
            Message { msg_type: 99, ..base(MessageType::MsgHup) },
            base(MessageType::MsgReadIndex),
        ];
        let before = attack.refused();
        // The stream stays open: what makes no sense is dropped, no more.
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        let call = attack.client();
        let call = tokio::spawn(async move {
            let mut call = call;
            call.exchange(ReceiverStream::new(receiver)).await.map(drop)
        });
        sender.send(attack.greeting()).await.unwrap();
        sender.send(frame(&messages)).await.unwrap();
        let junk = Frame {
            results: vec![ProposalResult { id: 7, term: u64::MAX, index: u64::MAX }],
            ..Frame::default()
        };
        sender.send(junk).await.unwrap();
        eventually("all are counted", async || {
            (attack.refused() >= before + messages.len() as u64).then_some(())
        })
        .await;
        drop(sender);
        assert!(call.await.unwrap().is_ok());
        attack.lives("after the messages").await;
    });
}

#[test]
fn what_is_no_message_ends_the_stream_and_nothing_else() {
    let attack = Attack::new();
    let header = |id| Some(RequestHeader { id, ..RequestHeader::default() });
    let put = |id, bytes| {
        let put =
            PutRequest { key: "k".into(), value: vec![7; bytes].into(), ..Default::default() };
        InternalRaftRequest { header: header(id), put: Some(put), ..Default::default() }
    };
    let downgrade_info_set = Some(DowngradeInfoSetRequest::default());
    let unknown =
        InternalRaftRequest { header: header(7), downgrade_info_set, ..Default::default() };
    attack.cluster.runtime.block_on(async {
        let hostile = [
            (
                "garbage",
                Frame { raft: vec![Bytes::from_static(b"\xff\xffgarbage")], ..Frame::default() },
            ),
            (
                "another sender",
                frame(&[Message { from: 7, ..attack.message(MessageType::MsgHeartbeat) }]),
            ),
            (
                "another recipient",
                frame(&[Message { to: 7, ..attack.message(MessageType::MsgHeartbeat) }]),
            ),
            ("a snapshot without its state", frame(&[attack.message(MessageType::MsgSnapshot)])),
            ("a huge frame", Frame { raft: vec![vec![0; 65 << 20].into()], ..Frame::default() }),
            ("a write that is nothing", write(7, Vec::new())),
            ("a write that is garbage", write(7, b"\xff\xff".to_vec())),
            ("a write of an unknown kind", write(7, unknown.encode_to_vec())),
            ("a write under another id", write(8, put(7, 1).encode_to_vec())),
            ("a huge write", write(7, put(7, 17 << 20).encode_to_vec())),
        ];
        for (what, hostile) in hostile {
            let before = attack.refused();
            let verdict = attack.exchange(vec![attack.greeting(), hostile]).await;
            assert!(verdict.is_err(), "{what}");
            assert_eq!(attack.refused(), before + 1, "{what}");
        }
        attack.lives("after the frames").await;
    });
}

#[test]
fn a_snapshot_that_is_not_what_it_says_is_not_taken() {
    let attack = Attack::new();
    attack.cluster.runtime.block_on(async {
        let conf_state = ConfState::from((vec![attack.hello.from, attack.hello.to], vec![]));
        let metadata = SnapshotMetadata { conf_state: Some(conf_state), index: 1 << 30, term: 900 };
        let snapshot = Snapshot { metadata: Some(metadata), ..Snapshot::default() };
        let announce =
            Message { snapshot: Some(snapshot), ..attack.message(MessageType::MsgSnapshot) };
        let head = |message: &Message, hash: &'static [u8]| SnapshotChunk {
            head: Some(SnapshotHead {
                hello: Some(attack.hello),
                raft: message.encode_to_vec().into(),
                state_hash: hash.into(),
            }),
            ..SnapshotChunk::default()
        };
        let end = |records| SnapshotChunk { records, end: true, ..SnapshotChunk::default() };
        let record = |table, key: &'static [u8], value: &'static [u8]| Record {
            table,
            key: key.into(),
            value: value.into(),
        };
        let hash = &[7; 16];
        // A stream that breaks is nobody's fault.
        let broken = "no end";
        for (what, chunks) in [
            ("no announcement", vec![end(vec![])]),
            (
                "no snapshot",
                vec![head(&attack.message(MessageType::MsgHeartbeat), hash), end(vec![])],
            ),
            ("no hash", vec![head(&announce, b""), end(vec![])]),
            ("another hash", vec![head(&announce, hash), end(vec![])]),
            (broken, vec![head(&announce, hash)]),
            ("an unknown table", vec![head(&announce, hash), end(vec![record(9, b"k", b"v")])]),
            (
                "a record that is none",
                vec![head(&announce, hash), end(vec![record(1, b"k", b"v")])],
            ),
        ] {
            let before = attack.refused();
            assert!(attack.snapshot(chunks).await.is_err(), "{what}");
            assert_eq!(attack.refused(), before + u64::from(what != broken), "{what}");
            attack.lives(what).await;
        }
        // In a few bytes comes what takes many.
        let before = attack.refused();
        let flood = vec![Record::default(); 300_000];
        let flood = SnapshotChunk { records: flood, ..SnapshotChunk::default() };
        let verdict = attack.snapshot(vec![head(&announce, hash), flood]).await;
        assert!(verdict.unwrap_err().message().contains("too large"));
        assert_eq!(attack.refused(), before + 1);
        let dir = attack.cluster.config(0).data_dir.join("kvorum");
        let mut left = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(left.all(|name| !name.to_str().unwrap().starts_with("received")));
        // Nothing holds the place: the next one is judged by itself.
        let verdict = attack.snapshot(vec![head(&announce, hash), end(vec![])]).await;
        assert!(verdict.unwrap_err().message().contains("hash"));
    });
}

#[test]
fn bytes_that_are_no_http_are_answered_by_closing() {
    let attack = Attack::new();
    attack.cluster.runtime.block_on(async {
        let address = attack.url.trim_start_matches("http://");
        let ones = vec![0xff; 70_000];
        for bytes in [&b"\0\0\0\0"[..], b"GET / HTTP/9.9\r\n\r\n", &ones] {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            // It may close before all is written.
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let closed = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
            // It may be reset, which is an error and an end.
            let _ = closed.expect("the member closes the connection");
        }
        attack.lives("after the bytes").await;
    });
}

/// etcd has nothing there either, though its handler of `/members` would say `bad path`.
#[test]
fn below_the_list_of_members_there_is_no_page() {
    let attack = Attack::new();
    attack.cluster.runtime.block_on(async {
        let address = attack.url.trim_start_matches("http://");
        for (path, status, body) in [
            ("/members", "HTTP/1.1 200 OK", "\"peerURLs\""),
            ("/members/x", "HTTP/1.1 404 Not Found", "404 page not found\n"),
            ("/raft/nonsense", "HTTP/1.1 404 Not Found", "404 page not found\n"),
        ] {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
            read.expect("the member answers").unwrap();
            assert!(answer.starts_with(status) && answer.contains(body), "{path}: {answer}");
        }
    });
}
