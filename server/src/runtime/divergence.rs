//! Whether this member's state is the one the others have, and what follows if it is not.
//!
//! Members tell each other their marks once a second. A member that finds itself diverged serves
//! no data any more and raises the alarm, and so does the leader for a member that it finds so.
//! The alarm stops the whole cluster from changing data, as etcd's does, until a person has looked.

use std::time::{Duration, Instant};

use kvorum_core::divergence::{Divergence, Mark, Verdict};
use kvorum_core::node::Role;
use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::{AlarmMember, AlarmRequest, AlarmType, InternalRaftRequest};
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
    /// This member's state is not the cluster's: nothing of it is served.
    diverged: watch::Sender<bool>,
}

impl States {
    pub(super) fn new(me: u64, conf_state: &ConfState) -> States {
        let divergence = Divergence::new(me, &conf_state.voters, &conf_state.learners);
        States { divergence: Mutex::new(divergence), diverged: watch::Sender::new(false) }
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

    fn verdict(&self) -> Verdict {
        self.divergence.lock().verdict()
    }
}

/// Tells the peers this member's marks, and raises the alarm when it must.
pub(super) async fn exchange(handle: Handle) {
    let me = handle.identity.member_id;
    let mut open_since: Option<Instant> = None;
    loop {
        sleep(INTERVAL).await;
        let root = handle.root();
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
        if let Some(suspect) = suspect {
            raise(&handle, &root, suspect).await;
        }
    }
}

fn mark(root: &Root) -> Mark {
    Mark { index: root.index(), hash: root.state_hash() }
}

/// Tried again in the next round if it does not succeed.
async fn raise(handle: &Handle, root: &Root, member_id: u64) {
    let corrupt = AlarmType::Corrupt as i32;
    let raised = |alarm: &AlarmMember| (alarm.member_id, alarm.alarm) == (member_id, corrupt);
    if root.alarms().iter().any(raised) {
        return;
    }
    let alarm = AlarmRequest { action: AlarmAction::Activate as i32, member_id, alarm: corrupt };
    let entry = InternalRaftRequest { alarm: Some(alarm), ..InternalRaftRequest::default() };
    if let Err(error) = handle.write(entry).await {
        tracing::warn!(error = %error, "the alarm CORRUPT could not be raised yet");
    }
}
