//! Changing a value that somebody else may change meanwhile: compare-and-swap on the revision, and
//! a three-way merge where it fails.

mod fields;

use tonic::Code;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::range::KeyRange;
use crate::request::{Compare, CompareOp, CompareTarget, Get, Op, Put, Txn};

/// What became of a write that depends on nothing having changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Swap {
    /// Written; the header tells where and at which revision.
    Written(pb::ResponseHeader),
    /// Nothing was written: this is there instead. `None`: there is no such key.
    Changed(Option<pb::KeyValue>),
}

/// What a key is to be before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    Absent,
    /// Of its last modification.
    Revision(i64),
    Value(Vec<u8>),
}

/// The key as it is, confirmed by the leader.
pub async fn read(connection: &Connection, key: &[u8]) -> Result<Option<pb::KeyValue>, Failure> {
    Ok(connection.get(Get::key(key)).await?.kvs.pop())
}

/// The key as it was at a revision.
pub async fn read_at(
    connection: &Connection,
    key: &[u8],
    revision: i64,
) -> Result<Option<pb::KeyValue>, Failure> {
    Ok(connection.get(Get { revision, ..Get::key(key) }).await?.kvs.pop())
}

/// Writes a value if the key is still as `base` says; `None` if it must not be there.
///
/// The key keeps its lease. That needs no identity: attaching another lease is a write, which the
/// comparison notices, and a lease that ends takes the key with it.
pub async fn swap(
    connection: &Connection,
    key: &[u8],
    base: Option<&pb::KeyValue>,
    value: Vec<u8>,
) -> Result<Swap, Failure> {
    let expected = base.map_or(Expected::Absent, |kv| Expected::Revision(kv.mod_revision));
    let put = Put { ignore_lease: base.is_some(), ..Put::new(key, value) };
    swap_if(connection, &expected, put).await
}

/// Puts if the key is as expected.
pub async fn swap_if(
    connection: &Connection,
    expected: &Expected,
    put: Put,
) -> Result<Swap, Failure> {
    let (range, get) = (KeyRange::single(put.key.clone()), Get::key(put.key.clone()));
    let txn = Txn {
        compares: vec![Compare { range, op: CompareOp::Equal, target: expected.target() }],
        success: vec![Op::Put(put)],
        failure: vec![Op::Get(get)],
    };
    let answer = connection.txn(txn).await?;
    if answer.succeeded {
        return Ok(Swap::Written(answer.header.unwrap_or_default()));
    }
    let found = answer.responses.into_iter().find_map(|response| match response.response {
        Some(pb::ResponseOpKind::ResponseRange(mut get)) => get.kvs.pop(),
        _ => None,
    });
    Ok(Swap::Changed(found))
}

impl Expected {
    /// Whether a key is so; `None`: it is not there.
    pub fn holds(&self, kv: Option<&pb::KeyValue>) -> bool {
        match self {
            Self::Absent => kv.is_none(),
            Self::Revision(revision) => kv.is_some_and(|kv| kv.mod_revision == *revision),
            Self::Value(value) => kv.is_some_and(|kv| kv.value == *value),
        }
    }

    fn target(&self) -> CompareTarget {
        match self {
            Self::Absent => CompareTarget::CreateRevision(0),
            Self::Revision(revision) => CompareTarget::ModRevision(*revision),
            Self::Value(value) => CompareTarget::Value(value.clone()),
        }
    }
}

/// Whether a [`swap`] that failed so may have written all the same: it was sent, and no answer says
/// that it was refused.
pub fn may_have_written(failure: &Failure) -> bool {
    match failure {
        Failure::NoAnswer { .. } | Failure::NoLeader { .. } | Failure::Broken { .. } => true,
        // A member that gives up waiting, or stops, does not know what becomes of the request.
        Failure::Refused { code, message } => {
            matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
                && message != "etcdserver: no leader"
        }
        Failure::Unreachable(_) | Failure::File(_) | Failure::ReadOnly(_) | Failure::Config(_) => {
            false
        }
    }
}

/// The revisions of the texts that [`merge`] is given beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergedRevisions {
    /// What both changes were made from; 0: there was nothing.
    pub base: i64,
    pub theirs: i64,
}

/// Brings two changes of one text together, line by line, and of JSON word by word. `Err` holds both
/// where they contradict each other, between conflict markers that name the revisions. If nobody
/// knows the base any more, texts that are not the same contradict each other as a whole.
pub fn merge(
    base: Option<&[u8]>,
    ours: &[u8],
    theirs: &[u8],
    revisions: MergedRevisions,
) -> Result<Vec<u8>, Vec<u8>> {
    let Some(base) = base else {
        let same = ours == theirs;
        return if same { Ok(ours.to_vec()) } else { Err(contradiction(ours, theirs, revisions)) };
    };
    diffy::merge_bytes(base, ours, theirs).or_else(|marked| {
        if let Some(merged) = fields::merge(base, ours, theirs) {
            return Ok(merged);
        }
        let marked =
            diffy::merge_bytes(&ended(base), &ended(ours), &ended(theirs)).err().unwrap_or(marked);
        Err(named(&marked, revisions))
    })
}

