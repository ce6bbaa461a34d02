//! Plain HTTP, and requests to the gateway that are no JSON of a message.

use serde_json::{Value, json};

use super::{Generator, Part};
use crate::differential::contract::base64;
use crate::differential::step::{Call, HttpCall, Step};

impl Generator {
    pub(super) fn web(&mut self) {
        match self.random.below(10) {
            0..3 => {
                let request = self.range_request(true);
                self.gateway("KV/Range", request);
            }
            3 => {
                let request = self.put_request();
                self.gateway("KV/Put", request);
            }
            4 => {
                let compare = json!({"key": base64("k01"), "target": "VERSION", "version": "1"});
                let put = json!({"request_put": self.put_request()});
                let range = json!({"request_range": {"key": base64("k01")}});
                let txn = json!({"compare": [compare], "success": [put], "failure": [range]});
                self.gateway("KV/Txn", txn);
            }
            5 => self.other_path(),
            6 => self.get("/health"),
            7 => self.get("/version"),
            8 => self.odd_page(),
            _ => self.bad_json(),
        }
    }

    pub(super) fn gateway(&mut self, method: &'static str, mut message: Value) {
        let who = self.made_cautious(method, &mut message);
        let call = Call::new(method, message).by(&who);
        self.queue.push_back(Step::Gateway(call));
    }

    /// What the gateway has under other names too. Who asks for leases 3.4 does not mind.
    pub(super) fn other_path(&mut self) {
        let put = json!({"key": base64("k01"), "value": base64("v")});
        self.http("POST", "/v3beta/kv/put", &put.to_string());
        let range = json!({"key": base64("k01")});
        self.http("POST", "/v3beta/kv/range", &range.to_string());
        if self.part != Part::Open {
            return;
        }
        let lease = json!({"ID": self.lease_id().to_string()});
        self.http("POST", "/v3/kv/lease/timetolive", &lease.to_string());
        self.http("POST", "/v3/kv/lease/leases", "{}");
        self.http("POST", "/v3/kv/lease/revoke", &json!({"ID": "424242"}).to_string());
    }

    /// Streams, of which the gateway sends lines.
    pub(super) fn streams(&mut self) {
        self.ask("KV/Put", json!({"key": base64("k00"), "value": base64("v")}));
        let from = self.known.revision.to_string();
        let create = |create: Value| json!({"create_request": create});
        let past = create(json!({"key": base64("k00"), "start_revision": from}));
        let twice = create(json!({"key": base64("k"), "watch_id": "5"}));
        let empty = create(json!({"key": base64("k"), "range_end": base64("a")}));
        for (messages, count) in
            [(vec![past], 2), (vec![twice.clone(), twice], 2), (vec![empty], 1)]
        {
            let call = Call::new("Watch/Watch", json!({})).by(&self.who);
            self.queue.push_back(Step::GatewayLines { call, messages, count });
        }
    }

    /// Asks under a name that the server does not answer to.
    pub(super) fn strangers(&mut self) {
        if !self.plan.hosts {
            return;
        }
        for path in ["/health", "/health", "/health", "/version", "/v3/kv/range"] {
            let headers = vec![("host", "stranger.example")];
            let method = if path == "/v3/kv/range" { "POST" } else { "GET" };
            let (path, body) = (path.to_owned(), String::new());
            self.queue.push_back(Step::Http(HttpCall { method, path, headers, body }));
        }
    }

    fn get(&mut self, path: &str) {
        self.http("GET", path, "");
    }

    pub(super) fn http(&mut self, method: &'static str, path: &str, body: &str) {
        let (path, body) = (path.to_owned(), body.to_owned());
        self.queue.push_back(Step::Http(HttpCall { method, path, headers: vec![], body }));
    }

    pub(super) fn odd_page(&mut self) {
        let pages = ["/v3/no/such", "/nonsense"];
        let page = *self.random.pick(&pages);
        let method = *self.random.pick(&["GET", "POST"]);
        self.http(method, page, "{}");
    }

    pub(super) fn wrong_verb(&mut self) {
        self.http("POST", "/health", "");
        self.http("PUT", "/health", "");
        self.http("POST", "/version", "");
        self.http("GET", "/v3/kv/range", "");
    }

    pub(super) fn bad_json(&mut self) {
        let bodies = [
            "{",
            "",
            "[]",
            "nonsense",
            r#"{"key": "not base64!"}"#,
            r#"{"key": 5}"#,
            r#"{"key": "a2V5", "limit": "many"}"#,
            r#"{"no_such_field": 1}"#,
            r#"{"key": "a2V5"} trailing"#,
        ];
        let body = *self.random.pick(&bodies);
        self.http("POST", "/v3/kv/range", body);
    }
}
