//! What a write of many keys came to.

use super::Done;
use crate::command::own::shown;
use crate::output::{Row, Style, Value};

/// Says what was done to how many keys, and where it can be seen.
pub(crate) struct Written<'a> {
    /// `rolled back`
    pub(crate) verb: &'a str,
    pub(crate) done: Done,
    /// Keys that are not as they were to be, because they are somebody else's.
    pub(crate) left_alone: u64,
}

impl Written<'_> {
    /// The columns of a table.
    pub(crate) const HEADER: [&'static str; 4] =
        ["keys", "transactions", "first revision", "last revision"];
}

impl Row for Written<'_> {
    fn simple(&self, _: &Style) -> String {
        let Self { verb, done, left_alone } = self;
        let left = match left_alone {
            0 => String::new(),
            left => format!("; {} left alone", shown::keys(*left)),
        };
        if done.transactions == 0 {
            return format!("nothing is left to write{left}");
        }
        format!("{} {verb} {}{left}", shown::keys(done.keys), done.place())
    }

    fn value(&self) -> Value {
        let Done { keys, transactions, first_revision, last_revision } = self.done;
        Value::map([
            ("keys", Value::Uint(keys)),
            ("transactions", Value::Uint(transactions)),
            ("first_revision", Value::Int(first_revision)),
            ("last_revision", Value::Int(last_revision)),
        ])
        .with_some("left_alone", (self.left_alone > 0).then_some(Value::Uint(self.left_alone)))
    }

    fn cells(&self) -> Vec<String> {
        let Done { keys, transactions, first_revision, last_revision } = self.done;
        vec![
            keys.to_string(),
            transactions.to_string(),
            first_revision.to_string(),
            last_revision.to_string(),
        ]
    }
}
