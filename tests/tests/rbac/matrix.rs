//! Every form of every method, by everybody, by gRPC and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write;

use kvorum_proto::DESCRIPTORS;
use kvorum_tests::binary;
use kvorum_tests::differential::contract::base64;
use kvorum_tests::differential::side::{Side, Start, start};
use kvorum_tests::differential::step::{Call, Step};
use kvorum_tests::http::Exchange;
use kvorum_tests::program::Names;
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};

use crate::callers::{CALLERS, Caller, DENIED, NO_TOKEN, NO_USER, ROLES};
use crate::form::{Form, Then, by_root, leased};
use crate::paths::path_of;
use crate::{keys, services};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Grpc,
    Json,
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_what_the_table_says_of_every_method() {
    let forms: Vec<Form> = keys::forms().into_iter().chain(services::forms()).collect();
    let described = described();
    let known: BTreeSet<String> = forms.iter().map(|form| form.method.to_owned()).collect();
    assert_eq!(known, described, "the table's methods and the contract's");

    let started = start(&Names::of(binary!()).server(), Start::default());
    let mut side = Side::connect(started).await.expect("the member answers");
    for step in fixture() {
        let answer = side.perform(&step).await;
        assert_eq!(answer["status"], "OK", "{step}");
    }
    let mut cases = 0;
    let mut wrong = String::new();
    for form in &forms {
        cases += check(&mut side, form, &mut wrong).await;
    }
    println!("{cases} decisions on {} methods in {} forms", described.len(), forms.len());
    assert!(wrong.is_empty(), "wrong decisions:\n{wrong}");
    assert!(cases > 2_000, "only {cases} cases");
}

/// The public methods of the descriptors the member itself is made from.
fn described() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("the descriptors are our own");
    let public = ["etcdserverpb", "v3lockpb", "v3electionpb"];
    let services = pool.services().filter(|service| public.contains(&service.package_name()));
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.map(|method| format!("{}/{}", method.parent_service().name(), method.name())).collect()
}

fn fixture() -> Vec<Step> {
    let user = |name: &str| Step::call("Auth/UserAdd", json!({"name": name, "password": "p"}));
    let role = |name: &str| Step::call("Auth/RoleAdd", json!({"name": name}));
    let mut steps = vec![user("spare"), role("spare"), role("root")];
    for of in ROLES {
        let (key, end) = of.span;
        let perm = json!({"permType": of.kind, "key": base64(key), "range_end": base64(end)});
        steps.push(role(of.name));
        let grant = json!({"name": of.name, "perm": perm});
        steps.push(Step::call("Auth/RoleGrantPermission", grant));
    }
    let users = CALLERS.iter().filter(|caller| caller.is_user());
    for caller in users.clone() {
        steps.push(user(caller.name));
        for role in caller.roles {
            let grant = json!({"user": caller.name, "role": role});
            steps.push(Step::call("Auth/UserGrantRole", grant));
        }
    }
    for (lease, keys) in [("11", vec!["k/11"]), ("12", vec!["k/12", "x/12"]), ("13", vec![])] {
        // The first revokes what is not there.
        steps.extend(leased(lease, &keys).into_iter().skip(1));
    }
    steps.push(Step::call("Auth/AuthEnable", json!({})));
    for caller in users {
        let log_in = json!({"name": caller.name, "password": "p"});
        steps.push(Step::call("Auth/Authenticate", log_in));
    }
    steps
}

/// All callers in all ways: first who is refused, for whom nothing may change. How many it were.
async fn check(side: &mut Side, form: &Form, wrong: &mut String) -> usize {
    let ways: &[Way] =
        if path_of(form.method).is_some() { &[Way::Grpc, Way::Json] } else { &[Way::Grpc] };
    let asks = CALLERS.iter().flat_map(|caller| ways.iter().map(move |way| (caller, *way)));
    let (refused, allowed): (Vec<_>, Vec<_>) =
        asks.partition(|(caller, _)| caller.refusal(&form.needs).is_some());
    perform(side, &form.before).await;
    let state = state_of(side).await;
    for (caller, way) in &refused {
        let wanted = refusal(form, *way, caller);
        let found = ask(side, form, *way, caller).await;
        if !found.contains(&wanted) {
            complain(wrong, form, &format!("{way:?} by {}", caller.name), &wanted, &found);
        }
    }
    if !refused.is_empty() && state != state_of(side).await {
        complain(wrong, form, "who is refused", "without effect", "not");
    }
    for (nth, (caller, way)) in allowed.iter().enumerate() {
        if nth > 0 {
            perform(side, &form.before).await;
        }
        let found = ask(side, form, *way, caller).await;
        if !is_meant(&found, form.then) {
            let wanted = format!("allowed, then {:?}", form.then);
            complain(wrong, form, &format!("{way:?} by {}", caller.name), &wanted, &found);
        }
        perform(side, &form.after).await;
    }
    refused.len() + allowed.len()
}

