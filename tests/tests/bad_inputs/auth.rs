//! §7.5: users and roles, and what is refused to whom.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kvorum_tests::differential::contract::base64;
use kvorum_tests::differential::side::SIGNING_KEY;
use kvorum_tests::differential::step::{Call, Step, Who};
use ring::hmac;
use serde_json::{Value, json};

use crate::section::{Row, call, row};

const STATUS: &str = "v3.6.0 server/etcdserver/api/v3rpc/auth.go, AuthStatus";

fn header() -> Value {
    json!({"cluster_id": "<cluster>", "member_id": "<member>", "raft_term": "<term>",
        "revision": "1"})
}

const GRANT: &str = "v3.6.0 server/auth/store.go, RoleGrantPermission";

fn user(name: &str) -> Who {
    Who::User(name.into())
}

fn by(who: &Who, method: &'static str, message: Value) -> Step {
    Step::Call(Call::new(method, message).by(who))
}

fn authenticate(name: &str, password: &str) -> Step {
    Step::call("Auth/Authenticate", json!({"name": name, "password": password}))
}

fn add_user(name: &str) -> Step {
    Step::call("Auth/UserAdd", json!({"name": name, "password": "p"}))
}

fn grant_role(user: &str, role: &str) -> Step {
    Step::call("Auth/UserGrantRole", json!({"user": user, "role": role}))
}

fn permission(kind: u8, key: &str, end: &str) -> Value {
    json!({"permType": kind, "key": base64(key), "range_end": base64(end)})
}

fn enable() -> Step {
    Step::call("Auth/AuthEnable", json!({}))
}

/// Root, who reads the state before and after; and alice, who may read `k` to `l`.
fn set_up() -> Vec<Step> {
    let grant = json!({"name": "reader", "perm": permission(0, "k", "l")});
    vec![
        add_user("state"),
        grant_role("state", "root"),
        add_user("alice"),
        Step::call("Auth/RoleAdd", json!({"name": "reader"})),
        Step::call("Auth/RoleGrantPermission", grant),
        grant_role("alice", "reader"),
        enable(),
        authenticate("root", "p"),
        authenticate("state", "p"),
        authenticate("alice", "p"),
    ]
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = disabled();
    rows.push(
        call("B69a", "a wrong password", "Auth/Authenticate", json!({"name": "alice"}))
            .before(set_up()),
    );
    rows.extend(enabled());
    rows
}

fn disabled() -> Vec<Row> {
    let reversed = json!({"name": "r", "perm": permission(0, "k", "a")});
    let unknown = json!({"name": "none", "perm": permission(0, "k", "l")});
    let no_password = json!({"name": "v", "password": "p", "options": {"no_password": true}});
    let role = |method, role: &str| Step::call(method, json!({"role": role}));
    vec![
        row("B66", "on without root", enable()),
        row("B67", "on with a root that has not the role", enable())
            .before(vec![Step::call("Auth/RoleAdd", json!({"name": "root"})), add_user("root")])
            .after(vec![grant_role("root", "root")]),
        row("B68", "a token while it is off", authenticate("root", "p")),
        call(
            "none (AuthStatus)",
            "whether it is on, while it is off",
            "Auth/AuthStatus",
            json!({}),
        )
        .later(json!({"status": "OK", "body": {"header": header(), "authRevision": "*"}}), STATUS),
        call("B71d", "a token that nobody looks at", "Auth/AuthDisable", json!({}))
            .by(&Who::Token("nonsense".into()))
            .later(
                json!({"status": "OK", "body": {"header": header()}}),
                "v3.6.0 server/auth/store.go, AuthInfoFromCtx",
            )
            .changes(),
        row("B74a", "a user without a name", add_user("")),
        row("B74b", "a user that is there", add_user("u")).before(vec![add_user("u")]),
        call("B75", "a password for a user without", "Auth/UserAdd", no_password).changes(),
        row("B77a", "a role without a name", Step::call("Auth/RoleAdd", json!({}))),
        row("B77b", "a role that is there", Step::call("Auth/RoleAdd", json!({"name": "r"})))
            .before(vec![Step::call("Auth/RoleAdd", json!({"name": "r"}))]),
        row("B77c", "an unknown role, got", role("Auth/RoleGet", "none")),
        row(
            "none (RoleGet)",
            "the role root with a right of its own",
            role("Auth/RoleGet", "root"),
        )
        .before(vec![Step::call(
            "Auth/RoleGrantPermission",
            json!({"name": "root", "perm": permission(0, "k", "l")}),
        )])
        .later(
            json!({"status": "OK", "body": {"header": header(),
                    "perm": [{"permType": 2, "range_end": base64("\0")}]}}),
            "v3.6.0 server/auth/store.go, RoleGet",
        ),
        row("B77d", "an unknown role, deleted", role("Auth/RoleDelete", "none")),
        row("B77e", "an unknown role, granted", grant_role("u", "none")),
        call("B77f", "an unknown role, permitted", "Auth/RoleGrantPermission", unknown),
        call("B77g", "an unknown user, got", "Auth/UserGet", json!({"name": "none"})),
        call("B77h", "an unknown user, deleted", "Auth/UserDelete", json!({"name": "none"})),
        row("B77i", "an unknown user, granted", grant_role("none", "r")),
        call(
            "B77j",
            "an unknown user's password",
            "Auth/UserChangePassword",
            json!({"name": "none", "password": "p"}),
        ),
        call("B78a", "no permission given", "Auth/RoleGrantPermission", json!({"name": "r"}))
            .kills()
            .later(json!({"status": "InvalidArgument: etcdserver: permission not given"}), GRANT),
        call("B78b", "a permission of nothing", "Auth/RoleGrantPermission", reversed).later(
            json!({"status": "InvalidArgument: etcdserver: invalid auth management"}),
            GRANT,
        ),
        call(
            "B79a",
            "a role that was not granted",
            "Auth/UserRevokeRole",
            json!({"name": "u", "role": "r"}),
        ),
        call(
            "B79b",
            "a permission that was not granted",
            "Auth/RoleRevokePermission",
            json!({"role": "r", "key": base64("k")}),
        ),
    ]
}

