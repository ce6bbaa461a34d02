//! The two states that are compared, and how it is found out whether a key is the same in both.

use kvorum_client::Connection;
use kvorum_client::explore::{KeyValue, shared};
use kvorum_client::travel::{Difference, DifferenceError, Pair, Source};
use kvorum_client::{Failure, Get};
use kvorum_server::etcd::latest;

use super::with_values;
use crate::args::own::{DiffArgs, State};
use crate::command::own::elsewhere;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{one_line, shell_operand};

pub(super) struct Sides {
    difference: Difference,
    kind: Kind,
    first: String,
    second: String,
}

enum Kind {
    /// One cluster at two revisions: equal revisions of a key are equal keys, and values are read
    /// where they are not.
    Revisions { connection: Connection, first: i64, second: i64 },
    /// Anything else: values come along, and are compared.
    Values,
}

impl Sides {
    pub(super) async fn of(args: &DiffArgs, session: &Session) -> Result<Self, CommandError> {
        let (first, second) = args.states()?;
        let here = session.connection.clone();
        if let Some(path) = &args.snapshot {
            let keys = latest::keys(path, &first.name).map_err(|error| CommandError::Other {
                code: exit::ERROR,
                message: error.to_string(),
            })?;
            let keys = keys.map(|kv| kv.map_err(|error| error.to_string()));
            let only = first.clone();
            let keys = keys.filter(move |kv| holds(&only, kv.as_ref().ok()));
            let file = Source::other(Box::new(keys), first.name.len());
            let live = source(&here, &second, second.revision, true).await?;
            let names = (path.display().to_string(), named(&second, second.revision));
            return Ok(Self::by_values(file, live, names));
        }
        if let Some(context) = &args.with_context {
            let there = elsewhere::connect(context, session)?;
            let own = source(&here, &first, first.revision, true).await?;
            let other = source(&there, &second, second.revision, true).await?;
            let name = named(&second, second.revision);
            let names = (named(&first, first.revision), format!("{name} in {context}"));
            return Ok(Self::by_values(own, other, names));
        }
        let newest = newest(&here, &first.name).await?;
        let at = |state: &State| if state.revision == 0 { newest } else { state.revision };
        let (at_first, at_second) = (at(&first), at(&second));
        let names = (named(&first, at_first), named(&second, at_second));
        let values = first.name != second.name;
        let one = source(&here, &first, at_first, values).await?;
        let other = source(&here, &second, at_second, values).await?;
        if values {
            return Ok(Self::by_values(one, other, names));
        }
        let kind = Kind::Revisions { connection: here, first: at_first, second: at_second };
        let difference = Difference::of(one, other);
        Ok(Self { difference, kind, first: names.0, second: names.1 })
    }

    fn by_values(first: Source, second: Source, names: (String, String)) -> Self {
        let difference = Difference::of(first, second);
        Self { difference, kind: Kind::Values, first: names.0, second: names.1 }
    }

    /// What is next in either; dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Pair>, CommandError> {
        let pair = self.difference.next().await;
        let pair = pair.map(|pair| pair.map(without_lone_value));
        pair.map_err(|error| match (error, &self.kind) {
            (DifferenceError::Failure(failure), Kind::Revisions { first, second, .. })
                if failure.is_compacted() =>
            {
                compacted(*first.min(second))
            }
            (error, _) => error.into(),
        })
    }

    pub(super) fn are_same(&self, first: &KeyValue, second: &KeyValue) -> bool {
        match self.kind {
            Kind::Revisions { .. } => first.mod_revision == second.mod_revision,
            Kind::Values => first.value == second.value,
        }
    }

    /// The pairs with the values that it takes to compare them.
    pub(super) async fn read(&self, pairs: Vec<Pair>) -> Result<Vec<Pair>, CommandError> {
        with_values(self, pairs).await
    }

    /// The cluster that is compared with itself, and the revisions.
    pub(super) fn revisions(&self) -> Option<(&Connection, i64, i64)> {
        match &self.kind {
            Kind::Revisions { connection, first, second } => Some((connection, *first, *second)),
            Kind::Values => None,
        }
    }

    pub(super) fn names(&self) -> String {
        format!("{} → {}", self.first, self.second)
    }
}

/// The value of a key that only one side has is not shown, and its page is let go.
fn without_lone_value(pair: Pair) -> Pair {
    let bare =
        |kv: KeyValue| KeyValue { key: kv.key.to_vec().into(), value: Vec::new().into(), ..kv };
    match pair {
        Pair::First(kv) => Pair::First(bare(kv)),
        Pair::Second(kv) => Pair::Second(bare(kv)),
        both @ Pair::Both(..) => both,
    }
}

pub(super) fn compacted(revision: i64) -> CommandError {
    CommandError::Hinted {
        code: exit::ERROR,
        message: format!("the history at revision {revision} was compacted"),
        hint: "compare with a newer one; kvorum history KEY --all shows what is kept".to_owned(),
    }
}

async fn newest(connection: &Connection, name: &[u8]) -> Result<i64, Failure> {
    let key = if name.is_empty() { &b"\0"[..] } else { name };
    let answer = connection.get(Get { count_only: true, ..Get::key(key) }).await?;
    Ok(answer.header.map_or(0, |header| header.revision))
}

fn named(state: &State, revision: i64) -> String {
    let name = match (state.name.is_empty(), state.is_prefix) {
        (true, _) => "every key".to_owned(),
        (false, true) => format!("{}*", one_line(&state.name)),
        (false, false) => one_line(&state.name),
    };
    if revision == 0 { name } else { format!("{name} at {revision}") }
}

fn holds(state: &State, kv: Option<&KeyValue>) -> bool {
    state.is_prefix || kv.is_none_or(|kv| kv.key == state.name)
}

async fn source(
    connection: &Connection,
    state: &State,
    revision: i64,
    values: bool,
) -> Result<Source, CommandError> {
    if state.is_prefix {
        return Ok(Source::cluster(connection, &state.name, revision, values));
    }
    let get = Get { revision, ..Get::key(state.name.clone()) };
    let found = connection.get(get).await.map_err(|failure| {
        if failure.is_compacted() { compacted(revision) } else { failure.into() }
    })?;
    let Some(kv) = found.kvs.into_iter().next() else {
        return absent(connection, state, revision).await;
    };
    Ok(Source::other(Box::new(std::iter::once(Ok(shared(kv)))), state.name.len()))
}

/// A key that is not there is no error: it may have been deleted. A prefix that was meant is one.
async fn absent(
    connection: &Connection,
    state: &State,
    revision: i64,
) -> Result<Source, CommandError> {
    let below = Get { revision, count_only: true, ..Get::prefix(state.name.clone()) };
    if connection.get(below).await?.count == 0 {
        return Ok(Source::other(Box::new(std::iter::empty()), state.name.len()));
    }
    let operand = shell_operand(&state.name);
    Err(CommandError::Hinted {
        code: exit::ERROR,
        message: format!("there is no key {}, only keys that begin so", one_line(&state.name)),
        hint: format!("kvorum diff --prefix {operand} compares them"),
    })
}
