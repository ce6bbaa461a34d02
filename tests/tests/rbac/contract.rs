//! The table asks every method of the contract, with every field of its messages: one that is new
//! must be asked with, or be named here as one that matters to nobody.

use std::collections::BTreeSet;

use kvorum_proto::DESCRIPTORS;
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use serde_json::Value;

use crate::matrix::forms;
use crate::paths::path_of;

/// A message of the contract, and one of its fields.
type Field = (String, String);

/// They reveal and change nothing, whatever they say: they are about the caller's own stream.
const HARMLESS: &[(&str, &str, &str)] = &[
    ("Watch/Watch", "WatchRequest", "cancel_request"),
    ("Watch/Watch", "WatchRequest", "progress_request"),
    ("Watch/Watch", "WatchCancelRequest", "watch_id"),
];

#[test]
fn the_forms_ask_every_method_with_every_field() {
    let mut missing = Vec::new();
    let forms = forms();
    let mut known: BTreeSet<&str> = forms.iter().map(|form| form.method).collect();
    for method in described() {
        let name = format!("{}/{}", method.parent_service().name(), method.name());
        assert!(known.remove(&*name), "nobody asks {name}");
        let input = method.input();
        let of_method = forms.iter().filter(|form| form.method == name);
        let touched: BTreeSet<_> =
            of_method.flat_map(|form| touched(&input, &form.message)).collect();
        let is_harmless = |(message, field): &Field| {
            HARMLESS.contains(&(name.as_str(), message.as_str(), field.as_str()))
        };
        let untouched = all(&input).into_iter().filter(|field| !touched.contains(field));
        missing.extend(
            untouched.filter(|field| !is_harmless(field)).map(|field| (name.clone(), field)),
        );
    }
    assert!(known.is_empty(), "the contract does not have {known:?}");
    assert!(missing.is_empty(), "no form has these fields: {missing:#?}");
}

#[test]
fn the_gateway_has_every_method_but_the_one_etcd_leaves_out() {
    for method in described() {
        let name = format!("{}/{}", method.parent_service().name(), method.name());
        assert_eq!(path_of(&name).is_none(), name == "KV/RangeStream", "{name}");
    }
}

/// The public methods of the descriptors the member itself is made from.
fn described() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("the descriptors are our own");
    let public = ["etcdserverpb", "v3lockpb", "v3electionpb"];
    let services = pool.services().filter(|service| public.contains(&service.package_name()));
    services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

/// Every field of a message, and of the messages in it.
fn all(message: &MessageDescriptor) -> BTreeSet<Field> {
    let mut seen = BTreeSet::new();
    add_all(message, &mut seen);
    seen
}

fn add_all(message: &MessageDescriptor, seen: &mut BTreeSet<Field>) {
    for field in message.fields() {
        if seen.insert(named(&field))
            && let Kind::Message(inner) = field.kind()
        {
            add_all(&inner, seen);
        }
    }
}

/// The fields that a message in JSON has.
fn touched(message: &MessageDescriptor, json: &Value) -> BTreeSet<Field> {
    let mut seen = BTreeSet::new();
    add_touched(message, json, &mut seen);
    seen
}

fn add_touched(message: &MessageDescriptor, json: &Value, seen: &mut BTreeSet<Field>) {
    let Some(fields) = json.as_object() else { return };
    for (name, value) in fields {
        let field = message.get_field_by_name(name);
        let field = field.or_else(|| message.get_field_by_json_name(name));
        let field = field.unwrap_or_else(|| panic!("{} has no {name}", message.full_name()));
        seen.insert(named(&field));
        let Kind::Message(inner) = field.kind() else { continue };
        match value {
            Value::Array(values) => {
                for value in values {
                    add_touched(&inner, value, seen);
                }
            }
            value => add_touched(&inner, value, seen),
        }
    }
}

fn named(field: &FieldDescriptor) -> Field {
    (field.parent_message().name().to_owned(), field.name().to_owned())
}
