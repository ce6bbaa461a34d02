//! What must hold, checked while it happens.
//!
//! - [`agreement`]: all members apply the same entries, with the answers and the states that an
//!   independent model has; every read answers what the model does at the state it saw.
//! - [`watched`]: a watch gets every event it asked for, in order, once, or is told it cannot.
//! - [`healed`]: after healing all members agree, every request has ended, and nobody is owed
//!   anything.
//! - [`history`]: the checker, who sees only what clients saw, judges the whole run.
//!
//! What fails here panics: the run is a failure with that message.

pub(super) mod agreement;
pub(super) mod healed;
mod history;
pub(super) mod watched;

use kvorum_proto::etcdserverpb::response_op::Response;

pub(super) use crate::messages;
use crate::model::{Answer, View};

/// What became of an entry at a member.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Applied {
    /// Of the request.
    pub(super) id: u64,
    pub(super) index: u64,
    pub(super) revision: i64,
    pub(super) answer: Result<Answer, String>,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answered {
    Write(Applied),
    /// With the state it was read from.
    Read {
        view: View,
        answer: Result<Response, String>,
    },
    KeptAlive {
        ttl: i64,
    },
}
