//! `watch`: one, or several read from standard input; printing events, or running a command for
//! each.
//!
//! As kvorum, a watch goes on over a compaction; as etcdctl, that is its end.

use std::ffi::OsString;

use futures::stream::{BoxStream, SelectAll};
use futures::{StreamExt, stream};
use kvorum_client::follow::{Begin, Deletions, Follow, FollowItem, FollowProgress, Gap};
use kvorum_client::{Connection, Failure, ProgressHandle, Watch, WatchItem, pb};
use tokio::process;

use super::{CommandError, Input, Session};
use crate::args::{WatchArgs, WatchPlan, txn};
use crate::exit;
use crate::mode::Mode;
use crate::output::{Answer, Format, event_type, go};

/// Follows what a watch of kvorum's is about.
pub(crate) fn follow(watch: Watch) -> Follow {
    let begin =
        if watch.start_revision == 0 { Begin::Now } else { Begin::Revision(watch.start_revision) };
    let Watch { range, prev_kv, progress_notify, .. } = watch;
    Follow { range, begin, prev_kv, progress_notify }
}

/// What a gap means for whoever reads on.
pub(crate) fn gap_text(gap: &Gap) -> String {
    let Gap { from, to, deletions } = *gap;
    let which = if from == to {
        format!("revision {from} are")
    } else {
        format!("revisions {from} to {to} are")
    };
    let what = match deletions {
        Deletions::Told => "what they came to follows as events marked SYNTHETIC",
        Deletions::InPart => {
            "what they came to follows as events marked SYNTHETIC, but for some deletions: there \
             were more keys than can be remembered"
        }
        Deletions::Unknown => {
            "every key that was there after them follows as a put marked SYNTHETIC, and any other \
             was not there"
        }
    };
    format!("the changes of {which} missing, their history was compacted: {what}")
}

pub(super) async fn execute(args: &WatchArgs, session: &mut Session) -> Result<(), CommandError> {
    session.watch_variables.check()?;
    if args.interactive {
        return interactive(session).await;
    }
    let plan = args.plan(&session.watch_variables)?;
    let (mut items, _progress) = open(&session.connection, plan.watch, session.mode).await?;
    while let Some(item) = items.next().await {
        if let Next::Stop(why) = show(item, &plan.exec, session).await? {
            if session.mode == Mode::Kvorum {
                let (code, context) = (exit::INTERRUPTED, None);
                return Err(CommandError::Failure { failure: why.failure, code, context });
            }
            break;
        }
    }
    Err(CommandError::Other {
        code: exit::INTERRUPTED,
        message: "watch is canceled by the server".to_owned(),
    })
}

/// Asks a running watch how far it is.
enum Progress {
    Watch(ProgressHandle),
    Follow(FollowProgress),
}

impl Progress {
    fn request(&self) {
        match self {
            Self::Watch(handle) => handle.request(),
            Self::Follow(handle) => handle.request(),
        }
    }
}

type Items = BoxStream<'static, FollowItem>;

async fn open(
    connection: &Connection,
    watch: Watch,
    mode: Mode,
) -> Result<(Items, Progress), CommandError> {
    if mode == Mode::Kvorum {
        let following = connection.follow(follow(watch)).await.map_err(refused)?;
        let progress = Progress::Follow(following.progress());
        let items = stream::unfold(following, |mut following| async {
            Some((following.next().await?, following))
        });
        return Ok((items.boxed(), progress));
    }
    let start_revision = watch.start_revision;
    let stream = connection.watch(watch).await?;
    let progress = Progress::Watch(stream.progress_handle());
    let items = stream.map(move |item| match item {
        WatchItem::Watching { .. } => FollowItem::Watching { revision: start_revision },
        WatchItem::Events(response) => FollowItem::Changes(response),
        WatchItem::Progress(response) => FollowItem::Progress(response),
        WatchItem::Ended(response) => FollowItem::Ended(response),
        WatchItem::Lost(failure) => FollowItem::Lost(failure),
        WatchItem::Failed(failure) => FollowItem::Failed(failure),
    });
    Ok((items.boxed(), progress))
}

/// Who may not read the range is told so as by a watch that was ended for it.
fn refused(failure: Failure) -> CommandError {
    let told = failure.code().is_some() && !failure.is_no_leader();
    let code = if told { exit::INTERRUPTED } else { exit::ERROR };
    CommandError::Failure { failure, code, context: None }
}

