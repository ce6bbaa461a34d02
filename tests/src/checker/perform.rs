//! What an operation does to the state, and what it answers.
//!
//! Answers have no headers, inner ones neither; the revision is the state's afterwards.

use kvorum_proto::etcdserverpb::{
    CompactionResponse, DeleteRangeRequest, LeaseGrantResponse, LeaseKeepAliveResponse,
    LeaseRevokeResponse, PutRequest, RangeRequest, TxnRequest,
};

use super::history::Response;
use super::state::State;
use crate::rules::{self, Refusal, Store};

/// What is done to the state. A lease's id and time to live are known from its answer, if any.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action<'a> {
    Put(&'a PutRequest),
    Range(&'a RangeRequest),
    DeleteRange(&'a DeleteRangeRequest),
    Txn(&'a TxnRequest),
    Grant { id: i64, ttl: i64 },
    Revoke { id: i64 },
    KeepAlive { id: i64 },
    Compact { revision: i64 },
    Expire { id: i64 },
}

impl State {
    pub(super) fn perform(&mut self, action: Action) -> Result<Response, Refusal> {
        let outcome = self.dispatch(action);
        self.end_revision();
        outcome
    }

    fn dispatch(&mut self, action: Action) -> Result<Response, Refusal> {
        Ok(match action {
            Action::Put(put) => Response::Put(rules::put(self, put)?),
            Action::Range(range) => Response::Range(rules::range(self, range, self.view())?),
            Action::DeleteRange(delete) => Response::DeleteRange(rules::delete_range(self, delete)),
            Action::Txn(txn) => Response::Txn(rules::txn(self, txn)?),
            Action::Grant { id, ttl } => {
                self.grant(id, ttl)?;
                Response::Grant(LeaseGrantResponse { id, ttl, ..LeaseGrantResponse::default() })
            }
            Action::Revoke { id } | Action::Expire { id } => {
                self.end_lease(id)?;
                Response::Revoke(LeaseRevokeResponse::default())
            }
            Action::KeepAlive { id } => {
                let ttl = self.lease(id).unwrap_or(0);
                Response::KeepAlive(LeaseKeepAliveResponse { header: None, id, ttl })
            }
            Action::Compact { revision } => {
                self.compact(revision)?;
                Response::Compact(CompactionResponse::default())
            }
        })
    }
}
