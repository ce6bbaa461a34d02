//! §7.3: leases.

use kvorum_tests::differential::step::{Call, Step};
use serde_json::{Value, json};

use crate::section::{Row, call, row};

fn grant(id: &str, ttl: &str) -> Value {
    json!({"ID": id, "TTL": ttl})
}

fn revoke(id: &str) -> Step {
    Step::call("Lease/LeaseRevoke", json!({"ID": id}))
}

pub(crate) fn rows() -> Vec<Row> {
    let keep_alive = Call::new("Lease/LeaseKeepAlive", json!({}));
    let messages = vec![json!({"ID": "424242"})];
    let keep_alive = Step::Stream { call: keep_alive, messages, at_most: 5 };
    vec![
        call("B43", "a TTL too large", "Lease/LeaseGrant", grant("7", "9000000001")),
        call("B44a", "a TTL of nothing", "Lease/LeaseGrant", grant("7", "0"))
            .after(vec![revoke("7")])
            .changes(),
        call("B44b", "a negative TTL", "Lease/LeaseGrant", grant("7", "-7"))
            .after(vec![revoke("7")])
            .changes(),
        call("B45", "a lease that is there", "Lease/LeaseGrant", grant("8", "800"))
            .before(vec![Step::call("Lease/LeaseGrant", grant("8", "900"))])
            .after(vec![revoke("8")]),
        call("B46", "the end of an unknown lease", "Lease/LeaseRevoke", json!({"ID": "424242"})),
        row("B47", "an unknown lease kept alive", keep_alive),
        call(
            "B48",
            "how long an unknown lease lives",
            "Lease/LeaseTimeToLive",
            json!({"ID": "424242", "keys": true}),
        ),
    ]
}