/// A marker behind a last line without an end would be part of it.
fn ended(text: &[u8]) -> Vec<u8> {
    match text.last() {
        Some(b'\n') | None => text.to_vec(),
        Some(_) => [text, b"\n"].concat(),
    }
}

/// Two texts between the markers, and nothing known of what they were made from.
fn contradiction(ours: &[u8], theirs: &[u8], revisions: MergedRevisions) -> Vec<u8> {
    let MergedRevisions { base, theirs: revision } = revisions;
    let original = format!("||||||| original (revision {base}, compacted)\n=======\n");
    let end = format!(">>>>>>> theirs (revision {revision})\n");
    [b"<<<<<<< yours\n", &*ended(ours), original.as_bytes(), &ended(theirs), end.as_bytes()]
        .concat()
}

/// The markers as git writes them, with what they are about.
fn named(marked: &[u8], revisions: MergedRevisions) -> Vec<u8> {
    let original = match revisions.base {
        0 => "||||||| original (nothing)".to_owned(),
        revision => format!("||||||| original (revision {revision})"),
    };
    let theirs = format!(">>>>>>> theirs (revision {})", revisions.theirs);
    let lines = marked.split(|byte| *byte == b'\n').map(|line| match line {
        b"<<<<<<< ours" => b"<<<<<<< yours",
        b"||||||| original" => original.as_bytes(),
        b">>>>>>> theirs" => theirs.as_bytes(),
        other => other,
    });
    lines.collect::<Vec<_>>().join(&b'\n')
}

/// What a change does, as a unified diff.
pub fn difference(before: &[u8], after: &[u8]) -> Vec<u8> {
    diffy::create_patch_bytes(before, after).to_bytes()
}

/// Whether a text still holds a marker of a conflict that [`merge`] marked.
pub fn has_conflict_markers(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"<<<<<<< ") || line.starts_with(b">>>>>>> "))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::{MergedRevisions, has_conflict_markers, may_have_written, merge};
    use crate::failure::Failure;

    const REVISIONS: MergedRevisions = MergedRevisions { base: 12, theirs: 22 };

    #[test]
    fn changes_of_different_lines_come_together() {
        let base = b"a\nb\nc\nd\ne\n";
        let merged = merge(Some(base), b"A\nb\nc\nd\ne\n", b"a\nb\nc\nd\nE\n", REVISIONS).unwrap();
        assert_eq!(merged, b"A\nb\nc\nd\nE\n");
        let bytes = merge(Some(b"\xff\n\nx"), b"\xfe\n\nx", b"\xff\n\ny", REVISIONS).unwrap();
        assert_eq!(bytes, b"\xfe\n\ny");
    }

    #[test]
    fn changes_of_one_line_are_marked() {
        let marked = merge(Some(b"a\n"), b"b\n", b"c\n", REVISIONS).unwrap_err();
        let expected = "<<<<<<< yours\nb\n||||||| original (revision 12)\na\n=======\nc\n\
                        >>>>>>> theirs (revision 22)\n";
        assert_eq!(String::from_utf8_lossy(&marked), expected);
        assert!(has_conflict_markers(&marked));
        assert!(!has_conflict_markers(b"b <<<<<<< c\n"));
    }

    #[test]
    fn a_last_line_without_an_end_hides_no_marker() {
        let marked = merge(Some(b"a\n"), b"b\n", b"c", REVISIONS).unwrap_err();
        assert!(
            marked.ends_with(b"\n>>>>>>> theirs (revision 22)\n"),
            "{}",
            String::from_utf8_lossy(&marked)
        );
        assert!(has_conflict_markers(&marked));
    }

    #[test]
    fn without_a_base_whatever_differs_contradicts_even_an_empty_text() {
        let expected = "<<<<<<< yours\n||||||| original (revision 12, compacted)\n=======\nc\n\
                        >>>>>>> theirs (revision 22)\n";
        assert_eq!(merge(None, b"", b"c", REVISIONS), Err(expected.as_bytes().to_vec()));
        assert!(merge(None, b"b\n", b"", REVISIONS).is_err());
        assert_eq!(merge(None, b"c", b"c", REVISIONS), Ok(b"c".to_vec()));
    }

    #[test]
    fn only_an_answer_says_for_certain_that_nothing_was_written() {
        let refused = |code, message: &str| Failure::Refused { code, message: message.to_owned() };
        let timed_out = "etcdserver: request timed out";
        assert!(may_have_written(&refused(Code::Unavailable, timed_out)));
        assert!(!may_have_written(&refused(Code::Unavailable, "etcdserver: no leader")));
        assert!(!may_have_written(&refused(Code::PermissionDenied, "permission denied")));
        assert!(!may_have_written(&Failure::Unreachable(Vec::new())));
        let (endpoint, cause) = (String::new(), String::new());
        assert!(may_have_written(&Failure::Broken {
            endpoint,
            cause,
            write: true,
            answered: true
        }));
    }
}
