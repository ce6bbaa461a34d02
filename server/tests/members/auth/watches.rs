//! Watches end with their permission.

use std::time::{Duration, Instant};

use kvorum_proto::etcdserverpb::watch_request::RequestUnion;
use kvorum_proto::etcdserverpb::{
    AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthUserChangePasswordRequest,
    AuthUserDeleteRequest, WatchCreateRequest, WatchRequest, WatchResponse,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{NOBODY, Site, by};
use crate::support::{PATIENCE, put};

/// A stream of watches; it ends when it is dropped.
struct Watching {
    _requests: mpsc::Sender<WatchRequest>,
    answers: Streaming<WatchResponse>,
}

impl Watching {
    async fn open(site: &Site, token: &str, key: &str, end: &str) -> Watching {
        let (requests, asked) = mpsc::channel(1);
        let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
        let create = WatchCreateRequest { key, range_end, ..WatchCreateRequest::default() };
        let request_union = Some(RequestUnion::CreateRequest(create));
        requests.send(WatchRequest { request_union }).await.unwrap();
        let watched = by(token, ReceiverStream::new(asked));
        let answers = site.cluster.client(0).watch().watch(watched).await.unwrap().into_inner();
        Watching { _requests: requests, answers }
    }

    async fn next(&mut self) -> WatchResponse {
        timeout(PATIENCE, self.answers.message()).await.unwrap().unwrap().unwrap()
    }
}

fn assert_ended(answer: &WatchResponse, reason: &str) {
    assert!(answer.canceled && answer.events.is_empty(), "{answer:?}");
    assert_eq!(answer.cancel_reason, reason);
}

const DENIED: &str = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
const EMPTY: &str = "rpc error: code = InvalidArgument desc = etcdserver: user name is empty";
const TOKEN: &str = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";

#[test]
fn a_watch_is_refused_in_etcds_words() {
    Site::start(1).run(async |site| {
        for (token, key, end, reason) in [
            (site.alice.as_str(), "c", "", DENIED),
            (&site.alice, "a", "\0", DENIED),
            (NOBODY, "a", "", EMPTY),
            ("wrong.1", "a", "", TOKEN),
        ] {
            let mut watch = Watching::open(site, token, key, end).await;
            let answer = watch.next().await;
            assert!(answer.created && answer.watch_id == -1, "{answer:?}");
            assert_ended(&answer, reason);
        }
    });
}

#[test]
fn watches_are_answered_in_the_order_they_are_asked_for_refused_or_not() {
    const PAIRS: usize = 50;
    Site::start(1).run(async |site| {
        let asked = (0..2 * PAIRS).map(|n| {
            let key = if n % 2 == 0 { "a" } else { "c" };
            let create = WatchCreateRequest { key: key.into(), ..WatchCreateRequest::default() };
            WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }
        });
        let watched = by(&site.alice, tokio_stream::iter(asked).chain(tokio_stream::pending()));
        let answers = site.cluster.client(0).watch().watch(watched).await.unwrap().into_inner();
        let (requests, _) = mpsc::channel(1);
        let mut watch = Watching { _requests: requests, answers };
        for n in 0..2 * PAIRS {
            let answer = watch.next().await;
            assert_eq!((answer.created, answer.canceled), (true, n % 2 == 1), "answer {n}");
        }
    });
}

#[test]
fn a_watch_ends_when_it_loses_its_permission_and_sees_nothing_after() {
    Site::start(1).run(async |site| {
        let mut watch = Watching::open(site, &site.alice, "a", "c").await;
        let mut by_root = Watching::open(site, &site.root, "a", "c").await;
        assert!(watch.next().await.created && by_root.next().await.created);
        site.put(&site.root, put("a", "before")).await.unwrap();
        assert_eq!(watch.next().await.events.len(), 1);
        // What does not concern it ends nothing.
        let add = AuthRoleAddRequest { name: "other".into() };
        site.auth().role_add(by(&site.root, add)).await.unwrap();
        site.put(&site.root, put("b", "before")).await.unwrap();
        assert_eq!(watch.next().await.events.len(), 1);
        site.revoke_alice().await;
        let revoked = Instant::now();
        site.put(&site.root, put("a", "after")).await.unwrap();
        assert_ended(&watch.next().await, DENIED);
        let took = revoked.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
        let more = timeout(Duration::from_millis(100), watch.answers.message()).await;
        assert!(more.is_err(), "nothing comes after the end: {more:?}");
        for value in ["before", "before", "after"] {
            let event = by_root.next().await.events.remove(0);
            assert_eq!(event.kv.unwrap().value, value);
        }
    });
}

#[test]
fn a_watch_ends_with_the_password_its_token_was_given_for() {
    Site::start(1).run(async |site| {
        let mut watch = Watching::open(site, &site.alice, "a", "").await;
        let mut by_root = Watching::open(site, &site.root, "a", "").await;
        assert!(watch.next().await.created && by_root.next().await.created);
        let (name, password) = ("alice".to_owned(), "another".to_owned());
        let change = AuthUserChangePasswordRequest { name, password, ..Default::default() };
        site.auth().user_change_password(by(&site.root, change)).await.unwrap();
        assert_ended(&watch.next().await, TOKEN);
        site.put(&site.root, put("a", "1")).await.unwrap();
        assert_eq!(by_root.next().await.events.len(), 1);
    });
}

#[test]
fn a_watch_ends_within_a_second_though_nothing_is_written() {
    Site::start(1).run(async |site| {
        let mut gone = Watching::open(site, &site.alice, "a", "").await;
        assert!(gone.next().await.created);
        let changed = Instant::now();
        let delete = AuthUserDeleteRequest { name: "alice".into() };
        site.auth().user_delete(by(&site.root, delete)).await.unwrap();
        assert_ended(&gone.next().await, DENIED);
        assert!(changed.elapsed() < Duration::from_secs(1), "{:?}", changed.elapsed());
        // Of nobody, from before auth was enabled.
        site.auth().auth_disable(by(&site.root, AuthDisableRequest {})).await.unwrap();
        let mut open = Watching::open(site, NOBODY, "a", "").await;
        assert!(open.next().await.created);
        let changed = Instant::now();
        site.auth().auth_enable(AuthEnableRequest {}).await.unwrap();
        assert_ended(&open.next().await, EMPTY);
        assert!(changed.elapsed() < Duration::from_secs(1), "{:?}", changed.elapsed());
    });
}
