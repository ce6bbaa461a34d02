//! Whether the member is well: `/health`, and etcd 3.6's `/livez` and `/readyz`.
//!
//! `/health` answers in JSON about alarms, the leader and a read. The other two answer in lines, one
//! a check: `/livez` whether restarting the process might help, `/readyz` whether to send requests
//! here. Each check has a path of its own below them too.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{Method, StatusCode};
use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::{AlarmType, RangeRequest};
use serde::Serialize;

use super::http::{NOSNIFF, PLAIN, not_allowed, text};
use super::maintenance::is_learner;
use super::status::{of_request, of_store};
use crate::runtime::Handle;

pub(super) fn router(handle: &Handle) -> Router {
    let router = Router::new().route("/health", any(health)).with_state(handle.clone());
    [LIVEZ, READYZ].into_iter().fold(router, |router, group| router.merge(group.router(handle)))
}

type Words = Query<Vec<(String, String)>>;

async fn health(State(handle): State<Handle>, method: Method, Query(words): Words) -> Response {
    if method != Method::GET {
        return not_allowed();
    }
    let serializable = words.iter().find(|(name, _)| name == "serializable");
    let serializable = serializable.is_some_and(|(_, value)| value == "true");
    let reason = ill(&handle, &excluded(&words), serializable).await;
    handle.metrics.health.count(reason.is_none());
    let Some(reason) = reason else {
        return ([(CONTENT_TYPE, PLAIN)], json("true", "")).into_response();
    };
    tracing::warn!(reason, "serving /health false");
    let body = json("false", &reason);
    text(StatusCode::SERVICE_UNAVAILABLE, &body)
}

fn json(health: &str, reason: &str) -> String {
    #[derive(Serialize)]
    struct Health<'a> {
        health: &'a str,
        reason: &'a str,
    }
    serde_json::to_string(&Health { health, reason }).expect("strings always encode")
}

fn excluded(words: &[(String, String)]) -> Vec<&str> {
    let excluded = words.iter().filter(|(name, value)| name == "exclude" && !value.is_empty());
    excluded.map(|(_, value)| value.as_str()).collect()
}

/// What is wrong with the member, if anything.
async fn ill(handle: &Handle, excluded: &[&str], serializable: bool) -> Option<String> {
    let root = handle.root();
    let alarm = root.alarms().iter().find_map(|alarm| {
        let kind = AlarmType::try_from(alarm.alarm).unwrap_or(AlarmType::None);
        (!excluded.contains(&kind.as_str_name())).then_some(kind)
    });
    match alarm {
        Some(AlarmType::Nospace) => return Some("ALARM NOSPACE".to_owned()),
        Some(AlarmType::Corrupt) => return Some("ALARM CORRUPT".to_owned()),
        Some(AlarmType::None) => return Some("ALARM UNKNOWN".to_owned()),
        None => {}
    }
    if !serializable && handle.leadership().leader == 0 {
        return Some("RAFT NO LEADER".to_owned());
    }
    let check = if serializable { Check::SerializableRead } else { Check::LinearizableRead };
    check.failure(handle).await.map(|reason| format!("RANGE ERROR:{reason}"))
}

/// Checks under one path.
#[derive(Clone, Copy)]
struct Group {
    name: &'static str,
    checks: &'static [Check],
}

const LIVEZ: Group = Group { name: "livez", checks: &[Check::SerializableRead] };

const READYZ: Group = Group {
    name: "readyz",
    checks: &[
        Check::DataCorruption,
        Check::SerializableRead,
        Check::LinearizableRead,
        Check::NonLearner,
    ],
};

impl Group {
    fn router(self, handle: &Handle) -> Router {
        let mut router = Router::new();
        for check in self.checks {
            let one = move |State(handle), method, Query(words): Words| async move {
                self.answer(&handle, &method, &words, std::slice::from_ref(check)).await
            };
            router = router.route(&format!("/{}/{}", self.name, check.name()), any(one));
        }
        let all = move |State(handle), method, Query(words): Words| async move {
            let excluded = excluded(&words);
            let included = self.checks.iter().filter(|check| !excluded.contains(&check.name()));
            let included: Vec<Check> = included.copied().collect();
            self.answer(&handle, &method, &words, &included).await
        };
        router.route(&format!("/{}", self.name), any(all)).with_state(handle.clone())
    }

    /// `ok`, and what was checked if that is asked for or fails.
    async fn answer(
        self,
        handle: &Handle,
        method: &Method,
        words: &[(String, String)],
        checks: &[Check],
    ) -> Response {
        if method != Method::GET {
            return not_allowed();
        }
        let mut lines = String::new();
        let mut well = true;
        for check in checks {
            let failure = check.failure(handle).await;
            handle.metrics.health.count_check(self.name, check.name(), failure.is_none());
            match failure {
                None => lines.extend(["[+]", check.name(), " ok\n"]),
                Some(reason) => {
                    well = false;
                    lines.extend(["[-]", check.name(), " failed: ", &reason, "\n"]);
                }
            }
        }
        if !well {
            tracing::warn!(path = self.name, reason = lines, "health check error");
            return text(StatusCode::SERVICE_UNAVAILABLE, &lines);
        }
        let verbose = words.iter().any(|(name, _)| name == "verbose");
        let body = if verbose { format!("{lines}ok\n") } else { "ok\n".to_owned() };
        ([(CONTENT_TYPE, PLAIN), NOSNIFF], body).into_response()
    }
}

#[derive(Clone, Copy)]
enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

impl Check {
    fn name(self) -> &'static str {
        match self {
            Check::DataCorruption => "data_corruption",
            Check::SerializableRead => "serializable_read",
            Check::LinearizableRead => "linearizable_read",
            Check::NonLearner => "non_learner",
        }
    }

    /// Why the check fails, if it does.
    async fn failure(self, handle: &Handle) -> Option<String> {
        let root = handle.root();
        match self {
            Check::DataCorruption => {
                let corrupt = |alarm: i32| alarm == AlarmType::Corrupt as i32;
                let alarmed = root.alarms().iter().any(|alarm| corrupt(alarm.alarm));
                (alarmed || handle.states.is_diverged())
                    .then(|| "alarm activated: CORRUPT".to_owned())
            }
            Check::SerializableRead => read(&root),
            Check::LinearizableRead => match handle.read_barrier().await {
                Ok(()) => read(&handle.root()),
                Err(error) => Some(of_request(error).message().to_owned()),
            },
            Check::NonLearner => is_learner(&root, handle.identity.member_id)
                .then(|| "not supported for learner".to_owned()),
        }
    }
}

/// What keeps one key from being read, if anything.
fn read(root: &Root) -> Option<String> {
    let read = RangeRequest { key: vec![0].into(), limit: 1, ..RangeRequest::default() };
    root.range(&read).err().map(|error| of_store(error).message().to_owned())
}
