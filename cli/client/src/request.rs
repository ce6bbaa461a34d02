//! Requests as plain data: what the arguments of a command, a line of the shell or a key press
//! come to, before anything is sent.

pub use etcd_client::{CompareOp, SortOrder, SortTarget};
use etcd_client::{DeleteOptions, GetOptions, PutOptions, TxnOp, WatchOptions};

use crate::range::KeyRange;

/// Reads a range of keys. The default is linearizable, in key order, at the newest revision.
#[derive(Debug, Clone, Default)]
pub struct Get {
    pub range: KeyRange,
    /// 0 is no limit.
    pub limit: i64,
    /// 0 is the newest.
    pub revision: i64,
    pub sort: Option<(SortTarget, SortOrder)>,
    /// Answered by the member alone, without asking its leader.
    pub serializable: bool,
    pub keys_only: bool,
    pub count_only: bool,
    pub min_create_revision: i64,
    pub max_create_revision: i64,
    pub min_mod_revision: i64,
    pub max_mod_revision: i64,
}

#[derive(Debug, Clone, Default)]
pub struct Put {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    /// 0 is no lease.
    pub lease: i64,
    pub prev_kv: bool,
    pub ignore_value: bool,
    pub ignore_lease: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Delete {
    pub range: KeyRange,
    pub prev_kv: bool,
}

/// One condition of a transaction.
#[derive(Debug, Clone)]
pub struct Compare {
    pub range: KeyRange,
    pub op: CompareOp,
    pub target: CompareTarget,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompareTarget {
    Version(i64),
    CreateRevision(i64),
    ModRevision(i64),
    Value(Vec<u8>),
    Lease(i64),
}

/// One operation of a transaction.
#[derive(Debug, Clone)]
pub enum Op {
    Get(Get),
    Put(Put),
    Delete(Delete),
    Txn(Txn),
}

/// If every comparison holds `success` is done, else `failure`; all at one revision.
#[derive(Debug, Clone, Default)]
pub struct Txn {
    pub compares: Vec<Compare>,
    pub success: Vec<Op>,
    pub failure: Vec<Op>,
}

/// What to watch, and from when.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    pub range: KeyRange,
    /// 0 is from now on.
    pub start_revision: i64,
    pub prev_kv: bool,
    /// Ask for the revision reached when there is nothing else to say.
    pub progress_notify: bool,
    /// Large answers may come in parts; all but the last of one have
    /// [`WatchResponse::fragment`](crate::pb::WatchResponse) set. After a lost stream, changes of the
    /// last revision may come once more.
    pub fragment: bool,
}

impl Get {
    pub fn key(key: impl Into<Vec<u8>>) -> Self {
        Self { range: KeyRange::single(key), ..Self::default() }
    }

    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        Self { range: KeyRange::prefix(prefix), ..Self::default() }
    }

    pub(crate) fn options(&self) -> GetOptions {
        let mut options = GetOptions::new()
            .with_range(self.range.end.clone())
            .with_limit(self.limit)
            .with_revision(self.revision)
            .with_min_create_revision(self.min_create_revision)
            .with_max_create_revision(self.max_create_revision)
            .with_min_mod_revision(self.min_mod_revision)
            .with_max_mod_revision(self.max_mod_revision);
        if let Some((target, order)) = self.sort {
            options = options.with_sort(target, order);
        }
        if self.serializable {
            options = options.with_serializable();
        }
        if self.keys_only {
            options = options.with_keys_only();
        }
        if self.count_only {
            options = options.with_count_only();
        }
        options
    }
}

impl Put {
    pub fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), value: value.into(), ..Self::default() }
    }

    pub(crate) fn options(&self) -> PutOptions {
        let mut options = PutOptions::new().with_lease(self.lease);
        if self.prev_kv {
            options = options.with_prev_key();
        }
        if self.ignore_value {
            options = options.with_ignore_value();
        }
        if self.ignore_lease {
            options = options.with_ignore_lease();
        }
        options
    }
}

impl Delete {
    pub fn key(key: impl Into<Vec<u8>>) -> Self {
        Self { range: KeyRange::single(key), ..Self::default() }
    }

    pub(crate) fn options(&self) -> DeleteOptions {
        let options = DeleteOptions::new().with_range(self.range.end.clone());
        if self.prev_kv { options.with_prev_key() } else { options }
    }
}

impl Compare {
    fn into_wire(self) -> etcd_client::Compare {
        let (key, op) = (self.range.key, self.op);
        let compare = match self.target {
            CompareTarget::Version(version) => etcd_client::Compare::version(key, op, version),
            CompareTarget::CreateRevision(revision) => {
                etcd_client::Compare::create_revision(key, op, revision)
            }
            CompareTarget::ModRevision(revision) => {
                etcd_client::Compare::mod_revision(key, op, revision)
            }
            CompareTarget::Value(value) => etcd_client::Compare::value(key, op, value),
            CompareTarget::Lease(lease) => etcd_client::Compare::lease(key, op, lease),
        };
        if self.range.end.is_empty() { compare } else { compare.with_range(self.range.end) }
    }
}

impl Op {
    fn into_wire(self) -> TxnOp {
        match self {
            Self::Get(get) => TxnOp::get(get.range.key.clone(), Some(get.options())),
            Self::Put(put) => {
                let options = put.options();
                TxnOp::put(put.key, put.value, Some(options))
            }
            Self::Delete(delete) => TxnOp::delete(delete.range.key.clone(), Some(delete.options())),
            Self::Txn(txn) => TxnOp::txn(txn.into_wire()),
        }
    }
}

impl Txn {
    /// Whether it can be repeated without harm.
    pub fn is_read_only(&self) -> bool {
        self.success.iter().chain(&self.failure).all(|op| match op {
            Op::Get(_) => true,
            Op::Txn(txn) => txn.is_read_only(),
            Op::Put(_) | Op::Delete(_) => false,
        })
    }

    pub(crate) fn into_wire(self) -> etcd_client::Txn {
        let wire = |ops: Vec<Op>| ops.into_iter().map(Op::into_wire).collect::<Vec<_>>();
        let compares: Vec<_> = self.compares.into_iter().map(Compare::into_wire).collect();
        // The builder refuses empty lists by leaving them out.
        let mut txn = etcd_client::Txn::new();
        if !compares.is_empty() {
            txn = txn.when(compares);
        }
        if !self.success.is_empty() {
            txn = txn.and_then(wire(self.success));
        }
        if !self.failure.is_empty() {
            txn = txn.or_else(wire(self.failure));
        }
        txn
    }
}

impl Watch {
    pub(crate) fn options(&self) -> WatchOptions {
        let mut options = WatchOptions::new()
            .with_range(self.range.end.clone())
            .with_start_revision(self.start_revision);
        if self.prev_kv {
            options = options.with_prev_key();
        }
        if self.progress_notify {
            options = options.with_progress_notify();
        }
        if self.fragment {
            options = options.with_fragment();
        }
        options
    }
}
