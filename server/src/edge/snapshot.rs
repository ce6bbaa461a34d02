//! A snapshot of the member as a file in etcd's format.

use std::pin::Pin;

use kvorum_proto::etcdserverpb::SnapshotResponse;
use tokio_stream::Stream;
use tonic::Status;

use super::status::not_yet;
use crate::runtime::Handle;

pub(super) type SnapshotStream =
    Pin<Box<dyn Stream<Item = Result<SnapshotResponse, Status>> + Send>>;

pub(super) fn snapshot(_: &Handle) -> Result<SnapshotStream, Status> {
    Err(not_yet("taking a snapshot is"))
}
