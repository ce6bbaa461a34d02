//! Reads and writes of keys, at the top level and at every depth of a transaction.

use kvorum_tests::differential::contract::base64;
use serde_json::{Value, json};

use crate::callers::{Needs, Span};
use crate::form::{Form, Then, form, spanned, with};

/// An operation that may stand alone or in a transaction.
struct Operation {
    method: &'static str,
    /// Its field of `RequestOp`.
    field: &'static str,
    what: &'static str,
    message: Value,
    needs: Needs,
}

/// Keys to read: within what is granted, at its borders, and beyond.
pub(crate) const READS: &[(&str, Span)] = &[
    ("a key", ("k", "")),
    ("another key", ("x", "")),
    ("the key behind", ("l", "")),
    ("the whole range", ("k", "l")),
    ("a part", ("k/a", "k/b")),
    ("from a key on", ("k", "\0")),
    ("everything", ("\0", "\0")),
    ("from within and beyond", ("k/a", "m")),
];

fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    for (what, span) in READS {
        let (method, field) = ("KV/Range", "request_range");
        let (message, needs) = (spanned(*span), Needs::read(*span));
        all.push(Operation { method, field, what, message, needs });
    }
    let mut range = |what, more| {
        let message = with(spanned(("k", "l")), more);
        let (method, field, needs) = ("KV/Range", "request_range", Needs::read(("k", "l")));
        all.push(Operation { method, field, what, message, needs });
    };
    range("keys only", json!({"keys_only": true}));
    range("the count only", json!({"count_only": true}));
    range("what this member has", json!({"serializable": true}));
    range("as it was", json!({"revision": "2", "limit": "1"}));
    all.extend(puts());
    all.extend(deletions());
    all
}

/// What `RangeStream` does not have, whoever asks.
fn narrowed() -> Vec<Operation> {
    let bounds = json!({
        "min_mod_revision": "1",
        "max_mod_revision": "999",
        "min_create_revision": "1",
        "max_create_revision": "999",
    });
    let sorted = json!({"sort_order": 2, "sort_target": 1});
    let range = |what, more| {
        let message = with(spanned(("k", "l")), more);
        let (method, field, needs) = ("KV/Range", "request_range", Needs::read(("k", "l")));
        Operation { method, field, what, message, needs }
    };
    vec![range("within bounds", bounds), range("sorted", sorted)]
}

fn puts() -> Vec<Operation> {
    let put = |what, key: &str, more, needs| {
        let message = with(json!({"key": base64(key), "value": base64("v")}), more);
        Operation { method: "KV/Put", field: "request_put", what, message, needs }
    };
    let own = ("k/p", "");
    vec![
        put("a key", "k/p", json!({}), Needs::write(own)),
        put("another key", "x/p", json!({}), Needs::write(("x/p", ""))),
        put("the key behind", "l", json!({}), Needs::write(("l", ""))),
        put("and what was there", "k/p", json!({"prev_kv": true}), Needs::both(own)),
        put("under a lease", "k/p", json!({"lease": "11"}), Needs::write(own)),
        put("under a lease without keys", "k/p", json!({"lease": "13"}), Needs::write(own)),
        put(
            "under a lease with another's key",
            "k/p",
            json!({"lease": "12"}),
            Needs::Keys { reads: vec![], writes: vec![own, ("x/12", "")] },
        ),
        put(
            "under a lease, and what was there",
            "k/p",
            json!({"lease": "12", "prev_kv": true}),
            Needs::Keys { reads: vec![own], writes: vec![own, ("x/12", "")] },
        ),
        put(
            "of the value it has",
            "k/p",
            json!({"value": "", "ignore_value": true}),
            Needs::write(own),
        ),
        put("under the lease it has", "k/p", json!({"ignore_lease": true}), Needs::write(own)),
    ]
}

fn deletions() -> Vec<Operation> {
    let delete = |what, span: Span, more, needs| {
        let (method, field) = ("KV/DeleteRange", "request_delete_range");
        Operation { method, field, what, message: with(spanned(span), more), needs }
    };
    let (key, range) = (("k/d", ""), ("k/d", "k/e"));
    let prev = || json!({"prev_kv": true});
    vec![
        delete("a key", key, json!({}), Needs::write(key)),
        delete("another key", ("x/d", ""), json!({}), Needs::write(("x/d", ""))),
        delete("a range", range, json!({}), Needs::write(range)),
        delete("a key, and what was there", key, prev(), Needs::both(key)),
        delete("a range, and what was there", range, prev(), Needs::both(range)),
        delete("from a key on", ("z", "\0"), json!({}), Needs::write(("z", "\0"))),
        delete("to beyond", ("kz", "m"), json!({}), Needs::write(("kz", "m"))),
    ]
}

