//! `elect`: stand for an election and lead until a signal comes, or listen.

use kvorum_client::{Get, LeaseSession};

use super::lock::{cancelled, lost};
use super::{CommandError, Session};
use crate::args::{ElectArgs, ElectPlan};
use crate::mode::Mode;
use crate::output::Answer;
use crate::signals::Interrupted;

pub(super) async fn execute(args: &ElectArgs, session: &mut Session) -> Result<(), CommandError> {
    let plan = args.plan()?;
    let mut interrupted = Interrupted::new()?;
    let Some(proposal) = &plan.proposal else {
        return listen(&plan.name, &mut interrupted, session).await;
    };
    let lease = session.connection.session(plan.ttl_s).await?;
    let outcome = lead(&plan, proposal, &lease, &mut interrupted, session).await;
    // Whatever came of it, the next candidate is not to wait for this one's lease to expire.
    let resigned = lease.close().await;
    outcome?;
    Ok(resigned?)
}

async fn lead(
    plan: &ElectPlan,
    proposal: &[u8],
    lease: &LeaseSession,
    interrupted: &mut Interrupted,
    session: &mut Session,
) -> Result<(), CommandError> {
    let key = tokio::select! {
        key = lease.campaign(&plan.name, proposal) => key?,
        () = interrupted.wait() => return Err(cancelled()),
    };
    let found = session.connection.get(Get::key(key)).await?;
    session.print(Answer::Get(&found))?;
    tokio::select! {
        () = lease.ended() => Err(lost("elect: session expired")),
        () = interrupted.wait() => Ok(()),
    }
}

async fn listen(
    name: &[u8],
    interrupted: &mut Interrupted,
    session: &mut Session,
) -> Result<(), CommandError> {
    let mut observer = session.connection.observe(name);
    let mut heard = false;
    loop {
        let proposal = tokio::select! {
            proposal = observer.next() => proposal,
            () = interrupted.wait() => return Ok(()),
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
