//! `cp`, `mv`

use kvorum_client::explore::{KeyValue, shared};
use kvorum_client::transfer::{Aim, LeaseRule, Terms};
use kvorum_client::travel::Source;
use kvorum_client::{Connection, Get};

use super::carry::{Carry, Origin, carry, one};
use crate::args::own::{CopyNames, CpArgs, MvArgs};
use crate::command::own::{elsewhere, shown, travel};
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{shell_operand, shell_word};

pub(super) async fn copy(args: &CpArgs, session: &mut Session) -> Result<(), CommandError> {
    let names = args.names.names(args.from_context.is_some())?;
    let connection = match &args.from_context {
        Some(context) => elsewhere::connect(context, session)?,
        None => session.connection.clone(),
    };
    let mut flags = String::new();
    if args.rev != 0 {
        flags = format!(" --rev {}", args.rev);
    }
    if let Some(context) = &args.from_context {
        flags = format!("{flags} --from-context {}", shell_word(context.as_bytes()));
    }
    let flags = format!("{flags}{}", args.leases.flag());
    let mut origin = Keys::of(connection, &names, args.rev, session).await?;
    let aim = Aim { spares: args.names.no_clobber, ..aim(&names) };
    let (verb, done) = (("cp", "copy"), "copied");
    let words = Words { verb, done, names: &names, flags: &flags };
    carry_keys(&words, (aim, args.leases.rule()), &mut origin, session).await
}

pub(super) async fn rename(args: &MvArgs, session: &mut Session) -> Result<(), CommandError> {
    let names = args.names.names(false)?;
    let mut origin = Keys::of(session.connection.clone(), &names, 0, session).await?;
    let aim = Aim { spares: args.names.no_clobber, takes: true, ..aim(&names) };
    let words = Words { verb: ("mv", "move"), done: "moved", names: &names, flags: "" };
    carry_keys(&words, (aim, LeaseRule::Keep), &mut origin, session).await
}

fn aim(names: &CopyNames) -> Aim {
    Aim { from_len: names.from.len(), to: names.to.clone(), ..Aim::default() }
}

/// How it is told.
struct Words<'a> {
    /// As it is typed, and in a sentence.
    verb: (&'static str, &'static str),
    done: &'static str,
    names: &'a CopyNames,
    flags: &'a str,
}

async fn carry_keys(
    words: &Words<'_>,
    (aim, leases): (Aim, LeaseRule),
    origin: &mut Keys,
    session: &mut Session,
) -> Result<(), CommandError> {
    let Words { verb: (verb, does), done, names, flags } = words;
    let CopyNames { from, to, is_prefix } = names;
    let name = |name: &[u8]| match (is_prefix, name.is_empty()) {
        (true, true) => "every key".to_owned(),
        (true, false) => format!("{}*", shown::line(name)),
        (false, _) => shown::line(name),
    };
    let what = format!("{does} {} to {}", name(from), name(to));
    let prefix = if *is_prefix { " --prefix" } else { "" };
    let clobber = if aim.spares { " --no-clobber" } else { "" };
    let (from, to) = (shell_operand(from), shell_word(to));
    let go_on = format!("{verb}{prefix}{clobber}{flags} {from} {to}");
    let go_on = travel::command(&go_on, session);
    let (what, go_on, one_key) = (what.as_str(), go_on.as_str(), !is_prefix);
    let had_revisions = aim.takes && !one_key;
    let carried = Carry { verb, done, what, go_on, aim, one_key, leases, had_revisions };
    carry(&carried, origin, session).await
}

/// Keys of a cluster, as they were at one revision.
struct Keys {
    connection: Connection,
    cluster_id: u64,
    revision: i64,
    from: Vec<u8>,
    /// The key itself, if it is not a prefix.
    single: Option<KeyValue>,
}

impl Keys {
    async fn of(
        connection: Connection,
        names: &CopyNames,
        revision: i64,
        session: &Session,
    ) -> Result<Self, CommandError> {
        let CopyNames { from, is_prefix, .. } = names;
        let get = if *is_prefix {
            Get { revision, limit: 1, keys_only: true, ..Get::prefix(from.clone()) }
        } else {
            Get { revision, ..Get::key(from.clone()) }
        };
        let answer = connection.get(get).await;
        let answer = answer.map_err(|failure| travel::unreadable(failure, from, revision))?;
        let head = answer.header.unwrap_or_default();
        let kv = answer.kvs.into_iter().next().ok_or_else(|| absent(names, session))?;
        let single = (!is_prefix).then(|| shared(kv));
        let revision = if revision == 0 { head.revision } else { revision };
        let from = from.clone();
        Ok(Self { connection, cluster_id: head.cluster_id, revision, from, single })
    }
}

impl Origin for Keys {
    fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    fn open(&mut self) -> Result<Source, CommandError> {
        let Self { connection, from, revision, single, .. } = self;
        Ok(match single {
            Some(_) => one(single.clone(), from.len()),
            None => Source::cluster(connection, from, *revision, true),
        })
    }

    async fn granted_ttls_s(&mut self, leases: &[i64]) -> Result<Vec<Option<i64>>, CommandError> {
        let mut terms = Terms::default();
        terms.learn(&self.connection, leases.iter().copied()).await?;
        Ok(leases.iter().map(|lease| terms.granted_ttl_s(*lease)).collect())
    }
}

fn absent(names: &CopyNames, session: &Session) -> CommandError {
    let (code, message, hint) = if names.is_prefix {
        let hint = "nothing was written; kvorum ls shows what there is";
        (exit::finer::EMPTY, shown::none_below(&names.from), hint)
    } else {
        let hint = "what ends in / is a prefix; --prefix says so of what does not";
        (exit::finer::NOT_FOUND, format!("there is no key {}", shown::line(&names.from)), hint)
    };
    let code = if session.manner.exit_status { code } else { exit::ERROR };
    CommandError::Hinted { code, message, hint: hint.to_owned() }
}
