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
//! - A failure names the phase that failed and what to do next ([`Failure`], [`ConnectError`]).
//!
//! Nothing here prints.

mod config;
mod connect;
mod connection;
mod endpoint;
pub mod explore;
mod failure;
mod health;
mod lease;
mod link;
mod operations;
mod range;
mod request;
mod snapshot;
mod tls;
mod watch;

pub use config::{Config, Credentials, Patience, Tls};
pub use connect::{ConnectError, Phase};
pub use connection::Connection;
pub use endpoint::{BadEndpoint, Endpoint, Scheme};
pub use failure::Failure;
pub use health::{Health, Trouble};
pub use lease::KeepAlive;
pub use range::KeyRange;
pub use request::{
    Compare, CompareOp, CompareTarget, Delete, Get, Op, Put, SortOrder, SortTarget, Txn, Watch,
};
pub use snapshot::{SnapshotPart, SnapshotStream};
pub use watch::{ProgressHandle, WatchItem, WatchStream};

/// The answers, as they came over the wire.
pub mod pb {
    pub use etcd_client::proto::{
        PbAlarmMember as AlarmMember, PbAlarmResponse as AlarmResponse,
        PbCompactionResponse as CompactionResponse, PbDeleteResponse as DeleteRangeResponse,
        PbDowngradeInfo as DowngradeInfo, PbEvent as Event, PbKeyValue as KeyValue,
        PbLeaseGrantResponse as LeaseGrantResponse,
        PbLeaseKeepAliveResponse as LeaseKeepAliveResponse,
        PbLeaseLeasesResponse as LeaseLeasesResponse, PbLeaseRevokeResponse as LeaseRevokeResponse,
        PbLeaseStatus as LeaseStatus, PbLeaseTimeToLiveResponse as LeaseTimeToLiveResponse,
        PbMember as Member, PbMemberListResponse as MemberListResponse,
        PbPutResponse as PutResponse, PbRangeResponse as RangeResponse,
        PbResponseHeader as ResponseHeader, PbResponseOp as ResponseOp,
        PbStatusResponse as StatusResponse, PbTxnOpResponse as ResponseOpKind,
        PbTxnResponse as TxnResponse, PbWatchResponse as WatchResponse,
    };

    /// [`Event::type`] of a deletion; a put is 0.
    pub const EVENT_DELETE: i32 = 1;
}
