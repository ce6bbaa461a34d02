//! Operations made ready for the search: what each does, when it may, and what must come of it.

use std::collections::BTreeMap;

use kvorum_proto::etcdserverpb::request_op::Request as Part;
use kvorum_proto::etcdserverpb::response_op::Response as Reply;
use kvorum_proto::etcdserverpb::{
    LeaseGrantRequest, RangeRequest, RequestOp, ResponseOp, TxnRequest, TxnResponse,
};

use super::history::{History, Operation, Outcome, Request, Response};
use super::perform::Action;
use super::violation::{Rule, Violation};
use crate::rules::Refusal;

const NS_PER_S: u64 = 1_000_000_000;

/// What must come of it.
#[derive(Debug, PartialEq)]
pub(super) enum Expect {
    /// This answer, when the store is at this revision.
    At(i64, Response),
    /// This answer, whatever the revision.
    Answer(Response),
    Refusal(Refusal),
    /// Nobody knows.
    Anything,
}

/// What it does to the state, as far as its answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// Makes a revision.
    Write,
    /// Changes leases or the compacted revision.
    Settle,
    /// Ends a lease, and makes a revision if keys hang on it.
    End,
}

#[derive(Debug)]
pub(super) struct Step<'a> {
    /// None for the end of a lease's time.
    pub(super) operation: Option<&'a Operation>,
    pub(super) action: Action<'a>,
    pub(super) call: u64,
    /// `u64::MAX` if it may still happen.
    pub(super) end: u64,
    pub(super) expect: Expect,
    pub(super) effect: Effect,
    /// The leases that it is about.
    pub(super) leases: Vec<i64>,
    /// Whether compaction matters to it.
    pub(super) compaction: bool,
}

/// All there is to check of a history, but for its watches.
#[derive(Debug, Default)]
pub(super) struct Steps<'a> {
    /// What has a place in the one order of everything.
    pub(super) ordered: Vec<Step<'a>>,
    /// Serializable reads: of a state that may be old.
    pub(super) stale: Vec<Step<'a>>,
    /// No revision is above this one, or there is no need to look at anything else.
    pub(super) most: i64,
}

