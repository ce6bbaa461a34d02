//! A request in one of the forms a method is asked in, and what it needs.

use kvorum_tests::differential::contract::base64;
use kvorum_tests::differential::step::{Call, Step, Who};
use serde_json::{Value, json};

use crate::callers::{Needs, Span};

pub(crate) struct Form {
    pub(crate) method: &'static str,
    pub(crate) what: String,
    pub(crate) message: Value,
    pub(crate) needs: Needs,
    pub(crate) then: Then,
    /// By root, whenever somebody was allowed before; an error is none.
    pub(crate) before: Vec<Step>,
    /// By root, after somebody was allowed.
    pub(crate) after: Vec<Step>,
}

/// What is answered to who may.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Then {
    Ok,
    /// An error with this in its text.
    Error(&'static str),
    /// Whatever is answered: it is another test's.
    Any,
}

pub(crate) fn form(method: &'static str, what: &str, message: Value, needs: Needs) -> Form {
    let (before, after) = (vec![], vec![]);
    Form { method, what: what.to_owned(), message, needs, then: Then::Ok, before, after }
}

impl Form {
    pub(crate) fn before(self, before: Vec<Step>) -> Form {
        Form { before, ..self }
    }

    pub(crate) fn after(self, after: Vec<Step>) -> Form {
        Form { after, ..self }
    }

    pub(crate) fn then(self, then: Then) -> Form {
        Form { then, ..self }
    }
}

pub(crate) fn by_root(method: &'static str, message: Value) -> Step {
    Step::Call(Call::new(method, message).by(&Who::User("root".into())))
}

pub(crate) fn spanned((key, end): Span) -> Value {
    json!({"key": base64(key), "range_end": base64(end)})
}

/// `message` with these fields too.
pub(crate) fn with(mut message: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (message.as_object_mut(), more) {
        fields.extend(more);
    }
    message
}

/// A lease and the keys that hang on it, made anew.
pub(crate) fn leased(id: &str, keys: &[&str]) -> Vec<Step> {
    let mut steps = vec![
        by_root("Lease/LeaseRevoke", json!({"ID": id})),
        by_root("Lease/LeaseGrant", json!({"ID": id, "TTL": "9000"})),
    ];
    let put = |key: &&str| by_root("KV/Put", json!({"key": base64(key), "lease": id}));
    steps.extend(keys.iter().map(put));
    steps
}
