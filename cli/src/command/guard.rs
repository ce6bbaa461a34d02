//! Between a person and what changes a cluster: read-only contexts, `--dry-run`, confirmations.
//!
//! The last word has the gate of the connection, which lets no write through; here it is said in
//! time, before a password is asked or an editor opened, and with what to do next.

use std::io::Write as _;

use kvorum_client::KeyRange;
use kvorum_client::contexts::{Clusters, Places, Protection};
use kvorum_client::pb;

use super::effect::{Effect, Intent};
use super::{CommandError, Confirm, Input, Session};
use crate::exit;
use crate::mode::Mode;
use crate::output::{escape_message, one_line, wrap};
use crate::terminal;

/// Up to so many keys a yes is enough…
const FEW_KEYS: i64 = 10;

/// …up to so many their number has to be typed, and beyond that what they begin with, if it can be.
const MANY_KEYS: i64 = 1000;

/// Refuses a write in a read-only context, and remembers and obeys the protection of the cluster.
pub(crate) async fn admit(effect: Effect, session: &mut Session) -> Result<(), CommandError> {
    if session.mode == Mode::Etcdctl {
        return Ok(());
    }
    if let Some(places) = session.places.clone() {
        protect(effect, &places, session).await?;
    }
    if effect == Effect::Writes && session.connection.is_read_only() && !session.manner.dry_run {
        return Err(read_only(session));
    }
    Ok(())
}

/// What a context says of a cluster holds by whatever way one comes there.
async fn protect(
    effect: Effect,
    places: &Places,
    session: &mut Session,
) -> Result<(), CommandError> {
    let refused = |error: kvorum_client::contexts::ContextError| CommandError::Other {
        code: exit::ERROR,
        message: error.to_string(),
    };
    let mut clusters = Clusters::read(places).map_err(refused)?;
    let own = &session.manner.protection;
    // What a context says of its own cluster says nothing of another.
    let leads_there = !own.context.is_empty() && !session.manner.elsewhere;
    let to_learn = leads_there && !clusters.knows(own);
    let to_obey = effect != Effect::Reads && !clusters.is_empty();
    if !to_learn && !to_obey {
        return Ok(());
    }
    // A cluster that cannot be asked cannot be changed either, and the command will say why.
    let Some(id) = cluster_id(session).await else { return Ok(()) };
    if to_learn {
        clusters.learn(places, id, own.clone()).map_err(refused)?;
    }
    if !leads_there && let Some(known) = clusters.protection(id) {
        session.manner.protection = known.clone();
        if known.read_only {
            session.connection.set_read_only(true);
        }
    }
    Ok(())
}

/// The list of members is asked first: it is of the whole cluster. Who may not see it, and whom a
/// proxy answers out of its own head and without an id, is told by a member of itself.
async fn cluster_id(session: &Session) -> Option<u64> {
    let named = |header: Option<pb::ResponseHeader>| {
        header.map(|header| header.cluster_id).filter(|id| *id != 0)
    };
    let id = match session.connection.members().await {
        Ok(members) => named(members.header),
        Err(failure) if failure.code().is_some() => None,
        // Nobody answers, and waiting for that once is enough.
        Err(_) => return None,
    };
    if id.is_some() {
        return id;
    }
    named(session.connection.status_of_any().await.ok()?.header)
}

fn read_only(session: &Session) -> CommandError {
    let Protection { context, read_only, .. } = &session.manner.protection;
    let (why, hint) = if *read_only && !context.is_empty() {
        let hint = format!(
            "the cluster is remembered by its id, whatever leads there; to write to it: kvorum ctx \
             add {context} --read-only=false, or --context NAME of another context that may"
        );
        (format!("the context {context} is read-only"), hint)
    } else {
        ("--read-only was given".to_owned(), "leave --read-only out".to_owned())
    };
    CommandError::Hinted { code: exit::ERROR, message: format!("nothing was sent: {why}"), hint }
}

/// Whether a write ends here: with `--dry-run`, when what it would do has been said. An error is a
/// no.
pub(super) async fn is_only_meant(
    intent: &Intent,
    session: &mut Session,
) -> Result<bool, CommandError> {
    let sentence = escape_message(&intent.sentence);
    if session.manner.dry_run {
        session.say(&format!("would {sentence}"))?;
        return Ok(true);
    }
    if !intent.asks || session.manner.yes || session.confirm != Confirm::Ask {
        return Ok(false);
    }
    if is_yes(&format!("{sentence}?"), session).await? {
        return Ok(false);
    }
    session.remark("nothing was changed");
    Err(CommandError::Silent { code: exit::ERROR })
}

/// What is about to be deleted.
pub(crate) struct Doomed {
    pub count: i64,
    /// In a sentence: `those that begin with "/a"`.
    pub description: String,
    /// What has to be typed where there are many; `None`: their number.
    pub typed: Option<String>,
}

