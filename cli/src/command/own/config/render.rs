//! `config render`

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use kvorum_client::deliver::{
    Draft, Keys, Rendered, ReplaceError, Template, Used, has_content, is_replaceable,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::settled::{MOST_BYTES, News, Values};
use crate::args::own::ConfigRenderArgs;
use crate::command::child::{self, GRACE, Order};
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::shell_word;
use crate::signals::Interrupted;

/// What a template began to ask for while no cluster was there is asked for again. Sooner would be
/// so for every host at once.
const TRIED_AGAIN_EVERY: Duration = Duration::from_secs(2);

/// A template that is larger is none.
const MOST_TEMPLATE_BYTES: u64 = 4 << 20;

pub(super) async fn execute(
    args: &ConfigRenderArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let text = read(&args.template)?;
    let template = Template::parse(&text)
        .map_err(|error| failed(format!("{}: {error}", args.template.display())))?;
    let mut render = Render { args, template, ranges: Vec::new() };
    if session.manner.dry_run {
        let text = render.text(session).await?;
        session.out.write_all(&text)?;
        return Ok(session.out.flush()?);
    }
    // That this can be no file is said before anything is waited for.
    if !is_replaceable(args.file()?) {
        return Err(refused(&ReplaceError::NotRegular(args.file()?.clone())));
    }
    let mut interrupted = Interrupted::new()?;
    let mut is_made = false;
    let mut said = String::new();
    loop {
        let mut is_away = false;
        match render.make(session, &mut interrupted).await {
            Ok(made @ (Made::Up | Made::Already)) => {
                if !is_made && matches!(made, Made::Already) && !session.manner.quiet {
                    session.remark(&format!("{} is up to date", args.file()?.display()));
                }
                is_made = true;
                said.clear();
            }
            Ok(Made::Interrupted) => return interruption(is_made),
            Err(error) if args.once => return Err(error),
            // Nobody could be asked, or nobody may: that is not for the file to wait for.
            Err(error @ CommandError::Failure { .. }) if !is_made => return Err(error),
            Err(error) => {
                is_away = matches!(error, CommandError::Failure { .. });
                let text = format!("warning: {error}: {} stays as it is", args.file()?.display());
                if said != text {
                    session.remark(&text);
                    said = text;
                }
            }
        }
        if args.once {
            return Ok(());
        }
        tokio::select! {
            changed = render.changed(session) => changed?,
            () = sleep(TRIED_AGAIN_EVERY), if is_away => {}
            () = interrupted.wait() => return interruption(is_made),
        }
    }
}

/// Ending is what one does with a command that goes on for ever.
fn interruption(is_made: bool) -> Result<(), CommandError> {
    if is_made { Ok(()) } else { Err(CommandError::Silent { code: exit::SIGINT }) }
}

/// What came of making the file.
enum Made {
    /// It is up to date.
    Up,
    /// It was, before.
    Already,
    Interrupted,
}

struct Render<'a> {
    args: &'a ConfigRenderArgs,
    template: Template,
    /// What the template has asked for so far, each followed.
    ranges: Vec<(Used, Values)>,
}

