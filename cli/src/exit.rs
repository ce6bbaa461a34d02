//! Exit codes, etcdctl's and finer ones.

use kvorum_client::Failure;
use tonic::Code;

use crate::command::CommandError;

pub const ERROR: u8 = 1;
pub const BAD_CONNECTION: u8 = 2;
/// A line read by `txn` or `watch -i` makes no sense.
pub const INVALID_INPUT: u8 = 3;
pub const BAD_FEATURE: u8 = 4;
/// The server ended a watch.
pub const INTERRUPTED: u8 = 5;
/// Somebody else has the lock (`EX_TEMPFAIL`).
pub const TAKEN: u8 = 75;
/// What a command was run for was lost while it ran.
pub const LOST: u8 = 76;
/// The time that was given is up.
pub const TIMED_OUT: u8 = 124;
pub const BAD_ARGUMENTS: u8 = 128;

/// The finer codes of `--exit-status`, which only `kvorum` has.
pub mod finer {
    pub const USAGE: u8 = 2;
    /// The key that was asked for is not there.
    pub const NOT_FOUND: u8 = 10;
    /// The transaction took its `else`.
    pub const NOT_SUCCEEDED: u8 = 11;
    /// The range that was asked for, or deleted, is empty.
    pub const EMPTY: u8 = 12;
    pub const UNREACHABLE: u8 = 69;
    pub const DENIED: u8 = 77;
    pub const TIMED_OUT: u8 = 124;
}

/// The exit code for an error, etcdctl's or a finer one.
pub fn code(error: &CommandError, finer: bool) -> u8 {
    if !finer {
        return error.code();
    }
    match error {
        CommandError::Usage(_) => finer::USAGE,
        CommandError::Failure { failure, .. } => match failure {
            Failure::Unreachable(_) | Failure::Broken { .. } => finer::UNREACHABLE,
            Failure::NoAnswer { .. } | Failure::NoLeader { .. } => finer::TIMED_OUT,
            Failure::Refused { code: Code::PermissionDenied | Code::Unauthenticated, .. } => {
                finer::DENIED
            }
            Failure::Refused { message, .. } if message.contains("authentication failed") => {
                finer::DENIED
            }
            _ => error.code(),
        },
        _ => error.code(),
    }
}
/// Interrupted, as a shell reports it of what a signal ends.
pub const SIGINT: u8 = 130;
