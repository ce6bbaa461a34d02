//! `txn`

use kvorum_client::{Compare, KeyRange, Op, Txn, pb};

use super::remember::remember;
use super::{CommandError, Session, plan};
use crate::args::TxnArgs;
use crate::args::txn::{parse_compare, parse_op};
use crate::exit::{self, finer};
use crate::mode::Mode;
use crate::output::Answer;

/// More lines than a server takes in one transaction, so that endless input ends.
const MAX_LINES: usize = 10_000;

pub(super) async fn execute(args: &TxnArgs, session: &mut Session) -> Result<(), CommandError> {
    let mut reader = Reader { session, interactive: args.interactive };
    let txn = Txn {
        compares: reader.compares().await?,
        success: reader.ops("success requests (get, put, del):").await?,
        failure: reader.ops("failure requests (get, put, del):").await?,
    };
    if session.manner.dry_run {
        return plan::txn(&txn, session).await;
    }
    let written = [written(&txn.failure), written(&txn.success)];
    let answer = session.connection.txn(txn).await?;
    let touched = &written[usize::from(answer.succeeded)];
    // Without an effect, the revision is that of somebody else's write.
    if answer.responses.iter().any(has_written) {
        remember("txn", answer.header.as_ref(), touched, session);
    }
    session.print(Answer::Txn(&answer))?;
    session.finer(answer.succeeded, finer::NOT_SUCCEEDED)
}

fn has_written(response: &pb::ResponseOp) -> bool {
    match &response.response {
        Some(pb::ResponseOpKind::ResponsePut(_)) => true,
        Some(pb::ResponseOpKind::ResponseDeleteRange(delete)) => delete.deleted > 0,
        Some(pb::ResponseOpKind::ResponseTxn(txn)) => txn.responses.iter().any(has_written),
        Some(pb::ResponseOpKind::ResponseRange(_)) | None => false,
    }
}

/// What the operations may write.
fn written(ops: &[Op]) -> Vec<KeyRange> {
    let ranges = ops.iter().flat_map(|op| match op {
        Op::Get(_) => Vec::new(),
        Op::Put(put) => vec![KeyRange::single(put.key.clone())],
        Op::Delete(delete) => vec![delete.range.clone()],
        Op::Txn(txn) => [written(&txn.success), written(&txn.failure)].concat(),
    });
    ranges.collect()
}

struct Reader<'a> {
    session: &'a mut Session,
    interactive: bool,
}

impl Reader<'_> {
    async fn compares(&mut self) -> Result<Vec<Compare>, CommandError> {
        let lines = self.group("compares:").await?;
        Ok(lines.iter().map(|line| parse_compare(line)).collect::<Result<_, _>>()?)
    }

    async fn ops(&mut self, prompt: &str) -> Result<Vec<Op>, CommandError> {
        let abbreviated = self.session.mode == Mode::Etcdctl;
        let lines = self.group(prompt).await?;
        Ok(lines.iter().map(|line| parse_op(line, abbreviated)).collect::<Result<_, _>>()?)
    }

    /// The lines up to an empty one.
    async fn group(&mut self, prompt: &str) -> Result<Vec<Vec<u8>>, CommandError> {
        if self.interactive {
            self.session.say(prompt)?;
        }
        let mut lines = Vec::new();
        loop {
            let invalid = |message: &str| CommandError::Other {
                code: exit::INVALID_INPUT,
                message: message.to_owned(),
            };
            let Some(line) = self.session.input.line().await? else {
                return Err(invalid(match self.session.mode {
                    Mode::Etcdctl => "EOF",
                    Mode::Kvorum => {
                        "the input ended within the transaction: each of its three groups ends \
                         with an empty line"
                    }
                }));
            };
            let line = line.trim_ascii();
            if line.is_empty() {
                return Ok(lines);
            }
            if lines.len() == MAX_LINES {
                return Err(invalid("too many lines in one transaction"));
            }
            lines.push(line.to_vec());
        }
    }
}
