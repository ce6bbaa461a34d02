//! The task behind a [`Following`](super::Following): lists, watches, and lists again.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::sleep;

use super::known::{Deletions, Known, Limits};
use super::{Begin, Follow, FollowItem, Gap};
use crate::connection::Connection;
use crate::explore::{Scan, ScanRequest, owned};
use crate::failure::{COMPACTED, FUTURE_REVISION, Failure};
use crate::pb;
use crate::queue;
use crate::range::KeyRange;
use crate::request::{Get, Watch};
use crate::watch::{WatchItem, WatchStream, is_answer, recovers};

pub(super) struct Follower {
    connection: Connection,
    follow: Follow,
    limits: Limits,
    known: Known,
    items: Sender<FollowItem>,
    requests: Receiver<()>,
    /// Something has been said, so that a failure no longer means that it could not begin.
    begun: bool,
    /// It was said that nobody can be asked.
    lost: bool,
    /// The revision that was listed last, and the changes before it are known with it; 0 if the
    /// watch begins with history.
    listed: i64,
}

/// It is over, and whoever listens knows why, or nobody listens.
struct Over;

/// Between two attempts to ask somebody who could not be asked.
const PAUSE: Duration = Duration::from_millis(500);

impl Follower {
    pub(super) fn new(
        connection: Connection,
        follow: Follow,
        limits: Limits,
        (items, requests): (Sender<FollowItem>, Receiver<()>),
    ) -> Self {
        Self {
            connection,
            follow,
            limits,
            known: Known::nothing(limits),
            items,
            requests,
            begun: false,
            lost: false,
            listed: 0,
        }
    }

    pub(super) async fn run(mut self) {
        // Why it ended has been said.
        let Err(Over) = self.go_on().await;
    }

    async fn go_on(&mut self) -> Result<Infallible, Over> {
        match self.follow.begin {
            Begin::State => self.begin(true).await?,
            Begin::Now | Begin::Revision(0) => self.begin(false).await?,
            Begin::Revision(revision) => self.begin_at(revision).await?,
        }
        loop {
            let compact_revision = self.watch().await?;
            self.catch_up(compact_revision).await?;
        }
    }

    /// Learns what is there, and hands it out if it is wanted. Somebody who was handed a part of it
    /// cannot be handed another state, so that nothing is tried again here: a scan is patient. What
    /// changed while it was read is told by the watch, from the first page's revision on.
    async fn begin(&mut self, hand_out: bool) -> Result<(), Over> {
        loop {
            let known = match self.learn(0, hand_out).await? {
                // A list of nothing does not say of which revision it is.
                Ok(None) => self.newest_if_empty().await,
                known => known,
            };
            match known {
                Ok(Some(revision)) => {
                    self.known.tell_up_to(revision);
                    self.listed = revision;
                    return Ok(());
                }
                // Something has come meanwhile.
                Ok(None) => {}
                // Of pages of several revisions, nothing can be remembered together.
                Err(failure) if failure.is_compacted() => {
                    self.known = Known::nothing(self.limits);
                    let newest = match self.newest().await {
                        Ok(newest) => newest,
                        Err(failure) => return Err(self.fail(failure).await),
                    };
                    self.known.tell_up_to(newest);
                    self.listed = newest;
                    return Ok(());
                }
                Err(failure) => return Err(self.fail(failure).await),
            }
        }
    }

    /// Learns what was there before a revision, if that can still be known.
    async fn begin_at(&mut self, revision: i64) -> Result<(), Over> {
        let before = revision.saturating_sub(1);
        if before < 1 {
            // Before the first revision there was nothing.
            self.known.begin_to_learn();
            return Ok(());
        }
        loop {
            match self.learn(before, false).await? {
                Ok(_) => break,
                Err(failure) if failure.is_compacted() || is_behind(&failure) => {
                    self.known = Known::nothing(self.limits);
                    break;
                }
                Err(failure) => self.recover(failure).await?,
            }
        }
        self.known.tell_up_to(before);
        Ok(())
    }