fn enabled() -> Vec<Row> {
    let range = || json!({"key": base64("k")});
    let elsewhere = || json!({"key": base64("z")});
    let token = |text: &str| Who::Token(text.into());
    let alice = user("alice");
    let root = user("root");
    let login = |name: &str| json!({"name": name, "password": "wrong"});
    let no_password = json!({"name": "bare", "options": {"no_password": true}});
    let watch = |who: &Who| {
        let call = Call::new("Watch/Watch", json!({})).by(who);
        let create = json!({"create_request": {"key": base64("z")}});
        Step::Stream { call, messages: vec![create], at_most: 1 }
    };
    let leased = vec![
        by(&root, "Lease/LeaseGrant", json!({"ID": "9", "TTL": "900"})),
        by(&root, "KV/Put", json!({"key": base64("z"), "lease": "9"})),
    ];
    let keys = json!({"ID": "9", "keys": true});
    let name = json!({"name": "root"});
    let roles = json!({"name": "root", "role": "root"});
    vec![
        call("B69b", "a token for nobody", "Auth/Authenticate", login("none")),
        call("B69c", "a token without a password", "Auth/Authenticate", json!({"name": "bare"}))
            .before(vec![by(&root, "Auth/UserAdd", no_password), authenticate("state", "p")]),
        call(
            "B75b",
            "any password of a user without",
            "Auth/Authenticate",
            json!({"name": "bare", "password": "p"}),
        ),
        call("none (AuthStatus)", "whether it is on", "Auth/AuthStatus", json!({}))
            .by(&root)
            .later(
                json!({"status": "OK",
                    "body": {"header": header(), "enabled": true, "authRevision": "*"}}),
                STATUS,
            ),
        call("B70a", "a read without a token", "KV/Range", range()),
        call("B70b", "a write without a token", "KV/Put", range()),
        call("B71a", "a read with a bad token", "KV/Range", range()).by(&token("nonsense")),
        call("B71b", "a write with a bad token", "KV/Put", range()).by(&token("nonsense")),
        call("B71c", "a bad bearer", "KV/Range", range()).by(&token("Bearer nonsense")),
        call("B73a", "a read of what is not allowed", "KV/Range", elsewhere()).by(&alice),
        call("B73b", "a write where reading is allowed", "KV/Put", range()).by(&alice),
        call(
            "B73c",
            "a user made by a user",
            "Auth/UserAdd",
            json!({"name": "x", "password": "p"}),
        )
        .by(&alice),
        row("B36", "a watch of what is not allowed", watch(&alice)),
        row("B37a", "a watch with a bad token", watch(&token("nonsense"))),
        row("B37b", "a watch without a token", watch(&Who::Nobody)),
        call("B49", "the keys of a lease that are not allowed", "Lease/LeaseTimeToLive", keys)
            .before(leased)
            .by(&alice)
            .later(
                json!({"status": "PermissionDenied: etcdserver: permission denied"}),
                "v3.6.0 server/etcdserver/v3_server.go, LeaseTimeToLive",
            ),
        call("B76a", "root deleted", "Auth/UserDelete", name).by(&root),
        call("B76b", "root without its role", "Auth/UserRevokeRole", roles).by(&root),
        call("B76c", "the role of root deleted", "Auth/RoleDelete", json!({"role": "root"}))
            .by(&root),
    ]
}

/// Of alice at the first auth revision, and good until then, in seconds since 1970.
fn token_until(seconds: u64) -> Who {
    let part = |claims: Value| URL_SAFE_NO_PAD.encode(claims.to_string());
    let head = part(json!({"alg": "HS256", "typ": "JWT"}));
    let claims = part(json!({"username": "alice", "revision": 1, "exp": seconds}));
    let signed = format!("{head}.{claims}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SIGNING_KEY);
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    Who::Token(format!("{signed}.{signature}"))
}

/// A JWT says of which revision it is; a simple token does not.
pub(crate) fn jwt_rows() -> Vec<Row> {
    let range = || json!({"key": base64("k")});
    let mut before = vec![add_user("root"), grant_role("root", "root")];
    before.extend(set_up());
    let change = vec![
        by(&user("root"), "Auth/RoleAdd", json!({"name": "another"})),
        authenticate("state", "p"),
    ];
    before.extend(change);
    let watch = Step::Stream {
        call: Call::new("Watch/Watch", json!({})).by(&user("alice")),
        messages: vec![json!({"create_request": {"key": base64("k")}})],
        at_most: 1,
    };
    vec![
        call("B72a", "a read with an old token", "KV/Range", range())
            .before(before)
            .by(&user("alice")),
        call("B72b", "a write with an old token", "KV/Put", range()).by(&user("alice")),
        row("B37c", "a watch with an old token", watch),
        // Good but for its revision, so that what follows is refused for its time.
        call("B72c", "a read with a token until 2100", "KV/Range", range())
            .by(&token_until(4_102_444_800)),
        call("B71e", "a read with a token that is over", "KV/Range", range()).by(&token_until(1)),
        call("B71f", "a write with a token that is over", "KV/Put", range()).by(&token_until(1)),
    ]
}
