//! Requests that are refused, each for one reason; and what is asked too rarely by chance.

use serde_json::{Value, json};

use super::keys::int;
use super::{Area, Generator, Plan};
use crate::differential::contract::base64;
use crate::differential::step::{Call, MEMBER, Queueing, Step};
use crate::sim::random::Random;

pub(super) type Card = fn(&mut Generator);

/// etcd's `--max-request-bytes`, and what gRPC takes at most.
const MAX_REQUEST_BYTES: usize = 1_572_864;
const MAX_MESSAGE_BYTES: usize = MAX_REQUEST_BYTES + 512 * 1024;

/// The cards of a seed, in its own order.
pub(super) fn deck(plan: &Plan, random: &mut Random) -> Vec<Card> {
    let cards: &[(Area, Card)] = &[
        (Area::Kv, no_key),
        (Area::Kv, revisions),
        (Area::Kv, contradictions),
        (Area::Kv, absent_keys),
        (Area::Kv, too_large),
        (Area::Kv, no_space),
        (Area::Kv, corrupt),
        (Area::Txn, too_many_operations),
        (Area::Txn, duplicates),
        (Area::Txn, malformed_transactions),
        (Area::Watch, Generator::refused_watches),
        (Area::Watch, Generator::progress),
        (Area::Watch, overtaken_watch),
        (Area::Lease, refused_leases),
        (Area::Maintenance, maintenance),
        (Area::Auth, Generator::refused_management),
        (Area::Queues, queues),
        (Area::Queues, terms),
        (Area::Web, pages),
        (Area::Web, Generator::streams),
        (Area::Web, Generator::strangers),
        (Area::Web, every_gateway_path),
    ];
    let mut deck: Vec<Card> =
        cards.iter().filter(|(area, _)| plan.has(*area)).map(|(_, card)| *card).collect();
    random.shuffle(&mut deck);
    deck
}

fn key(name: &str) -> Value {
    json!({"key": base64(name)})
}

fn no_key(generator: &mut Generator) {
    generator.ask_either("KV/Range", json!({}));
    generator.ask_either("KV/Put", json!({"value": base64("v")}));
    generator.ask_either("KV/DeleteRange", json!({"range_end": base64("z")}));
    let compare = json!({"compare": [{"version": "1"}]});
    generator.ask("KV/Txn", compare);
}

fn revisions(generator: &mut Generator) {
    generator.close_watches();
    generator.ask("KV/Put", key("k00"));
    let now = generator.known.revision + 1;
    generator.ask("KV/Compact", json!({"revision": int(now)}));
    for revision in [now - 1, now + 100, -1] {
        let range = json!({"key": base64("k00"), "revision": int(revision)});
        generator.ask_either("KV/Range", range.clone());
        generator.ask("KV/Txn", json!({"success": [{"request_range": range}]}));
        generator.ask("KV/Compact", json!({"revision": int(revision)}));
    }
    generator.ask("Maintenance/HashKV", json!({"revision": int(now - 1)}));
}

fn contradictions(generator: &mut Generator) {
    let put = json!({"key": base64("k00"), "value": base64("v"), "ignore_value": true});
    generator.ask_either("KV/Put", put);
    let put = json!({"key": base64("k00"), "lease": "5", "ignore_lease": true});
    generator.ask_either("KV/Put", put);
}

fn absent_keys(generator: &mut Generator) {
    for field in ["ignore_value", "ignore_lease"] {
        let put = json!({"key": base64("never there"), field: true});
        generator.ask("KV/Put", put.clone());
        generator.ask("KV/Txn", json!({"success": [{"request_put": put}]}));
    }
    let leased = json!({"key": base64("k00"), "lease": "424242"});
    generator.ask("KV/Put", leased.clone());
    let first = json!({"request_put": key("k01")});
    let leased = json!({"request_put": leased});
    generator.ask("KV/Txn", json!({"success": [first, leased]}));
    // Two reasons at once.
    let never = json!({"request_put": {"key": base64("never there"), "ignore_value": true}});
    for (revision, put) in
        [(1 << 40, leased.clone()), (1 << 40, never.clone()), (-1, leased), (-1, never)]
    {
        let range = json!({"request_range": {"key": base64("k00"), "revision": int(revision)}});
        generator.ask("KV/Txn", json!({"success": [range, put]}));
    }
}

fn too_large(generator: &mut Generator) {
    for length in [MAX_REQUEST_BYTES - 200, MAX_REQUEST_BYTES + 1, MAX_MESSAGE_BYTES + 1] {
        let put = json!({"key": base64("large"), "value": base64(vec![b'x'; length])});
        generator.ask("KV/Put", put);
    }
    generator.ask("KV/DeleteRange", key("large"));
}

/// What an alarm forbids, and what it does not. A put in a nested transaction 3.4 does not see.
fn forbidden(generator: &Generator) -> Vec<(&'static str, Value)> {
    let put = json!({"request_put": key("k01")});
    let delete = json!({"request_delete_range": key("k02")});
    let range = json!({"request_range": key("k01")});
    vec![
        ("KV/Put", key("k00")),
        ("KV/Txn", json!({"success": [put], "failure": [range]})),
        ("KV/Txn", json!({"success": [delete]})),
        ("KV/Txn", json!({"success": [range]})),
        ("KV/DeleteRange", key("k03")),
        ("KV/Range", key("k01")),
        ("KV/Compact", json!({"revision": int(generator.known.revision)})),
        ("Lease/LeaseGrant", json!({"ID": "77", "TTL": "1000"})),
        ("Lease/LeaseRevoke", json!({"ID": "77"})),
    ]
}

fn no_space(generator: &mut Generator) {
    generator.with_alarm(1, forbidden(generator));
}