fn canceled_of_etcdctl(why: &Over, session: &mut Session) {
    if session.mode == Mode::Etcdctl {
        session.remark(&format!("watch was canceled ({})", why.etcdctl_text));
    }
}

enum Next {
    More,
    Stop(Over),
}

/// Why a watch is over. Where the server gives the reason in words, they are etcdctl's.
struct Over {
    failure: Failure,
    etcdctl_text: String,
}

impl From<Failure> for Over {
    fn from(failure: Failure) -> Self {
        let etcdctl_text = failure.etcdctl_text();
        Self { failure, etcdctl_text }
    }
}

async fn show(
    item: FollowItem,
    exec: &[OsString],
    session: &mut Session,
) -> Result<Next, CommandError> {
    match item {
        FollowItem::Watching { .. } | FollowItem::State { .. } => {}
        FollowItem::Changes(response) => {
            session.print(Answer::Watch(&response))?;
            run_for_each(&response, exec, false, session).await?;
        }
        FollowItem::Gap(gap) => {
            session.remark(&format!("warning: {}", gap_text(&gap)));
            session.print(Answer::Gap(&gap))?;
        }
        FollowItem::Difference(response) => {
            session.print(Answer::Difference(&response))?;
            run_for_each(&response, exec, true, session).await?;
        }
        FollowItem::Progress(response) => {
            // The formats of -o say it in their own way.
            if !matches!(session.style.format, Format::Rich(_)) {
                let revision = response.header.as_ref().map_or(0, |header| header.revision);
                session.say(&format!("progress notify: {revision}"))?;
            }
            session.print(Answer::Watch(&response))?;
        }
        FollowItem::Ended(response) => {
            let why = reason(&response);
            // etcdctl says so before it prints what came with it.
            canceled_of_etcdctl(&why, session);
            session.print(Answer::Watch(&response))?;
            return Ok(Next::Stop(why));
        }
        FollowItem::Failed(failure) => {
            let why = Over::from(failure);
            canceled_of_etcdctl(&why, session);
            return Ok(Next::Stop(why));
        }
        FollowItem::Lost(failure) => return Ok(lost(&failure, session)),
    }
    Ok(Next::More)
}

/// As etcdctl, nothing is said of a connection that is being recovered, and a member without a
/// leader ends the watch.
fn lost(failure: &Failure, session: &mut Session) -> Next {
    match session.mode {
        Mode::Kvorum => session.remark(&format!("{failure}; watching again as soon as possible")),
        Mode::Etcdctl if failure.is_no_leader() => {
            let why = Over::from(failure.clone());
            canceled_of_etcdctl(&why, session);
            return Next::Stop(why);
        }
        Mode::Etcdctl => {}
    }
    Next::More
}

fn reason(response: &pb::WatchResponse) -> Over {
    let reason = if response.compact_revision != 0 {
        "etcdserver: mvcc: required revision has been compacted"
    } else if response.cancel_reason.is_empty() {
        "etcdserver: mvcc: required revision is a future revision"
    } else {
        response.cancel_reason.as_str()
    };
    Over { failure: Failure::of_reason(reason), etcdctl_text: reason.to_owned() }
}

/// What a command finds set when no server has sent its event.
const SYNTHETIC_VARIABLE: &str = "KVORUM_WATCH_SYNTHETIC";

