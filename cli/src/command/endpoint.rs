//! `endpoint hashkv|health|status`

use futures::future::join_all;
use kvorum_client::{Endpoint, Failure, Health, Trouble};

use super::{CommandError, Session};
use crate::args::{EndpointArgs, EndpointCommand};
use crate::exit;
use crate::mode::Mode;
use crate::output::{Answer, Format, HashRow, HealthRow, StatusRow};

pub(super) async fn execute(
    args: &EndpointArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let endpoints = endpoints(args.whole_cluster(), session).await?;
    match &args.command {
        EndpointCommand::Hashkv { rev, .. } => hashes(&endpoints, *rev, session).await,
        EndpointCommand::Health { .. } => health(&endpoints, session).await,
        EndpointCommand::Status { .. } => status(&endpoints, session).await,
    }
}

/// The endpoints of the command line, or those of the whole member list.
pub(super) async fn endpoints(
    whole_cluster: bool,
    session: &mut Session,
) -> Result<Vec<Endpoint>, CommandError> {
    if !whole_cluster {
        return Ok(session.connection.endpoints().to_vec());
    }
    let members = session.connection.members().await.map_err(not_listed)?;
    let urls = members.members.iter().flat_map(|member| &member.client_ur_ls);
    urls.map(|url| Endpoint::parse(url))
        .collect::<Result<_, _>>()
        .map_err(|error| CommandError::Other { code: exit::ERROR, message: error.to_string() })
}

fn not_listed(failure: Failure) -> CommandError {
    // Here etcdctl does not exit as for a bad connection.
    if failure.is_bad_credentials() {
        return CommandError::Other { code: exit::ERROR, message: failure.to_string() };
    }
    CommandError::Failure {
        failure,
        code: exit::ERROR,
        context: Some("failed to fetch endpoints from etcd cluster member list:"),
    }
}

async fn health(endpoints: &[Endpoint], session: &mut Session) -> Result<(), CommandError> {
    let connection = session.connection.clone();
    let checks = endpoints.iter().map(|endpoint| connection.health(endpoint));
    let mode = session.mode;
    let rows: Vec<_> =
        join_all(checks).await.into_iter().map(|health| health_row(&health, mode)).collect();
    if session.style.format == Format::Simple {
        for row in rows.iter().filter(|row| !row.error.is_empty()) {
            let what = match mode {
                Mode::Etcdctl => "failed to commit proposal: ",
                Mode::Kvorum => "",
            };
            session.remark(&format!("{} is unhealthy: {what}{}", row.endpoint, row.error));
        }
    }
    session.print(Answer::Health(&rows))?;
    if rows.iter().any(|row| !row.error.is_empty()) {
        let (code, message) = (exit::ERROR, "unhealthy cluster".to_owned());
        let hint = "kvorum doctor looks for the cause".to_owned();
        return Err(CommandError::Hinted { code, message, hint });
    }
    Ok(())
}

fn health_row(health: &Health, mode: Mode) -> HealthRow {
    let error = match &health.trouble {
        None => String::new(),
        Some(Trouble::Failed(failure)) if mode == Mode::Etcdctl => failure.etcdctl_text(),
        Some(Trouble::Failed(failure)) => failure.to_string(),
        // Every name is followed by a space, the last one too.
        Some(Trouble::Alarms(names)) => format!("Active Alarm(s): {} ", names.join(" ")),
        Some(Trouble::AlarmsUnknown) => "Unable to fetch the alarm list".to_owned(),
    };
    // Who is not let in has not asked yet.
    let asked = !matches!(&health.trouble, Some(Trouble::Failed(failure))
        if failure.is_bad_credentials());
    HealthRow {
        endpoint: health.endpoint.to_string(),
        healthy: health.is_healthy(),
        took: asked.then_some(health.took),
        error,
    }
}

async fn status(endpoints: &[Endpoint], session: &mut Session) -> Result<(), CommandError> {
    let connection = session.connection.clone();
    let asked = join_all(endpoints.iter().map(|endpoint| connection.status(endpoint))).await;
    let mut rows = Vec::new();
    let mut failed = false;
    for (endpoint, answer) in endpoints.iter().zip(asked) {
        match answer {
            Ok(status) => rows.push(StatusRow { endpoint: endpoint.to_string(), status }),
            // Nobody else will let this user in either.
            Err(failure) if failure.is_bad_credentials() => return Err(failure.into()),
            Err(failure) => {
                failed = true;
                let reason = session.reason(&failure);
                session
                    .remark(&format!("Failed to get the status of endpoint {endpoint} ({reason})"));
            }
        }
    }
    session.print(Answer::Status(&rows))?;
    if failed { Err(CommandError::Silent { code: exit::ERROR }) } else { Ok(()) }
}

async fn hashes(
    endpoints: &[Endpoint],
    revision: i64,
    session: &mut Session,
) -> Result<(), CommandError> {
    let connection = session.connection.clone();
    let asked =
        join_all(endpoints.iter().map(|endpoint| connection.hash_kv(endpoint, revision))).await;
    let mut rows = Vec::new();
    let mut last = None;
    for (endpoint, answer) in endpoints.iter().zip(asked) {
        match answer {
            Ok(hash) => rows.push(HashRow { endpoint: endpoint.to_string(), hash }),
            Err(failure) if failure.is_bad_credentials() => return Err(failure.into()),
            Err(failure) => {
                let reason = session.reason(&failure);
                session
                    .remark(&format!("Failed to get the hash of endpoint {endpoint} ({reason})"));
                last = Some(failure);
            }
        }
    }
    session.print(Answer::Hashes(&rows))?;
    last.map_or(Ok(()), |failure| Err(failure.into()))
}
