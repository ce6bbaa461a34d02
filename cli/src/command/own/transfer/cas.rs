//! `cas`

use kvorum_client::edit::{Expected, Swap, read, swap_if};
use kvorum_client::{KeyRange, Put, pb};

use crate::args::own::CasArgs;
use crate::args::{UsageError, bytes_of};
use crate::command::own::shown;
use crate::command::remember::remember;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Row, Style, Value, go, instead_of, is_masked, print_one};

pub(super) async fn execute(args: &CasArgs, session: &mut Session) -> Result<(), CommandError> {
    let (key, expected, lease) = (args.key()?, args.expected(), args.lease()?);
    let value = if let Some(value) = &args.new {
        bytes_of(value)
    } else {
        let value = session.input.rest().await?;
        if value.is_empty() {
            let text = "there is no new value: give it, or write it to standard input";
            return Err(UsageError::arguments(text).into());
        }
        value
    };
    let connection = session.connection.clone();
    let dry_run = session.manner.dry_run;
    let swap = if dry_run {
        let found = read(&connection, &key).await?;
        if expected.holds(found.as_ref()) {
            Swap::Written(pb::ResponseHeader::default())
        } else {
            Swap::Changed(found)
        }
    } else {
        // What must not be there has no lease to keep.
        let ignore_lease = lease.is_none() && expected != Expected::Absent;
        let put = Put { lease: lease.unwrap_or(0), ignore_lease, ..Put::new(key.clone(), value) };
        swap_if(&connection, &expected, put).await?
    };
    let (written, found) = match swap {
        Swap::Written(header) => {
            if !dry_run {
                remember("cas", Some(&header), &[KeyRange::single(key.clone())], session);
            }
            (Some(header.revision), None)
        }
        Swap::Changed(found) => (None, found),
    };
    let masked = is_masked(&session.style.masked, &key);
    let outcome = Outcome { key: &key, written, found, masked, dry_run };
    print_one(&outcome, &["key", "swapped", "revision"], &session.style, &mut session.out)?;
    match written {
        Some(_) => Ok(()),
        None => Err(CommandError::Silent { code: exit::finer::NOT_SUCCEEDED }),
    }
}

struct Outcome<'a> {
    key: &'a [u8],
    /// At which revision; `None`: it was not as expected.
    written: Option<i64>,
    /// What is there instead.
    found: Option<pb::KeyValue>,
    masked: bool,
    dry_run: bool,
}

impl Outcome<'_> {
    /// The revision at which it was written, or what is there was.
    fn revision(&self) -> i64 {
        let found = self.found.as_ref().map_or(0, |kv| kv.mod_revision);
        self.written.unwrap_or(found)
    }

    fn value_found(&self, kv: &pb::KeyValue) -> Vec<u8> {
        if self.masked { instead_of(kv.value.len()).into_bytes() } else { kv.value.clone() }
    }
}

impl Row for Outcome<'_> {
    fn simple(&self, _: &Style) -> String {
        let key = go::quote(self.key);
        match (&self.written, &self.found) {
            (Some(_), _) if self.dry_run => format!("would write {key}"),
            (Some(revision), _) => format!("{key} is written at revision {revision}"),
            (None, None) => format!("{key} is not there: nothing was written"),
            (None, Some(kv)) => format!(
                "{key} was changed at revision {}: nothing was written; it has: {}",
                kv.mod_revision,
                shown::line(&self.value_found(kv))
            ),
        }
    }

    fn value(&self) -> Value {
        let found = self.found.as_ref().map(|kv| {
            Value::map([
                ("value", Value::bytes(&self.value_found(kv))),
                ("create_revision", Value::Int(kv.create_revision)),
                ("mod_revision", Value::Int(kv.mod_revision)),
                ("version", Value::Int(kv.version)),
            ])
            .with_some("lease", (kv.lease != 0).then(|| Value::lease(kv.lease)))
        });
        let written = self.written.filter(|_| !self.dry_run);
        Value::map([
            ("key", Value::bytes(self.key)),
            ("swapped", Value::Bool(self.written.is_some())),
        ])
        .with_some("revision", written.map(Value::Int))
        .with_some("found", found)
    }

    fn cells(&self) -> Vec<String> {
        let swapped = if self.written.is_some() { "yes" } else { "no" };
        vec![shown::line(self.key), swapped.to_owned(), self.revision().to_string()]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(self.key)
    }
}