impl<'a> Steps<'a> {
    pub(super) fn prepare(history: &'a History) -> Result<Steps<'a>, Violation> {
        let mut steps = Steps::default();
        for operation in &history.operations {
            let Some(step) = Step::new(operation)? else { continue };
            if is_serializable(&operation.request) {
                steps.stale.push(step);
            } else {
                steps.ordered.push(step);
            }
        }
        steps.ordered.extend(expiries(history));
        let may_write = |step: &&Step| matches!(step.effect, Effect::Write | Effect::End);
        let writes = steps.ordered.iter().filter(may_write).count() as i64;
        // Room for writes that were applied several times, which are told with more precision.
        steps.most = 1000 + 2 * writes;
        steps.check_revisions()?;
        Ok(steps)
    }

    /// A revision that no history this long can have is told before anything is sized by it.
    fn check_revisions(&self) -> Result<(), Violation> {
        let limit = self.most;
        for step in self.ordered.iter().chain(&self.stale) {
            let Some(revision) = step.revision() else { continue };
            if revision < 1 || revision > limit {
                let text = format!("{step} answered with revision {revision}, but all writes");
                let message = format!("{text} together do not come near {limit}");
                return Err(Violation::new(Rule::Unexplained, message));
            }
        }
        Ok(())
    }
}

impl<'a> Step<'a> {
    /// Nothing for an operation that cannot break anything.
    fn new(operation: &'a Operation) -> Result<Option<Step<'a>>, Violation> {
        let unknown = operation.outcome == Outcome::Unknown;
        let Some(action) = action(operation)? else { return Ok(None) };
        let mut step = Step {
            operation: Some(operation),
            action,
            call: operation.call_ns,
            end: operation.return_ns.filter(|_| !unknown).unwrap_or(u64::MAX),
            expect: Expect::Anything,
            effect: Effect::None,
            leases: leases(&action),
            compaction: matches!(action, Action::Compact { .. })
                || !asked_revisions(&action).is_empty(),
        };
        step.effect = step.possible_effect();
        match &operation.outcome {
            Outcome::Failed => return Ok(None),
            Outcome::Unknown if step.effect == Effect::None => return Ok(None),
            Outcome::Unknown => {}
            Outcome::Refused(refusal) => {
                step.expect = Expect::Refusal(*refusal);
                step.effect = Effect::None;
            }
            Outcome::Done(response) => {
                let revision = response.header().map(|header| header.revision);
                let revision = revision.ok_or_else(|| malformed(operation, "without a header"))?;
                let response = without_headers(response.clone());
                step.effect = step.told_effect(&response);
                step.expect = match step.action {
                    // Its header is of a moment before it.
                    Action::KeepAlive { .. } => Expect::Answer(response),
                    _ => Expect::At(revision, response),
                };
            }
        }
        Ok(Some(step))
    }

    /// The revision in its header, where that says when it happened.
    pub(super) fn revision(&self) -> Option<i64> {
        if let Expect::At(revision, _) = self.expect { Some(revision) } else { None }
    }

    /// A revision that was there when it returned, where its place in the order does not say so.
    pub(super) fn known_revision(&self) -> Option<i64> {
        let told = match &self.operation?.outcome {
            Outcome::Done(response) => response.header()?.revision,
            _ => return None,
        };
        let placed = self.revision().is_some() && !is_serializable(&self.operation?.request);
        (!placed).then_some(told)
    }

    pub(super) fn asked_revisions(&self) -> Vec<i64> {
        asked_revisions(&self.action)
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.expect == Expect::Anything
    }

    /// Whether the one can change what the other answers or does, besides by the keys.
    pub(super) fn concerns(&self, other: &Step) -> bool {
        (self.compaction && other.compaction)
            || self.leases.iter().any(|lease| other.leases.contains(lease))
    }

    /// Whether there is anything but keys that it is about.
    pub(super) fn is_concerned(&self) -> bool {
        self.compaction || !self.leases.is_empty()
    }

    /// Whether writes of any keys may lead to its refusal: a transaction may take another branch,
    /// a key may go, and a revision must be there before it can be compacted.
    pub(super) fn needs_keys(&self) -> bool {
        matches!(self.action, Action::Txn(_))
            || matches!(self.expect, Expect::Refusal(Refusal::NoKey | Refusal::Compacted))
    }

    fn possible_effect(&self) -> Effect {
        match self.action {
            Action::Put(_) | Action::DeleteRange(_) => Effect::Write,
            Action::Txn(txn) if can_write(txn) => Effect::Write,
            Action::Txn(_) | Action::Range(_) | Action::KeepAlive { .. } => Effect::None,
            Action::Grant { .. } | Action::Compact { .. } => Effect::Settle,
            Action::Revoke { .. } | Action::Expire { .. } => Effect::End,
        }
    }

    fn told_effect(&self, response: &Response) -> Effect {
        let wrote = match response {
            Response::DeleteRange(it) => it.deleted > 0,
            Response::Txn(it) => wrote(it),
            _ => true,
        };
        if wrote { self.possible_effect() } else { Effect::None }
    }
}

fn malformed(operation: &Operation, what: &str) -> Violation {
    Violation::new(Rule::Malformed, format!("{operation} was answered {what}"))
}

/// What the request does; its answer must be of its kind.
fn action(operation: &Operation) -> Result<Option<Action<'_>>, Violation> {
    let told = match &operation.outcome {
        Outcome::Done(response) => Some(response),
        _ => None,
    };
    let action = match (&operation.request, told) {
        (Request::Put(it), None | Some(Response::Put(_))) => Action::Put(it),
        (Request::Range(it), None | Some(Response::Range(_))) => Action::Range(it),
        (Request::DeleteRange(it), None | Some(Response::DeleteRange(_))) => {
            Action::DeleteRange(it)
        }
        (Request::Txn(it), None | Some(Response::Txn(_))) => Action::Txn(it),
        (Request::Revoke(it), None | Some(Response::Revoke(_))) => Action::Revoke { id: it.id },
        (Request::KeepAlive(it), None | Some(Response::KeepAlive(_))) => {
            Action::KeepAlive { id: it.id }
        }
        (Request::Compact(it), None | Some(Response::Compact(_))) => {
            Action::Compact { revision: it.revision }
        }
        (Request::Grant(it), Some(Response::Grant(told))) => {
            if (it.id != 0 && told.id != it.id) || told.ttl < it.ttl {
                let what = format!("with lease {} for {} s", told.id, told.ttl);
                return Err(malformed(operation, &what));
            }
            Action::Grant { id: told.id, ttl: told.ttl }
        }
        // Nobody was told the id, so nobody can have used it.
        (Request::Grant(LeaseGrantRequest { id: 0, .. }), None) => return Ok(None),
        (Request::Grant(it), None) => Action::Grant { id: it.id, ttl: it.ttl.max(1) },
        (_, Some(_)) => return Err(malformed(operation, "as if something else had been asked")),
    };
    Ok(Some(action))
}

/// For each granted lease the end of its time, which comes at no known moment, but not before it
/// has lived as long as was promised by the last acknowledged keep-alive.
fn expiries(history: &History) -> Vec<Step<'_>> {
    let mut granted: BTreeMap<i64, Vec<(u64, u64)>> = BTreeMap::new();
    for operation in &history.operations {
        let Ok(Some(Action::Grant { id, ttl })) = action(operation) else { continue };
        if matches!(operation.outcome, Outcome::Done(_) | Outcome::Unknown) {
            let ends = promised(operation.call_ns, ttl);
            granted.entry(id).or_default().push((operation.call_ns, ends));
        }
    }
    for grants in granted.values_mut() {
        grants.sort_unstable();
    }
    for operation in &history.operations {
        let Outcome::Done(Response::KeepAlive(told)) = &operation.outcome else { continue };
        let Some(grants) = granted.get_mut(&told.id) else { continue };
        // Of several leases under one id it kept the last that it can have known.
        let known = grants.iter_mut().rev().find(|(call, _)| *call <= operation.call_ns);
        if let Some((_, ends)) = known.filter(|_| told.ttl > 0) {
            *ends = promised(operation.call_ns, told.ttl).max(*ends);
        }
    }
    let each =
        granted.into_iter().flat_map(|(id, grants)| grants.into_iter().map(move |it| (id, it.1)));
    each.map(|(id, ends)| Step {
        operation: None,
        action: Action::Expire { id },
        call: ends.saturating_sub(history.expiry_slack_ns),
        end: u64::MAX,
        expect: Expect::Anything,
        effect: Effect::End,
        leases: vec![id],
        compaction: false,
    })
    .collect()
}

