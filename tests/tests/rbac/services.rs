//! What the services beside KV and Watch are asked, and what it needs.

use kvorum_tests::differential::contract::base64;
use kvorum_tests::differential::step::Step;
use serde_json::{Value, json};

use crate::callers::{CALLERS, Needs};
use crate::form::{Form, Then, by_root, form, leased, spanned};

pub(crate) fn forms() -> Vec<Form> {
    let mut forms = leases();
    forms.extend(cluster());
    forms.extend(maintenance());
    forms.extend(locks());
    forms.extend(elections());
    forms.extend(users());
    forms.extend(roles());
    forms
}

fn leases() -> Vec<Form> {
    let named = |id: &str| json!({"ID": id});
    let keys = |id: &str| json!({"ID": id, "keys": true});
    let revoke = |what, id, keys: &[&str], needs| {
        form("Lease/LeaseRevoke", what, named(id), needs).before(leased(id, keys))
    };
    let write_both = Needs::Keys { reads: vec![], writes: vec![("k/22", ""), ("x/22", "")] };
    let read_both = Needs::Keys { reads: vec![("k/12", ""), ("x/12", "")], writes: vec![] };
    let write_12 = Needs::Keys { reads: vec![], writes: vec![("k/12", ""), ("x/12", "")] };
    let time = "Lease/LeaseTimeToLive";
    let keep = "Lease/LeaseKeepAlive";
    vec![
        form("Lease/LeaseGrant", "one more", json!({"ID": "20", "TTL": "9000"}), Needs::User)
            .before(vec![by_root("Lease/LeaseRevoke", named("20"))]),
        revoke("with a key", "21", &["k/21"], Needs::write(("k/21", ""))),
        revoke("with keys of two ranges", "22", &["k/22", "x/22"], write_both),
        revoke("without keys", "23", &[], Needs::User),
        form("Lease/LeaseRevoke", "an unknown one", named("99"), Needs::User)
            .then(Then::Error("requested lease not found")),
        form(keep, "with a key", named("11"), Needs::write(("k/11", ""))),
        form(keep, "with keys of two ranges", named("12"), write_12),
        form(keep, "without keys", named("13"), Needs::User),
        form(time, "with its keys", keys("11"), Needs::read(("k/11", ""))),
        form(time, "with its keys of two ranges", keys("12"), read_both.clone()),
        form(time, "with no keys", keys("13"), Needs::User),
        form(time, "without its keys", named("12"), Needs::User),
        // As above: of all the leases there are, these have keys.
        form("Lease/LeaseLeases", "all", json!({}), read_both),
    ]
}

fn cluster() -> Vec<Form> {
    let change = |method, message| form(method, "", message, Needs::Root).then(Then::Any);
    vec![
        change("Cluster/MemberAdd", json!({"peerURLs": ["http://127.0.0.1:1"], "isLearner": true})),
        change("Cluster/MemberRemove", json!({"ID": "1"})),
        change("Cluster/MemberUpdate", json!({"ID": "1", "peerURLs": ["http://127.0.0.1:1"]})),
        change("Cluster/MemberPromote", json!({"ID": "1"})),
        form("Cluster/MemberList", "linearizable", json!({"linearizable": true}), Needs::User),
        form("Cluster/MemberList", "as this member knows", json!({}), Needs::User),
    ]
}

fn maintenance() -> Vec<Form> {
    let alarm = |action: u8| json!({"action": action, "memberID": "1", "alarm": 1});
    let off = by_root("Maintenance/Alarm", alarm(2));
    let ask = |method, needs| form(method, "", json!({}), needs);
    vec![
        form("Maintenance/Alarm", "which", alarm(0), Needs::User),
        form("Maintenance/Alarm", "raised", alarm(1), Needs::Root).after(vec![off]),
        form("Maintenance/Alarm", "taken back", alarm(2), Needs::Root),
        ask("Maintenance/Status", Needs::User),
        ask("Maintenance/Defragment", Needs::Root),
        ask("Maintenance/Hash", Needs::Root),
        ask("Maintenance/HashKV", Needs::Root),
        form("Maintenance/HashKV", "of now", json!({"revision": "0"}), Needs::Root),
        ask("Maintenance/Snapshot", Needs::Root),
        form("Maintenance/MoveLeader", "", json!({"targetID": "1"}), Needs::Root).then(Then::Any),
        form("Maintenance/Downgrade", "", json!({"action": 0, "version": "3.5.0"}), Needs::Root)
            .then(Then::Any),
    ]
}

fn locks() -> Vec<Form> {
    let lock = |name: &str| json!({"name": base64(name), "lease": "31"});
    let unlock = |key: &str| json!({"key": base64(key)});
    let queue = ("k/lock/", "k/lock0");
    let x = || Needs::both(("x/lock/", "x/lock0"));
    let nobody = || vec![by_root("KV/DeleteRange", spanned(queue))];
    let under_another = json!({"name": base64("k/lock"), "lease": "12"});
    let decides = Needs::Keys { reads: vec![queue], writes: vec![queue, ("x/12", "")] };
    vec![
        form("Lock/Lock", "k", lock("k/lock"), Needs::both(queue)).before(leased("31", &[])),
        form("Lock/Lock", "x", lock("x/lock"), x()).before(leased("31", &[])),
        form("Lock/Lock", "under a lease with another's key", under_another, decides)
            .before(nobody())
            .after(nobody()),
        form("Lock/Unlock", "k", unlock("k/lock/1f"), Needs::write(("k/lock/1f", ""))),
        form("Lock/Unlock", "x", unlock("x/lock/1f"), Needs::write(("x/lock/1f", ""))),
    ]
}

