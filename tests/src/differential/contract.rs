//! etcd's methods by name, with their messages as JSON.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions, UnknownField,
    Value as Field,
};
use serde::de::DeserializeSeed;
use serde_json::Value;
use tonic::codegen::http::uri::PathAndQuery;

use crate::workspace;

/// A method, for example `KV/Range`.
#[derive(Debug)]
pub struct Method {
    pub name: String,
    pub path: PathAndQuery,
    input: MessageDescriptor,
    output: MessageDescriptor,
}

/// Every public method of etcd's API, by service and name without the package.
pub fn methods() -> &'static BTreeMap<String, Method> {
    static METHODS: OnceLock<BTreeMap<String, Method>> = OnceLock::new();
    METHODS.get_or_init(|| {
        let public = ["etcdserverpb", "v3lockpb", "v3electionpb", "grpc.health.v1"];
        let health = DescriptorPool::decode(tonic_health::pb::FILE_DESCRIPTOR_SET);
        let pools = [compiled(), health.expect("the contract of health is one")];
        let services = pools.iter().flat_map(DescriptorPool::services);
        let services = services.filter(|service| public.contains(&service.package_name()));
        let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
        methods
            .map(|method| {
                let service = method.parent_service();
                let name = format!("{}/{}", service.name(), method.name());
                let path = format!("/{}/{}", service.full_name(), method.name());
                let path = PathAndQuery::try_from(path).expect("names make a path");
                let (input, output) = (method.input(), method.output());
                (name.clone(), Method { name, path, input, output })
            })
            .collect()
    })
}

pub fn method(name: &str) -> &'static Method {
    methods().get(name).unwrap_or_else(|| panic!("etcd has no method {name}"))
}

impl Method {
    /// What its requests are made of.
    pub fn input(&self) -> &MessageDescriptor {
        &self.input
    }

    /// The bytes of a request.
    pub fn encode(&self, request: &Value) -> Bytes {
        let message = self.input.clone().deserialize(request);
        let message = message.unwrap_or_else(|error| panic!("{}: {error}: {request}", self.name));
        message.encode_to_vec().into()
    }

    /// An answer as JSON: etcd's own field names, enums as numbers, defaults left out. A field that
    /// the contract does not have is none of the method's.
    pub fn decode(&self, answer: Bytes) -> Result<Value, String> {
        let options = SerializeOptions::new().use_proto_field_name(true).use_enum_numbers(true);
        let message = DynamicMessage::decode(self.output.clone(), answer);
        let message = message.map_err(|error| error.to_string())?;
        if let Some(field) = unknown_field(&message) {
            return Err(format!("it has an unknown field {field}"));
        }
        message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .map_err(|error| error.to_string())
    }
}

fn unknown_field(message: &DynamicMessage) -> Option<u32> {
    let here = message.unknown_fields().next().map(UnknownField::number);
    here.or_else(|| message.fields().find_map(|(_, value)| unknown_field_in(value)))
}

fn unknown_field_in(value: &Field) -> Option<u32> {
    match value {
        Field::Message(message) => unknown_field(message),
        Field::List(list) => list.iter().find_map(unknown_field_in),
        Field::Map(map) => map.values().find_map(unknown_field_in),
        _ => None,
    }
}

/// Bytes as protobuf's JSON has them.
pub fn base64(bytes: impl AsRef<[u8]>) -> Value {
    STANDARD.encode(bytes).into()
}

/// The bytes of a JSON string; none if it holds something else.
pub fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(value.as_str()?).ok()
}

/// A 64-bit number of an answer, which JSON has as a string and leaves out when it is zero.
pub fn number(value: &Value) -> i64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn compiled() -> DescriptorPool {
    let folder = workspace::root().join("proto");
    let entries = std::fs::read_dir(folder.join("etcd")).expect("the contract's folder is there");
    let files = entries.map(|entry| entry.expect("a folder can be read").path());
    let mut compiler = protox::Compiler::new([&folder]).expect("the folder is there");
    compiler.include_imports(true).open_files(files).expect("the contract compiles");
    compiler.descriptor_pool()
}

/// Where the gateway has a method: `google.api.http` in etcd's rpc.proto, v3lock.proto and
/// v3election.proto.
pub fn gateway_path(method: &str) -> &'static str {
    let found = GATEWAY.iter().find(|(name, _)| *name == method);
    found.unwrap_or_else(|| panic!("the gateway has no {method}")).1
}