fn promised(from_ns: u64, ttl_s: i64) -> u64 {
    let ttl_ns = u64::try_from(ttl_s).unwrap_or(0).saturating_mul(NS_PER_S);
    from_ns.saturating_add(ttl_ns)
}

pub(super) fn parts(txn: &TxnRequest) -> impl Iterator<Item = &Part> {
    let ops = txn.success.iter().chain(&txn.failure);
    ops.filter_map(|op: &RequestOp| op.request.as_ref())
}

fn can_write(txn: &TxnRequest) -> bool {
    parts(txn).any(|part| match part {
        Part::RequestPut(_) | Part::RequestDeleteRange(_) => true,
        Part::RequestRange(_) => false,
        Part::RequestTxn(nested) => can_write(nested),
    })
}

fn wrote(txn: &TxnResponse) -> bool {
    let mut replies = txn.responses.iter().filter_map(|op: &ResponseOp| op.response.as_ref());
    replies.any(|reply| match reply {
        Reply::ResponsePut(_) => true,
        Reply::ResponseDeleteRange(it) => it.deleted > 0,
        Reply::ResponseRange(_) => false,
        Reply::ResponseTxn(nested) => wrote(nested),
    })
}

/// A read that its client allowed to be of an old state.
fn is_serializable(request: &Request) -> bool {
    fn all(txn: &TxnRequest) -> bool {
        parts(txn).all(|part| match part {
            Part::RequestRange(range) => range.serializable,
            Part::RequestTxn(nested) => all(nested),
            Part::RequestPut(_) | Part::RequestDeleteRange(_) => false,
        })
    }
    match request {
        Request::Range(RangeRequest { serializable, .. }) => *serializable,
        Request::Txn(txn) => parts(txn).next().is_some() && all(txn),
        _ => false,
    }
}

fn leases(action: &Action) -> Vec<i64> {
    fn of_txn(txn: &TxnRequest, leases: &mut Vec<i64>) {
        for part in parts(txn) {
            match part {
                Part::RequestPut(put) if put.lease != 0 => leases.push(put.lease),
                Part::RequestTxn(nested) => of_txn(nested, leases),
                _ => {}
            }
        }
    }
    let mut leases = Vec::new();
    match action {
        Action::Put(put) if put.lease != 0 => leases.push(put.lease),
        Action::Txn(txn) => of_txn(txn, &mut leases),
        Action::Grant { id, .. }
        | Action::Revoke { id }
        | Action::KeepAlive { id }
        | Action::Expire { id } => leases.push(*id),
        _ => {}
    }
    leases
}

/// The revisions that it wants to read at.
fn asked_revisions(action: &Action) -> Vec<i64> {
    fn of_txn(txn: &TxnRequest, asked: &mut Vec<i64>) {
        for part in parts(txn) {
            match part {
                Part::RequestRange(range) if range.revision != 0 => asked.push(range.revision),
                Part::RequestTxn(nested) => of_txn(nested, asked),
                _ => {}
            }
        }
    }
    let mut asked = Vec::new();
    match action {
        Action::Range(range) if range.revision > 0 => asked.push(range.revision),
        Action::Txn(txn) => of_txn(txn, &mut asked),
        _ => {}
    }
    asked
}

/// The answer itself: headers name members and terms, which differ, and inner ones repeat the
/// revision.
fn without_headers(mut response: Response) -> Response {
    fn strip(txn: &mut TxnResponse) {
        txn.header = None;
        for op in &mut txn.responses {
            match &mut op.response {
                Some(Reply::ResponsePut(it)) => it.header = None,
                Some(Reply::ResponseRange(it)) => it.header = None,
                Some(Reply::ResponseDeleteRange(it)) => it.header = None,
                Some(Reply::ResponseTxn(it)) => strip(it),
                None => {}
            }
        }
    }
    match &mut response {
        Response::Put(it) => it.header = None,
        Response::Range(it) => it.header = None,
        Response::DeleteRange(it) => it.header = None,
        Response::Txn(it) => strip(it),
        Response::Grant(it) => it.header = None,
        Response::Revoke(it) => it.header = None,
        Response::KeepAlive(it) => it.header = None,
        Response::Compact(it) => it.header = None,
    }
    response
}