pub(crate) fn forms() -> Vec<Form> {
    let mut forms = Vec::new();
    for operation in operations() {
        let Operation { method, what, message, needs, .. } = &operation;
        if *method == "KV/Range" {
            forms.push(form("KV/RangeStream", what, message.clone(), needs.clone()));
        }
        forms.extend(alone_and_within(&operation));
    }
    for operation in narrowed() {
        let refused =
            form("KV/RangeStream", operation.what, operation.message.clone(), Needs::Nothing);
        forms.push(refused.then(Then::Error("RangeStream does not support")));
        forms.extend(alone_and_within(&operation));
    }
    for (what, span) in READS {
        let compare = with(spanned(*span), json!({"target": "VERSION", "version": "0"}));
        let txn = json!({"compare": [compare]});
        let nested = json!({"failure": [{"request_txn": txn}]});
        forms.push(form("KV/Txn", &format!("compares {what}"), txn, Needs::read(*span)));
        forms.push(form("KV/Txn", &format!("compares {what}, nested"), nested, Needs::read(*span)));
    }
    for (target, field) in [
        ("CREATE", "create_revision"),
        ("MOD", "mod_revision"),
        ("VALUE", "value"),
        ("LEASE", "lease"),
    ] {
        let with_what = if target == "VALUE" { base64("v") } else { "0".into() };
        let compared = json!({"target": target, "result": "NOT_EQUAL", field: with_what});
        let txn = json!({"compare": [with(spanned(("k", "")), compared)]});
        forms.push(form("KV/Txn", &format!("compares {field}"), txn, Needs::read(("k", ""))));
    }
    // As in etcd: what does nothing needs nobody.
    forms.push(form("KV/Txn", "nothing", json!({}), Needs::Anyone));
    let compact = form("KV/Compact", "", json!({"revision": "3", "physical": true}), Needs::Root);
    forms.push(compact.then(Then::Any));
    for (what, span) in READS {
        for more in [json!({}), json!({"prev_kv": true})] {
            let what = format!("{what} {more}");
            let create = json!({"create_request": with(spanned(*span), more)});
            forms.push(form("Watch/Watch", &what, create, Needs::read(*span)));
        }
    }
    // An empty key is the least there is.
    for (what, more, span) in [
        ("no key", json!({}), ("\0", "")),
        ("no key, and all behind", json!({"range_end": base64("\0")}), ("\0", "\0")),
    ] {
        forms.push(form("Watch/Watch", what, json!({"create_request": more}), Needs::read(span)));
    }
    let every = json!({
        "start_revision": "4",
        "progress_notify": true,
        "filters": [0],
        "watch_id": "5",
        "fragment": true,
    });
    let create = json!({"create_request": with(spanned(("k", "l")), every)});
    forms.push(form("Watch/Watch", "in every way", create, Needs::read(("k", "l"))));
    forms
}

/// By its own method, and wherever it can stand in a transaction.
fn alone_and_within(operation: &Operation) -> Vec<Form> {
    let Operation { method, field, what, message, needs } = operation;
    let mut forms = vec![form(method, what, message.clone(), needs.clone())];
    for (level, txn) in levels(&json!({ *field: message })) {
        let what = format!("{method} {what}, {level}");
        forms.push(form("KV/Txn", &what, txn, needs.clone()));
    }
    forms
}

/// The same operation wherever one can stand in a transaction, done or not.
fn levels(operation: &Value) -> Vec<(&'static str, Value)> {
    let nested = json!({"request_txn": {"success": [operation]}});
    let deep = json!({"request_txn": {"failure": [nested]}});
    vec![
        ("in a transaction", json!({"success": [operation]})),
        ("in the branch not taken", json!({"failure": [operation]})),
        ("nested", json!({"success": [nested]})),
        ("deeper, not taken", json!({"success": [deep]})),
    ]
}
