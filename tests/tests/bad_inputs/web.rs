//! §7.6: plain HTTP on the client port.

use kvorum_tests::differential::step::{HttpCall, Step};
use serde_json::{Value, json};

use crate::section::{Row, row};

fn http(method: &'static str, path: &str, body: &str) -> Step {
    let (path, body) = (path.to_owned(), body.to_owned());
    let headers = vec![("host", "allowed.example")];
    Step::Http(HttpCall { method, path, headers, body })
}

fn alarm(action: u8) -> Step {
    let alarm = json!({"action": action, "memberID": "7", "alarm": 1});
    Step::call("Maintenance/Alarm", alarm)
}

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const GATEWAY: &str =
    "v3.6.0 server/embed/serve.go, grpc-gateway v2: its errors have no field error";
const HEALTH: &str = "v3.6.0 server/etcdserver/api/etcdhttp/health.go";

pub(crate) fn rows() -> Vec<Row> {
    let refused = |path: &str| http("POST", path, "");
    let not_allowed = || -> Value {
        json!({"http": 405, "allow": "GET", "type": PLAIN, "body": "Method Not Allowed\n"})
    };
    let full = |row: Row| row.before(vec![alarm(1)]).after(vec![alarm(2)]);
    let stranger = HttpCall {
        method: "GET",
        path: "/health".into(),
        headers: vec![("host", "stranger.example")],
        body: String::new(),
    };
    let invalid =
        |why: &str| json!({"http": 400, "type": JSON, "body": {"code": 3, "message": why}});
    let range = |body: &str| http("POST", "/v3/kv/range", body);
    vec![
        row("B80a", "POST /health", refused("/health")),
        row("B80b", "POST /livez", refused("/livez")).later(not_allowed(), HEALTH),
        row("B80c", "POST /readyz", refused("/readyz")).later(not_allowed(), HEALTH),
        full(row("B81a", "/health without space", http("GET", "/health", ""))).later(
            json!({"http": 503, "type": PLAIN,
                "body": {"health": "false", "reason": "ALARM NOSPACE"}}),
            HEALTH,
        ),
        full(row(
            "B81b",
            "/health that forgives it",
            http("GET", "/health?exclude=NOSPACE&serializable=true", ""),
        ))
        .later(
            json!({"http": 200, "type": PLAIN, "body": {"health": "true", "reason": ""}}),
            HEALTH,
        ),
        row("B82", "a host that is not on the list", Step::Http(stranger)),
        row("B84a", "JSON that is none", range("{")).later(invalid("*"), GATEWAY),
        row("B84b", "base64 that is none", range(r#"{"key": "not base64!"}"#))
            .later(invalid("*"), GATEWAY),
        row("B84c", "a field that is none", range(r#"{"no_such_field": 1}"#))
            .later(invalid("etcdserver: key is not provided"), GATEWAY),
        row("B85a", "a path that is none", http("POST", "/v3/no/such", "{}")).later(
            json!({"http": 404, "type": JSON, "body": {"code": 5, "message": "Not Found"}}),
            GATEWAY,
        ),
        row("B85b", "a page that is none", http("GET", "/nonsense", "")),
    ]
}
