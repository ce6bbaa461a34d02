//! `endpoint health|status`

use futures::future::join_all;
use kvorum_client::{Endpoint, Health, Trouble};

use super::{CommandError, Session};
use crate::args::{EndpointArgs, EndpointCommand};
use crate::exit;
use crate::mode::Mode;
use crate::output::{Answer, Format, HealthRow, StatusRow};

pub(super) async fn execute(
    args: &EndpointArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let endpoints = endpoints(args, session).await?;
    match &args.command {
        EndpointCommand::Health { .. } => health(&endpoints, session).await,
        EndpointCommand::Status { .. } => status(&endpoints, session).await,
    }
}

/// The endpoints of the command line, or with `--cluster` of the member list.
async fn endpoints(
    args: &EndpointArgs,
    session: &mut Session,
) -> Result<Vec<Endpoint>, CommandError> {
    if !args.whole_cluster() {
        return Ok(session.connection.endpoints().to_vec());
    }
    let members = session.connection.members().await.map_err(|failure| CommandError::Failure {
        failure,
        code: exit::ERROR,
        context: Some("failed to fetch endpoints from etcd cluster member list:"),
    })?;
    let urls = members.members.iter().flat_map(|member| &member.client_ur_ls);
    urls.map(|url| Endpoint::parse(url))
        .collect::<Result<_, _>>()
        .map_err(|error| CommandError::Other { code: exit::ERROR, message: error.to_string() })
}

async fn health(endpoints: &[Endpoint], session: &mut Session) -> Result<(), CommandError> {
    let connection = session.connection.clone();
    let checks = endpoints.iter().map(|endpoint| connection.health(endpoint));
    let mode = session.mode;
    let rows: Vec<_> =
        join_all(checks).await.into_iter().map(|health| health_row(&health, mode)).collect();
    if session.style.format == Format::Simple {
        for row in rows.iter().filter(|row| !row.error.is_empty()) {
            session.remark(&format!(
                "{} is unhealthy: failed to commit proposal: {}",
                row.endpoint, row.error
            ));
        }
    }
    session.print(Answer::Health(&rows))?;
    if rows.iter().any(|row| !row.error.is_empty()) {
        return Err(CommandError::Other {
            code: exit::ERROR,
            message: "unhealthy cluster".to_owned(),
        });
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
    HealthRow {
        endpoint: health.endpoint.to_string(),
        healthy: health.is_healthy(),
        took: Some(health.took),
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
            Err(failure) => {
                failed = true;
                let reason = match session.mode {
                    Mode::Etcdctl => failure.etcdctl_text(),
                    Mode::Kvorum => failure.to_string(),
                };
                session
                    .remark(&format!("Failed to get the status of endpoint {endpoint} ({reason})"));
            }
        }
    }
    session.print(Answer::Status(&rows))?;
    if failed { Err(CommandError::Silent { code: exit::ERROR }) } else { Ok(()) }
}
