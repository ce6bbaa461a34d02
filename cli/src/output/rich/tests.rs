//! One answer of each sort in every format of `-o`, in a pipe and on a terminal.

use kvorum_client::follow::{Deletions, Gap};
use kvorum_client::pb;

use crate::output::{Answer, Format, PrintError, Style};

const HEADER: pb::ResponseHeader =
    pb::ResponseHeader { cluster_id: 0xc1, member_id: 0x1a2b, revision: 9, raft_term: 3 };

fn kv(key: &[u8], value: &[u8], lease: i64) -> pb::KeyValue {
    pb::KeyValue {
        key: key.to_vec(),
        value: value.to_vec(),
        create_revision: 2,
        mod_revision: 7,
        version: 4,
        lease,
    }
}

/// A text, a value that is no text under a lease, a key and a value that mean a terminal no good.
fn get() -> pb::RangeResponse {
    let kvs =
        vec![kv(b"/a", b"b\nc", 0), kv(b"/b", b"\xff\x00", 255), kv(b"/\x1b[2J", b"\xc2\x9b", 0)];
    pb::RangeResponse { header: Some(HEADER), kvs, more: true, count: 5 }
}

fn watch() -> pb::WatchResponse {
    let put = pb::Event { kv: Some(kv(b"/a", b"b", 0)), ..pb::Event::default() };
    let deleted = pb::KeyValue { key: b"/b".to_vec(), mod_revision: 8, ..pb::KeyValue::default() };
    let deletion = pb::Event {
        r#type: pb::EVENT_DELETE,
        kv: Some(deleted),
        prev_kv: Some(kv(b"/b", b"was", 0)),
    };
    pb::WatchResponse {
        header: Some(HEADER),
        events: vec![put, deletion],
        ..pb::WatchResponse::default()
    }
}

fn style(format: &str) -> Style {
    Style { format: Format::parse_own(format).unwrap(), ..Style::default() }
}

fn print(answer: Answer<'_>, style: &Style) -> Result<Vec<u8>, PrintError> {
    let mut out = Vec::new();
    style.printer().print(answer, &mut out).map(|()| out)
}

fn printed(answer: Answer<'_>, style: &Style) -> String {
    String::from_utf8(print(answer, style).unwrap()).unwrap()
}

#[test]
fn a_get_in_a_pipe_is_exact() {
    let answer = get();
    let answer = Answer::Get(&answer);
    let a = r#"{"key":"/a","value":"b\nc","create_revision":2,"mod_revision":7,"version":4}"#;
    let b = r#"{"key":"/b","value":{"base64":"/wA="},"create_revision":2,"mod_revision":7,"version":4,"lease":"00000000000000ff"}"#;
    let c = "{\"key\":\"/\\u001b[2J\",\"value\":\"\u{9b}\",\"create_revision\":2,\"mod_revision\":7,\"version\":4}";
    let header = r#"{"cluster_id":"c1","member_id":"1a2b","revision":9,"raft_term":3}"#;
    let json = format!("{{\"header\":{header},\"kvs\":[{a},{b},{c}],\"more\":true,\"count\":5}}\n");
    assert_eq!(printed(answer, &style("json")), json);
    assert_eq!(printed(answer, &style("ndjson")), format!("{a}\n{b}\n{c}\n"));
    assert_eq!(printed(answer, &style("keys")), "/a\n/b\n/\x1b[2J\n");
    assert_eq!(print(answer, &style("raw")).unwrap(), b"b\nc\xff\x00\xc2\x9b");
    assert_eq!(printed(answer, &style("jsonpath={.kvs[?@.lease].key}")), "/b\n");
    assert_eq!(printed(answer, &style("jsonpath={.header.revision}")), "9\n");
    let yaml = printed(answer, &style("yaml"));
    let parts = [
        "---\nheader:\n  cluster_id: c1\n",
        "base64: /wA=\n",
        "lease: 00000000000000ff\n",
        "\ncount: 5\n",
    ];
    assert!(parts.iter().all(|part| yaml.contains(part)), "{yaml}");
    let table = printed(answer, &Style { plain: true, ..style("table") });
    let expected = "KEY       VALUE     CREATE REV  MOD REV  VERSION  LEASE\n\
                    /a        b\\nc               2        7        4\n\
                    /b        \\xff\\x00           2        7        4  00000000000000ff\n\
                    /\\x1b[2J  \\u{9b}             2        7        4\n";
    assert_eq!(table, expected);
}

