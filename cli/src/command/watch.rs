//! `watch`: one, or several read from standard input; printing events, or running a command for
//! each.

use std::ffi::OsString;

use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use kvorum_client::{Failure, WatchItem, WatchStream, pb};
use tokio::process;

use super::{CommandError, Input, Session};
use crate::args::{WatchArgs, txn};
use crate::exit;
use crate::mode::Mode;
use crate::output::{Answer, event_type, go};

pub(super) async fn execute(args: &WatchArgs, session: &mut Session) -> Result<(), CommandError> {
    session.watch_variables.check()?;
    if args.interactive {
        return interactive(session).await;
    }
    let plan = args.plan(&session.watch_variables)?;
    let mut stream = session.connection.watch(plan.watch).await?;
    while let Some(item) = stream.next().await {
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
    item: WatchItem,
    exec: &[OsString],
    session: &mut Session,
) -> Result<Next, CommandError> {
    match item {
        WatchItem::Watching { .. } => {}
        WatchItem::Events(response) => {
            session.print(Answer::Watch(&response))?;
            run_for_each(&response, exec, session).await?;
        }
        WatchItem::Progress(response) => {
            let revision = response.header.as_ref().map_or(0, |header| header.revision);
            session.say(&format!("progress notify: {revision}"))?;
            session.print(Answer::Watch(&response))?;
        }
        WatchItem::Ended(response) => {
            let why = reason(&response);
            // etcdctl says so before it prints what came with it.
            canceled_of_etcdctl(&why, session);
            session.print(Answer::Watch(&response))?;
            return Ok(Next::Stop(why));
        }
        WatchItem::Failed(failure) => {
            let why = Over::from(failure);
            canceled_of_etcdctl(&why, session);
            return Ok(Next::Stop(why));
        }
        WatchItem::Lost(failure) => return Ok(lost(&failure, session)),
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

/// Runs the command once for each event, and stops at the first that fails.
async fn run_for_each(
    response: &pb::WatchResponse,
    exec: &[OsString],
    session: &mut Session,
) -> Result<(), CommandError> {
    let Some((program, arguments)) = exec.split_first() else { return Ok(()) };
    let revision = response.header.as_ref().map_or(0, |header| header.revision);
    for event in &response.events {
        let kv = event.kv.clone().unwrap_or_default();
        let status = process::Command::new(program)
            .args(arguments)
            .env("ETCD_WATCH_REVISION", revision.to_string())
            .env("ETCD_WATCH_EVENT_TYPE", go::quote(event_type(event).as_bytes()))
            .env("ETCD_WATCH_KEY", go::quote(&kv.key))
            .env("ETCD_WATCH_VALUE", go::quote(&kv.value))
            .kill_on_drop(true)
            .status()
            .await;
        let trouble = match status {
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
    item: WatchItem,
    exec: Vec<OsString>,
}

enum Event {
    Line(Option<Vec<u8>>),
    Watched(Watched),
}

type Opened = (kvorum_client::ProgressHandle, BoxStream<'static, Watched>);

async fn read(input: &mut Input) -> Result<Option<Vec<u8>>, CommandError> {
    Ok(input.line().await?)
}

/// Carries out one line. A line that makes no sense is remarked on and forgotten.
async fn request(
    line: &[u8],
    progress: &[kvorum_client::ProgressHandle],
    session: &mut Session,
) -> Result<Option<Opened>, CommandError> {
    let text = String::from_utf8_lossy(line).into_owned();
    let words = txn::words(line).unwrap_or_default();
    let Some((verb, rest)) = words.split_first() else {
        session.remark(&format!("Invalid command: {text} (watch and progress supported)"));
        return Ok(None);
    };
    if verb == "progress" {
        progress.iter().for_each(kvorum_client::ProgressHandle::request);
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
    let plan = args.plan(&session.watch_variables)?;
    let stream: WatchStream = session.connection.watch(plan.watch).await?;
    let exec = plan.exec;
    let handle = stream.progress_handle();
    let stream = stream.map(move |item| Watched { item, exec: exec.clone() });
    Ok(Some((handle, stream.boxed())))
}
