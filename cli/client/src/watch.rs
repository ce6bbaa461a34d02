//! Watching a range without missing an event: a lost stream is opened again after the last
//! revision seen.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::connection::{Connection, Effect};
use crate::failure::Failure;
use crate::pb;
use crate::request::Watch;

/// What a watch has to say, in order.
#[derive(Debug, Clone)]
pub enum WatchItem {
    /// The server has taken the watch: every event after `revision` will come. Said again after
    /// every [`WatchItem::Lost`] that was recovered.
    Watching { revision: i64 },
    /// Events, as they came. Never empty.
    Events(pb::WatchResponse),
    /// Every event up to the header's revision has been sent.
    Progress(pb::WatchResponse),
    /// The server ended the watch (`compact_revision`, `cancel_reason`). Nothing follows.
    Ended(pb::WatchResponse),
    /// The stream broke; it is being opened again, and no event will be missed. Said once, however
    /// long it takes.
    Lost(Failure),
    /// The watch cannot be opened again. Nothing follows.
    Failed(Failure),
}

/// A running watch. Dropping it cancels it.
///
/// A consumer that does not read holds up this stream alone, by flow control.
pub struct WatchStream {
    items: Receiver<WatchItem>,
    progress: ProgressHandle,
    task: JoinHandle<()>,
}

/// Asks a running watch how far it is.
#[derive(Debug, Clone)]
pub struct ProgressHandle(Sender<()>);

impl ProgressHandle {
    pub fn request(&self) {
        // If the queue is full, an answer is on its way already.
        let _ = self.0.try_send(());
    }
}

/// Items waiting for the consumer; behind them waits the connection's flow control.
const QUEUE: usize = 16;

/// Requests for progress waiting to be sent; more would ask the same.
const PROGRESS_QUEUE: usize = 4;

/// Pauses between attempts to open a lost watch again: the first and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Connection {
    /// Opens a watch: from here on no event is missed. An error means that it could not be opened;
    /// what happens later is an item.
    pub async fn watch(&self, watch: Watch) -> Result<WatchStream, Failure> {
        let opened = self.open_watch(&watch).await?;
        let (items_in, items) = channel(QUEUE);
        let (progress, progress_out) = channel(PROGRESS_QUEUE);
        let watcher = Watcher {
            connection: self.clone(),
            next_revision: watch.start_revision,
            watch,
            items: items_in,
            progress: progress_out,
        };
        let task = tokio::spawn(watcher.run(opened));
        Ok(WatchStream { items, progress: ProgressHandle(progress), task })
    }

    async fn open_watch(&self, watch: &Watch) -> Result<Opened, Failure> {
        let limit = self.config().max_recv_bytes;
        let opened = self.on_any(Effect::Reads, |link| async move {
            let client = link.leader_client().await?;
            let mut client = client.watch_client().max_decoding_message_size(limit);
            let mut stream = client.watch(watch.range.key.clone(), Some(watch.options())).await?;
            // Until the server has said at which revision it took the watch, nobody could tell
            // where to go on after a lost stream.
            let taken = stream.message().await?;
            Ok(taken.map(|taken| Opened { stream, taken: taken.0 }))
        });
        opened.await?.ok_or_else(|| self.broken("the server closed the watch"))
    }

    fn broken(&self, cause: &str) -> Failure {
        Failure::Broken {
            endpoint: self.current_endpoint().to_string(),
            cause: cause.to_owned(),
            write: false,
            answered: true,
        }
    }
}

/// A stream with the server's first answer, which says that it took the watch, or why not.
struct Opened {
    stream: etcd_client::WatchStream,
    taken: pb::WatchResponse,
}

impl WatchStream {
    /// The next item; `None` after [`WatchItem::Ended`] or [`WatchItem::Failed`].
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<WatchItem> {
        self.items.recv().await
    }

    /// For asking the server how far it is; the answer is a [`WatchItem::Progress`].
    pub fn progress_handle(&self) -> ProgressHandle {
        self.progress.clone()
    }
}

