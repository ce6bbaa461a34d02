//! Values that are not shown until they are asked for: what lies under configured prefixes.

use std::io::Write;
use std::sync::Arc;

use kvorum_client::pb;

use super::{Answer, PrintError, Printer};

/// A printer that is given answers with the values under `prefixes` replaced by what there would be
/// to see. Keys, revisions and leases stay.
pub(super) struct Masked {
    pub(super) prefixes: Arc<[Vec<u8>]>,
    /// The bytes of values are wanted: something else in their place would be taken for them.
    pub(super) exact: bool,
    pub(super) printer: Box<dyn Printer>,
}

impl Printer for Masked {
    fn print(&self, answer: Answer<'_>, out: &mut dyn Write) -> Result<(), PrintError> {
        if !hides(&self.prefixes, answer) {
            return self.printer.print(answer, out);
        }
        if self.exact {
            return Err(PrintError::Masked);
        }
        masked(&self.prefixes, answer, |answer| self.printer.print(answer, out))
    }
}

fn masked<R>(prefixes: &[Vec<u8>], answer: Answer<'_>, show: impl FnOnce(Answer<'_>) -> R) -> R {
    let hide = |kvs: &mut dyn Iterator<Item = &mut pb::KeyValue>| {
        kvs.filter(|kv| is_masked(prefixes, &kv.key)).for_each(|kv| {
            kv.value = instead_of(kv.value.len()).into_bytes();
        });
    };
    match answer {
        Answer::Get(get) => {
            let mut get = get.clone();
            hide(&mut get.kvs.iter_mut());
            show(Answer::Get(&get))
        }
        Answer::Put(put) => {
            let mut put = put.clone();
            hide(&mut put.prev_kv.iter_mut());
            show(Answer::Put(&put))
        }
        Answer::Delete(delete) => {
            let mut delete = delete.clone();
            hide(&mut delete.prev_kvs.iter_mut());
            show(Answer::Delete(&delete))
        }
        Answer::Watch(watch) | Answer::Difference(watch) => {
            let is_made_up = matches!(answer, Answer::Difference(_));
            let mut watch = watch.clone();
            for event in &mut watch.events {
                hide(&mut event.kv.iter_mut().chain(&mut event.prev_kv));
            }
            show(if is_made_up { Answer::Difference(&watch) } else { Answer::Watch(&watch) })
        }
        Answer::Txn(txn) => {
            let mut txn = txn.clone();
            hide_in_txn(&mut txn, &hide);
            show(Answer::Txn(&txn))
        }
        other => show(other),
    }
}

/// What stands in the place of a hidden value.
pub fn instead_of(length: usize) -> String {
    format!("(masked, {length} bytes; --reveal shows it)")
}

pub fn is_masked(prefixes: &[Vec<u8>], key: &[u8]) -> bool {
    prefixes.iter().any(|prefix| key.starts_with(prefix))
}

/// Whether anything in the answer is to be hidden.
fn hides(prefixes: &[Vec<u8>], answer: Answer<'_>) -> bool {
    let any = |kvs: &[pb::KeyValue]| {
        kvs.iter().any(|kv| !kv.value.is_empty() && is_masked(prefixes, &kv.key))
    };
    match answer {
        Answer::Get(get) => any(&get.kvs),
        Answer::Put(put) => any(put.prev_kv.as_slice()),
        Answer::Delete(delete) => any(&delete.prev_kvs),
        Answer::Watch(watch) | Answer::Difference(watch) => watch
            .events
            .iter()
            .any(|event| any(event.kv.as_slice()) || any(event.prev_kv.as_slice())),
        Answer::Txn(txn) => txn.responses.iter().any(|response| match &response.response {
            Some(pb::ResponseOpKind::ResponseRange(get)) => any(&get.kvs),
            Some(pb::ResponseOpKind::ResponsePut(put)) => any(put.prev_kv.as_slice()),
            Some(pb::ResponseOpKind::ResponseDeleteRange(delete)) => any(&delete.prev_kvs),
            Some(pb::ResponseOpKind::ResponseTxn(txn)) => hides(prefixes, Answer::Txn(txn)),
            None => false,
        }),
        _ => false,
    }
}

fn hide_in_txn(
    txn: &mut pb::TxnResponse,
    hide: &dyn Fn(&mut dyn Iterator<Item = &mut pb::KeyValue>),
) {
    for response in &mut txn.responses {
        match &mut response.response {
            Some(pb::ResponseOpKind::ResponseRange(get)) => hide(&mut get.kvs.iter_mut()),
            Some(pb::ResponseOpKind::ResponsePut(put)) => hide(&mut put.prev_kv.iter_mut()),
            Some(pb::ResponseOpKind::ResponseDeleteRange(delete)) => {
                hide(&mut delete.prev_kvs.iter_mut());
            }
            Some(pb::ResponseOpKind::ResponseTxn(txn)) => hide_in_txn(txn, hide),
            None => {}
        }
    }
}
