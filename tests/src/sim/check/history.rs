//! What clients did, as the checker takes it: a second judge, who knows nothing of the members but
//! what clients were told.

use std::sync::Arc;

use kvorum_core::node::Refusal;
use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::response_op::Response as Op;
use kvorum_proto::etcdserverpb::{
    CompactionResponse, InternalRaftRequest, LeaseGrantResponse, LeaseKeepAliveRequest,
    LeaseKeepAliveResponse, LeaseRevokeResponse, ResponseHeader,
};
use kvorum_proto::mvccpb::Event;

use super::{Answered, Applied, messages};
use crate::checker::{self, Ground, History, Response, Watch};
use crate::model::Answer;
use crate::sim::edge::{Outcome, Request};
use crate::sim::report::Operation;
use crate::sim::time::{SECOND, Time};
use crate::sim::world::World;

/// The longest that a lease lives here.
const LONGEST_LEASE: Time = 6 * SECOND;

impl World {
    /// Has the checker judge the whole run.
    pub(in crate::sim) fn judge(&mut self) {
        self.end_watches();
        let ground = self.ground();
        let owed = ground.revision;
        let watches = self.watches.drain(..).map(|record| Watch {
            name: record.name,
            legs: record
                .legs
                .into_iter()
                .map(|leg| checker::Leg {
                    member: leg.member,
                    request: leg.request,
                    // Whoever cancels a watch notes nothing more of it.
                    cancel_ns: None,
                    responses: leg.responses,
                })
                .collect(),
            owed: if record.to_the_end { owed } else { 0 },
        });
        let fastest = self.plan.fastest_clock();
        let watches = watches.collect();
        let mut operations = Vec::new();
        for mut done in std::mem::take(&mut self.history) {
            self.told_by_the_log(&mut done);
            operations.extend(operation(done));
        }
        let history = History {
            watches,
            operations,
            ground: Some(ground),
            expiry_slack_ns: LONGEST_LEASE - LONGEST_LEASE * 100 / fastest,
            ..History::default()
        };
        let violations = checker::check(&history);
        assert!(violations.is_empty(), "the checker finds {}: {}", violations.len(), violations[0]);
    }

    /// Now that all is at rest, the log says what became of a write whose client was not told: it
    /// is there, and its answer would have come at any later time, or it never happened. The
    /// checker could do without, but among dozens of unknown writes at a time its search takes too
    /// long; etcd's own tests read the log back for the same reason.
    fn told_by_the_log(&self, operation: &mut Operation) {
        let unknown = matches!(operation.outcome, None | Some(Outcome::Unknown(_)));
        if !unknown || !matches!(operation.request, Request::Write(_)) {
            return;
        }
        let entry = self.proposed.get(&operation.call);
        let applied = entry.and_then(|id| self.agreement.outcome(*id));
        operation.return_ns = Some(self.agenda.now());
        operation.outcome = Some(match applied {
            Some(applied) => Outcome::Done(Answered::Write(applied)),
            None => Outcome::NotDone(Refusal::NoLeader),
        });
    }

    fn ground(&self) -> Ground {
        let life = self.members.iter().find_map(|member| member.life.as_deref());
        let life = life.expect("all members run at the end");
        let root: Arc<Root> = Arc::clone(&life.root);
        let compacted = root.compacted_revision();
        let mut events: Vec<(i64, Vec<Event>)> = Vec::new();
        let mut read = |at| messages::stored(&*life.values, at);
        for version in root.events(compacted.max(2)) {
            let event = messages::change(version, &mut read).expect("history can be read");
            match events.last_mut() {
                Some((revision, of_it)) if *revision == version.at.main => of_it.push(event),
                _ => events.push((version.at.main, vec![event])),
            }
        }
        Ground { compacted, revision: root.revision(), events }
    }
}

/// What no client asked for is left out.
fn operation(operation: Operation) -> Option<checker::Operation> {
    let Operation { client, member, call_ns, return_ns, request, revision, outcome, .. } =
        operation;
    let outcome = match outcome {
        None | Some(Outcome::Unknown(_)) => checker::Outcome::Unknown,
        Some(Outcome::NotDone(_)) => checker::Outcome::Failed,
        Some(Outcome::Done(answered)) => done(&request, revision, answered),
    };
    let request = match request {
        Request::Range(range) => checker::Request::Range(range),
        Request::Read { txn, .. } => checker::Request::Txn(txn),
        Request::KeepAlive { lease } => {
            checker::Request::KeepAlive(LeaseKeepAliveRequest { id: lease })
        }
        Request::Write(request) => write(request)?,
    };
    Some(checker::Operation { client, member, call_ns, return_ns, request, outcome })
}

fn write(request: InternalRaftRequest) -> Option<checker::Request> {
    let InternalRaftRequest {
        put, delete_range, txn, lease_grant, lease_revoke, compaction, ..
    } = request;
    put.map(checker::Request::Put)
        .or(delete_range.map(checker::Request::DeleteRange))
        .or(txn.map(checker::Request::Txn))
        .or(lease_grant.map(checker::Request::Grant))
        .or(lease_revoke.map(checker::Request::Revoke))
        .or(compaction.map(checker::Request::Compact))
}

fn done(request: &Request, revision: i64, answered: Answered) -> checker::Outcome {
    let answer = match answered {
        Answered::KeptAlive { ttl } => {
            let Request::KeepAlive { lease } = request else { return checker::Outcome::Unknown };
            let header = Some(header(revision));
            Ok(Response::KeepAlive(LeaseKeepAliveResponse { header, id: *lease, ttl }))
        }
        Answered::Read { answer, .. } => answer.map(response),
        Answered::Write(Applied { answer, revision, .. }) => answer.map(|answer| match answer {
            Answer::Op(op) => response(op),
            Answer::Granted { id, ttl } => Response::Grant(LeaseGrantResponse {
                header: Some(header(revision)),
                id,
                ttl,
                error: String::new(),
            }),
            Answer::Done => match request {
                Request::Write(InternalRaftRequest { compaction: Some(_), .. }) => {
                    Response::Compact(CompactionResponse { header: Some(header(revision)) })
                }
                _ => Response::Revoke(LeaseRevokeResponse { header: Some(header(revision)) }),
            },
        }),
    };
    match answer {
        Ok(response) => checker::Outcome::Done(response),
        Err(message) => checker::Refusal::from_message(&message)
            .map_or(checker::Outcome::Failed, checker::Outcome::Refused),
    }
}

fn response(op: Op) -> Response {
    match op {
        Op::ResponseRange(range) => Response::Range(range),
        Op::ResponsePut(put) => Response::Put(put),
        Op::ResponseDeleteRange(delete) => Response::DeleteRange(delete),
        Op::ResponseTxn(txn) => Response::Txn(txn),
    }
}

fn header(revision: i64) -> ResponseHeader {
    ResponseHeader { revision, ..ResponseHeader::default() }
}