fn elections() -> Vec<Form> {
    let queue = ("k/vote/", "k/vote0");
    let name = json!({"name": base64("k/vote")});
    let campaign = json!({"name": base64("k/vote"), "lease": "32", "value": base64("v")});
    let key = "k/vote/20";
    let leader = json!({"name": base64("k/vote"), "key": base64(key), "rev": "1", "lease": "13"});
    let says = json!({"leader": leader, "value": base64("v")});
    let leads = || vec![by_root("KV/Put", json!({"key": base64("k/vote/1")}))];
    let nobody = || [vec![by_root("KV/DeleteRange", spanned(queue))], leased("32", &[])].concat();
    let under_another = json!({"name": base64("k/vote"), "lease": "12"});
    let decides = Needs::Keys { reads: vec![queue], writes: vec![queue, ("x/12", "")] };
    vec![
        form("Election/Campaign", "", campaign, Needs::both(queue)).before(nobody()),
        form("Election/Campaign", "under a lease with another's key", under_another, decides)
            .before(nobody())
            .after(nobody()),
        form("Election/Proclaim", "", says, Needs::both((key, "")))
            .then(Then::Error("election: not leader")),
        form("Election/Leader", "", name.clone(), Needs::read(queue)).before(leads()),
        form("Election/Observe", "", name, Needs::read(queue)).before(leads()),
        form("Election/Resign", "", json!({"leader": leader}), Needs::both((key, ""))),
    ]
}

fn users() -> Vec<Form> {
    let named = |name: &str| json!({"name": name});
    let new = json!({"name": "new", "password": "p"});
    let without_password = json!({
        "name": "new",
        "options": {"no_password": true},
        "hashedPassword": "aGFzaA==",
    });
    let grant = json!({"user": "spare", "role": "reading"});
    let revoke = json!({"name": "spare", "role": "reading"});
    let root = |method, message: &Value| form(method, "", message.clone(), Needs::Root);
    let first = |method, message: &Value| vec![by_root(method, message.clone())];
    let mut forms = vec![
        root("Auth/AuthEnable", &json!({})),
        root("Auth/AuthDisable", &json!({})).after(on_again()),
        root("Auth/AuthStatus", &json!({})),
        form("Auth/Authenticate", "", json!({"name": "spare", "password": "p"}), Needs::Nothing),
        form("Auth/Authenticate", "wrong", json!({"name": "spare"}), Needs::Nothing)
            .then(Then::Error("authentication failed, invalid user ID or password")),
        root("Auth/UserAdd", &new).before(first("Auth/UserDelete", &named("new"))),
        root("Auth/UserAdd", &without_password).before(first("Auth/UserDelete", &named("new"))),
        root("Auth/UserList", &json!({})),
        root("Auth/UserDelete", &named("new")).before(first("Auth/UserAdd", &new)),
        root("Auth/UserChangePassword", &json!({"name": "spare", "hashedPassword": "aGFzaA=="})),
        root("Auth/UserChangePassword", &json!({"name": "spare", "password": "p"})),
        root("Auth/UserGrantRole", &grant).before(first("Auth/UserRevokeRole", &revoke)),
        root("Auth/UserRevokeRole", &revoke).before(first("Auth/UserGrantRole", &grant)),
        form("Auth/UserGet", "spare", named("spare"), Needs::Root),
        form("Auth/UserGet", "root", named("root"), Needs::Root),
    ];
    for name in ["bare", "reader", "wide"] {
        forms.push(form("Auth/UserGet", name, named(name), Needs::Oneself(name)));
    }
    forms
}

/// Tokens end with auth.
fn on_again() -> Vec<Step> {
    let users = CALLERS.iter().filter(|caller| caller.is_user());
    let log_in = users.map(|caller| {
        Step::call("Auth/Authenticate", json!({"name": caller.name, "password": "p"}))
    });
    [Step::call("Auth/AuthEnable", json!({}))].into_iter().chain(log_in).collect()
}

fn roles() -> Vec<Form> {
    let named = |name: &str| json!({"name": name});
    let role = |role: &str| json!({"role": role});
    let perm = json!({"permType": 2, "key": base64("s"), "range_end": base64("t")});
    let grant = json!({"name": "spare", "perm": perm});
    let revoke = json!({"role": "spare", "key": base64("s"), "range_end": base64("t")});
    let root = |method, message: &Value| form(method, "", message.clone(), Needs::Root);
    let first = |method, message: &Value| vec![by_root(method, message.clone())];
    let (add, delete) = ("Auth/RoleAdd", "Auth/RoleDelete");
    let (permit, forbid) = ("Auth/RoleGrantPermission", "Auth/RoleRevokePermission");
    let mut forms = vec![
        root(add, &named("new")).before(first(delete, &role("new"))),
        root(delete, &role("new")).before(first(add, &named("new"))),
        root("Auth/RoleList", &json!({})),
        root(permit, &grant).before(first(forbid, &revoke)),
        root(forbid, &revoke).before(first(permit, &grant)),
        form("Auth/RoleGet", "spare", role("spare"), Needs::Root),
    ];
    for name in ["reading", "working", "writing x"] {
        forms.push(form("Auth/RoleGet", name, role(name), Needs::Having(name)));
    }
    forms
}
