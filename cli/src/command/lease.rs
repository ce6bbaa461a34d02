//! `lease grant|revoke|timetolive|list|keep-alive`

use kvorum_client::{Failure, KeyRange};

use super::remember::remember;
use super::{CommandError, Session, plan};
use crate::args::{LeaseArgs, LeaseCommand, LeaseKeepAliveArgs};
use crate::exit;
use crate::mode::Mode;
use crate::output::{Answer, Format};

pub(super) async fn execute(args: &LeaseArgs, session: &mut Session) -> Result<(), CommandError> {
    match &args.command {
        LeaseCommand::Grant(grant) => {
            if session.manner.dry_run {
                return session.say(&format!("would grant a lease of {} s", grant.ttl_s()?));
            }
            let answer = session.connection.lease_grant(grant.ttl_s()?).await;
            let answer = answer.map_err(|failure| failed(failure, "failed to grant lease"))?;
            session.print(Answer::Grant(&answer))
        }
        LeaseCommand::Revoke(revoke) => {
            let id = revoke.id()?;
            if session.manner.dry_run {
                return plan::revoke(id, session).await;
            }
            let keys = keys_of(id, session).await;
            let answer = session.connection.lease_revoke(id).await;
            let answer = answer.map_err(|failure| failed(failure, "failed to revoke lease"))?;
            if !keys.is_empty() {
                remember("lease revoke", answer.header.as_ref(), &keys, session);
            }
            session.print(Answer::Revoke(id, &answer))
        }
        LeaseCommand::Timetolive(ttl) => {
            let answer = session.connection.lease_time_to_live(ttl.id()?, ttl.keys).await;
            session.print(Answer::TimeToLive(&answer.map_err(connection)?, ttl.keys))
        }
        LeaseCommand::List => {
            let answer = session.connection.leases().await.map_err(connection)?;
            session.print(Answer::Leases(&answer))
        }
        LeaseCommand::KeepAlive(args) => keep_alive(args, session).await,
    }
}

/// The keys that go with a lease, where an undo may want them.
async fn keys_of(id: i64, session: &Session) -> Vec<KeyRange> {
    if session.mode == Mode::Etcdctl || session.places.is_none() {
        return Vec::new();
    }
    let answer = session.connection.lease_time_to_live(id, true).await;
    answer
        .map_or_else(|_| Vec::new(), |lease| lease.keys.into_iter().map(KeyRange::single).collect())
}

async fn keep_alive(args: &LeaseKeepAliveArgs, session: &mut Session) -> Result<(), CommandError> {
    let id = args.id()?;
    if session.manner.dry_run {
        return session.say(&format!("would keep lease {id:016x} alive"));
    }
    if args.once {
        let beat = session.connection.lease_keep_alive_once(id).await.map_err(connection)?;
        return session.print(Answer::KeepAlive(&beat));
    }
    match session.connection.lease_keep_alive(id).await {
        Ok(mut beats) => {
            while let Some(beat) = beats.next().await.map_err(connection)? {
                session.print(Answer::KeepAlive(&beat))?;
            }
        }
        // A lease that is gone before the first beat ends like one that went away later.
        Err(failure) if failure.is_not_found() => {}
        Err(failure) => return Err(connection(failure)),
    }
    if session.style.format == Format::Simple {
        session.say(&format!("lease {id:016x} expired or revoked."))?;
    }
    Ok(())
}

fn failed(failure: Failure, context: &'static str) -> CommandError {
    CommandError::Failure { failure, code: exit::ERROR, context: Some(context) }
}

/// etcdctl exits as for a bad connection whatever these commands fail of.
fn connection(failure: Failure) -> CommandError {
    CommandError::Failure { failure, code: exit::BAD_CONNECTION, context: None }
}
