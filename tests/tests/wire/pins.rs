//! The messages that etcd-client keeps to itself, with their bytes written by hand.

use bytes::Bytes;
use kvorum_proto as ours;
use prost::Message;

/// A message whose bytes were written down by hand.
pub(crate) struct Pin {
    pub(crate) name: &'static str,
    pub(crate) encoded: Vec<u8>,
    pub(crate) decoded_again: Result<Vec<u8>, prost::DecodeError>,
    pub(crate) by_hand: &'static [u8],
}

/// Every field is named, so that a new one does not compile until its bytes are written.
macro_rules! pins {
    ($($package:ident::$message:ident { $($field:ident: $value:expr),* } = $bytes:literal;)*) => {
        pub(crate) fn pins() -> Vec<Pin> {
            vec![$({
                let message = ours::$package::$message { $($field: $value),* };
                Pin {
                    name: concat!(stringify!($package), ".", stringify!($message)),
                    encoded: message.encode_to_vec(),
                    decoded_again: <ours::$package::$message>::decode(&$bytes[..])
                        .map(|message| message.encode_to_vec()),
                    by_hand: $bytes,
                }
            }),*]
        }
    };
}

pins! {
    etcdserverpb::AuthStatusRequest {} = b"";
    etcdserverpb::AuthStatusResponse {
        header: Some(header()), enabled: true, auth_revision: 9
    } = b"\x0a\x08\x08\x01\x10\x02\x18\x03\x20\x04\x10\x01\x18\x09";
    etcdserverpb::LeaseCheckpoint { id: 7, remaining_ttl: 5 } = b"\x08\x07\x10\x05";
    etcdserverpb::LeaseCheckpointRequest {
        checkpoints: vec![ours::etcdserverpb::LeaseCheckpoint { id: 7, remaining_ttl: 5 }]
    } = b"\x0a\x04\x08\x07\x10\x05";
    etcdserverpb::LeaseCheckpointResponse {
        header: Some(header())
    } = b"\x0a\x08\x08\x01\x10\x02\x18\x03\x20\x04";
    etcdserverpb::DowngradeVersionTestRequest { ver: "3.6".into() } = b"\x0a\x033.6";

    v3electionpb::CampaignRequest {
        name: text("n"), lease: 7, value: text("v")
    } = b"\x0a\x01n\x10\x07\x1a\x01v";
    v3electionpb::LeaderRequest { name: text("n") } = b"\x0a\x01n";
    v3electionpb::ResignRequest {
        leader: Some(leader())
    } = b"\x0a\x0a\x0a\x01n\x12\x01k\x18\x05\x20\x07";
    v3electionpb::ProclaimRequest {
        leader: Some(leader()), value: text("v")
    } = b"\x0a\x0a\x0a\x01n\x12\x01k\x18\x05\x20\x07\x12\x01v";
    v3lockpb::LockRequest { name: text("n"), lease: 7 } = b"\x0a\x01n\x10\x07";
    v3lockpb::UnlockRequest { key: text("k") } = b"\x0a\x01k";

    authpb::User {
        name: text("u"), password: text("p"), roles: vec!["r".into()],
        options: Some(ours::authpb::UserAddOptions { no_password: true })
    } = b"\x0a\x01u\x12\x01p\x1a\x01r\x22\x02\x08\x01";
    authpb::Role {
        name: text("r"),
        key_permission: vec![ours::authpb::Permission {
            perm_type: ours::authpb::permission::Type::Readwrite as i32,
            key: text("k"),
            range_end: text("z"),
        }]
    } = b"\x0a\x01r\x12\x08\x08\x02\x12\x01k\x1a\x01z";
    leasepb::Lease { id: 7, ttl: 60, remaining_ttl: 5 } = b"\x08\x07\x10\x3c\x18\x05";

    membershippb::RaftAttributes {
        peer_urls: vec!["p".into()], is_learner: true
    } = b"\x0a\x01p\x10\x01";
    membershippb::Attributes {
        name: "m".into(), client_urls: vec!["c".into()], incarnation: 5
    } = b"\x0a\x01m\x12\x01c\xc0\x3e\x05";
    membershippb::Member {
        id: 1,
        raft_attributes: Some(ours::membershippb::RaftAttributes {
            peer_urls: vec!["p".into()],
            is_learner: true,
        }),
        member_attributes: Some(attributes())
    } = b"\x08\x01\x12\x05\x0a\x01p\x10\x01\x1a\x06\x0a\x01m\x12\x01c";
    membershippb::ClusterVersionSetRequest { ver: "3.6.0".into() } = b"\x0a\x053.6.0";
    membershippb::ClusterMemberAttrSetRequest {
        member_id: 1, member_attributes: Some(attributes())
    } = b"\x08\x01\x12\x06\x0a\x01m\x12\x01c";
    membershippb::DowngradeInfoSetRequest {
        enabled: true, ver: "3.6".into()
    } = b"\x08\x01\x12\x033.6";

    etcdserverpb::RequestHeader {
        id: 1, username: "u".into(), auth_revision: 9, of_member: true
    } = b"\x08\x01\x12\x01u\x18\x09\x80\xf1\x04\x01";
    etcdserverpb::InternalAuthenticateRequest {
        name: "u".into(), password: "p".into(), simple_token: "t".into()
    } = b"\x0a\x01u\x12\x01p\x1a\x01t";
    etcdserverpb::EmptyResponse {} = b"";
    etcdserverpb::LeaseExpireRequest { i_ds: vec![7, 8], term: 3 } = b"\x0a\x02\x07\x08\x10\x03";
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn header() -> ours::etcdserverpb::ResponseHeader {
    ours::etcdserverpb::ResponseHeader { cluster_id: 1, member_id: 2, revision: 3, raft_term: 4 }
}

fn leader() -> ours::v3electionpb::LeaderKey {
    ours::v3electionpb::LeaderKey { name: text("n"), key: text("k"), rev: 5, lease: 7 }
}

fn attributes() -> ours::membershippb::Attributes {
    ours::membershippb::Attributes {
        name: "m".into(),
        client_urls: vec!["c".into()],
        ..Default::default()
    }
}
