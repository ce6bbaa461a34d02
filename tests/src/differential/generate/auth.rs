//! Users, roles and rights; and who asks while authentication is on.

use serde_json::{Value, json};

use super::{Area, Generator, Part};
use crate::differential::contract::{base64, bytes_of};
use crate::differential::step::{Call, Step, Who};

const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const ROLES: [&str; 4] = ["reader", "writer", "half", "all"];
/// Has the same rights in all seeds.
const ERIN: &str = "erin";
const FIRST_PASSWORD: &str = "password 0";
const ROOT_PASSWORD: &str = "root's own";

/// Ranges that permissions are of, as a request writes them. Of nothing 3.4 grants them too.
const RANGES: &[(&[u8], &[u8])] = &[
    (b"k", b"l"),
    (b"k00", b"k10"),
    (b"k05", b""),
    (b"k10", b"k20"),
    (b"k10", b"\0"),
    (b"\0", b"\0"),
    (b"q/", b"q0"),
];

impl Generator {
    /// Something about users or roles; watches are closed before, since whoever loses a right
    /// loses them at a time of the server's own.
    pub(super) fn auth(&mut self) {
        if self.part == Part::Guarded {
            self.close_watches();
        }
        let (user, role) = (self.user(), self.role());
        match self.random.below(100) {
            0..12 => {
                let mut request = json!({"name": user, "password": self.password()});
                if self.random.chance(15) {
                    request["name"] = "bare".into();
                    request["options"] = json!({"no_password": true});
                    if self.random.chance(70) {
                        request["password"] = "".into();
                    }
                }
                self.ask_either("Auth/UserAdd", request);
            }
            12..16 => self.ask_either("Auth/UserDelete", json!({"name": user})),
            16..26 => self.ask_either("Auth/UserGet", json!({"name": user})),
            26..30 => self.ask_either("Auth/UserList", json!({})),
            30..36 => {
                let password = self.password();
                let request = json!({"name": user, "password": password});
                self.ask_either("Auth/UserChangePassword", request);
            }
            36..48 => {
                self.ask_either("Auth/UserGrantRole", json!({"user": user, "role": role}));
            }
            48..53 => {
                self.ask_either("Auth/UserRevokeRole", json!({"name": user, "role": role}));
            }
            53..60 => self.ask_either("Auth/RoleAdd", json!({"name": role})),
            60..63 => self.ask_either("Auth/RoleDelete", json!({"role": role})),
            63..72 => self.ask_either("Auth/RoleGet", json!({"role": role})),
            72..76 => self.ask_either("Auth/RoleList", json!({})),
            76..90 => {
                // What root may is told otherwise by 3.4 once somebody has written it down.
                let role = if role == "root" { "norole" } else { role };
                let request = json!({"name": role, "perm": self.permission()});
                self.ask_either("Auth/RoleGrantPermission", request);
            }
            90..95 => {
                let (key, end) = *self.random.pick(RANGES);
                let request = json!({"role": role, "key": base64(key), "range_end": base64(end)});
                self.ask_either("Auth/RoleRevokePermission", request);
            }
            _ => {
                let user = if self.random.chance(10) { "bare" } else { user };
                self.authenticate(user);
            }
        }
    }

