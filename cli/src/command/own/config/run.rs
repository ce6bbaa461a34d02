//! `config run`

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::process::ExitStatus;

use kvorum_client::KeyRange;
use kvorum_client::deliver::{BadVariables, variables};
use tokio::time::{Instant, sleep_until};

use super::settled::{News, Values};
use crate::args::own::ConfigRunArgs;
use crate::command::child::{self, Child, Order};
use crate::command::own::shown;
use crate::command::{CommandError, Session, Unfinished};
use crate::exit;
use crate::output::shell_word;
use crate::signals::Relayed;

type Variables = BTreeMap<String, Vec<u8>>;

pub(super) async fn execute(
    args: &ConfigRunArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let prefix = args.prefix();
    let values = Values::of(&session.connection, KeyRange::prefix(prefix.clone())).await?;
    let current = variables(&prefix, &values.held).map_err(|error| bad(&error))?;
    if current.is_empty() {
        remark(session, &shown::none_below(&prefix));
    }
    if session.manner.dry_run {
        return rehearse(&args.command, &current, session);
    }
    let mut signals = Relayed::new()?;
    let reads_input = Order::may_read(&session.input);
    let mut run = Run { args, prefix, current, reads_input, offered: None };
    let child = run.start()?;
    run.until_the_end(child, values, &mut signals, session).await
}

/// The names alone: values may be secrets.
fn rehearse(
    command: &[OsString],
    variables: &Variables,
    session: &mut Session,
) -> Result<(), CommandError> {
    let words: Vec<_> = command.iter().map(|word| shell_word(word.as_encoded_bytes())).collect();
    let count = match variables.len() {
        1 => "1 variable".to_owned(),
        many => format!("{many} variables"),
    };
    session.say(&format!("would run {}, with {count}", words.join(" ")))?;
    variables.keys().try_for_each(|name| session.say(name))
}

struct Run<'a> {
    args: &'a ConfigRunArgs,
    prefix: Vec<u8>,
    /// What the command was given, or was told of.
    current: Variables,
    reads_input: bool,
    /// Why the last change was not taken, which is said once.
    offered: Option<BadVariables>,
}

/// What became of a command that was to be started again.
enum Again {
    Runs(Child),
    /// Somebody wanted it to end meanwhile.
    Ended(ExitStatus),
}

impl Run<'_> {
    fn start(&self) -> Result<Child, CommandError> {
        let variables = self.current.iter();
        let variables = variables
            .map(|(name, value)| (name.into(), OsString::from_vec(value.clone())))
            .collect();
        let words = &self.args.command;
        Ok(Order { words, variables, reads_input: self.reads_input }.start()?)
    }

    async fn until_the_end(
        &mut self,
        mut child: Child,
        mut values: Values,
        signals: &mut Relayed,
        session: &mut Session,
    ) -> Result<(), CommandError> {
        let _unfinished = Unfinished::begin(session);
        let mut is_lost = false;
        let mut due: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                status = child.ended() => return child::outcome(status?),
                signal = signals.next() => child.pass_on(signal),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    due = None;
                    match self.change(child, &values, signals, session).await? {
                        Again::Runs(running) => child = running,
                        Again::Ended(status) => return child::outcome(status),
                    }
                }
                news = values.next() => match news {
                    // What comes later does not put it off.
                    News::Changed => {
                        due.get_or_insert_with(|| Instant::now() + self.args.debounce);
                    }
                    News::Nothing => {}
                    News::Lost(failure) => {
                        is_lost = true;
                        let text = "the command goes on with what it has until the cluster is back";
                        remark(session, &format!("{failure}; {text}"));
                    }
                    News::Found => if std::mem::take(&mut is_lost) {
                        remark(session, "the cluster is back");
                    },
                    News::Over(why) => {
                        due = None;
                        let text = "the command goes on with what it has, and hears of no change";
                        session.remark(&format!("warning: {why}: {text}"));
                    }
                },
            }
        }
    }

    /// Gives the command what there is, if that is anything new.
    async fn change(
        &mut self,
        mut child: Child,
        values: &Values,
        signals: &mut Relayed,
        session: &mut Session,
    ) -> Result<Again, CommandError> {
        let wanted = match variables(&self.prefix, &values.held) {
            Ok(wanted) => wanted,
            Err(error) => {
                if self.offered.as_ref() != Some(&error) {
                    let text = format!("warning: {error}: the command goes on with what it has");
                    session.remark(&text);
                    self.offered = Some(error);
                }
                return Ok(Again::Runs(child));
            }
        };
        self.offered = None;
        if wanted == self.current {
            return Ok(Again::Runs(child));
        }
        let names = changed(&self.current, &wanted);
        self.current = wanted;
        if let Some(signal) = self.args.signal {
            remark(session, &format!("{names} changed: the command is told"));
            child.signal(signal);
            return Ok(Again::Runs(child));
        }
        remark(session, &format!("{names} changed: the command is started again"));
        let mut is_ending = false;
        let status = {
            let mut stopping = std::pin::pin!(child.stop(self.args.grace));
            loop {
                tokio::select! {
                    status = &mut stopping => break status?,
                    _ = signals.next() => is_ending = true,
                }
            }
        };
        if is_ending { Ok(Again::Ended(status)) } else { self.start().map(Again::Runs) }
    }
}

/// Names that are told one by one.
const NAMED: usize = 5;

/// Which variables are others, or no longer there.
fn changed(before: &Variables, after: &Variables) -> String {
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).filter(differs).collect();
    let named: Vec<&str> = names.iter().take(NAMED).map(|name| name.as_str()).collect();
    let more = names.len() - named.len();
    let named = named.join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

fn bad(error: &BadVariables) -> CommandError {
    CommandError::Hinted {
        code: exit::ERROR,
        message: error.to_string(),
        hint: "a variable is called what is behind PREFIX in a key, which usually ends in /"
            .to_owned(),
    }
}

/// Something on the side that a person wants to know and a script does not miss.
fn remark(session: &mut Session, line: &str) {
    if !session.manner.quiet {
        session.remark(line);
    }
}

#[cfg(test)]
mod tests {
    use super::{Variables, changed};

    #[test]
    fn what_changed_is_named_up_to_a_number_of_names() {
        let of = |names: &[(&str, &str)]| -> Variables {
            names
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect()
        };
        let before = of(&[("A", "1"), ("B", "1"), ("C", "1")]);
        assert_eq!(changed(&before, &of(&[("A", "1"), ("B", "2"), ("D", "1")])), "B, C, D");
        let names: Vec<String> = (0..8).map(|i| format!("N{i}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert_eq!(changed(&of(&[]), &of(&many)), "N0, N1, N2, N3, N4 and 3 more");
    }
}