pub const GATEWAY: &[(&str, &str)] = &[
    ("KV/Range", "/v3/kv/range"),
    ("KV/Put", "/v3/kv/put"),
    ("KV/DeleteRange", "/v3/kv/deleterange"),
    ("KV/Txn", "/v3/kv/txn"),
    ("KV/Compact", "/v3/kv/compaction"),
    ("Watch/Watch", "/v3/watch"),
    ("Lease/LeaseGrant", "/v3/lease/grant"),
    ("Lease/LeaseRevoke", "/v3/lease/revoke"),
    ("Lease/LeaseKeepAlive", "/v3/lease/keepalive"),
    ("Lease/LeaseTimeToLive", "/v3/lease/timetolive"),
    ("Lease/LeaseLeases", "/v3/lease/leases"),
    ("Cluster/MemberList", "/v3/cluster/member/list"),
    ("Maintenance/Alarm", "/v3/maintenance/alarm"),
    ("Maintenance/Status", "/v3/maintenance/status"),
    ("Maintenance/Defragment", "/v3/maintenance/defragment"),
    ("Maintenance/Hash", "/v3/maintenance/hash"),
    ("Maintenance/HashKV", "/v3/maintenance/hashkv"),
    ("Maintenance/Snapshot", "/v3/maintenance/snapshot"),
    ("Maintenance/MoveLeader", "/v3/maintenance/transfer-leadership"),
    ("Auth/AuthEnable", "/v3/auth/enable"),
    ("Auth/AuthDisable", "/v3/auth/disable"),
    ("Auth/Authenticate", "/v3/auth/authenticate"),
    ("Auth/UserAdd", "/v3/auth/user/add"),
    ("Auth/UserGet", "/v3/auth/user/get"),
    ("Auth/UserList", "/v3/auth/user/list"),
    ("Auth/UserDelete", "/v3/auth/user/delete"),
    ("Auth/UserChangePassword", "/v3/auth/user/changepw"),
    ("Auth/UserGrantRole", "/v3/auth/user/grant"),
    ("Auth/UserRevokeRole", "/v3/auth/user/revoke"),
    ("Auth/RoleAdd", "/v3/auth/role/add"),
    ("Auth/RoleGet", "/v3/auth/role/get"),
    ("Auth/RoleList", "/v3/auth/role/list"),
    ("Auth/RoleDelete", "/v3/auth/role/delete"),
    ("Auth/RoleGrantPermission", "/v3/auth/role/grant"),
    ("Auth/RoleRevokePermission", "/v3/auth/role/revoke"),
    ("Lock/Lock", "/v3/lock/lock"),
    ("Lock/Unlock", "/v3/lock/unlock"),
    ("Election/Campaign", "/v3/election/campaign"),
    ("Election/Proclaim", "/v3/election/proclaim"),
    ("Election/Leader", "/v3/election/leader"),
    ("Election/Observe", "/v3/election/observe"),
    ("Election/Resign", "/v3/election/resign"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_may_hold_what_no_client_would_send() {
        let range = method("KV/Range");
        let request = json!({"key": base64(b"\0\xff"), "sort_order": 99, "limit": "-1"});
        let bytes = range.encode(&request);
        let message = DynamicMessage::decode(range.input.clone(), bytes).expect("it is a message");
        let sort = message.get_field_by_name("sort_order").expect("the field is there");
        assert_eq!(sort.as_enum_number(), Some(99));
    }

    #[test]
    fn an_answer_leaves_defaults_out_and_keeps_what_is_present() {
        let put = method("KV/Put");
        let answer = Bytes::from_static(&[0x0a, 0x00]);
        assert_eq!(put.decode(answer), Ok(json!({"header": {}})));
    }

    #[test]
    fn an_answer_has_no_fields_that_the_contract_has_not() {
        let put = method("KV/Put");
        // The first is a field of the answer, the second one of its header.
        for answer in [&[0xf8, 0x01, 0x01][..], &[0x0a, 0x03, 0xf8, 0x01, 0x01]] {
            assert!(put.decode(Bytes::from_static(answer)).is_err());
        }
    }
}