async fn perform(side: &mut Side, steps: &[Step]) {
    for step in steps {
        side.perform(step).await;
    }
}

fn complain(wrong: &mut String, form: &Form, who: &str, wanted: &str, found: &str) {
    let Form { method, what, message, .. } = form;
    let _ = writeln!(wrong, "{method} ({what}) {who}: {message}");
    let _ = writeln!(wrong, "    is to be {wanted}, is {found}");
}

fn is_meant(found: &str, then: Then) -> bool {
    let is_refusal = [NO_USER, NO_TOKEN, DENIED]
        .into_iter()
        .chain(["UNKNOWN: etcdserver: revision of auth store is old"])
        .any(|refusal| found.contains(text(refusal)));
    match then {
        Then::Ok => found == "OK",
        Then::Error(error) => found.contains(error) && !is_refusal,
        Then::Any => !is_refusal,
    }
}

/// What is said, without the code.
fn text(status: &str) -> &str {
    status.split_once(": ").map_or(status, |(_, text)| text)
}

fn refusal(form: &Form, way: Way, caller: &Caller) -> String {
    let status = caller.refusal(&form.needs).expect("it is refused");
    let service = form.method.split('/').next().unwrap_or("");
    match (way, service) {
        (Way::Json, _) => text(status).to_owned(),
        // etcd's watch says it in a message of the stream, as Go prints an error.
        (_, "Watch") => status.replacen(": ", " desc = ", 1),
        // They are clients of their own server, and lose its codes.
        (_, "Lock" | "Election") => format!("Unknown: {}", text(status)),
        _ => status.to_owned(),
    }
}

/// What root sees of keys, leases, users and roles.
async fn state_of(side: &mut Side) -> Vec<Value> {
    let everything = json!({"key": base64("\0"), "range_end": base64("\0")});
    let mut state = Vec::new();
    for (method, message) in [
        ("KV/Range", everything),
        ("Auth/AuthStatus", json!({})),
        ("Lease/LeaseLeases", json!({})),
        ("Maintenance/Alarm", json!({})),
    ] {
        let answer = side.perform(&by_root(method, message)).await;
        assert_eq!(answer["status"], "OK", "{method} by root: {answer}");
        state.push(answer);
    }
    state
}

/// `OK`, or how it is refused.
async fn ask(side: &mut Side, form: &Form, way: Way, caller: &Caller) -> String {
    let who = caller.who();
    let call = Call::new(form.method, form.message.clone()).by(&who);
    if way == Way::Json {
        let path = path_of(form.method).expect("it has one");
        let token = side.token(&who);
        return ask_gateway(&side.address(), path, token.as_deref(), &form.message);
    }
    let step = match form.method {
        "Watch/Watch" | "Lease/LeaseKeepAlive" | "Election/Observe" | "KV/RangeStream" => {
            let messages = vec![form.message.clone()];
            Step::Stream { call, messages, at_most: 1 }
        }
        "Maintenance/Snapshot" => Step::Drain(call),
        _ => Step::Call(call),
    };
    let answer = side.perform(&step).await;
    match answer["body"][0]["cancel_reason"].as_str() {
        Some(reason) => reason.to_owned(),
        None => answer["status"].as_str().unwrap_or("no status").to_owned(),
    }
}

/// Of a stream, what comes first.
fn ask_gateway(address: &str, path: &str, token: Option<&str>, message: &Value) -> String {
    let headers: Vec<(&str, &str)> = token.iter().map(|token| ("Authorization", *token)).collect();
    let first = Exchange::open(address, &format!("POST {path}"), &headers, &message.to_string())
        .and_then(|mut exchange| {
            let (status, _) = exchange.head()?;
            Ok((status, exchange.first()?))
        });
    let (status, text) = match first {
        Ok(first) => first,
        Err(error) => return format!("no answer: {error}"),
    };
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    if status != 200 {
        return answer["message"].as_str().map_or(text, str::to_owned);
    }
    let reason = answer["result"]["cancel_reason"].as_str();
    let error = answer["error"]["message"].as_str();
    reason.or(error).unwrap_or(if answer.is_object() { "OK" } else { "no answer" }).to_owned()
}
