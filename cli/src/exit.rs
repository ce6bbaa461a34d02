//! Exit codes, etcdctl's.

pub const ERROR: u8 = 1;
pub const BAD_CONNECTION: u8 = 2;
/// A line read by `txn` or `watch -i` makes no sense.
pub const INVALID_INPUT: u8 = 3;
pub const BAD_FEATURE: u8 = 4;
/// The server ended a watch.
pub const INTERRUPTED: u8 = 5;
pub const BAD_ARGUMENTS: u8 = 128;