impl Render<'_> {
    /// Makes the file, if its text is another.
    async fn make(
        &mut self,
        session: &mut Session,
        interrupted: &mut Interrupted,
    ) -> Result<Made, CommandError> {
        let text = tokio::select! {
            text = self.text(session) => text?,
            () = interrupted.wait() => return Ok(Made::Interrupted),
        };
        let file = self.args.file()?;
        if has_content(file, &text).map_err(|error| refused(&error))? {
            return Ok(Made::Already);
        }
        let draft = Draft::write(file, &text).map_err(|error| refused(&error))?;
        if let Some(check) = &self.args.check {
            let path = draft.path();
            let command = check.replace("{}", &shell_word(path.as_os_str().as_bytes()));
            if shell("check", &command, path, interrupted).await?.is_none() {
                return Ok(Made::Interrupted);
            }
        }
        draft.replace().map_err(|error| refused(&error))?;
        if !session.manner.quiet {
            session.remark(&format!("{} is new", file.display()));
        }
        let Some(reload) = &self.args.reload else { return Ok(Made::Up) };
        match shell("reload", reload, file, interrupted).await {
            Ok(Some(())) => Ok(Made::Up),
            Ok(None) => Ok(Made::Interrupted),
            // The file is new all the same.
            Err(error) if !self.args.once => {
                session.remark(&format!("warning: {error}"));
                Ok(Made::Up)
            }
            // Who does this again finds the file as it is to be, and nothing to do.
            Err(error) => Err(CommandError::Hinted {
                code: error.code(),
                message: error.to_string(),
                hint: format!(
                    "{} is new all the same: what uses it was not told, and is not by the same \
                     command again",
                    file.display()
                ),
            }),
        }
    }

    /// Renders as often as it takes to know what it asks for.
    async fn text(&mut self, session: &Session) -> Result<Vec<u8>, CommandError> {
        loop {
            let known = self.ranges.iter().map(|(used, it)| (used.clone(), it.held.clone()));
            let keys: Arc<Keys> = Arc::new(known.collect());
            let named = |error| format!("{}: {error}", self.args.template.display());
            match self.template.render(&keys).map_err(|error| failed(named(error)))? {
                Rendered::Text(text) => {
                    // What it no longer asks for is not followed for ever.
                    let used = self.template.used();
                    self.ranges.retain(|(range, _)| used.contains(range));
                    return Ok(text);
                }
                Rendered::Wants(wants) => self.follow(wants, session).await?,
            }
        }
    }

    async fn follow(
        &mut self,
        wants: BTreeSet<Used>,
        session: &Session,
    ) -> Result<(), CommandError> {
        for used in wants {
            let values = Values::of(&session.connection, used.range()).await?;
            self.ranges.push((used, values));
            self.fits()?;
        }
        Ok(())
    }

    fn fits(&self) -> Result<(), CommandError> {
        if self.ranges.iter().map(|(_, values)| values.bytes()).sum::<usize>() <= MOST_BYTES {
            return Ok(());
        }
        Err(failed(format!("the keys have more than {MOST_BYTES} bytes together")))
    }

    /// Returns when something has changed, and the changes that come with it have come.
    async fn changed(&mut self, session: &mut Session) -> Result<(), CommandError> {
        let mut due: Option<Instant> = None;
        loop {
            let mut next: FuturesUnordered<_> =
                self.ranges.iter_mut().map(|(_, values)| values.next()).collect();
            let news = tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    return Ok(());
                }
                Some(news) = next.next() => news,
                // A template without keys never changes.
                else => std::future::pending().await,
            };
            drop(next);
            match news {
                News::Changed => {
                    self.fits()?;
                    due.get_or_insert_with(|| Instant::now() + self.args.debounce);
                }
                News::Nothing | News::Found => {}
                News::Lost(failure) => {
                    if !session.manner.quiet {
                        session.remark(&format!("{failure}; the file stays as it is meanwhile"));
                    }
                }
                News::Over(why) => return Err(failed(why)),
            }
        }
    }
}

/// Runs a command of the user's by `sh`. `None`: it was ended, because this is to end.
async fn shell(
    what: &str,
    command: &str,
    file: &Path,
    interrupted: &mut Interrupted,
) -> Result<Option<()>, CommandError> {
    let words = ["sh", "-c", command].map(OsString::from);
    let variables = vec![("KVORUM_FILE".into(), file.as_os_str().to_owned())];
    let mut child = Order { words: &words, variables, reads_input: false }.start()?;
    let status = tokio::select! {
        status = child.ended() => status?,
        () = interrupted.wait() => {
            child.stop(GRACE).await?;
            return Ok(None);
        }
    };
    match child::outcome(status) {
        Ok(()) => Ok(Some(())),
        Err(error) => Err(CommandError::Other {
            code: error.code(),
            message: format!("the {what} failed ({status}): {command}"),
        }),
    }
}

fn read(path: &Path) -> Result<String, CommandError> {
    let unreadable = |error| failed(format!("{} cannot be read: {error}", path.display()));
    let mut text = String::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(MOST_TEMPLATE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MOST_TEMPLATE_BYTES {
        let message = format!("{} has more than {MOST_TEMPLATE_BYTES} bytes", path.display());
        return Err(failed(message));
    }
    Ok(text)
}

fn refused(error: &ReplaceError) -> CommandError {
    let message = error.to_string();
    match error {
        ReplaceError::NotRegular(_) => {
            let hint = "--dry-run writes the text to standard output".to_owned();
            CommandError::Hinted { code: exit::ERROR, message, hint }
        }
        ReplaceError::Failed { .. } => failed(message),
    }
}

fn failed(message: String) -> CommandError {
    CommandError::Other { code: exit::ERROR, message }
}
