//! Every form of every method, by everybody, by gRPC and as JSON.

use std::fmt::Write;

use kvorum_tests::binary;
use kvorum_tests::differential::contract::base64;
use kvorum_tests::differential::side::{Side, Start, start};
use kvorum_tests::differential::step::{Call, Step, Who};
use kvorum_tests::http::Exchange;
use kvorum_tests::program::Names;
use serde_json::{Value, json};
use tonic::Code;

use crate::callers::{CALLERS, DENIED, NO_TOKEN, NO_USER, OLD_TOKEN, ROLES};
use crate::form::{Form, Then, by_root, leased};
use crate::paths::path_of;
use crate::{keys, services};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    Grpc,
    Json,
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_what_the_table_says_of_every_method() {
    let forms = forms();
    let mut side = prepared(Start::default()).await;
    let mut cases = 0;
    let mut wrong = String::new();
    for form in &forms {
        cases += check(&mut side, form, &mut wrong).await;
    }
    println!("{cases} decisions in {} forms", forms.len());
    assert!(wrong.is_empty(), "wrong decisions:\n{wrong}");
    assert!(cases > 5_000, "only {cases} cases");
}

pub(crate) fn forms() -> Vec<Form> {
    keys::forms().into_iter().chain(services::forms()).collect()
}

/// A member with everybody and everything that the table is about.
pub(crate) async fn prepared(how: Start) -> Side {
    let started = start(&Names::of(binary!()).server(), how);
    let mut side = Side::connect(started).await.expect("the member answers");
    for step in fixture() {
        let answer = side.perform(&step).await;
        assert_eq!(answer["status"], "OK", "{step}: {answer}");
    }
    side
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
    let users = CALLERS.iter().filter(|caller| caller.is_user() || caller.is_orphan());
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
    for caller in users.clone() {
        let log_in = json!({"name": caller.name, "password": "p"});
        steps.push(Step::call("Auth/Authenticate", log_in));
    }
    for orphan in users.filter(|caller| caller.is_orphan()) {
        steps.push(by_root("Auth/UserDelete", json!({"name": orphan.name})));
    }
    // Whose token says of which change of users it is gets one of now.
    steps.push(Step::call("Auth/Authenticate", json!({"name": "root", "password": "p"})));
    steps
}

/// All callers in all ways: first who is refused, for whom nothing may change. How many it were.
async fn check(side: &mut Side, form: &Form, wrong: &mut String) -> usize {
    let asks = CALLERS.iter().flat_map(|caller| ways(form).iter().map(move |way| (caller, *way)));
    let (refused_to, allowed): (Vec<_>, Vec<_>) =
        asks.partition(|(caller, _)| caller.refusal(&form.needs).is_some());
    perform(side, &form.before).await;
    let state = state_of(side).await;
    for (caller, way) in &refused_to {
        let refusal = caller.refusal(&form.needs).expect("it is refused");
        let wanted = refused(form, *way, refusal);
        let who = caller.who(side);
        let found = ask(side, form, *way, who).await;
        if !found.contains(&wanted) {
            complain(wrong, form, &format!("{way:?} by {}", caller.name), &wanted, &found);
        }
    }
    if !refused_to.is_empty() && state != state_of(side).await {
        complain(wrong, form, "who is refused", "without effect", "not");
    }
    for (nth, (caller, way)) in allowed.iter().enumerate() {
        if nth > 0 {
            perform(side, &form.before).await;
        }
        let who = caller.who(side);
        let found = ask(side, form, *way, who).await;
        if !is_meant(&found, form.then) {
            let wanted = format!("allowed, then {:?}", form.then);
            complain(wrong, form, &format!("{way:?} by {}", caller.name), &wanted, &found);
        }
        perform(side, &form.after).await;
    }
    refused_to.len() + allowed.len()
}

pub(crate) fn ways(form: &Form) -> &'static [Way] {
    if path_of(form.method).is_some() { &[Way::Grpc, Way::Json] } else { &[Way::Grpc] }
}

pub(crate) async fn perform(side: &mut Side, steps: &[Step]) {
    for step in steps {
        side.perform(step).await;
    }
}

pub(crate) fn complain(wrong: &mut String, form: &Form, who: &str, wanted: &str, found: &str) {
    let Form { method, what, message, .. } = form;
    let _ = writeln!(wrong, "{method} ({what}) {who}: {message}");
    let _ = writeln!(wrong, "    is to be {wanted}, is {found}");
}

fn is_meant(found: &str, then: Then) -> bool {
    let refusals = [NO_USER, NO_TOKEN, OLD_TOKEN, DENIED];
    let is_refusal = refusals.into_iter().any(|refusal| found.contains(text(refusal)));
    let is_answer = ![NO_ANSWER, NO_STATUS, "differential: "].iter().any(|no| found.contains(no));
    is_answer
        && match then {
            Then::Ok => found == "OK",
            Then::Error(error) => found.contains(error) && !is_refusal,
            Then::Any => !is_refusal,
        }
}

/// What is said, without the code.
fn text(status: &str) -> &str {
    status.split_once(": ").map_or(status, |(_, text)| text)
}

/// How a method says by gRPC, or as JSON, that it is refused so.
pub(crate) fn refused(form: &Form, way: Way, refusal: &str) -> String {
    let status = match form.method.split('/').next() {
        // etcd's watch says it in a message of the stream, as Go prints an error.
        Some("Watch") => return format!("code = {}", refusal.replacen(": ", " desc = ", 1)),
        // They are clients of their own server, and lose its codes.
        Some("Lock" | "Election") => format!("Unknown: {}", text(refusal)),
        _ => refusal.to_owned(),
    };
    match (way, status.split(':').next()) {
        (Way::Grpc, _) => status,
        (Way::Json, Some("InvalidArgument")) => format!("400 {status}"),
        (Way::Json, Some("Unauthenticated")) => format!("401 {status}"),
        (Way::Json, Some("PermissionDenied")) => format!("403 {status}"),
        (Way::Json, _) => format!("500 {status}"),
    }
}

/// What root sees of keys, leases, users and roles.
pub(crate) async fn state_of(side: &mut Side) -> Vec<Value> {
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
    // Whether the past is there: nobody compacts it unseen.
    let past = json!({"key": base64("k/11"), "revision": "2"});
    state.push(side.perform(&by_root("KV/Range", past)).await);
    state
}

/// `OK`, or how it is refused.
pub(crate) async fn ask(side: &mut Side, form: &Form, way: Way, who: Who) -> String {
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
        None => answer["status"].as_str().unwrap_or(NO_STATUS).to_owned(),
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
        Err(error) => return format!("{NO_ANSWER}: {error}"),
    };
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    // That of a stream stands one level deeper.
    let error = if answer["error"].is_object() { &answer["error"] } else { &answer };
    if let (Some(code), Some(message)) = (error["code"].as_i64(), error["message"].as_str()) {
        return format!("{status} {:?}: {message}", Code::from(code as i32));
    }
    match answer["result"]["cancel_reason"].as_str() {
        Some(reason) => reason.to_owned(),
        None if status == 200 && answer.is_object() => "OK".to_owned(),
        None => format!("{NO_ANSWER}: {status} {text}"),
    }
}

const NO_ANSWER: &str = "no answer";
const NO_STATUS: &str = "no status";
