//! Commands of the scripts as requests.
//!
//! A range is written `a` (one key), `a..c` (without `c`), `a..` (from `a` on), `..` (all) or
//! `a*` (prefix). A word is a flag (`prev`) or a setting (`limit=3`).

use bytes::Bytes;
use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};

pub(crate) type Words<'a> = &'a [&'a str];

/// A line with the deeper indented lines after it.
pub(crate) struct Tree<'a> {
    pub(crate) words: Vec<&'a str>,
    pub(crate) children: Vec<Tree<'a>>,
}

impl<'a> Tree<'a> {
    pub(crate) fn parse(lines: &[&'a str]) -> Vec<Tree<'a>> {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let mut trees = Vec::new();
        let mut rest = lines;
        while let Some((line, after)) = rest.split_first() {
            let deeper = after.iter().take_while(|next| indent(next) > indent(line)).count();
            let children = Tree::parse(&after[..deeper]);
            trees.push(Tree { words: line.split_whitespace().collect(), children });
            rest = &after[deeper..];
        }
        trees
    }
}

pub(crate) fn put(words: Words) -> PutRequest {
    let (key, options) = words.split_first().expect("put KEY [VALUE]");
    let mut request = PutRequest { key: bytes(key), ..PutRequest::default() };
    for word in options {
        match setting(word) {
            ("lease", Some(id)) => request.lease = number(id),
            ("prev", None) => request.prev_kv = true,
            ("ignore_value", None) => request.ignore_value = true,
            ("ignore_lease", None) => request.ignore_lease = true,
            (value, None) => request.value = bytes(value),
            other => panic!("unknown setting {other:?}"),
        }
    }
    request
}

pub(crate) fn delete(words: Words) -> DeleteRangeRequest {
    let (range, options) = words.split_first().expect("del RANGE");
    let (key, range_end) = key_range(range);
    let prev_kv = options.contains(&"prev");
    DeleteRangeRequest { key, range_end, prev_kv }
}

pub(crate) fn range(words: Words) -> RangeRequest {
    let (range, options) = words.split_first().expect("range RANGE");
    let (key, range_end) = key_range(range);
    let mut request = RangeRequest { key, range_end, ..RangeRequest::default() };
    for word in options {
        match setting(word) {
            ("rev", Some(n)) => request.revision = number(n),
            ("limit", Some(n)) => request.limit = number(n),
            ("min_mod", Some(n)) => request.min_mod_revision = number(n),
            ("max_mod", Some(n)) => request.max_mod_revision = number(n),
            ("min_create", Some(n)) => request.min_create_revision = number(n),
            ("max_create", Some(n)) => request.max_create_revision = number(n),
            ("keys_only", None) => request.keys_only = true,
            ("count_only", None) => request.count_only = true,
            ("sort", Some(target)) => {
                let target = SortTarget::from_str_name(&target.to_uppercase());
                request.set_sort_target(target.expect("sort target"));
            }
            ("order", Some(order)) => {
                let order = SortOrder::from_str_name(&order.to_uppercase());
                request.set_sort_order(order.expect("sort order"));
            }
            other => panic!("unknown setting {other:?}"),
        }
    }
    request
}

/// The lines below `txn`: `if TARGET RANGE RELATION OPERAND`, `then OPERATION`, `else OPERATION`.
pub(crate) fn txn(lines: &[Tree]) -> TxnRequest {
    let mut request = TxnRequest::default();
    for line in lines {
        let (first, words) = line.words.split_first().expect("a line has words");
        match *first {
            "if" => request.compare.push(compare(words)),
            "then" => request.success.push(operation(words, &line.children)),
            "else" => request.failure.push(operation(words, &line.children)),
            other => panic!("if, then or else, not {other}"),
        }
    }
    request
}

pub(crate) fn number(word: &str) -> i64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

/// Key and range end as a request carries them.
pub(crate) fn key_range(word: &str) -> (Bytes, Bytes) {
    if word == ".." {
        return ("\0".into(), "\0".into());
    }
    if let Some(prefix) = word.strip_suffix('*') {
        let mut end = prefix.as_bytes().to_vec();
        *end.last_mut().expect("a prefix") += 1;
        return (bytes(prefix), end.into());
    }
    match word.split_once("..") {
        Some((key, "")) => (bytes(key), "\0".into()),
        Some((key, end)) => (bytes(key), bytes(end)),
        None => (bytes(word), Bytes::new()),
    }
}

fn operation(words: Words, children: &[Tree]) -> RequestOp {
    let (name, words) = words.split_first().expect("an operation");
    let request = match *name {
        "put" => Request::RequestPut(put(words)),
        "del" => Request::RequestDeleteRange(delete(words)),
        "range" => Request::RequestRange(range(words)),
        "txn" => Request::RequestTxn(txn(children)),
        other => panic!("unknown operation {other}"),
    };
    RequestOp { request: Some(request) }
}

fn compare(words: Words) -> Compare {
    let [target, range, relation, operand] = words else { panic!("if TARGET RANGE = OPERAND") };
    let (key, range_end) = key_range(range);
    let (target, union) = match *target {
        "version" => (CompareTarget::Version, TargetUnion::Version(number(operand))),
        "create" => (CompareTarget::Create, TargetUnion::CreateRevision(number(operand))),
        "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number(operand))),
        "value" => (CompareTarget::Value, TargetUnion::Value(bytes(operand))),
        "lease" => (CompareTarget::Lease, TargetUnion::Lease(number(operand))),
        other => panic!("unknown target {other}"),
    };
    let result = match *relation {
        "=" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        ">" => CompareResult::Greater,
        "<" => CompareResult::Less,
        other => panic!("unknown relation {other}"),
    };
    Compare {
        result: result.into(),
        target: target.into(),
        key,
        target_union: Some(union),
        range_end,
    }
}

fn setting(word: &str) -> (&str, Option<&str>) {
    match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    }
}

fn bytes(word: &str) -> Bytes {
    Bytes::copy_from_slice(word.as_bytes())
}