/// Asks for as much certainty as there are keys. An error is a no.
pub(crate) async fn confirm(doomed: &Doomed, session: &mut Session) -> Result<(), CommandError> {
    if session.manner.yes {
        return Ok(());
    }
    if session.confirm == Confirm::Etcdctl {
        return Ok(());
    }
    let keys = keys(doomed.count);
    let protection = &session.manner.protection;
    let place = place(session);
    let what = format!("delete {keys}{place}: {}", doomed.description);
    if session.confirm == Confirm::Require {
        return Err(CommandError::Hinted {
            code: exit::BAD_ARGUMENTS,
            message: format!("a range is not deleted unasked: this would {what}"),
            hint: "repeat the command with --yes".to_owned(),
        });
    }
    let wanted = if protection.protected || doomed.count > MANY_KEYS {
        Some(doomed.typed.clone().unwrap_or_else(|| doomed.count.to_string()))
    } else {
        few(doomed.count)
    };
    certain(&what, wanted, "nothing was deleted", session).await
}

/// What is typed for so many keys, if a yes is not enough.
fn few(count: i64) -> Option<String> {
    (count > FEW_KEYS).then(|| count.to_string())
}

/// A plan of many changes.
pub(crate) struct Planned<'a> {
    /// What is about to happen, as a command.
    pub what: &'a str,
    pub count: u64,
}

/// Asks before a plan is carried out that has been shown. An error is a no.
pub(crate) async fn confirm_plan(
    planned: &Planned<'_>,
    session: &mut Session,
) -> Result<(), CommandError> {
    if session.manner.yes || session.confirm == Confirm::Etcdctl {
        return Ok(());
    }
    let count = i64::try_from(planned.count).unwrap_or(i64::MAX);
    let what = format!("{}{}, {}", planned.what, place(session), keys(count));
    if session.confirm == Confirm::Require {
        return Err(CommandError::Hinted {
            code: exit::BAD_ARGUMENTS,
            message: format!("a plan is not carried out unasked: this would {what}"),
            hint: "repeat the command with --yes".to_owned(),
        });
    }
    let protected = session.manner.protection.protected;
    let wanted = if protected { Some(count.to_string()) } else { few(count) };
    certain(&what, wanted, "nothing was changed", session).await
}

/// Where a change would happen, if that has a name.
fn place(session: &Session) -> String {
    let protection = &session.manner.protection;
    match (&protection.context, session.manner.context.as_ref()) {
        (context, _) if !context.is_empty() => format!(" in {context}"),
        (_, Some(context)) => format!(" in {context}"),
        _ => String::new(),
    }
}

/// Asks for a yes, or for what is wanted to be typed. An error is a no.
pub(crate) async fn certain(
    what: &str,
    wanted: Option<String>,
    otherwise: &str,
    session: &mut Session,
) -> Result<(), CommandError> {
    let sure = match &wanted {
        None => is_yes(&format!("{what}?"), session).await?,
        Some(wanted) => {
            let question = format!("{what}? type {wanted} to go on, anything else leaves it");
            ask(&question, session).await? == *wanted
        }
    };
    if sure {
        return Ok(());
    }
    session.remark(otherwise);
    Err(CommandError::Silent { code: exit::ERROR })
}

/// Asks something that is only done on a yes.
pub(crate) async fn is_yes(question: &str, session: &mut Session) -> Result<bool, CommandError> {
    let answer = ask(&format!("{question} [y/N]"), session).await?;
    Ok(["y", "yes"].contains(&answer.to_ascii_lowercase().as_str()))
}

/// Asks for a line; at the end of input it is an empty one.
async fn ask(question: &str, session: &mut Session) -> Result<String, CommandError> {
    // A long one is broken between its words.
    let columns = terminal::stderr_is_terminal().then(terminal::columns).flatten();
    let question = wrap(question, 2, columns);
    if let Input::Standard(_) = session.input {
        // In one piece, so that nobody sees a part of it.
        let _ = session.err.write_all(format!("{question} ").as_bytes());
        let _ = session.err.flush();
    } else {
        // Whoever is asked in another way has a line of its own for the answer.
        session.remark(&question);
    }
    let answer = session.input.line().await?.unwrap_or_default();
    Ok(String::from_utf8_lossy(answer.trim_ascii()).into_owned())
}

pub(crate) fn keys(count: i64) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

/// What a person types to say which keys are meant: what they begin with, or the first one. `None`
/// where that cannot be typed: of every key, and of bytes that are no letters.
pub(crate) fn typed(range: &KeyRange) -> Option<String> {
    let text = one_line(&range.key);
    let is_typed = text.as_bytes() == range.key && text == text.trim() && !text.is_empty();
    is_typed.then_some(text)
}

#[cfg(test)]
mod tests {
    use kvorum_client::KeyRange;

    use super::typed;

    #[test]
    fn what_cannot_be_typed_is_not_asked_for() {
        assert_eq!(typed(&KeyRange::prefix("/a b/")), Some("/a b/".to_owned()));
        assert_eq!(typed(&KeyRange::prefix("/日本/")), Some("/日本/".to_owned()));
        for key in
            [&b""[..], b"\x00", b"/a\x1b[m", b"/a\xff", "/\u{202e}a".as_bytes(), b"/a/ ", b" "]
        {
            assert_eq!(typed(&KeyRange::prefix(key)), None, "{key:?}");
        }
    }
}
