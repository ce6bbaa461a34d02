//! Whether a member serves, judged as `etcdctl endpoint health` judges it.

use std::time::Duration;

use etcd_client::{AlarmAction, AlarmType};
use tokio::time::Instant;
use tonic::Code;

use crate::connection::{Connection, Effect};
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::request::Get;

/// The outcome of one check.
#[derive(Debug, Clone)]
pub struct Health {
    pub endpoint: Endpoint,
    pub took: Duration,
    /// Why it is not healthy; `None` is healthy.
    pub trouble: Option<Trouble>,
}

#[derive(Debug, Clone)]
pub enum Trouble {
    /// A linearizable read did not succeed.
    Failed(Failure),
    /// It succeeded, but alarms are raised.
    Alarms(Vec<&'static str>),
    /// It succeeded, but the alarms could not be read.
    AlarmsUnknown,
}

impl Health {
    pub fn is_healthy(&self) -> bool {
        self.trouble.is_none()
    }
}

impl Connection {
    /// Reads a key through consensus at exactly this endpoint, then looks for alarms. Being denied
    /// permission is an answer, and so is healthy.
    pub async fn health(&self, endpoint: &Endpoint) -> Health {
        let start = Instant::now();
        let read = self
            .call_at(Effect::Reads, endpoint, |client| async move {
                let get = Get::key("health");
                client.kv_client().get(get.range.key.clone(), Some(get.options())).await
            })
            .await;
        let took = start.elapsed();
        let trouble = match read {
            Err(failure) if failure.code() != Some(Code::PermissionDenied) => {
                Some(Trouble::Failed(failure))
            }
            Ok(_) | Err(_) => self.alarm_trouble(endpoint).await,
        };
        Health { endpoint: endpoint.clone(), took, trouble }
    }

    async fn alarm_trouble(&self, endpoint: &Endpoint) -> Option<Trouble> {
        let answer = self
            .call_at(Effect::Reads, endpoint, |client| async move {
                let mut maintenance = client.maintenance_client();
                Ok(maintenance.alarm(AlarmAction::Get, AlarmType::None, None).await?.0)
            })
            .await;
        match answer {
            Err(_) => Some(Trouble::AlarmsUnknown),
            Ok(answer) if answer.alarms.is_empty() => None,
            Ok(answer) => Some(Trouble::Alarms(
                answer.alarms.iter().map(|alarm| alarm_name(alarm.alarm)).collect(),
            )),
        }
    }
}

pub(crate) fn alarm_name(alarm: i32) -> &'static str {
    match alarm {
        1 => "NOSPACE",
        2 => "CORRUPT",
        _ => "UNKNOWN",
    }
}
