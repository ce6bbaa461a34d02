//! What both terminals do with a cluster, and no terminal: connecting, the operations, watching,
//! and exploring a keyspace too large to list.
//!
//! - A [`Connection`] is one handle for everything. It is cheap to clone, every method takes
//!   `&self`, and **dropping a future cancels what it was doing**.
//! - Requests are plain data ([`Get`], [`Put`], [`Delete`], [`Txn`], [`Watch`]); answers are the
//!   messages of the wire ([`pb`]), because a printer needs every field.
//! - A request that was never sent is tried at the next endpoint. One that may have been sent is
//!   repeated only if it reads; a write whose outcome is unknown is reported as
//!   such and never sent twice.
//! - Every request passes one gate, which keeps a read-only connection from changing anything.
//! - A failure names its cause and what to do next ([`Failure`], [`ConnectError`]).
//!
//! Nothing here prints.

mod auth;
mod boot_clock;
pub mod bundle;
pub mod change;
mod cluster;
mod config;
mod connect;
mod connection;
pub mod contexts;
mod crew;
pub mod decode;
pub mod deliver;
mod discover;
pub mod doctor;
pub mod edit;
mod election;
mod endpoint;
mod escape;
mod exact;
pub mod explore;
mod failure;
pub mod flatten;
pub mod follow;
mod gate;
mod health;
mod hot;
mod http;
mod lease;
mod link;
mod load;
mod maintenance;
mod memory;
mod mirror;
mod mutex;
pub mod naming;
mod operations;
mod queue;
mod range;
mod request;
mod sequence;
mod session;
mod snapshot;
mod tls;
pub mod transfer;
pub mod travel;
mod unary;
mod watch;

pub use auth::Access;
pub use config::{Config, Credentials, Patience, Tls, Token};
pub use connect::{Cause, ConnectError, Greeting, Phase};
pub use connection::Connection;
pub use crew::{Crew, Hand};
pub use discover::{Discovered, Discovery};
pub use election::Observer;
pub use endpoint::{BadEndpoint, Endpoint, Scheme};
pub use failure::Failure;
pub use gate::{MAX_NOTED, READS, ReadOnly, Rpc};
pub use health::{Health, Trouble};
pub use hot::{Heat, Hot, HotFold, HotReport, MAX_NAMES};
pub use lease::KeepAlive;
pub use load::{Amount, Load, LoadReport, LoadRun};
pub use maintenance::Downgrade;
pub use memory::MemoryError;
pub use mirror::{Mirror, MirrorPlan};
pub use mutex::{Ahead, HeldLock, LockError, Tried};
pub use range::KeyRange;
pub use request::{
    Compare, CompareOp, CompareTarget, Delete, Get, Op, Put, SortOrder, SortTarget, Txn, Watch,
};
pub use sequence::{MAX_ITEMS, Placed, Sequence, SequenceError};
pub use session::LeaseSession;
pub use snapshot::{SnapshotPart, SnapshotStream};
pub use tls::{Certificate, FileTrouble, KeyKind, Moment, Role};
pub use watch::{ProgressHandle, WatchItem, WatchStream};

/// The answers, as they came over the wire.
pub mod pb {
    pub use etcd_client::proto::{
        PbAlarmMember as AlarmMember, PbAlarmResponse as AlarmResponse,
        PbAuthDisableResponse as AuthDisableResponse, PbAuthEnableResponse as AuthEnableResponse,
        PbAuthRoleAddResponse as RoleAddResponse, PbAuthRoleDeleteResponse as RoleDeleteResponse,
        PbAuthRoleGetResponse as RoleGetResponse,
        PbAuthRoleGrantPermissionResponse as RoleGrantPermissionResponse,
        PbAuthRoleListResponse as RoleListResponse,
        PbAuthRoleRevokePermissionResponse as RoleRevokePermissionResponse,
        PbAuthUserAddResponse as UserAddResponse,
        PbAuthUserChangePasswordResponse as UserChangePasswordResponse,
        PbAuthUserDeleteResponse as UserDeleteResponse, PbAuthUserGetResponse as UserGetResponse,
        PbAuthUserGrantRoleResponse as UserGrantRoleResponse,
        PbAuthUserListResponse as UserListResponse,
        PbAuthUserRevokeRoleResponse as UserRevokeRoleResponse,
        PbCompactionResponse as CompactionResponse, PbDefragmentResponse as DefragmentResponse,
        PbDeleteResponse as DeleteRangeResponse, PbDowngradeInfo as DowngradeInfo,
        PbDowngradeResponse as DowngradeResponse, PbEvent as Event,
        PbHashKvResponse as HashKvResponse, PbKeyValue as KeyValue,
        PbLeaseGrantResponse as LeaseGrantResponse,
        PbLeaseKeepAliveResponse as LeaseKeepAliveResponse,
        PbLeaseLeasesResponse as LeaseLeasesResponse, PbLeaseRevokeResponse as LeaseRevokeResponse,
        PbLeaseStatus as LeaseStatus, PbLeaseTimeToLiveResponse as LeaseTimeToLiveResponse,
        PbMember as Member, PbMemberAddResponse as MemberAddResponse,
        PbMemberListResponse as MemberListResponse,
        PbMemberPromoteResponse as MemberPromoteResponse,
        PbMemberRemoveResponse as MemberRemoveResponse,
        PbMemberUpdateResponse as MemberUpdateResponse, PbMoveLeaderResponse as MoveLeaderResponse,
        PbPutResponse as PutResponse, PbRangeResponse as RangeResponse,
        PbResponseHeader as ResponseHeader, PbResponseOp as ResponseOp,
        PbStatusResponse as StatusResponse, PbTxnOpResponse as ResponseOpKind,
        PbTxnResponse as TxnResponse, PbWatchResponse as WatchResponse,
    };
    // etcd-client does not have it.
    pub use kvorum_proto::etcdserverpb::AuthStatusResponse;

    /// [`Event::type`] of a deletion; a put is 0.
    pub const EVENT_DELETE: i32 = 1;
}