fn corrupt(generator: &mut Generator) {
    generator.with_alarm(2, forbidden(generator));
}

fn too_many_operations(generator: &mut Generator) {
    let range = |number: usize| json!({"request_range": key(&format!("k{number}"))});
    let ranges = |count: usize| (0..count).map(range).collect::<Vec<Value>>();
    let compares = |count: usize| vec![key("k00"); count];
    generator.ask_either("KV/Txn", json!({"success": ranges(128), "failure": ranges(128)}));
    generator.ask_either("KV/Txn", json!({"success": ranges(129)}));
    generator.ask("KV/Txn", json!({"failure": ranges(129)}));
    generator.ask("KV/Txn", json!({"compare": compares(129)}));
    for inner in [127, 128] {
        let nested = json!({"request_txn": {"failure": ranges(inner)}});
        generator.ask("KV/Txn", json!({"success": [nested]}));
    }
}

fn duplicates(generator: &mut Generator) {
    let put = json!({"request_put": key("k00")});
    let delete = json!({"request_delete_range": {"key": base64("k"), "range_end": base64("l")}});
    let nested = json!({"request_txn": {"success": [put]}});
    for ops in [
        json!([put, put]),
        json!([put, delete]),
        json!([delete, put]),
        json!([put, nested]),
        json!([nested, delete]),
        json!([nested, nested]),
        json!([delete, delete]),
        json!([{"request_txn": {"success": [put], "failure": [put]}}]),
    ] {
        generator.ask_either("KV/Txn", json!({"success": ops}));
    }
}

fn malformed_transactions(generator: &mut Generator) {
    generator.ask("KV/Txn", json!({"success": [{}]}));
    generator.ask("KV/Txn", json!({}));
    let deep = (0..20)
        .fold(json!({"success": []}), |inner, _| json!({"success": [{"request_txn": inner}]}));
    generator.ask("KV/Txn", deep);
}

fn overtaken_watch(generator: &mut Generator) {
    generator.close_watches();
    generator.ask("KV/Put", key("k00"));
    generator.ask("KV/Put", key("k00"));
    let now = generator.known.revision + 2;
    generator.ask("KV/Compact", json!({"revision": int(now)}));
    let stream = generator.open_watch();
    for revision in [1, now - 1, now] {
        let create = json!({"key": base64("k00"), "start_revision": int(revision)});
        generator.queue.push_back(Step::Watch(stream, json!({"create_request": create})));
    }
    generator.close_watches();
}

fn refused_leases(generator: &mut Generator) {
    generator.ask_either("Lease/LeaseGrant", json!({"ID": "500", "TTL": "9000000001"}));
    generator.ask("Lease/LeaseGrant", json!({"ID": "501", "TTL": "9000000000"}));
    generator.ask_either("Lease/LeaseGrant", json!({"ID": "501", "TTL": "700"}));
    generator.ask("Lease/LeaseTimeToLive", json!({"ID": "501"}));
    for _ in 0..2 {
        generator.ask_either("Lease/LeaseRevoke", json!({"ID": "501"}));
    }
    generator.ask("Lease/LeaseTimeToLive", json!({"ID": "501", "keys": true}));
    generator.keep_alive(vec![json!({"ID": "501"}), json!({})]);
}

fn maintenance(generator: &mut Generator) {
    for target in ["77", MEMBER] {
        generator.ask_either("Maintenance/MoveLeader", json!({"targetID": target}));
    }
    generator.health();
    generator.ask("Maintenance/Defragment", json!({}));
    generator.ask("Maintenance/Hash", json!({}));
    generator.ask("Maintenance/Status", json!({}));
    generator.ask("KV/Put", key("k00"));
    let now = generator.known.revision + 1;
    for revision in [0, 1, now, now + 1, now + 100] {
        generator.ask("Maintenance/HashKV", json!({"revision": int(revision)}));
    }
    generator.ask("Cluster/MemberList", json!({}));
    generator.snapshot();
}

fn queues(generator: &mut Generator) {
    for service in [Queueing::Lock, Queueing::Election] {
        let name = generator.fresh_name("q/");
        generator.queue_up(service, name);
    }
    generator.ask("Election/Leader", json!({"name": base64("q/nobody")}));
}

fn terms(generator: &mut Generator) {
    let by_gateway = generator.plan.has(Area::Web);
    if generator.plan.observers {
        generator.lead(false);
        if by_gateway {
            generator.lead(true);
        }
    }
    if by_gateway {
        generator.lock_by_gateway();
    }
}

fn pages(generator: &mut Generator) {
    generator.wrong_verb();
    generator.other_path();
    for page in ["/v3/no/such", "/nonsense"] {
        generator.http("POST", page, "{}");
    }
    for _ in 0..3 {
        generator.odd_page();
        generator.bad_json();
    }
}

/// What comes by the gateway too rarely by chance.
fn every_gateway_path(generator: &mut Generator) {
    for method in [
        "Maintenance/Status",
        "Maintenance/Alarm",
        "Maintenance/Hash",
        "Maintenance/Defragment",
        "Maintenance/MoveLeader",
        "Cluster/MemberList",
        "Lease/LeaseLeases",
        "Lease/LeaseRevoke",
        "Lease/LeaseTimeToLive",
        "Lease/LeaseKeepAlive",
        "KV/Compact",
        "Auth/UserChangePassword",
        "Auth/UserRevokeRole",
        "Auth/UserGet",
        "Auth/UserList",
        "Auth/UserDelete",
        "Auth/RoleList",
        "Auth/RoleDelete",
        "Auth/RoleRevokePermission",
        "Election/Leader",
    ] {
        generator.gateway(method, json!({}));
    }
    let snapshot = Call::new("Maintenance/Snapshot", json!({}));
    generator.queue.push_back(Step::GatewayDrain(snapshot));
}
