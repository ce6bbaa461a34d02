//! Plain HTTP on the client port: health, hosts and origins, metrics; and what tools ask by gRPC.

use std::collections::BTreeMap;
use std::time::Duration;

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::http::{Answer, request};
use kvorum_tests::program::Names;
use kvorum_tests::wait::until;
use tonic::transport::Endpoint;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// How long something that must happen may take.
const SOON: Duration = Duration::from_secs(20);

fn start(flags: &[&str]) -> Cluster {
    Cluster::start_with(&Names::of(binary!()).server(), 1, flags)
}

fn ask(cluster: &Cluster, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let answer = request(&cluster.members[0].endpoint(), line, headers, body);
    answer.expect("HTTP is answered")
}

fn get(cluster: &Cluster, path: &str) -> Answer {
    ask(cluster, &format!("GET {path}"), &[], "")
}

#[test]
fn health_says_in_lines_what_was_checked() {
    let cluster = start(&[]);
    let all = "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n\
               [+]non_learner ok\nok\n";
    for (path, body) in [
        ("/livez", "ok\n"),
        ("/livez?verbose", "[+]serializable_read ok\nok\n"),
        ("/livez/serializable_read", "ok\n"),
        ("/readyz", "ok\n"),
        ("/readyz?verbose=1", all),
        ("/readyz/data_corruption?verbose", "[+]data_corruption ok\nok\n"),
        ("/readyz/linearizable_read", "ok\n"),
        (
            "/readyz?verbose&exclude=linearizable_read&exclude=non_learner&exclude=nothing",
            "[+]data_corruption ok\n[+]serializable_read ok\nok\n",
        ),
    ] {
        let answer = get(&cluster, path);
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    assert_eq!(get(&cluster, "/livez/linearizable_read").status, 404);
    assert_eq!(get(&cluster, "/health").body, r#"{"health":"true","reason":""}"#);
}

#[test]
fn health_and_version_are_asked_for_by_get() {
    let cluster = start(&[]);
    for path in ["/health", "/livez", "/readyz", "/readyz/non_learner", "/version"] {
        let answer = ask(&cluster, &format!("POST {path}"), &[], "");
        assert_eq!((answer.status, answer.body.as_str()), (405, "Method Not Allowed\n"), "{path}");
        assert_eq!(answer.header("allow"), Some("GET"), "{path}");
    }
}

#[test]
fn an_alarm_makes_the_member_ill_unless_it_is_left_out() {
    let cluster = start(&[]);
    let raise = |alarm: &str| {
        let body = format!(r#"{{"action":"ACTIVATE","alarm":"{alarm}"}}"#);
        assert_eq!(ask(&cluster, "POST /v3/maintenance/alarm", &[], &body).status, 200);
    };
    raise("NOSPACE");
    let answer = get(&cluster, "/health");
    let body = "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n";
    assert_eq!((answer.status, answer.body.as_str()), (503, body));
    assert_eq!(get(&cluster, "/health?exclude=NOSPACE").status, 200);
    assert_eq!(get(&cluster, "/readyz").status, 200);
    raise("CORRUPT");
    assert_eq!(get(&cluster, "/health?exclude=NOSPACE").status, 503);
    assert_eq!(get(&cluster, "/health?exclude=NOSPACE&exclude=CORRUPT").status, 200);
    let answer = get(&cluster, "/readyz");
    assert_eq!(answer.status, 503);
    let line = "[-]data_corruption failed: alarm activated: CORRUPT\n";
    assert!(answer.body.starts_with(line), "{}", answer.body);
    assert_eq!(get(&cluster, "/readyz?exclude=data_corruption").status, 200);
    assert_eq!(get(&cluster, "/livez").status, 200);
}

#[test]
fn a_member_without_a_leader_is_alive_and_not_ready() {
    let mut cluster = Cluster::start(&Names::of(binary!()).server(), 3);
    for member in &mut cluster.members[1..] {
        member.kill();
    }
    let lost = until(SOON, || {
        let answer = get(&cluster, "/health");
        (answer.status == 503 && answer.body.contains("RAFT NO LEADER")).then_some(answer)
    });
    let body = lost.expect("the leader is missed").body;
    assert_eq!(body, "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n");
    assert_eq!(get(&cluster, "/health?serializable=true").status, 200);
    assert_eq!(get(&cluster, "/livez").status, 200);
    let answer = get(&cluster, "/readyz?exclude=non_learner");
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("\n[-]linearizable_read failed: etcdserver: "), "{}", answer.body);
    assert!(answer.body.contains("[+]serializable_read ok\n"), "{}", answer.body);
}

#[test]
fn a_host_that_is_not_listed_is_refused_by_plain_http() {
    let cluster = start(&["--host-whitelist=127.0.0.1,good.example"]);
    let host = |name| ask(&cluster, "GET /health", &[("Host", name)], "");
    assert_eq!(host("good.example").status, 200);
    assert_eq!(host("good.example:2379").status, 200);
    let refused = host("evil.example:2379");
    assert_eq!(refused.status, 421);
    let text = "\netcd received your request, but the Host header was unrecognized.\n\nTo fix \
                this, choose one of the following options:\n- Enable TLS, then any HTTPS request \
                will be allowed.\n- Add the hostname you want to use to the whitelist in \
                settings.\n  - e.g. etcd --host-whitelist \"evil.example\"\n\nThis requirement \
                has been added to help prevent \"DNS Rebinding\" attacks (CVE-2018-5702).\n\n";
    assert_eq!(refused.body, text);
    // Whatever is asked for, gRPC's own paths too.
    for line in ["POST /v3/kv/range", "GET /nothing", "POST /etcdserverpb.KV/Range"] {
        let headers = [("Host", "evil.example"), ("Content-Type", "application/grpc")];
        assert_eq!(ask(&cluster, line, &headers, "{}").status, 421, "{line}");
    }
    let grpc = [("Content-Type", "application/grpc")];
    // Which is no page, since gRPC is spoken over HTTP/2 only.
    assert_eq!(ask(&cluster, "POST /etcdserverpb.KV/Range", &grpc, "").status, 404);
}

#[test]
fn a_browser_learns_which_pages_may_read_answers() {
    let origin =
        |answer: &Answer| answer.header("access-control-allow-origin").map(ToOwned::to_owned);
    let any = start(&[]);
    assert_eq!(origin(&get(&any, "/version")).as_deref(), Some("*"));
    let preflight = ask(&any, "OPTIONS /v3/kv/range", &[], "");
    assert_eq!((preflight.status, preflight.body.as_str()), (200, ""));
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        Some("POST, GET, OPTIONS, PUT, DELETE")
    );
    assert_eq!(
        preflight.header("access-control-allow-headers"),
        Some("accept, content-type, authorization")
    );
    let one = start(&["--cors=http://page.example:80"]);
    let from = |page| origin(&ask(&one, "GET /version", &[("Origin", page)], ""));
    assert_eq!(from("http://page.example:80").as_deref(), Some("http://page.example:80"));
    assert_eq!(from("http://other.example:80"), None);
    assert_eq!(origin(&get(&one, "/version")), None);
}

#[test]
fn without_the_gateway_there_are_no_such_pages() {
    let cluster = start(&["--enable-grpc-gateway=false"]);
    let answer = ask(&cluster, "POST /v3/kv/range", &[], r#"{"key":"YQ=="}"#);
    assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"));
    assert_eq!(get(&cluster, "/health").status, 200);
}

/// Samples by name and labels, after checking that the page is well formed.
fn metrics(cluster: &Cluster) -> BTreeMap<String, f64> {
    let page = get(cluster, "/metrics");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut samples = BTreeMap::new();
    let mut family = String::new();
    let mut families = Vec::new();
    for line in page.body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (what, name) = (words.next().expect("HELP or TYPE"), words.next().expect("a name"));
            match what {
                "HELP" => {
                    assert!(!families.contains(&name.to_owned()), "{name} is there twice");
                    families.push(name.to_owned());
                    name.clone_into(&mut family);
                }
                "TYPE" => {
                    assert_eq!(name, family);
                    let kind = words.next().expect("a kind");
                    assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        let bare = name.split('{').next().unwrap_or_default();
        let suffix = bare.strip_prefix(&family).unwrap_or_else(|| panic!("{line} in {family}"));
        assert!(["", "_bucket", "_sum", "_count"].contains(&suffix), "{line}");
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(samples.insert(name.to_owned(), value).is_none(), "{name} is there twice");
    }
    samples
}

#[test]
fn metrics_have_etcds_names_and_move() {
    let cluster = start(&["--metrics=extensive"]);
    // The last thing a new member writes by itself is the cluster's version.
    let decided = || !get(&cluster, "/version").body.contains("not_decided");
    assert!(until(SOON, || decided().then_some(())).is_some(), "no version is decided");
    let before = metrics(&cluster);
    let put = r#"{"key":"YQ==","value":"MQ=="}"#;
    for _ in 0..5 {
        assert_eq!(ask(&cluster, "POST /v3/kv/put", &[], put).status, 200);
    }
    assert_eq!(ask(&cluster, "POST /v3/kv/range", &[], "{}").status, 400);
    assert_eq!(ask(&cluster, "POST /v3/kv/range", &[], r#"{"key":"YQ=="}"#).status, 200);
    get(&cluster, "/health");
    get(&cluster, "/readyz");
    // The backend commits a little later than it answers.
    let committed = "etcd_disk_backend_commit_duration_seconds_count";
    let after = until(SOON, || Some(metrics(&cluster)).filter(|now| now[committed] > 0.0))
        .expect("the backend commits");
    let of = |name: &str| {
        let value = after.get(name).unwrap_or_else(|| panic!("there is no {name}"));
        (*value, value - before.get(name).copied().unwrap_or(0.0))
    };
    let put = r#"grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}"#;
    let range = r#"grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"}"#;
    for (name, more) in [
        ("etcd_mvcc_put_total", 5.0),
        ("etcd_debugging_mvcc_put_total", 5.0),
        ("etcd_mvcc_range_total", 1.0),
        ("etcd_debugging_mvcc_current_revision", 5.0),
        ("etcd_server_proposals_applied_total", 5.0),
        ("etcd_server_proposals_committed_total", 5.0),
        ("etcd_server_health_success", 1.0),
        (
            r#"etcd_server_healthchecks_total{name="non_learner",status="success",type="readyz"}"#,
            1.0,
        ),
        (&format!("grpc_server_started_total{{{put}"), 5.0),
        (&format!("grpc_server_handled_total{{grpc_code=\"OK\",{put}"), 5.0),
        (&format!("grpc_server_handled_total{{grpc_code=\"InvalidArgument\",{range}"), 1.0),
        (&format!("grpc_server_handled_total{{grpc_code=\"OK\",{range}"), 1.0),
        (&format!("grpc_server_msg_received_total{{{range}"), 2.0),
        (&format!("grpc_server_msg_sent_total{{{range}"), 1.0),
        (&format!("grpc_server_handling_seconds_count{{{put}"), 5.0),
    ] {
        let grown = of(name).1;
        assert!((grown - more).abs() < 0.5, "{name} grew by {grown} and not by {more}");
    }
    for name in [
        "etcd_disk_wal_fsync_duration_seconds_count",
        "etcd_disk_wal_fsync_duration_seconds_sum",
        "etcd_network_client_grpc_received_bytes_total",
        "etcd_network_client_grpc_sent_bytes_total",
        "process_cpu_seconds_total",
    ] {
        assert!(of(name).1 > 0.0, "{name} did not move");
    }
    for name in
        ["etcd_server_has_leader", "etcd_server_is_leader", "etcd_debugging_mvcc_keys_total"]
    {
        assert!((of(name).0 - 1.0).abs() < 0.5, "{name}");
    }
    for name in [
        "etcd_mvcc_db_total_size_in_bytes",
        "etcd_server_quota_backend_bytes",
        "etcd_disk_backend_commit_duration_seconds_count",
        "etcd_server_leader_changes_seen_total",
        "process_open_fds",
        "process_resident_memory_bytes",
    ] {
        assert!(of(name).0 > 0.0, "{name}");
    }
}

#[test]
fn metrics_tell_of_leases_out_of_time_and_of_members_that_are_away() {
    let mut cluster = Cluster::start(&Names::of(binary!()).server(), 2);
    let grant = ask(&cluster, "POST /v3/lease/grant", &[], r#"{"TTL":1}"#);
    assert_eq!(grant.status, 200, "{}", grant.body);
    // Whoever leads.
    let total = |cluster: &Cluster, name: &str| {
        let pages = cluster.members.iter().filter_map(|member| {
            request(&member.endpoint(), "GET /metrics", &[], "").map(|page| page.body).ok()
        });
        let lines: Vec<String> =
            pages.flat_map(|page| page.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let values = lines.iter().filter(|line| line.starts_with(name));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let expired = "etcd_debugging_server_lease_expired_total";
    let moved = until(SOON, || (total(&cluster, expired) > 0.0).then_some(()));
    assert!(moved.is_some(), "no lease expired");
    let failed = "etcd_network_peer_sent_failures_total{";
    let before = total(&cluster, failed);
    cluster.members[1].kill();
    let moved = until(SOON, || (total(&cluster, failed) > before).then_some(()));
    assert!(moved.is_some(), "nothing is said of a member that is away");
}

#[test]
fn a_tool_learns_every_service_and_its_messages() {
    let cluster = start(&[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(async {
        let url = cluster.members[0].client_url();
        let endpoint = Endpoint::from_shared(url).expect("a URL");
        let channel = endpoint.connect().await.expect("the member serves");
        let mut client = ServerReflectionClient::new(channel);
        let requests = [
            MessageRequest::ListServices(String::new()),
            MessageRequest::FileContainingSymbol("etcdserverpb.KV.Range".to_owned()),
        ];
        let requests = requests.map(|message| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(message),
        });
        let answers = client.server_reflection_info(tokio_stream::iter(requests)).await;
        let mut answers = answers.expect("reflection is served").into_inner();
        let first = answers.message().await.expect("an answer").expect("one more");
        let Some(MessageResponse::ListServicesResponse(list)) = first.message_response else {
            panic!("{first:?}");
        };
        let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
        for name in ["KV", "Watch", "Lease", "Cluster", "Maintenance", "Auth"] {
            assert!(names.contains(&format!("etcdserverpb.{name}").as_str()), "{names:?}");
        }
        let others = ["v3lockpb.Lock", "v3electionpb.Election", "grpc.health.v1.Health"];
        assert!(others.iter().all(|name| names.contains(name)), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("kvorum")), "{names:?}");
        let second = answers.message().await.expect("an answer").expect("one more");
        let Some(MessageResponse::FileDescriptorResponse(file)) = second.message_response else {
            panic!("{second:?}");
        };
        assert!(!file.file_descriptor_proto.is_empty());
    });
}
