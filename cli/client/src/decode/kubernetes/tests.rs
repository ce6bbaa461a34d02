//! Objects as the API server writes them, byte by byte.

use serde_json::{Value, json};

use super::{Object, decode};
use crate::decode::Undecodable;
use crate::decode::wire::{put_bytes, put_varint};

/// A message made of fields: the wire without the table.
#[derive(Default)]
struct Wire(Vec<u8>);

impl Wire {
    fn text(mut self, number: u32, text: &str) -> Self {
        put_bytes(number, text.as_bytes(), &mut self.0);
        self
    }

    fn number(mut self, number: u32, value: i64) -> Self {
        put_varint(number, value as u64, &mut self.0);
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is built where it is put")]
    fn message(mut self, number: u32, message: Self) -> Self {
        put_bytes(number, &message.0, &mut self.0);
        self
    }
}

fn stored(api_version: &str, kind: &str, object: Wire) -> Vec<u8> {
    let type_meta = Wire::default().text(1, api_version).text(2, kind);
    let envelope = Wire::default().message(1, type_meta).message(2, object).text(3, "").text(4, "");
    [b"k8s\0".to_vec(), envelope.0].concat()
}

/// Metadata with every zero that Kubernetes writes.
fn metadata(name: &str, namespace: &str) -> Wire {
    let created = Wire::default().number(1, 1_700_000_000).number(2, 0);
    let head = Wire::default().text(1, name).text(2, "").text(3, namespace).text(4, "");
    let head = head.text(5, "5f3c").text(6, "").number(7, 0).message(8, created);
    head.message(11, Wire::default().text(1, "app").text(2, "web"))
}

fn form(object: &Object) -> Value {
    Value::Object(object.value.clone())
}

#[test]
fn a_secret_has_the_form_kubectl_shows_and_encodes_back() {
    let entry = Wire::default().text(1, "token").text(2, "\u{1}ab");
    let secret = Wire::default().message(1, metadata("db", "prod")).message(2, entry);
    let bytes = stored("v1", "Secret", secret.text(3, "Opaque"));
    let object = decode(&bytes).unwrap();
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "db",
            "namespace": "prod",
            "uid": "5f3c",
            "creationTimestamp": "2023-11-14T22:13:20Z",
            "labels": {"app": "web"},
        },
        "data": {"token": "AWFi"},
        "type": "Opaque",
    });
    assert_eq!(form(&object), expected);
    assert_eq!(object.name(), "v1 Secret prod/db");
    assert_eq!(object.encode().unwrap(), bytes);
}

#[test]
fn ports_may_be_numbers_or_names_and_a_lease_has_microseconds() {
    let named = Wire::default().number(1, 1).number(2, 0).text(3, "http");
    let port = Wire::default().text(1, "").text(2, "TCP").number(3, 80).message(4, named);
    let spec = Wire::default().message(1, port.number(5, 0));
    let service = Wire::default().message(1, metadata("web", "prod")).message(2, spec);
    let object = decode(&stored("v1", "Service", service)).unwrap();
    let ports = json!([{"protocol": "TCP", "port": 80, "targetPort": "http"}]);
    assert_eq!(form(&object)["spec"]["ports"], ports);

    let renewed = Wire::default().number(1, 1_700_000_000).number(2, 120_000);
    let spec = Wire::default().text(1, "node-1").number(2, 40).message(4, renewed);
    let lease = Wire::default().message(1, metadata("node-1", "kube-node-lease")).message(2, spec);
    let bytes = stored("coordination.k8s.io/v1", "Lease", lease);
    let object = decode(&bytes).unwrap();
    assert_eq!(form(&object)["spec"]["renewTime"], "2023-11-14T22:13:20.000120Z");
    assert_eq!(object.encode().unwrap(), bytes);
}

#[test]
fn fields_of_an_inlined_message_belong_to_its_parent() {
    let empty_dir = Wire::default().message(2, Wire::default().text(1, ""));
    let volume = Wire::default().text(1, "scratch").message(2, empty_dir);
    let spec = Wire::default().message(1, volume);
    let pod = Wire::default().message(1, metadata("web", "prod")).message(2, spec);
    let object = decode(&stored("v1", "Pod", pod)).unwrap();
    let volumes = json!([{"name": "scratch", "emptyDir": {}}]);
    assert_eq!(form(&object)["spec"]["volumes"], volumes);
}

#[test]
fn of_a_kind_that_is_not_known_the_metadata_is_shown_and_the_rest_by_number() {
    let spec = Wire::default().text(1, "value").number(9, -1);
    let other = Wire::default().message(1, metadata("x", "")).message(2, spec);
    let object = decode(&stored("example.com/v1", "Other", other)).unwrap();
    assert_eq!(form(&object)["metadata"]["name"], "x");
    assert_eq!(form(&object)["2"], json!({"1": "value", "9": -1}));
    assert!(object.encode().is_err(), "what is not known is not written");
}

#[test]
fn a_field_newer_than_the_table_is_shown_by_its_number() {
    let object = Wire::default().message(1, metadata("x", "y")).text(1000, "new");
    let object = decode(&stored("v1", "ConfigMap", object)).unwrap();
    assert_eq!(form(&object)["1000"], "new");
    let error = object.encode().unwrap_err().to_string();
    assert_eq!(error, "1000 is no field that is known there");
}

#[test]
fn what_is_cut_or_nested_without_end_is_refused() {
    let whole = stored("v1", "Pod", Wire::default().message(1, metadata("web", "prod")));
    for end in 0..whole.len() {
        // Cut between two fields of the envelope, the rest is whole again.
        let _ = decode(&whole[..end]);
    }
    assert_eq!(decode(&whole[..20]), Err(Undecodable::Truncated));

    // Schemas in schemas: field 28 is `not`.
    let mut schema = Wire::default().text(4, "end");
    for _ in 0..200 {
        schema = Wire::default().message(28, schema);
    }
    let version = Wire::default().text(1, "v1").message(4, Wire::default().message(1, schema));
    let spec = Wire::default().message(7, version);
    let definition = Wire::default().message(1, metadata("x", "")).message(2, spec);
    let bytes = stored("apiextensions.k8s.io/v1", "CustomResourceDefinition", definition);
    assert_eq!(decode(&bytes), Err(Undecodable::TooDeep));
}
