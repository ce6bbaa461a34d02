//! The messages that exist as types on both sides: ours, and what etcd-client exposes.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

use etcd_client::proto as theirs;
use kvorum_proto as ours;
use prost::Message;
use protox::prost_reflect::{DynamicMessage, ReflectMessage};

/// The messages that exist on both sides as types.
macro_rules! crossings {
    ($($package:ident { $($message:ident = $pb:ident,)* })*) => {
        /// The check of each message, by our name for it.
        pub(crate) fn crossings() -> BTreeMap<&'static str, fn(&DynamicMessage)> {
            BTreeMap::from([$($((
                concat!(stringify!($package), ".", stringify!($message)),
                cross::<ours::$package::$message, theirs::$pb> as fn(&DynamicMessage),
            )),*),*])
        }
    };
}

crossings! {
    mvccpb {
        KeyValue = PbKeyValue,
        Event = PbEvent,
    }
    etcdserverpb {
        ResponseHeader = PbResponseHeader,
        RangeRequest = PbRangeRequest,
        RangeResponse = PbRangeResponse,
        RangeStreamResponse = PbRangeStreamResponse,
        PutRequest = PbPutRequest,
        PutResponse = PbPutResponse,
        DeleteRangeRequest = PbDeleteRequest,
        DeleteRangeResponse = PbDeleteResponse,
        RequestOp = PbTxnRequestOp,
        ResponseOp = PbResponseOp,
        Compare = PbCompare,
        TxnRequest = PbTxnRequest,
        TxnResponse = PbTxnResponse,
        CompactionRequest = PbCompactionRequest,
        CompactionResponse = PbCompactionResponse,
        HashRequest = PbHashRequest,
        HashResponse = PbHashResponse,
        HashKvRequest = PbHashKvRequest,
        HashKvResponse = PbHashKvResponse,
        SnapshotRequest = PbSnapshotRequest,
        SnapshotResponse = PbSnapshotResponse,
        WatchRequest = PbWatchRequest,
        WatchResponse = PbWatchResponse,
        LeaseGrantRequest = PbLeaseGrantRequest,
        LeaseGrantResponse = PbLeaseGrantResponse,
        LeaseRevokeRequest = PbLeaseRevokeRequest,
        LeaseRevokeResponse = PbLeaseRevokeResponse,
        LeaseKeepAliveRequest = PbLeaseKeepAliveRequest,
        LeaseKeepAliveResponse = PbLeaseKeepAliveResponse,
        LeaseTimeToLiveRequest = PbLeaseTimeToLiveRequest,
        LeaseTimeToLiveResponse = PbLeaseTimeToLiveResponse,
        LeaseLeasesRequest = PbLeaseLeasesRequest,
        LeaseStatus = PbLeaseStatus,
        LeaseLeasesResponse = PbLeaseLeasesResponse,
        Member = PbMember,
        MemberAddRequest = PbMemberAddRequest,
        MemberAddResponse = PbMemberAddResponse,
        MemberRemoveRequest = PbMemberRemoveRequest,
        MemberRemoveResponse = PbMemberRemoveResponse,
        MemberUpdateRequest = PbMemberUpdateRequest,
        MemberUpdateResponse = PbMemberUpdateResponse,
        MemberListRequest = PbMemberListRequest,
        MemberListResponse = PbMemberListResponse,
        MemberPromoteRequest = PbMemberPromoteRequest,
        MemberPromoteResponse = PbMemberPromoteResponse,
        DefragmentRequest = PbDefragmentRequest,
        DefragmentResponse = PbDefragmentResponse,
        MoveLeaderRequest = PbMoveLeaderRequest,
        MoveLeaderResponse = PbMoveLeaderResponse,
        AlarmRequest = PbAlarmRequest,
        AlarmMember = PbAlarmMember,
        AlarmResponse = PbAlarmResponse,
        DowngradeRequest = PbDowngradeRequest,
        DowngradeResponse = PbDowngradeResponse,
        DowngradeInfo = PbDowngradeInfo,
        StatusRequest = PbStatusRequest,
        StatusResponse = PbStatusResponse,
        AuthEnableRequest = PbAuthEnableRequest,
        AuthEnableResponse = PbAuthEnableResponse,
        AuthDisableRequest = PbAuthDisableRequest,
        AuthDisableResponse = PbAuthDisableResponse,
        AuthenticateRequest = PbAuthenticateRequest,
        AuthenticateResponse = PbAuthenticateResponse,
        AuthUserAddRequest = PbAuthUserAddRequest,
        AuthUserAddResponse = PbAuthUserAddResponse,
        AuthUserGetRequest = PbAuthUserGetRequest,
        AuthUserGetResponse = PbAuthUserGetResponse,
        AuthUserListRequest = PbAuthUserListRequest,
        AuthUserListResponse = PbAuthUserListResponse,
        AuthUserDeleteRequest = PbAuthUserDeleteRequest,
        AuthUserDeleteResponse = PbAuthUserDeleteResponse,
        AuthUserChangePasswordRequest = PbAuthUserChangePasswordRequest,
        AuthUserChangePasswordResponse = PbAuthUserChangePasswordResponse,
        AuthUserGrantRoleRequest = PbAuthUserGrantRoleRequest,
        AuthUserGrantRoleResponse = PbAuthUserGrantRoleResponse,
        AuthUserRevokeRoleRequest = PbAuthUserRevokeRoleRequest,
        AuthUserRevokeRoleResponse = PbAuthUserRevokeRoleResponse,
        AuthRoleAddRequest = PbAuthRoleAddRequest,
        AuthRoleAddResponse = PbAuthRoleAddResponse,
        AuthRoleGetRequest = PbAuthRoleGetRequest,
        AuthRoleGetResponse = PbAuthRoleGetResponse,
        AuthRoleListRequest = PbAuthRoleListRequest,
        AuthRoleListResponse = PbAuthRoleListResponse,
        AuthRoleDeleteRequest = PbAuthRoleDeleteRequest,
        AuthRoleDeleteResponse = PbAuthRoleDeleteResponse,
        AuthRoleGrantPermissionRequest = PbAuthRoleGrantPermissionRequest,
        AuthRoleGrantPermissionResponse = PbAuthRoleGrantPermissionResponse,
        AuthRoleRevokePermissionRequest = PbAuthRoleRevokePermissionRequest,
        AuthRoleRevokePermissionResponse = PbAuthRoleRevokePermissionResponse,
    }
    v3electionpb {
        LeaderKey = PbLeaderKey,
        CampaignResponse = PbCampaignResponse,
        LeaderResponse = PbLeaderResponse,
        ResignResponse = PbResignResponse,
        ProclaimResponse = PbProclaimResponse,
    }
    v3lockpb {
        LockResponse = PbLockResponse,
        UnlockResponse = PbUnlockResponse,
    }
}