#[test]
fn a_terminal_is_sent_no_control_characters() {
    let answer = get();
    for format in ["json", "ndjson", "yaml", "keys", "table", "jsonpath={.kvs[*]}", "simple"] {
        let shown = printed(Answer::Get(&answer), &Style { escaped: true, ..style(format) });
        assert!(shown.chars().all(|letter| letter == '\n' || !letter.is_control()), "{shown:?}");
    }
    let json = printed(Answer::Get(&answer), &Style { escaped: true, ..style("json") });
    assert!(json.starts_with("{\n  \"header\": {\n"), "indented for people: {json}");
    assert!(json.contains(r#""value": "\u009b""#), "and still JSON: {json}");
}

#[test]
fn a_watch_is_a_line_for_each_event() {
    let answer = watch();
    let lines = "{\"type\":\"PUT\",\"key\":\"/a\",\"value\":\"b\",\"create_revision\":2,\"mod_revision\":7,\"version\":4}\n\
                 {\"type\":\"DELETE\",\"key\":\"/b\",\"mod_revision\":8,\"prev_kv\":{\"key\":\"/b\",\"value\":\"was\",\"create_revision\":2,\"mod_revision\":7,\"version\":4}}\n";
    assert_eq!(printed(Answer::Watch(&answer), &style("ndjson")), lines);
    assert_eq!(print(Answer::Watch(&answer), &style("raw")).unwrap(), b"b");
    assert_eq!(printed(Answer::Watch(&answer), &style("keys")), "/a\n/b\n");
    let progress = pb::WatchResponse { header: Some(HEADER), ..pb::WatchResponse::default() };
    let line = printed(Answer::Watch(&progress), &style("jsonpath={.header.revision}"));
    assert_eq!(line, "9\n");
}

#[test]
fn events_that_were_made_up_are_marked_wherever_there_is_room_for_it() {
    let answer = watch();
    let made_up = Answer::Difference(&answer);
    let lines = "{\"type\":\"PUT\",\"key\":\"/a\",\"value\":\"b\",\"create_revision\":2,\"mod_revision\":7,\"version\":4,\"synthetic\":true}\n\
                 {\"type\":\"DELETE\",\"key\":\"/b\",\"synthetic\":true}\n";
    assert_eq!(printed(made_up, &style("ndjson")), lines);
    for format in ["simple", "fields", "table", "json", "yaml"] {
        let shown = printed(made_up, &style(format)).to_lowercase();
        assert!(shown.contains("synthetic"), "{format}: {shown}");
        assert!(!printed(Answer::Watch(&answer), &style(format)).contains("ynthetic"), "{format}");
    }
    for format in [Format::Json, Format::Protobuf] {
        let bytes = print(made_up, &Style { format, ..Style::default() }).unwrap();
        let shown = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(shown.contains("synthetic"), "{shown}");
    }
    let gap = Gap { from: 3, to: 9, deletions: Deletions::InPart };
    assert_eq!(
        printed(Answer::Gap(&gap), &style("ndjson")),
        "{\"type\":\"GAP\",\"from_revision\":3,\"to_revision\":9,\"deletions\":\"in_part\",\"synthetic\":true}\n"
    );
    assert_eq!(printed(Answer::Gap(&gap), &style("keys")), "");
}

#[test]
fn the_operations_of_a_transaction_are_named() {
    let op = |response| pb::ResponseOp { response: Some(response) };
    let delete = pb::DeleteRangeResponse { deleted: 3, ..pb::DeleteRangeResponse::default() };
    let answer = pb::TxnResponse {
        header: None,
        succeeded: true,
        responses: vec![
            op(pb::ResponseOpKind::ResponsePut(pb::PutResponse::default())),
            op(pb::ResponseOpKind::ResponseDeleteRange(delete)),
        ],
    };
    assert_eq!(
        printed(Answer::Txn(&answer), &style("json")),
        "{\"succeeded\":true,\"responses\":[{\"put\":{}},{\"del\":{\"deleted\":3}}]}\n"
    );
}

#[test]
fn what_a_format_cannot_say_it_refuses() {
    let answer = pb::LeaseGrantResponse { id: 255, ttl: 60, ..pb::LeaseGrantResponse::default() };
    let answer = Answer::Grant(&answer);
    for format in ["raw", "keys"] {
        assert!(matches!(print(answer, &style(format)), Err(PrintError::Unsupported(_))));
    }
    assert_eq!(printed(answer, &style("json")), "{\"id\":\"00000000000000ff\",\"ttl_s\":60}\n");
    let table = printed(answer, &Style { plain: true, ..style("table") });
    assert_eq!(table, "FIELD  VALUE\nid     00000000000000ff\nttl_s  60\n");
}

#[test]
fn a_masked_value_is_nowhere_to_be_seen() {
    let answer = get();
    let masked: Style = Style { masked: [b"/a".to_vec()].into(), ..style("json") };
    let formats =
        ["simple", "fields", "json", "ndjson", "yaml", "table", "jsonpath={.kvs[0].value}"];
    for format in formats {
        let style = Style { format: style(format).format, ..masked.clone() };
        let shown = print(Answer::Get(&answer), &style).unwrap();
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains("(masked, 3 bytes; --reveal shows it)"), "{format}: {shown}");
        assert!(!shown.contains("b\nc") && !shown.contains("b\\nc"), "{format}: {shown}");
    }
    let raw = Style { format: style("raw").format, ..masked };
    assert!(matches!(print(Answer::Get(&answer), &raw), Err(PrintError::Masked)));
}