    /// Reads the range, and answers of which revision its first page was.
    async fn learn(
        &mut self,
        revision: i64,
        hand_out: bool,
    ) -> Result<Result<Option<i64>, Failure>, Over> {
        self.known = Known::nothing(self.limits);
        self.known.begin_to_learn();
        let mut scan = self.scan(revision, hand_out);
        let mut first = None;
        loop {
            let page = match scan.next().await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(Ok(first)),
                Err(failure) => return Ok(Err(failure)),
            };
            if page.anew && !hand_out {
                return Ok(Err(Failure::of_reason(COMPACTED)));
            }
            first.get_or_insert(page.revision);
            for kv in &page.kvs {
                self.known.learn(&kv.key, kv.mod_revision);
            }
            if hand_out {
                let kvs = page.kvs.into_iter().map(owned).collect();
                self.say(FollowItem::State { revision: page.revision, kvs }).await?;
            } else if self.known.deletions() != Deletions::Told {
                // There are more than can be remembered, and that is known now.
                return Ok(Ok(first));
            }
        }
    }

    /// Follows the changes until the history that comes next is gone, and answers which revision is
    /// the first that is kept.
    async fn watch(&mut self) -> Result<i64, Over> {
        let mut stream = self.open().await?;
        loop {
            let item = tokio::select! {
                item = stream.next() => item,
                Some(()) = self.requests.recv() => {
                    stream.progress_handle().request();
                    continue;
                }
            };
            match item {
                Some(WatchItem::Watching { .. }) => {
                    let revision = self.known.told();
                    self.say(FollowItem::Watching { revision }).await?;
                }
                Some(WatchItem::Events(response)) => self.changes(response).await?,
                Some(WatchItem::Progress(response)) => self.progress(response).await?,
                Some(WatchItem::Lost(failure)) => self.say(FollowItem::Lost(failure)).await?,
                Some(WatchItem::Ended(response)) if response.compact_revision > 0 => {
                    return Ok(response.compact_revision);
                }
                Some(WatchItem::Ended(response)) => {
                    self.say(FollowItem::Ended(response)).await?;
                    return Err(Over);
                }
                Some(WatchItem::Failed(failure)) => return Err(self.fail(failure).await),
                None => return Err(Over),
            }
        }
    }

    async fn open(&mut self) -> Result<WatchStream, Over> {
        // A watch of a revision that is still to come is told of no progress until it has come, so
        // one that there is comes first where it is sure to be kept. Its changes are known.
        let told = self.known.told();
        let start_revision = if told > 0 && told == self.listed { told } else { told + 1 };
        loop {
            let watch = Watch {
                range: self.follow.range.clone(),
                start_revision,
                prev_kv: self.follow.prev_kv,
                // So that a range in which nothing happens does not fall behind the history.
                progress_notify: true,
                fragment: false,
            };
            match self.connection.watch(watch).await {
                Ok(stream) => {
                    self.lost = false;
                    return Ok(stream);
                }
                Err(failure) => self.recover(failure).await?,
            }
        }
    }

    async fn changes(&mut self, mut response: pb::WatchResponse) -> Result<(), Over> {
        let listed = self.listed;
        let is_new =
            |event: &pb::Event| event.kv.as_ref().is_some_and(|kv| kv.mod_revision > listed);
        response.events.retain(is_new);
        if response.events.is_empty() {
            return Ok(());
        }
        response.events.iter().for_each(|event| self.known.change(event));
        self.say(FollowItem::Changes(response)).await
    }

    async fn progress(&mut self, response: pb::WatchResponse) -> Result<(), Over> {
        // An answer to a question may overtake events, up to etcd 3.5.7 (etcd#15220).
        let wanted = is_answer(&response);
        if !wanted {
            self.known.tell_up_to(queue::revision(response.header.as_ref()));
        }
        if wanted || self.follow.progress_notify {
            self.say(FollowItem::Progress(response)).await?;
        }
        Ok(())
    }

    /// Tells what became of the range in the revisions that are gone.
    async fn catch_up(&mut self, compact_revision: i64) -> Result<(), Over> {
        // The oldest state there is leaves the most to be told as it was.
        let mut revision = Some(compact_revision);
        let mut named = None;
        loop {
            let listed = match revision {
                Some(revision) => Ok(revision),
                None => self.newest().await,
            };
            let outcome = match listed {
                Ok(listed) => self.compare(listed, &mut named).await?,
                Err(failure) => Err(failure),
            };
            match outcome {
                Ok(()) => return Ok(()),
                Err(failure) if failure.is_compacted() => revision = None,
                Err(failure) => self.recover(failure).await?,
            }
        }
    }

    /// Lists the range and tells how it differs from what is known. `named` is the last gap that was
    /// told.
    async fn compare(
        &mut self,
        revision: i64,
        named: &mut Option<Gap>,
    ) -> Result<Result<(), Failure>, Over> {
        let gap =
            Gap { from: self.known.told() + 1, to: revision, deletions: self.known.deletions() };
        let mut comparison = self.known.compare();
        let mut scan = self.scan(revision, true);
        loop {
            let page = match scan.next().await {
                Ok(page) => page,
                Err(failure) => return Ok(Err(failure)),
            };
            if named.replace(gap) != Some(gap) {
                self.say(FollowItem::Gap(gap)).await?;
            }
            let Some(page) = page else { break };
            let kvs = page.kvs.into_iter().map(owned).collect();
            let events = comparison.page(&mut self.known, kvs);
            self.difference(page.revision, events).await?;
        }
        let events = comparison.end(&mut self.known, revision);
        self.listed = revision;
        self.difference(revision, events).await?;
        Ok(Ok(()))
    }

    async fn difference(&mut self, revision: i64, events: Vec<pb::Event>) -> Result<(), Over> {
        if events.is_empty() {
            return Ok(());
        }
        let header = pb::ResponseHeader { revision, ..pb::ResponseHeader::default() };
        let header = Some(header);
        let response = pb::WatchResponse { header, events, ..pb::WatchResponse::default() };
        self.say(FollowItem::Difference(response)).await
    }

    fn scan(&self, revision: i64, values: bool) -> Scan {
        let ranges = vec![self.follow.range.clone()];
        Scan::start(&self.connection, ScanRequest { ranges, revision, values })
    }

    async fn newest(&self) -> Result<i64, Failure> {
        let range = KeyRange::single(self.follow.range.key.clone());
        let get = Get { range, count_only: true, ..Get::default() };
        Ok(queue::revision(self.connection.get(get).await?.header.as_ref()))
    }

    /// The newest revision, if there is nothing in the range.
    async fn newest_if_empty(&self) -> Result<Option<i64>, Failure> {
        let get = Get { range: self.follow.range.clone(), count_only: true, ..Get::default() };
        let answer = self.connection.get(get).await?;
        Ok((answer.count == 0).then(|| queue::revision(answer.header.as_ref())))
    }

    /// Returns when it is time for another attempt, unless there is to be none.
    async fn recover(&mut self, failure: Failure) -> Result<(), Over> {
        let passes = recovers(&failure) || is_behind(&failure);
        if !self.begun || !passes {
            return Err(self.fail(failure).await);
        }
        if !std::mem::replace(&mut self.lost, true) {
            self.say(FollowItem::Lost(failure)).await?;
        }
        sleep(PAUSE).await;
        Ok(())
    }

    async fn fail(&mut self, failure: Failure) -> Over {
        let _ = self.say(FollowItem::Failed(failure)).await;
        Over
    }

    async fn say(&mut self, item: FollowItem) -> Result<(), Over> {
        self.begun = true;
        self.items.send(item).await.map_err(|_| Over)
    }
}

/// A member that has not heard of a revision yet will.
fn is_behind(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { message, .. } if message == FUTURE_REVISION)
}