/// Sends one sample to their type and back, and compares it on both sides.
fn cross<Ours, Theirs>(sample: &DynamicMessage)
where
    Ours: Message + Default + Debug + PartialEq,
    Theirs: Message + Default + Debug,
{
    let name = sample.descriptor().full_name().to_owned();
    let bytes = sample.encode_to_vec();
    let ours = Ours::decode(&bytes[..]).unwrap_or_else(|e| panic!("ours refuses {name}: {e}"));
    let sent = ours.encode_to_vec();
    assert_eq!(sent, bytes, "ours loses something of {name}: {ours:?}");
    let theirs = Theirs::decode(&sent[..]).unwrap_or_else(|e| panic!("etcd refuses {name}: {e}"));
    same_meaning(sample, &ours, &theirs);
    let back = Ours::decode(&theirs.encode_to_vec()[..]);
    assert_eq!(back.as_ref(), Ok(&ours), "{name} comes back changed");
}

/// Compares by the names of the fields. A message with a secret does not show it: there each text
/// of the sample is to have its name.
fn same_meaning(sample: &DynamicMessage, ours: &impl Debug, theirs: &impl Debug) {
    let (name, ours, theirs) =
        (sample.descriptor().full_name().to_owned(), shown(ours), shown(theirs));
    if !ours.ends_with(".. }") {
        assert_eq!(ours, theirs, "{name} means something else to etcd-client");
    }
    // One writes `hashedPassword` and the other `hashed_password`.
    let plain = |text: &str| text.replace('_', "").to_lowercase();
    for (field, value) in sample.fields() {
        let Some(text) = value.as_str() else { continue };
        let told = plain(&format!("{}: {text:?}", field.name()));
        assert!(plain(&theirs).contains(&told), "{name}: no {told} in {theirs}");
    }
}

/// A message as text with its field names. Ours holds `Bytes`, shown as `b"a"`; theirs holds
/// vectors, shown as `[97]`; the samples' bytes are letters and digits only.
fn shown(message: &impl Debug) -> String {
    let text = format!("{message:?}");
    let mut parts = text.split("b\"");
    let mut normal = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (letters, rest) = part.split_once('"').expect("a byte string ends");
        write!(normal, "{:?}{rest}", letters.as_bytes()).expect("text can be appended to");
    }
    normal
}