impl Stream for WatchStream {
    type Item = WatchItem;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchItem>> {
        self.items.poll_recv(cx)
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watcher {
    connection: Connection,
    watch: Watch,
    next_revision: i64,
    items: Sender<WatchItem>,
    progress: Receiver<()>,
}

/// Why following a stream stopped.
enum Stop {
    /// For good: the consumer has been told, or is gone.
    End,
    /// The stream is to be opened again.
    Lost(Failure),
}

impl Watcher {
    async fn run(mut self, mut opened: Opened) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let Stop::Lost(failure) = self.follow(opened).await else { return };
            // A stream that breaks at once is not opened again at once.
            if began.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            opened = match self.reopen(failure, &mut pause).await {
                Some(opened) => opened,
                None => return,
            };
        }
    }

    /// Tries until there is a stream, or until trying is of no use and the consumer knows why.
    async fn reopen(&mut self, lost: Failure, pause: &mut Duration) -> Option<Opened> {
        let mut failure = lost;
        let mut told = false;
        loop {
            if !recovers(&failure) {
                let _ = self.items.send(WatchItem::Failed(failure)).await;
                return None;
            }
            if !std::mem::replace(&mut told, true) {
                self.items.send(WatchItem::Lost(failure)).await.ok()?;
            }
            sleep(*pause).await;
            *pause = (*pause * 2).min(LONGEST_PAUSE);
            let watch = Watch { start_revision: self.next_revision, ..self.watch.clone() };
            match self.connection.open_watch(&watch).await {
                Ok(opened) => return Some(opened),
                Err(again) => failure = again,
            }
        }
    }

    async fn follow(&mut self, opened: Opened) -> Stop {
        let (mut requests, mut responses) = opened.stream.split();
        if let Some(stop) = self.pass_on(opened.taken).await {
            return stop;
        }
        loop {
            let message = tokio::select! {
                message = responses.message() => message,
                Some(()) = self.progress.recv() => {
                    // A broken stream shows itself as a message.
                    let _ = requests.request_progress().await;
                    continue;
                }
            };
            let response = match message {
                Ok(Some(response)) => response.0,
                Ok(None) => {
                    return Stop::Lost(self.connection.broken("the server closed the watch"));
                }
                Err(error) => {
                    let endpoint = self.connection.current_endpoint().to_string();
                    return Stop::Lost(Failure::read(error, &endpoint, false, true));
                }
            };
            if let Some(stop) = self.pass_on(response).await {
                return stop;
            }
        }
    }

    async fn pass_on(&mut self, response: pb::WatchResponse) -> Option<Stop> {
        let item = self.read(response);
        let ends = matches!(item, WatchItem::Ended(_));
        (self.items.send(item).await.is_err() || ends).then_some(Stop::End)
    }

    fn read(&mut self, response: pb::WatchResponse) -> WatchItem {
        let revision = response.header.as_ref().map_or(0, |header| header.revision);
        if response.canceled {
            return WatchItem::Ended(response);
        }
        if response.created {
            if self.next_revision == 0 {
                self.next_revision = revision + 1;
            }
            return WatchItem::Watching { revision };
        }
        if response.events.is_empty() {
            // Up to etcd 3.4.24 and 3.5.7 an answer to a question is the newest revision, whatever
            // is still to be sent (etcd#15220). Only what comes unasked stands in line with events.
            if !is_answer(&response) {
                self.next_revision = self.next_revision.max(revision + 1);
            }
            return WatchItem::Progress(response);
        }
        // The header may be ahead of events still to come; only what was seen counts.
        let seen = response.events.iter().filter_map(|event| event.kv.as_ref());
        let newest = seen.map(|kv| kv.mod_revision).max().unwrap_or_default();
        // More of the newest revision may be in the next part.
        let next = if response.fragment { newest } else { newest + 1 };
        self.next_revision = self.next_revision.max(next);
        WatchItem::Events(response)
    }
}

/// Whether it tells how far the server is because that was asked: then it is of no watch.
pub(crate) fn is_answer(response: &pb::WatchResponse) -> bool {
    response.watch_id == -1
}

/// Whether trying again can help: a refusal other than "not now" stays a refusal.
pub(crate) fn recovers(failure: &Failure) -> bool {
    failure.is_connection()
        || matches!(failure.code(), Some(tonic::Code::Unavailable | tonic::Code::Internal))
}
