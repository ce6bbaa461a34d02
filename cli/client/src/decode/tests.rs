//! Values of every sort, and bytes that mean no good.

use proptest::prelude::*;
use serde_json::json;

use super::packing::tests::gzip;
use super::{Body, Decoded, Editable, Format, View, decode, decode_as, without_managed_fields};

fn seen(value: &[u8]) -> Decoded {
    decode(b"key", value)
}

#[test]
fn text_is_text_and_json_keeps_its_bytes() {
    assert_eq!(seen(b"plain\ttext\n").format, Format::Text);
    assert_eq!(seen(b"").format, Format::Text);
    assert_eq!(seen(b"12").format, Format::Text);
    assert_eq!(seen(b"a\x1b[31mred\0").format, Format::Text, "a terminal is none of its business");
    let json = seen(br#"{"n":1.0e2, "a":[1]}"#);
    assert_eq!(json.description(), "JSON");
    assert_eq!(json.text(false), r#"{"n":1.0e2, "a":[1]}"#);
    assert_eq!(json.text(true), "{\n  \"n\": 1.0e2,\n  \"a\": [\n    1\n  ]\n}");
}

#[test]
fn yaml_is_called_so_only_where_that_is_certain() {
    assert_eq!(seen(b"---\na: 1\n").format, Format::Yaml);
    assert_eq!(decode(b"/conf/app.yaml", b"a: 1\n").format, Format::Yaml);
    assert_eq!(seen(b"a: 1\n").format, Format::Text);
}

#[test]
fn what_is_packed_is_unpacked_layer_by_layer() {
    let twice = seen(&gzip(&gzip(b"{\"a\":1}")));
    assert_eq!(twice.description(), "gzip, gzip, JSON");
    assert_eq!(twice.text(false), "{\"a\":1}");
    let mut often = b"end".to_vec();
    for _ in 0..5 {
        often = gzip(&often);
    }
    assert!(seen(&often).description().contains("cannot be unpacked"));
    let damaged = seen(b"\x1f\x8b\x08\x00damaged");
    assert!(damaged.description().starts_with("bytes (gzip that cannot be unpacked: "));
}

#[test]
fn bytes_without_a_meaning_are_shown_as_hexadecimal() {
    let bytes = seen(b"\x00\xff");
    assert_eq!(bytes.format, Format::Bytes);
    assert!(bytes.text(true).starts_with("00000000  00 ff "));
    let secret = seen(b"k8s:enc:aescbc:v1:key1:\x00\xff\x80");
    assert_eq!(secret.description(), "bytes (encrypted by Kubernetes (aescbc, key key1))");
}

#[test]
fn what_nothing_marks_is_read_on_request() {
    assert_eq!(seen(b"\x08\x96\x01").format, Format::Bytes);
    let message = decode_as(View::Protobuf, b"", b"\x08\x96\x01").unwrap();
    assert_eq!(message.body, Body::Tree(json!({"1": 150})));
    let packed = decode_as(View::MessagePack, b"", &gzip(b"\x81\xa1a\x01")).unwrap();
    assert_eq!(
        (packed.description().as_str(), packed.text(false).as_str()),
        ("gzip, MessagePack", "{\"a\":1}")
    );
    assert!(decode_as(View::Json, b"", b"text").is_err());
    assert!(decode_as(View::Text, b"", b"\xff").is_err());
    assert!(decode_as(View::Kubernetes, b"", b"text").is_err());
}

#[test]
fn who_manages_which_field_is_left_out_of_what_is_shown() {
    let object = json!({"metadata": {"name": "x", "managedFields": [{"manager": "kubectl"}]}});
    let expected = json!({"metadata": {"name": "x", "managedFields": "(left out: kubectl)"}});
    assert_eq!(without_managed_fields(object), expected);
}

#[test]
fn text_and_json_are_edited_as_they_are_and_bytes_as_hexadecimal() {
    let json = Editable::new(b"{\"a\":1}", None).unwrap();
    assert_eq!((json.form(), json.extension()), (&b"{\"a\":1}"[..], "json"));
    assert!(Editable::new(b"\x00\xff", None).is_err());
    assert!(Editable::new(&gzip(b"text"), None).is_err());
    let hex = Editable::new(b"\x00\xff", Some(View::Hex)).unwrap();
    assert_eq!(hex.encode(hex.form()).unwrap(), b"\x00\xff");
    assert!(hex.encode(b"0  zz").is_err());
    assert!(Editable::new(b"\x08\x01", Some(View::Protobuf)).is_err());
}

/// Bytes that look like something: what hostile values begin with.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let heads = prop::sample::select(vec![
        &b""[..],
        b"k8s\0",
        b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12",
        b"k8s:enc:",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
        b"\x28\xb5\x2f\xfd",
        b"{",
        b"[[",
        b"---\n",
    ]);
    // Small bytes make tags, lengths and lengths of lengths.
    let tail = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(prop_oneof![0_u8..40, Just(0x12), Just(0x0a)], 0..300),
    ];
    (heads, tail).prop_map(|(head, tail)| [head.to_vec(), tail].concat())
}

proptest! {
    #[test]
    fn whatever_the_bytes_there_is_a_form(value in hostile()) {
        let decoded = seen(&value);
        let _ = (decoded.text(true), decoded.text(false), decoded.description());
        for view in [
            View::Text, View::Json, View::Kubernetes, View::Protobuf, View::MessagePack, View::Hex,
        ] {
            if let Ok(decoded) = decode_as(view, b"", &value) {
                let _ = decoded.text(true);
            }
        }
    }

    #[test]
    fn what_can_be_edited_encodes_back_to_the_same_bytes(value in hostile()) {
        for view in [None, Some(View::Hex), Some(View::Kubernetes), Some(View::Text)] {
            if let Ok(editable) = Editable::new(&value, view) {
                prop_assert_eq!(editable.encode(editable.form()).unwrap(), value.clone());
            }
        }
    }
}