/// Runs the command once for each event, and stops at the first that fails.
async fn run_for_each(
    response: &pb::WatchResponse,
    exec: &[OsString],
    synthetic: bool,
    session: &mut Session,
) -> Result<(), CommandError> {
    let Some((program, arguments)) = exec.split_first() else { return Ok(()) };
    let revision = response.header.as_ref().map_or(0, |header| header.revision);
    for event in &response.events {
        let kv = event.kv.clone().unwrap_or_default();
        let mut command = process::Command::new(program);
        command
            .args(arguments)
            .env("ETCD_WATCH_REVISION", revision.to_string())
            .env("ETCD_WATCH_EVENT_TYPE", go::quote(event_type(event).as_bytes()))
            .env("ETCD_WATCH_KEY", go::quote(&kv.key))
            .env("ETCD_WATCH_VALUE", go::quote(&kv.value))
            .env_remove(SYNTHETIC_VARIABLE)
            .kill_on_drop(true);
        if synthetic {
            command.env(SYNTHETIC_VARIABLE, "true");
        }
        let trouble = match command.status().await {
            Ok(status) if status.success() => continue,
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let words: Vec<_> = exec.iter().map(|word| go::quote(word.as_encoded_bytes())).collect();
        session.remark(&format!("command [{}] error ({trouble})", words.join(" ")));
        return Err(CommandError::Silent { code: exit::ERROR });
    }
    Ok(())
}

/// Reads `watch …` and `progress` from the input and follows all watches at once.
async fn interactive(session: &mut Session) -> Result<(), CommandError> {
    let mut input = std::mem::replace(&mut session.input, Input::Nothing);
    let mut watches: SelectAll<BoxStream<'static, Watched>> = SelectAll::new();
    let mut progress = Vec::new();
    // A line is read in one piece: the future is kept while events are shown.
    let mut reading = Box::pin(read(&mut input));
    loop {
        let event = tokio::select! {
            line = &mut reading => Event::Line(line?),
            Some(watched) = watches.next() => Event::Watched(watched),
        };
        match event {
            Event::Watched(Watched { item, exec }) => {
                let next = show(item, &exec, session).await?;
                if let (Next::Stop(why), Mode::Kvorum) = (next, session.mode) {
                    session.remark(&format!("watch was canceled ({})", why.failure));
                }
            }
            Event::Line(None) => {
                return Err(CommandError::Other {
                    code: exit::INVALID_INPUT,
                    message: "error reading watch request line: EOF".to_owned(),
                });
            }
            Event::Line(Some(line)) => {
                drop(reading);
                reading = Box::pin(read(&mut input));
                if let Some((handle, stream)) = request(&line, &progress, session).await? {
                    progress.push(handle);
                    watches.push(stream);
                }
            }
        }
    }
}

struct Watched {
    item: FollowItem,
    exec: Vec<OsString>,
}

enum Event {
    Line(Option<Vec<u8>>),
    Watched(Watched),
}

type Opened = (Progress, BoxStream<'static, Watched>);

async fn read(input: &mut Input) -> Result<Option<Vec<u8>>, CommandError> {
    Ok(input.line().await?)
}

/// Carries out one line. A line that makes no sense is remarked on and forgotten.
async fn request(
    line: &[u8],
    progress: &[Progress],
    session: &mut Session,
) -> Result<Option<Opened>, CommandError> {
    let text = String::from_utf8_lossy(line).into_owned();
    let words = txn::words(line).unwrap_or_default();
    let Some((verb, rest)) = words.split_first() else {
        session.remark(&format!("Invalid command: {text} (watch and progress supported)"));
        return Ok(None);
    };
    if verb == "progress" {
        progress.iter().for_each(Progress::request);
        return Ok(None);
    }
    if verb != "watch" {
        session.remark(&format!("Invalid command {text} (only support watch)"));
        return Ok(None);
    }
    if rest.is_empty() && session.watch_variables.key.is_empty() {
        session.remark(&format!("Invalid command {text} (command type or key is not provided)"));
        return Ok(None);
    }
    let args = WatchArgs::parse_line(rest).map_err(crate::args::UsageError::arguments)?;
    let WatchPlan { watch, exec } = args.plan(&session.watch_variables)?;
    let (items, handle) = open(&session.connection, watch, session.mode).await?;
    let stream = items.map(move |item| Watched { item, exec: exec.clone() });
    Ok(Some((handle, stream.boxed())))
}

#[cfg(test)]
mod tests {
    use kvorum_client::follow::{Deletions, Gap};

    use super::gap_text;

    #[test]
    fn a_gap_names_what_is_missing_and_what_is_told_in_its_place() {
        let text = |from, to, deletions| gap_text(&Gap { from, to, deletions });
        assert!(
            text(3, 9, Deletions::Told).starts_with("the changes of revisions 3 to 9 are miss")
        );
        assert!(text(3, 3, Deletions::Told).starts_with("the changes of revision 3 are missing"));
        assert!(text(3, 9, Deletions::InPart).contains("but for some deletions"));
        assert!(text(3, 9, Deletions::Unknown).contains("every key that was there after them"));
    }
}
