//! Nothing here writes a log line itself: the shell gives a logger, raft and the node use it.

use raft_proto::eraftpb::Message;
use slog::{Logger, warn};

use super::validate::Rejection;

/// One line per rejected message, up to this many per tick: a broken peer must not fill disks.
const LINES_PER_TICK: u32 = 4;

#[derive(Debug)]
pub(super) struct Complaints {
    logger: Logger,
    left: u32,
}

impl Complaints {
    pub(super) fn new(logger: Logger) -> Complaints {
        Complaints { logger, left: LINES_PER_TICK }
    }

    pub(super) fn tick(&mut self) {
        self.left = LINES_PER_TICK;
    }

    pub(super) fn rejected(&mut self, message: &Message, why: Rejection) {
        if self.left > 0 {
            self.left -= 1;
            warn!(self.logger, "dropped a peer's message: {why}";
                "from" => format_args!("{:x}", message.from),
                "type" => message.msg_type, "term" => message.term, "index" => message.index);
        }
    }

    pub(super) fn stalled(&self, ticks: u64) {
        warn!(self.logger, "the log could not be made durable in time; stepping down as leader";
            "ticks" => ticks);
    }

    pub(super) fn leaderless(&self, ticks: u64) {
        warn!(self.logger, "this member's log was damaged, and there is no leader to get back from \
            what was lost: start the members that are down; if too many logs are damaged for the \
            others to elect a leader, restore the cluster from a backup";
            "ticks" => ticks);
    }

    pub(super) fn lost_fetch(&self, low: u64) {
        warn!(self.logger, "entries read back from the log are not the ones asked for";
            "index" => low);
    }
}
