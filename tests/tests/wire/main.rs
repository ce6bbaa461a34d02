//! The wire contract is etcd's, byte for byte.
//!
//! What etcd's API is, we know from a second source: the messages that etcd-client was built
//! from and the types it exposes. Every exposed message is filled with values that differ from
//! field to field, encoded by ours, decoded by theirs, compared field name by field name, and
//! sent back. What etcd-client keeps to itself, and the log entry, is pinned by bytes written
//! by hand.

mod crossings;
mod pins;
mod sample;

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use kvorum_proto as ours;
use kvorum_tests::workspace;
use prost::Message;
use protox::prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use crossings::crossings;
use pins::pins;
use sample::{sample, variants};

/// The fields of the log entry: etcd's, and from 10000 up ours.
const LOG_ENTRY: &[(u32, &str)] = &[
    (1, "ID"),
    (3, "range"),
    (4, "put"),
    (5, "delete_range"),
    (6, "txn"),
    (7, "compaction"),
    (8, "lease_grant"),
    (9, "lease_revoke"),
    (10, "alarm"),
    (11, "lease_checkpoint"),
    (100, "header"),
    (1000, "auth_enable"),
    (1011, "auth_disable"),
    (1012, "authenticate"),
    (1013, "auth_status"),
    (1100, "auth_user_add"),
    (1101, "auth_user_delete"),
    (1102, "auth_user_get"),
    (1103, "auth_user_change_password"),
    (1104, "auth_user_grant_role"),
    (1105, "auth_user_revoke_role"),
    (1106, "auth_user_list"),
    (1107, "auth_role_list"),
    (1200, "auth_role_add"),
    (1201, "auth_role_delete"),
    (1202, "auth_role_get"),
    (1203, "auth_role_grant_permission"),
    (1204, "auth_role_revoke_permission"),
    (1300, "cluster_version_set"),
    (1301, "cluster_member_attr_set"),
    (1302, "downgrade_info_set"),
    (9900, "downgrade_version_test"),
    (10000, "lease_expire"),
];

const LOG_ENTRY_NAME: &str = "etcdserverpb.InternalRaftRequest";

#[test]
fn every_exposed_message_crosses_to_etcd_clients_type_and_back() {
    let contract = our_contract();
    for (name, cross) in crossings() {
        let descriptor = message_named(&contract, name);
        for variant in 0..variants(&descriptor) {
            cross(&sample(&descriptor, variant));
        }
    }
}

#[test]
fn what_etcd_client_keeps_to_itself_has_etcds_bytes() {
    for pin in pins() {
        assert_eq!(pin.encoded, pin.by_hand, "{} encodes otherwise", pin.name);
        assert_eq!(pin.decoded_again.as_deref(), Ok(pin.by_hand), "{} loses fields", pin.name);
    }
}

#[test]
fn the_log_entry_has_etcds_field_numbers_and_ours_above_them() {
    let contract = our_contract();
    let entry = message_named(&contract, LOG_ENTRY_NAME);
    let fields: Vec<(u32, String)> =
        entry.fields().map(|field| (field.number(), field.name().to_owned())).collect();
    let pinned: Vec<(u32, String)> =
        LOG_ENTRY.iter().map(|(number, name)| (*number, (*name).to_owned())).collect();
    assert_eq!(fields, pinned);

    // A few entries as etcd writes them.
    let put = ours::etcdserverpb::PutRequest {
        key: Bytes::from_static(b"k"),
        value: Bytes::from_static(b"v"),
        ..<_>::default()
    };
    let entry = ours::etcdserverpb::InternalRaftRequest {
        id: 5,
        header: Some(ours::etcdserverpb::RequestHeader { id: 5, ..<_>::default() }),
        put: Some(put),
        ..<_>::default()
    };
    assert_eq!(entry.encode_to_vec(), b"\x08\x05\x22\x06\x0a\x01k\x12\x01v\xa2\x06\x02\x08\x05");
    let version = ours::etcdserverpb::InternalRaftRequest {
        cluster_version_set: Some(ours::membershippb::ClusterVersionSetRequest {
            ver: "3.6.0".into(),
        }),
        ..<_>::default()
    };
    assert_eq!(version.encode_to_vec(), b"\xa2\x51\x07\x0a\x053.6.0");
}

#[test]
fn no_message_of_ours_is_forgotten_here() {
    let contract = our_contract();
    let mut known = BTreeSet::from([LOG_ENTRY_NAME.to_lowercase()]);
    known.extend(pins().iter().map(|pin| pin.name.to_lowercase()));
    for name in crossings().keys() {
        reach(&message_named(&contract, name), &mut known);
    }
    let forgotten: Vec<String> = public_messages(&contract)
        .map(|message| message.full_name().to_owned())
        .filter(|name| !known.contains(&name.to_lowercase()))
        .collect();
    assert!(forgotten.is_empty(), "add these to crossings! or pins!: {forgotten:?}");
}