    fn user(&mut self) -> &'static str {
        match self.random.below(30) {
            0 => "",
            1 => "nobody",
            _ => USERS[self.random.index(USERS.len())],
        }
    }

    fn role(&mut self) -> &'static str {
        match self.random.below(30) {
            0 => "",
            1 => "norole",
            2 => "root",
            _ => ROLES[self.random.index(ROLES.len())],
        }
    }

    fn password(&mut self) -> String {
        format!("password {}", self.random.below(4))
    }

    fn permission(&mut self) -> Value {
        let (key, end) = *self.random.pick(RANGES);
        let kind = self.random.below(3);
        json!({"permType": kind, "key": base64(key), "range_end": base64(end)})
    }

    /// With the user's password, as far as it is known; with a wrong one now and then.
    fn authenticate(&mut self, user: &str) {
        let known = self.known.passwords.get(user).cloned();
        let password = known.filter(|_| self.random.chance(90));
        let password = password.unwrap_or_else(|| self.password());
        self.ask_as(&Who::Nobody, "Auth/Authenticate", json!({"name": user, "password": password}));
    }

    /// Gets a token for certain, for one of the users who are there when authentication goes on.
    fn log_in(&mut self, user: &str) {
        let known = self.known.passwords.get(user).cloned();
        let password = known.unwrap_or_else(|| FIRST_PASSWORD.to_owned());
        self.ask_as(&Who::Nobody, "Auth/Authenticate", json!({"name": user, "password": password}));
    }

    fn ask_as(&mut self, who: &Who, method: &'static str, request: Value) {
        self.push_either(Call::new(method, request).by(who), 30);
    }

    /// What is asked in another's name than root's while authentication is on must be what 3.4
    /// does not let pass where its successors refuse it; what that is, the tests of rights ask.
    pub(super) fn made_cautious(&self, method: &str, request: &mut Value) -> Who {
        if self.part != Part::Guarded || self.who == Who::User("root".into()) {
            return self.who.clone();
        }
        match method {
            "KV/Compact" | "Cluster/MemberList" => return Who::User("root".into()),
            other if other.starts_with("Lease/") || other.starts_with("Maintenance/") => {
                return Who::User("root".into());
            }
            "KV/Txn" => strip(request),
            _ => {}
        }
        forwards(request);
        self.who.clone()
    }

    /// Root with a token of an older auth revision may not revoke a lease that has keys in 3.4, and
    /// may since 3.6.
    pub(super) fn be_fresh_for(&mut self, method: &str) {
        if self.part == Part::Guarded && self.plan.jwt && method == "Lease/LeaseRevoke" {
            self.authenticate_root();
        }
    }

    /// Who asks next while authentication is on.
    pub(super) fn change_user(&mut self) {
        if !self.random.chance(40) {
            return;
        }
        self.close_watches();
        self.who = match self.random.below(20) {
            0 => Who::Nobody,
            1 => Who::Token("nonsense".into()),
            2 => Who::Token("abcdefghijklmnop.1".into()),
            3..10 => {
                self.authenticate_root();
                Who::User("root".into())
            }
            _ => {
                let user = *self.random.pick(&USERS);
                // A JWT is of the auth revision at which it was made.
                if self.random.chance(if self.plan.jwt { 80 } else { 40 }) {
                    self.authenticate(user);
                }
                Who::User(user.into())
            }
        };
    }

    pub(super) fn authenticate_root(&mut self) {
        let request = json!({"name": "root", "password": ROOT_PASSWORD});
        self.ask_as(&Who::Nobody, "Auth/Authenticate", request);
    }

    /// Turns authentication on, after everything that makes this fail.
    pub(super) fn enable_auth(&mut self) {
        let nobody = Who::Nobody;
        let on =
            |generator: &mut Generator| generator.ask_as(&nobody, "Auth/AuthEnable", json!({}));
        let root = json!({"name": "root"});
        self.ask_as(&nobody, "Auth/UserDelete", root.clone());
        on(self);
        self.ask_as(&nobody, "Auth/UserAdd", json!({"name": "root", "password": ROOT_PASSWORD}));
        on(self);
        self.authenticate_root();
        self.ask_as(&nobody, "Auth/RoleAdd", root.clone());
        self.ask_as(&nobody, "Auth/RoleGet", json!({"role": "root"}));
        self.ask_as(&nobody, "Auth/UserGrantRole", json!({"user": "root", "role": "root"}));
        for (user, role, (key, end), kind) in [
            ("alice", "reader", RANGES[0], 0),
            ("bob", "writer", RANGES[1], 1),
            ("carol", "half", RANGES[3], 2),
            (ERIN, "erin's", RANGES[3], 2),
        ] {
            let request = json!({"name": user, "password": FIRST_PASSWORD});
            self.ask_as(&nobody, "Auth/UserAdd", request);
            self.ask_as(&nobody, "Auth/RoleAdd", json!({"name": role}));
            let perm = json!({"permType": kind, "key": base64(key), "range_end": base64(end)});
            let grant = json!({"name": role, "perm": perm});
            self.ask_as(&nobody, "Auth/RoleGrantPermission", grant);
            self.ask_as(&nobody, "Auth/UserGrantRole", json!({"user": user, "role": role}));
        }
        on(self);
        self.authenticate_root();
        on(self);
        self.ask_as(&Who::User("root".into()), "Auth/AuthEnable", json!({}));
        self.refused_while_on();
        self.who = Who::User("root".into());
    }

    /// What is refused only while authentication is on.
    fn refused_while_on(&mut self) {
        let root = Who::User("root".into());
        let alice = Who::User("alice".into());
        let range = json!({"key": base64("k05")});
        let elsewhere = json!({"key": base64("z")});
        self.log_in("alice");
        let bare = json!({"name": "bare", "password": "", "options": {"no_password": true}});
        self.ask_as(&root, "Auth/UserAdd", bare);
        self.authenticate_root();
        self.log_in("alice");
        for (user, password) in [
            ("alice", "wrong"),
            ("nobody", "password 0"),
            ("alice", ""),
            ("bare", ""),
            ("bare", "any"),
        ] {
            let request = json!({"name": user, "password": password});
            self.ask_as(&Who::Nobody, "Auth/Authenticate", request);
        }
        self.ask_as(&Who::Nobody, "KV/Range", range.clone());
        self.ask_as(&Who::Nobody, "KV/Put", range.clone());
        self.ask_as(&Who::Token("nonsense".into()), "KV/Range", range.clone());
        self.ask_as(&Who::Token("Bearer nonsense".into()), "KV/Put", range.clone());
        if self.plan.has(Area::Web) {
            let call = Call::new("KV/Range", range.clone()).by(&Who::Token("nonsense".into()));
            self.queue.push_back(Step::Gateway(call));
        }
        self.ask_as(&alice, "KV/Range", elsewhere.clone());
        self.ask_as(&alice, "KV/Put", elsewhere);
        for (method, request) in [
            ("Auth/UserDelete", json!({"name": "root"})),
            ("Auth/UserRevokeRole", json!({"name": "root", "role": "root"})),
            ("Auth/RoleDelete", json!({"role": "root"})),
        ] {
            self.ask_as(&root, method, request);
        }
        // The tokens of before are of an old revision, if they are of any.
        self.ask_as(&root, "Auth/RoleAdd", json!({"name": "another"}));
        for _ in 0..2 {
            self.ask_as(&alice, "KV/Range", range.clone());
            self.ask_as(&alice, "KV/Put", range.clone());
        }
        self.watches_by(std::slice::from_ref(&alice));
        self.ask_as(&root, "KV/Range", range.clone());
        self.ask_as(&root, "Auth/UserList", json!({}));
        self.authenticate_root();
        self.ask_as(&root, "Auth/RoleDelete", json!({"role": "another"}));
        self.authenticate_root();
        self.log_in("alice");
        self.watches_by(&[alice, Who::Nobody, Who::Token("nonsense".into())]);
        self.asked_by_others();
    }

    /// What a user may ask who is not root, with the rights he has.
    fn asked_by_others(&mut self) {
        let erin = Who::User(ERIN.into());
        self.log_in(ERIN);
        self.ask_as(
            &Who::User("root".into()),
            "Lease/LeaseGrant",
            json!({"ID": "60", "TTL": "900"}),
        );
        let put = |key: &str| {
            json!({"request_put": {"key": base64(key), "value": base64("v"),
            "prev_kv": true, "lease": "60"}})
        };
        let delete =
            |key: &str| json!({"request_delete_range": {"key": base64(key), "prev_kv": true}});
        let range = |key: &str| json!({"request_range": {"key": base64(key)}});
        let nested = |op: Value| json!({"request_txn": {"success": [op]}});
        let txn = |op: Value| json!({"success": [op]});
        for (method, request) in [
            ("KV/Txn", txn(put("k11"))),
            ("KV/Txn", txn(nested(put("k12")))),
            ("KV/Txn", txn(nested(range("k11")))),
            ("KV/Txn", txn(delete("k11"))),
            ("KV/Txn", txn(nested(delete("k12")))),
            ("KV/Txn", txn(put("z"))),
            ("KV/Txn", txn(delete("z"))),
            ("KV/Txn", txn(range("z"))),
            ("KV/Put", json!({"key": base64("k13"), "lease": "60", "prev_kv": true})),
            ("KV/DeleteRange", json!({"key": base64("k13"), "prev_kv": true})),
            ("Lease/LeaseGrant", json!({"ID": "61", "TTL": "900"})),
            ("Lease/LeaseTimeToLive", json!({"ID": "61"})),
            ("Lease/LeaseTimeToLive", json!({"ID": "61", "keys": true})),
            ("Lease/LeaseRevoke", json!({"ID": "61"})),
            ("Lease/LeaseRevoke", json!({"ID": "60"})),
            ("Maintenance/Status", json!({})),
            ("Maintenance/Alarm", json!({})),
            ("Cluster/MemberList", json!({})),
        ] {
            self.ask_as(&erin, method, request);
        }
    }

    /// Watches that are refused for who asks.
    fn watches_by(&mut self, whos: &[Who]) {
        for who in whos {
            self.who = who.clone();
            let stream = self.open_watch();
            for key in ["k05", "z"] {
                let create = json!({"create_request": {"key": base64(key)}});
                self.queue.push_back(Step::Watch(stream, create));
            }
            self.close_watches();
        }
    }

    pub(super) fn disable_auth(&mut self) {
        self.authenticate_root();
        self.ask_as(&Who::User("root".into()), "Auth/AuthDisable", json!({}));
        // While authentication is off 3.4 looks at tokens that nobody else looks at.
        self.push_either(Call::new("Auth/AuthDisable", json!({})), 100);
        self.who = Who::Nobody;
    }

    /// Refusals of user and role management but for a permission that is none, which 3.4 does not
    /// survive. They are the same with
    /// authentication on and off.
    pub(super) fn refused_management(&mut self) {
        for (method, request) in [
            ("Auth/Authenticate", json!({"name": "alice", "password": "p"})),
            ("Auth/AuthDisable", json!({})),
            ("Auth/UserAdd", json!({"name": "", "password": "p"})),
            ("Auth/UserAdd", json!({"name": "eve", "password": "p"})),
            ("Auth/UserAdd", json!({"name": "eve", "password": "p"})),
            ("Auth/UserAdd", json!({"name": "mallory", "password": ""})),
            ("Auth/UserGet", json!({"name": "nobody"})),
            ("Auth/UserDelete", json!({"name": "nobody"})),
            ("Auth/UserChangePassword", json!({"name": "nobody", "password": "p"})),
            ("Auth/UserGrantRole", json!({"user": "nobody", "role": "r"})),
            ("Auth/UserGrantRole", json!({"user": "eve", "role": "norole"})),
            ("Auth/UserRevokeRole", json!({"name": "eve", "role": "norole"})),
            ("Auth/UserRevokeRole", json!({"name": "nobody", "role": "norole"})),
            ("Auth/UserDelete", json!({"name": "eve"})),
            ("Auth/RoleAdd", json!({"name": ""})),
            ("Auth/RoleAdd", json!({"name": "twice"})),
            ("Auth/RoleAdd", json!({"name": "twice"})),
            ("Auth/RoleGet", json!({"role": "norole"})),
            ("Auth/RoleDelete", json!({"role": "norole"})),
            ("Auth/RoleGrantPermission", json!({"name": "norole", "perm": self.permission()})),
            ("Auth/RoleRevokePermission", json!({"role": "norole", "key": base64("k")})),
            ("Auth/RoleRevokePermission", json!({"role": "twice", "key": base64("k")})),
            ("Auth/RoleDelete", json!({"role": "twice"})),
            ("Auth/UserList", json!({})),
            ("Auth/RoleList", json!({})),
        ] {
            self.ask_either(method, request);
        }
    }
}

/// Makes ranges that end before they begin single keys: whether one may ask for them depends in etcd
/// on the shape of its tree of rights.
pub(super) fn forwards(message: &mut Value) {
    match message {
        Value::Array(list) => list.iter_mut().for_each(forwards),
        Value::Object(fields) => {
            let of = |name| fields.get(name).and_then(bytes_of).unwrap_or_default();
            let (key, end) = (of("key"), of("range_end"));
            if end <= key && end != b"\0" {
                fields.remove("range_end");
            }
            fields.iter_mut().for_each(|(_, value)| forwards(value));
        }
        _ => {}
    }
}

/// Leaves of a transaction what 3.4 checks: no nested ones, no earlier values, no leases.
fn strip(txn: &mut Value) {
    for branch in ["success", "failure"] {
        let Some(ops) = txn[branch].as_array_mut() else { continue };
        ops.retain(|op| op.get("request_txn").is_none());
        for op in ops.iter_mut().filter_map(Value::as_object_mut) {
            for write in op.values_mut().filter_map(Value::as_object_mut) {
                write.remove("prev_kv");
                write.remove("lease");
                write.remove("ignore_lease");
                write.remove("ignore_value");
            }
        }
    }
}
