//! Whatever a client sends, a member goes on serving: every method with what no client would say,
//! bytes that are no message, JSON that is none. Nothing panics, and memory stays bounded.
//!
//! `KVORUM_HOSTILE_SEED` and `KVORUM_HOSTILE_REQUESTS` choose another course, or a longer one.

use std::time::Duration;

use bytes::Bytes;
use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::differential::contract::{GATEWAY, Method, base64, method, methods};
use kvorum_tests::differential::wire::{streaming, unary};
use kvorum_tests::memory::resident_bytes;
use kvorum_tests::program::Names;
use kvorum_tests::sim::random::Random;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

const SEED: u64 = 1;
const REQUESTS: u64 = 3_000;

/// Between two looks whether the member still serves.
const LOOKS_EVERY: u64 = 100;

/// How long an answer is listened to: who asks for a lock or for events may wait for ever.
const LISTENS: Duration = Duration::from_millis(100);

/// A new member holds some 10 MiB, and no request is larger than one may be.
const MEMORY_BYTES: u64 = 300 << 20;

/// A message may hold itself; this deep it is cut off.
const DEEPEST: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_serves_on_after_what_no_client_would_send() {
    let seed = number("KVORUM_HOSTILE_SEED").unwrap_or(SEED);
    let requests = number("KVORUM_HOSTILE_REQUESTS").unwrap_or(REQUESTS);
    let mut cluster = Cluster::start_with(&Names::of(binary!()).server(), 1, &["--bcrypt-cost=4"]);
    let address = cluster.members[0].endpoint();
    let id = cluster.members[0].running().id();
    let url = cluster.members[0].client_url();
    let channel = Endpoint::from_shared(url).expect("a URL").connect_lazy();
    let mut hostile = Hostile { random: Random::new(seed) };
    let names: Vec<&Method> = methods().values().collect();
    for sent in 0..requests {
        let method = *hostile.random.pick(&names);
        let message = hostile.message(method.input(), 0);
        if hostile.random.chance(70) {
            let messages = hostile.bytes_like(&message);
            send(&channel, method, messages).await;
        } else {
            let text = hostile.text_like(&message);
            let _ = timeout(LISTENS, post(&address, method, &text)).await;
        }
        if sent % LOOKS_EVERY == 0 {
            serves(&channel, seed, sent).await;
        }
    }
    serves(&channel, seed, requests).await;
    let log = cluster.members[0].log();
    assert!(!log.contains("panicked"), "seed {seed}: {log}");
    assert_eq!(cluster.members[0].running().id(), id, "it is the member that was started");
    let memory = resident_bytes(id);
    assert!(memory < MEMORY_BYTES, "seed {seed}: it holds {memory} bytes");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// Sends the messages as gRPC, and hears a little of what is answered.
async fn send(channel: &Channel, method: &Method, messages: Vec<Bytes>) {
    let requests = tokio_stream::iter(messages.clone());
    let listening = async {
        if messages.len() == 1 {
            let _ = unary(channel, method, MetadataMap::new(), messages[0].clone()).await;
        }
        let answers = streaming(channel, method, MetadataMap::new(), requests).await;
        if let Ok(mut answers) = answers {
            while let Ok(Some(_)) = answers.message().await {}
        }
    };
    let _ = timeout(LISTENS, listening).await;
}

/// Sends a text to the gateway, and hears the beginning of what is answered.
async fn post(address: &str, method: &Method, text: &[u8]) -> std::io::Result<usize> {
    // What the gateway lacks is asked where something else is.
    let path = GATEWAY.iter().find(|(name, _)| *name == method.name);
    let path = path.map_or("/v3/kv/txn", |(_, path)| *path);
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(text).await?;
    stream.read(&mut [0; 1024]).await
}

/// An alarm that was raised may stand in the way, so it is taken back first.
async fn serves(channel: &Channel, seed: u64, sent: u64) {
    let ask = async |name: &str, request: serde_json::Value| {
        let method = method(name);
        let message = method.encode(&request);
        match unary(channel, method, MetadataMap::new(), message).await {
            Ok(answer) => method.decode(answer).expect("the answer is one"),
            Err(status) => panic!("seed {seed}, after {sent} requests: {name}: {status}"),
        }
    };
    let alarms = ask("Maintenance/Alarm", json!({})).await;
    for alarm in alarms["alarms"].as_array().into_iter().flatten() {
        let mut back = alarm.clone();
        back["action"] = 2.into();
        ask("Maintenance/Alarm", back).await;
    }
    ask("KV/Put", json!({"key": base64("served"), "value": base64(sent.to_string())})).await;
    let found = ask("KV/Range", json!({"key": base64("served")})).await;
    assert_eq!(found["kvs"][0]["value"], base64(sent.to_string()), "seed {seed}");
}

struct Hostile {
    random: Random,
}

impl Hostile {
    fn message(&mut self, descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        if depth == DEEPEST {
            return message;
        }
        for field in descriptor.fields() {
            if self.random.chance(60) {
                let value = if field.is_list() {
                    let length = self.random.below(4);
                    Value::List((0..length).map(|_| self.value(&field, depth)).collect())
                } else {
                    self.value(&field, depth)
                };
                message.set_field(&field, value);
            }
        }
        message
    }

    fn value(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        match field.kind() {
            Kind::Bool => Value::Bool(self.random.chance(50)),
            Kind::Int32 => Value::I32(self.integer() as i32),
            Kind::Uint32 => Value::U32(self.integer() as u32),
            Kind::Int64 => Value::I64(self.integer()),
            Kind::Uint64 => Value::U64(self.integer().cast_unsigned()),
            Kind::String => {
                let bytes = self.bytes();
                Value::String(String::from_utf8_lossy(&bytes).into_owned())
            }
            Kind::Bytes => Value::Bytes(self.bytes()),
            Kind::Enum(_) => Value::EnumNumber(*self.random.pick(&[0, 1, 2, 3, -1, 99])),
            Kind::Message(message) => Value::Message(self.message(&message, depth + 1)),
            other => panic!("{}: etcd's contract has no {other:?}", field.full_name()),
        }
    }

    fn integer(&mut self) -> i64 {
        let near = self.random.below(20).cast_signed() - 5;
        let far = [i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1, 1 << 31, 9_000_000_000];
        if self.random.chance(70) { near } else { *self.random.pick(&far) }
    }

    fn bytes(&mut self) -> Bytes {
        match self.random.below(10) {
            0 => Bytes::new(),
            1 => Bytes::from_static(b"\0"),
            2 => Bytes::from(vec![0xff; self.random.index(40)]),
            3 => Bytes::from(vec![b'x'; self.random.index(70_000)]),
            _ => Bytes::from(vec![b'a' + self.random.index(5) as u8; 1 + self.random.index(2)]),
        }
    }

    /// One message or a few, as they are or spoilt.
    fn bytes_like(&mut self, message: &DynamicMessage) -> Vec<Bytes> {
        let many = 1 + self.random.index(3);
        (0..many).map(|_| self.spoilt(message.encode_to_vec()).into()).collect()
    }

    /// The message as JSON, as it is or spoilt.
    fn text_like(&mut self, message: &DynamicMessage) -> Vec<u8> {
        let text = serde_json::to_vec(message).expect("a message is JSON");
        self.spoilt(text)
    }

    fn spoilt(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.random.chance(60) {
            return bytes;
        }
        for _ in 0..=self.random.below(3) {
            let at = self.random.index(bytes.len().max(1));
            match self.random.below(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at.min(bytes.len()), self.random.draw() as u8),
                2 => bytes.extend_from_within(at.min(bytes.len())..),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.random.below(8);
                    }
                }
            }
        }
        bytes
    }
}
