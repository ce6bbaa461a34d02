//! Whether this member's state is the one the others have, and what follows if it is not.
//!
//! Members tell each other their marks once a second. A member that finds itself diverged serves
//! no data any more and raises the alarm, and so does the leader for a member that it finds so.
//! The alarm stops the whole cluster from changing data, as etcd's does, until a person has looked.
//!
//! What was found is forgotten when a member stops, and nothing can be found again before the
//! first marks are there. But the alarm is part of the state: a member that it names serves no
//! data either. Who takes the alarm back has such a member serve again, unless it finds itself
//! diverged.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kvorum_core::auth::Principal;
use kvorum_core::divergence::{Divergence, Mark, Verdict};
use kvorum_core::node::Role;
use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::{AlarmRequest, AlarmType, InternalRaftRequest};
use parking_lot::Mutex;
use raft_proto::eraftpb::ConfState;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Handle;
use crate::identity::hex;

/// How often members tell each other their marks.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a difference may stay open because a voter that could decide it is away. Then there
/// is one all the same, and whoever writes on must know.
const UNDECIDED_PATIENCE: Duration = Duration::from_secs(10);

/// What is known of the states of the members.
pub(crate) struct States {
    divergence: Mutex<Divergence>,
    /// This member's state is not the cluster's, or the alarm says so: nothing of it is served.
    diverged: watch::Sender<bool>,
}

impl States {
    /// Of the member `me`, which begins with the state `root`.
    pub(super) fn new(me: u64, conf_state: &ConfState, root: &Root) -> States {
        let divergence = Divergence::new(me, &conf_state.voters, &conf_state.learners);
        let states =
            States { divergence: Mutex::new(divergence), diverged: watch::Sender::new(false) };
        states.heed(named(root).contains(&me));
        states
    }

    /// What the state here was.
    pub(super) fn note(&self, marks: impl IntoIterator<Item = Mark>) {
        let mut divergence = self.divergence.lock();
        let found: Vec<Verdict> =
            marks.into_iter().flat_map(|mark| divergence.note(mark)).collect();
        drop(divergence);
        self.found(&found);
    }

    /// What a peer says that its state was.
    pub(crate) fn report(&self, from: u64, marks: impl IntoIterator<Item = Mark>) {
        let mut divergence = self.divergence.lock();
        let found: Vec<Verdict> =
            marks.into_iter().flat_map(|mark| divergence.report(from, mark)).collect();
        drop(divergence);
        self.found(&found);
    }

    /// Whether this member must not serve data.
    pub(crate) fn is_diverged(&self) -> bool {
        *self.diverged.borrow()
    }

    /// Waits until this member must not serve data.
    pub(crate) async fn until_diverged(&self) {
        let mut news = self.diverged.subscribe();
        if news.wait_for(|diverged| *diverged).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The alarm for a member was taken back.
    fn forget(&self, member: u64) {
        self.divergence.lock().forget(member);
    }

    pub(super) fn compared(&self) -> u64 {
        self.divergence.lock().compared()
    }

    fn found(&self, verdicts: &[Verdict]) {
        for verdict in verdicts {
            match verdict {
                Verdict::Agree => {}
                Verdict::Undecided { index } => {
                    tracing::warn!(index, "members hold different states; who is right is open");
                }
                Verdict::OursDiffers { index, ours, theirs, majority } => {
                    tracing::error!(
                        index,
                        ours = %ours,
                        theirs = %theirs,
                        majority,
                        "this member's state is not the cluster's: it serves no data any more; \
                         remove the member and add it again with an empty data directory"
                    );
                    self.diverged.send_replace(true);
                }
                Verdict::PeerDiffers { peer, index, ours, theirs } => {
                    let peer_id = hex(*peer);
                    tracing::error!(
                        peer_id,
                        index,
                        ours = %ours,
                        theirs = %theirs,
                        "a member's state is not the cluster's"
                    );
                }
            }
        }
    }

    /// Whether the alarm names this member.
    fn heed(&self, named: bool) {
        // Under the lock, lest what is found meanwhile be overlooked.
        let divergence = self.divergence.lock();
        let found = matches!(divergence.verdict(), Verdict::OursDiffers { .. });
        let silent = found || named;
        let news = self.diverged.send_if_modified(|it| std::mem::replace(it, silent) != silent);
        if news && named {
            tracing::error!(
                "the alarm CORRUPT names this member: it serves no data until the alarm is \
                 disarmed, and after that only if its state is the cluster's"
            );
        }
    }

    fn verdict(&self) -> Verdict {
        self.divergence.lock().verdict()
    }
}

/// Tells the peers this member's marks, and raises the alarm when it must.
pub(super) async fn exchange(handle: Handle) {
    let me = handle.identity.member_id;
    let mut open_since: Option<Instant> = None;
    let mut alarmed = BTreeSet::new();
    loop {
        sleep(INTERVAL).await;
        let root = handle.root();
        let named = named(&root);
        handle.states.heed(named.contains(&me));
        alarmed.difference(&named).for_each(|seen_to| handle.states.forget(*seen_to));
        alarmed = named;
        handle.states.note([mark(&root)]);
        let marks = handle.states.divergence.lock().tell();
        handle.peers.tell(&marks);

        let verdict = handle.states.verdict();
        let open = matches!(verdict, Verdict::Undecided { .. });
        open_since = open.then(|| open_since.unwrap_or_else(Instant::now));
        let suspect = match verdict {
            Verdict::OursDiffers { .. } => Some(me),
            Verdict::PeerDiffers { peer, .. } => {
                (handle.leadership().role == Role::Leader).then_some(peer)
            }
            Verdict::Undecided { .. } => {
                open_since.is_some_and(|since| since.elapsed() >= UNDECIDED_PATIENCE).then_some(me)
            }
            Verdict::Agree => None,
        };
        if let Some(suspect) = suspect.filter(|suspect| !alarmed.contains(suspect)) {
            raise(&handle, suspect).await;
        }
    }
}

fn mark(root: &Root) -> Mark {
    Mark { index: root.index(), hash: root.state_hash() }
}

/// The members that the alarm names.
fn named(root: &Root) -> BTreeSet<u64> {
    let corrupt = root.alarms().iter().filter(|alarm| alarm.alarm() == AlarmType::Corrupt);
    corrupt.map(|alarm| alarm.member_id).collect()
}

/// Tried again in the next round if it does not succeed.
async fn raise(handle: &Handle, member_id: u64) {
    let (action, alarm) = (AlarmAction::Activate as i32, AlarmType::Corrupt as i32);
    let alarm = AlarmRequest { action, member_id, alarm };
    let entry = InternalRaftRequest { alarm: Some(alarm), ..InternalRaftRequest::default() };
    if let Err(error) = handle.write(entry, &Principal::Member).await {
        tracing::warn!(error = %error, "the alarm CORRUPT could not be raised yet");
    }
}