#[test]
fn every_message_enum_and_method_of_etcds_api_is_in_our_contract() {
    let (ours, theirs) = (describe(&our_contract()), describe(&their_contract()));
    let missing: Vec<&String> = theirs.difference(&ours).collect();
    assert!(missing.is_empty(), "etcd has these and we have not: {missing:#?}");

    // The other way round: where both have a message or an enum, we must not have more.
    let owner = |line: &String| line.split_whitespace().nth(1).map(str::to_owned);
    let shared: BTreeSet<_> = theirs.iter().filter_map(owner).collect();
    let extra: Vec<&String> = ours
        .difference(&theirs)
        .filter(|line| owner(line).is_some_and(|owner| shared.contains(&owner)))
        .collect();
    assert!(extra.is_empty(), "we have these and etcd has not: {extra:#?}");
}

fn our_contract() -> DescriptorPool {
    let folder = workspace::root().join("proto");
    let files: Vec<_> = std::fs::read_dir(folder.join("etcd"))
        .expect("the contract's folder is there")
        .map(|entry| entry.expect("a folder can be read").path())
        .collect();
    compile(&folder, &files)
}

fn their_contract() -> DescriptorPool {
    let folder = workspace::folder_of("etcd-client").join("proto");
    compile(
        &folder,
        &[
            "etcd/api/authpb/auth.proto",
            "etcd/api/etcdserverpb/rpc.proto",
            "etcd/api/mvccpb/kv.proto",
            "etcd/server/etcdserver/api/v3election/v3electionpb/v3election.proto",
            "etcd/server/etcdserver/api/v3lock/v3lockpb/v3lock.proto",
        ],
    )
}

fn compile(folder: &Path, files: &[impl AsRef<Path>]) -> DescriptorPool {
    let mut compiler = protox::Compiler::new([folder]).expect("the folder is there");
    compiler.include_imports(true).open_files(files).expect("the contract compiles");
    compiler.descriptor_pool()
}

/// The messages of etcd's own packages.
fn public_messages(contract: &DescriptorPool) -> impl Iterator<Item = MessageDescriptor> + '_ {
    contract.all_messages().filter(|message| is_etcds(message.full_name()))
}

/// Whether a name is of etcd's API rather than of the annotations its files import.
fn is_etcds(name: &str) -> bool {
    !["google.", "grpc.gateway.", "versionpb."].iter().any(|foreign| name.starts_with(foreign))
}

/// The message called `name`, in the spelling of Rust: `HashKvRequest` is `HashKVRequest`.
fn message_named(contract: &DescriptorPool, name: &str) -> MessageDescriptor {
    contract
        .all_messages()
        .find(|message| message.full_name().eq_ignore_ascii_case(name))
        .unwrap_or_else(|| panic!("no message {name} in our contract"))
}

/// Adds a message and all that it holds.
fn reach(message: &MessageDescriptor, known: &mut BTreeSet<String>) {
    if known.insert(message.full_name().to_lowercase()) {
        for field in message.fields() {
            if let Kind::Message(inner) = field.kind() {
                reach(&inner, known);
            }
        }
    }
}

/// A contract as a set of lines `kind owner …`, one for each thing that shows on the wire or
/// in a client's source.
fn describe(contract: &DescriptorPool) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for message in public_messages(contract) {
        let owner = message.full_name();
        lines.insert(format!("message {owner}"));
        for field in message.fields() {
            let (number, name, kind) = (field.number(), field.name(), field.kind());
            let oneof = field.containing_oneof().map(|oneof| oneof.name().to_owned());
            let cardinality = field.cardinality();
            lines.insert(format!(
                "field {owner} {number} {name}: {cardinality:?} {kind:?} {oneof:?}"
            ));
        }
    }
    for values in contract.all_enums().filter(|values| is_etcds(values.full_name())) {
        let owner = values.full_name();
        for value in values.values() {
            lines.insert(format!("enum {owner} {} {}", value.number(), value.name()));
        }
    }
    for service in contract.services() {
        let owner = service.full_name();
        for method in service.methods() {
            let (input, output) = (method.input(), method.output());
            let streams = (method.is_client_streaming(), method.is_server_streaming());
            lines.insert(format!(
                "method {owner} {}({}) {} {streams:?}",
                method.name(),
                input.full_name(),
                output.full_name(),
            ));
        }
    }
    lines
}
