//! `elect`: stand for an election and lead until a signal comes or while a command runs, or listen.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use kvorum_client::{Get, LeaseSession};

use super::holding::{self, Holding};
use super::lock::{cancelled, lost};
use super::{CommandError, Session};
use crate::args::{ElectArgs, ElectPlan, OnLost};
use crate::mode::Mode;
use crate::output::Answer;
use crate::signals::Relayed;

pub(super) async fn execute(args: &ElectArgs, session: &mut Session) -> Result<(), CommandError> {
    let plan = args.plan(session.mode)?;
    let mut signals = match session.mode {
        Mode::Etcdctl => Relayed::without_hangup()?,
        Mode::Kvorum => Relayed::new()?,
    };
    let Some(proposal) = &plan.proposal else {
        return listen(&plan.name, &mut signals, session).await;
    };
    let lease = session.connection.session(plan.ttl_s).await?;
    let candidate = Candidate { plan: &plan, proposal, on_lost: args.on_lost };
    let outcome = lead(&candidate, &lease, &mut signals, session).await;
    // Whatever came of it, the next candidate is not to wait for this one's lease to expire.
    let resigned = lease.close().await;
    if session.mode == Mode::Kvorum && !plan.command.is_empty() {
        return holding::settled(outcome, resigned, ("the leadership", plan.ttl_s), session);
    }
    outcome?;
    Ok(resigned?)
}

const LEADERSHIP: &str = "leadership";

struct Candidate<'a> {
    plan: &'a ElectPlan,
    proposal: &'a [u8],
    on_lost: OnLost,
}

async fn lead(
    candidate: &Candidate<'_>,
    lease: &LeaseSession,
    signals: &mut Relayed,
    session: &mut Session,
) -> Result<(), CommandError> {
    let plan = candidate.plan;
    let key = tokio::select! {
        key = lease.campaign(&plan.name, candidate.proposal) => key?,
        signal = signals.next() => return Err(match session.mode {
            Mode::Etcdctl => cancelled(),
            Mode::Kvorum => holding::interrupted(LEADERSHIP, signal),
        }),
    };
    let found = session.connection.get(Get::key(key)).await?;
    if found.kvs.is_empty() && session.mode == Mode::Kvorum {
        return Err(holding::lost(LEADERSHIP));
    }
    if let (false, Some(leader)) = (plan.command.is_empty(), found.kvs.first()) {
        let holding = Holding {
            what: LEADERSHIP,
            command: &plan.command,
            variables: vec![
                ("KVORUM_LEADER_KEY".into(), OsString::from_vec(leader.key.clone())),
                ("KVORUM_LOCK_TOKEN".into(), leader.create_revision.to_string().into()),
            ],
            on_lost: candidate.on_lost,
        };
        return holding.run(lease, signals, session).await;
    }
    session.print(Answer::Get(&found))?;
    tokio::select! {
        () = lease.ended() => Err(match session.mode {
            Mode::Etcdctl => lost("elect: session expired"),
            Mode::Kvorum => holding::lost(LEADERSHIP),
        }),
        _ = signals.next() => Ok(()),
    }
}

async fn listen(
    name: &[u8],
    signals: &mut Relayed,
    session: &mut Session,
) -> Result<(), CommandError> {
    let mut observer = session.connection.observe(name);
    let mut heard = false;
    loop {
        let proposal = tokio::select! {
            proposal = observer.next() => proposal,
            _ = signals.next() => return Ok(()),
        };
        match proposal {
            Ok(proposal) => session.print(Answer::Get(&proposal))?,
            // etcdctl does not say why.
            Err(_) if heard && session.mode == Mode::Etcdctl => {
                return Err(lost("elect: observer lost"));
            }
            Err(failure) => return Err(failure.into()),
        }
        heard = true;
    }
}
