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
    all.extend(puts());
    all.extend(deletions());
    all
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
        let Operation { method, field, what, message, needs } = operation;
        if method == "KV/Range" {
            forms.push(form("KV/RangeStream", what, message.clone(), needs.clone()));
        }
        for (level, txn) in levels(&json!({ field: message })) {
            let what = format!("{method} {what}, {level}");
            forms.push(form("KV/Txn", &what, txn, needs.clone()));
        }
        forms.push(form(method, what, message, needs));
    }
    for (what, span) in READS {
        let compare = with(spanned(*span), json!({"target": "VERSION", "version": "0"}));
        let txn = json!({"compare": [compare]});
        let nested = json!({"failure": [{"request_txn": txn}]});
        forms.push(form("KV/Txn", &format!("compares {what}"), txn, Needs::read(*span)));
        forms.push(form("KV/Txn", &format!("compares {what}, nested"), nested, Needs::read(*span)));
    }
    // As in etcd: what does nothing needs nobody.
    forms.push(form("KV/Txn", "nothing", json!({}), Needs::Anyone));
    let compact = form("KV/Compact", "", json!({"revision": "1"}), Needs::Root);
    forms.push(compact.then(Then::Any));
    for (what, span) in READS {
        for more in [json!({}), json!({"prev_kv": true})] {
            let what = format!("{what} {more}");
            let create = json!({"create_request": with(spanned(*span), more)});
            forms.push(form("Watch/Watch", &what, create, Needs::read(*span)));
        }
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
