//! The store's replies as messages, their values read back from disk.

use bytes::Bytes;
use kvorum_core::store::{Applied, RangeReply, Revision, TxnReply};
use kvorum_core::watch;
use kvorum_proto::etcdserverpb::{RangeResponse, TxnResponse};
use kvorum_proto::mvccpb::Event;
use kvorum_tests::messages;
use kvorum_tests::model::Answer;

use crate::World;

const READABLE: &str = "everything that an answer needs is on disk";

impl World<'_> {
    pub(super) fn event(&self, event: &watch::Event) -> Event {
        messages::event(event, &mut |at| self.read(at)).expect(READABLE)
    }

    /// The reply, as the model would give it.
    pub(super) fn outcome(&self, applied: Applied) -> Result<Answer, String> {
        let reply = applied.reply.map_err(|error| error.to_string())?;
        let answer = messages::answer(reply, applied.revision, &mut |at| self.read(at));
        Ok(answer.expect(READABLE))
    }

    pub(super) fn txn_response(&self, reply: TxnReply, revision: i64) -> TxnResponse {
        messages::txn(reply, revision, &mut |at| self.read(at)).expect(READABLE)
    }

    pub(super) fn range_response(&self, reply: RangeReply, revision: i64) -> RangeResponse {
        messages::range(reply, revision, &mut |at| self.read(at)).expect(READABLE)
    }

    #[allow(clippy::unnecessary_wraps, reason = "what a reader of values is like")]
    fn read(&self, at: Revision) -> Result<Bytes, String> {
        Ok(self.disk.value(at))
    }
}
