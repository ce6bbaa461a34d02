//! Drop-in replacement for the published `raft-proto` 0.7 (prost 0.14 + bytes::Bytes, no build script).
#![allow(clippy::all)]
pub mod eraftpb {
    use bytes::Bytes;
    use prost::{Enumeration, Message as P};
    macro_rules! pbmsg {
        ($($t:ident),*) => {$(
            impl $t {
                pub fn new_() -> Self { Self::default() }
                pub fn default_ref() -> &'static Self {
                    static D: std::sync::OnceLock<$t> = std::sync::OnceLock::new();
                    D.get_or_init(Default::default)
                }
            }
            impl protobuf::Clear for $t { fn clear(&mut self) { P::clear(self) } }
            impl protobuf::Message for $t {
                fn descriptor(&self) -> &'static protobuf::reflect::MessageDescriptor { unimplemented!() }
                fn is_initialized(&self) -> bool { true }
                fn merge_from(&mut self, _: &mut protobuf::CodedInputStream) -> protobuf::ProtobufResult<()> { unimplemented!() }
                fn merge_from_bytes(&mut self, b: &[u8]) -> protobuf::ProtobufResult<()> {
                    P::merge(self, b).map_err(|_| protobuf::ProtobufError::WireError(protobuf::error::WireError::Other))
                }
                fn write_to_with_cached_sizes(&self, _: &mut protobuf::CodedOutputStream) -> protobuf::ProtobufResult<()> { unimplemented!() }
                fn write_to_bytes(&self) -> protobuf::ProtobufResult<Vec<u8>> { Ok(P::encode_to_vec(self)) }
                fn compute_size(&self) -> u32 { P::encoded_len(self) as u32 }
                fn get_cached_size(&self) -> u32 { P::encoded_len(self) as u32 }
                fn get_unknown_fields(&self) -> &protobuf::UnknownFields { unimplemented!() }
                fn mut_unknown_fields(&mut self) -> &mut protobuf::UnknownFields { unimplemented!() }
                fn as_any(&self) -> &dyn std::any::Any { self }
                fn new() -> Self { Self::default() }
                fn default_instance() -> &'static Self { Self::default_ref() }
            }
        )*};
    }
    macro_rules! acc {
        ($t:ident { $(val $v:ident : $vt:ty, $vg:ident, $vs:ident;)* $(refs $r:ident : $rt:ty => $rr:ty, $rg:ident, $rs:ident, $rm:ident, $rk:ident;)* $(en $e:ident : $et:ty, $eg:ident, $es:ident;)* $(opt $o:ident : $ot:ty, $og:ident, $os:ident, $om:ident, $ok:ident, $oh:ident;)* }) => {
            impl $t {
                $(#[inline] pub fn $vg(&self) -> $vt { self.$v } #[inline] pub fn $vs(&mut self, v: $vt) { self.$v = v })*
                $(#[inline] pub fn $rg(&self) -> &$rr { &self.$r } #[inline] pub fn $rs(&mut self, v: $rt) { self.$r = v }
                  #[inline] pub fn $rm(&mut self) -> &mut $rt { &mut self.$r } #[inline] pub fn $rk(&mut self) -> $rt { std::mem::take(&mut self.$r) })*
                $(#[inline] pub fn $eg(&self) -> $et { <$et>::try_from(self.$e).unwrap_or_default() })*
                $(#[inline] pub fn $og(&self) -> &$ot { match &self.$o { Some(v) => v, None => <$ot>::default_ref() } }
                  #[inline] pub fn $os(&mut self, v: $ot) { self.$o = Some(v) }
                  #[inline] pub fn $om(&mut self) -> &mut $ot { self.$o.get_or_insert_with(Default::default) }
                  #[inline] pub fn $ok(&mut self) -> $ot { self.$o.take().unwrap_or_default() }
                  #[inline] pub fn $oh(&self) -> bool { self.$o.is_some() })*
            }
        };
    }
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
    #[repr(i32)]
    pub enum EntryType {
        EntryNormal = 0,
        EntryConfChange = 1,
        EntryConfChangeV2 = 2,
    }
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
    #[repr(i32)]
    pub enum MessageType {
        MsgHup = 0,
        MsgBeat = 1,
        MsgPropose = 2,
        MsgAppend = 3,
        MsgAppendResponse = 4,
        MsgRequestVote = 5,
        MsgRequestVoteResponse = 6,
        MsgSnapshot = 7,
        MsgHeartbeat = 8,
        MsgHeartbeatResponse = 9,
        MsgUnreachable = 10,
        MsgSnapStatus = 11,
        MsgCheckQuorum = 12,
        MsgTransferLeader = 13,
        MsgTimeoutNow = 14,
        MsgReadIndex = 15,
        MsgReadIndexResp = 16,
        MsgRequestPreVote = 17,
        MsgRequestPreVoteResponse = 18,
    }
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
    #[repr(i32)]
    pub enum ConfChangeTransition {
        Auto = 0,
        Implicit = 1,
        Explicit = 2,
    }
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
    #[repr(i32)]
    pub enum ConfChangeType {
        AddNode = 0,
        RemoveNode = 1,
        AddLearnerNode = 2,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Entry {
        #[prost(enumeration = "EntryType", tag = "1")]
        pub entry_type: i32,
        #[prost(uint64, tag = "2")]
        pub term: u64,
        #[prost(uint64, tag = "3")]
        pub index: u64,
        #[prost(bytes = "bytes", tag = "4")]
        pub data: Bytes,
        #[prost(bytes = "bytes", tag = "6")]
        pub context: Bytes,
        #[prost(bool, tag = "5")]
        pub sync_log: bool,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct SnapshotMetadata {
        #[prost(message, optional, tag = "1")]
        pub conf_state: Option<ConfState>,
        #[prost(uint64, tag = "2")]
        pub index: u64,
        #[prost(uint64, tag = "3")]
        pub term: u64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Snapshot {
        #[prost(bytes = "bytes", tag = "1")]
        pub data: Bytes,
        #[prost(message, optional, tag = "2")]
        pub metadata: Option<SnapshotMetadata>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Message {
        #[prost(enumeration = "MessageType", tag = "1")]
        pub msg_type: i32,
        #[prost(uint64, tag = "2")]
        pub to: u64,
        #[prost(uint64, tag = "3")]
        pub from: u64,
        #[prost(uint64, tag = "4")]
        pub term: u64,
        #[prost(uint64, tag = "5")]
        pub log_term: u64,
        #[prost(uint64, tag = "6")]
        pub index: u64,
        #[prost(message, repeated, tag = "7")]
        pub entries: Vec<Entry>,
        #[prost(uint64, tag = "8")]
        pub commit: u64,
        #[prost(uint64, tag = "15")]
        pub commit_term: u64,
        #[prost(message, optional, tag = "9")]
        pub snapshot: Option<Snapshot>,
        #[prost(uint64, tag = "13")]
        pub request_snapshot: u64,
        #[prost(bool, tag = "10")]
        pub reject: bool,
        #[prost(uint64, tag = "11")]
        pub reject_hint: u64,
        #[prost(bytes = "bytes", tag = "12")]
        pub context: Bytes,
        #[prost(uint64, tag = "14")]
        pub deprecated_priority: u64,
        #[prost(int64, tag = "16")]
        pub priority: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct HardState {
        #[prost(uint64, tag = "1")]
        pub term: u64,
        #[prost(uint64, tag = "2")]
        pub vote: u64,
        #[prost(uint64, tag = "3")]
        pub commit: u64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ConfState {
        #[prost(uint64, repeated, tag = "1")]
        pub voters: Vec<u64>,
        #[prost(uint64, repeated, tag = "2")]
        pub learners: Vec<u64>,
        #[prost(uint64, repeated, tag = "3")]
        pub voters_outgoing: Vec<u64>,
        #[prost(uint64, repeated, tag = "4")]
        pub learners_next: Vec<u64>,
        #[prost(bool, tag = "5")]
        pub auto_leave: bool,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ConfChange {
        #[prost(enumeration = "ConfChangeType", tag = "2")]
        pub change_type: i32,
        #[prost(uint64, tag = "3")]
        pub node_id: u64,
        #[prost(bytes = "bytes", tag = "4")]
        pub context: Bytes,
        #[prost(uint64, tag = "1")]
        pub id: u64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ConfChangeSingle {
        #[prost(enumeration = "ConfChangeType", tag = "1")]
        pub change_type: i32,
        #[prost(uint64, tag = "2")]
        pub node_id: u64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ConfChangeV2 {
        #[prost(enumeration = "ConfChangeTransition", tag = "1")]
        pub transition: i32,
        #[prost(message, repeated, tag = "2")]
        pub changes: Vec<ConfChangeSingle>,
        #[prost(bytes = "bytes", tag = "3")]
        pub context: Bytes,
    }

    pbmsg!(
        Entry,
        SnapshotMetadata,
        Snapshot,
        Message,
        HardState,
        ConfState,
        ConfChange,
        ConfChangeSingle,
        ConfChangeV2
    );
    acc!(Entry { val term: u64, get_term, set_term; val index: u64, get_index, set_index; val sync_log: bool, get_sync_log, set_sync_log;
        refs data: Bytes => [u8], get_data, set_data, mut_data, take_data; refs context: Bytes => [u8], get_context, set_context, mut_context, take_context;
        en entry_type: EntryType, get_entry_type, set_entry_type_; });
    acc!(SnapshotMetadata { val index: u64, get_index, set_index; val term: u64, get_term, set_term; opt conf_state: ConfState, get_conf_state, set_conf_state, mut_conf_state, take_conf_state, has_conf_state; });
    acc!(Snapshot { refs data: Bytes => [u8], get_data, set_data, mut_data, take_data; opt metadata: SnapshotMetadata, get_metadata, set_metadata, mut_metadata, take_metadata, has_metadata; });
    acc!(Message { val to: u64, get_to, set_to; val from: u64, get_from, set_from; val term: u64, get_term, set_term; val log_term: u64, get_log_term, set_log_term; val index: u64, get_index, set_index;
        val commit: u64, get_commit, set_commit; val commit_term: u64, get_commit_term, set_commit_term; val request_snapshot: u64, get_request_snapshot, set_request_snapshot; val reject: bool, get_reject, set_reject; val reject_hint: u64, get_reject_hint, set_reject_hint; val deprecated_priority: u64, get_deprecated_priority, set_deprecated_priority; val priority: i64, get_priority, set_priority;
        refs entries: Vec<Entry> => [Entry], get_entries, set_entries, mut_entries, take_entries; refs context: Bytes => [u8], get_context, set_context, mut_context, take_context;
        en msg_type: MessageType, get_msg_type, set_msg_type_;
        opt snapshot: Snapshot, get_snapshot, set_snapshot, mut_snapshot, take_snapshot, has_snapshot; });
    acc!(HardState { val term: u64, get_term, set_term; val vote: u64, get_vote, set_vote; val commit: u64, get_commit, set_commit; });
    acc!(ConfState { val auto_leave: bool, get_auto_leave, set_auto_leave; refs voters: Vec<u64> => [u64], get_voters, set_voters, mut_voters, take_voters; refs learners: Vec<u64> => [u64], get_learners, set_learners, mut_learners, take_learners;
        refs voters_outgoing: Vec<u64> => [u64], get_voters_outgoing, set_voters_outgoing, mut_voters_outgoing, take_voters_outgoing; refs learners_next: Vec<u64> => [u64], get_learners_next, set_learners_next, mut_learners_next, take_learners_next; });
    acc!(ConfChange { val node_id: u64, get_node_id, set_node_id; val id: u64, get_id, set_id; refs context: Bytes => [u8], get_context, set_context, mut_context, take_context; en change_type: ConfChangeType, get_change_type, set_change_type_; });
    acc!(ConfChangeSingle { val node_id: u64, get_node_id, set_node_id; en change_type: ConfChangeType, get_change_type, set_change_type_; });
    acc!(ConfChangeV2 { refs changes: Vec<ConfChangeSingle> => [ConfChangeSingle], get_changes, set_changes, mut_changes, take_changes; refs context: Bytes => [u8], get_context, set_context, mut_context, take_context; en transition: ConfChangeTransition, get_transition, set_transition_; });
    impl Snapshot {
        pub fn is_empty(&self) -> bool {
            self.get_metadata().index == 0
        }
    }
    impl<A: IntoIterator<Item = u64>, B: IntoIterator<Item = u64>> From<(A, B)> for ConfState {
        fn from((v, l): (A, B)) -> Self {
            ConfState {
                voters: v.into_iter().collect(),
                learners: l.into_iter().collect(),
                ..Default::default()
            }
        }
    }
    impl ConfChangeV2 {
        pub fn enter_joint(&self) -> Option<bool> {
            (self.get_transition() != ConfChangeTransition::Auto || self.changes.len() > 1)
                .then(|| self.get_transition() != ConfChangeTransition::Explicit)
        }
        pub fn leave_joint(&self) -> bool {
            self.get_transition() == ConfChangeTransition::Auto && self.changes.is_empty()
        }
    }
}
use eraftpb::*;
use std::borrow::Cow;
pub fn new_conf_change_single(node_id: u64, ty: ConfChangeType) -> ConfChangeSingle {
    ConfChangeSingle { node_id, change_type: ty as i32 }
}
pub fn stringify_conf_change(c: &[ConfChangeSingle]) -> String {
    c.iter()
        .map(|c| {
            format!(
                "{}{}",
                match c.get_change_type() {
                    ConfChangeType::AddNode => 'v',
                    ConfChangeType::AddLearnerNode => 'l',
                    ConfChangeType::RemoveNode => 'r',
                },
                c.node_id
            )
        })
        .collect::<Vec<_>>()
        .join(" ")
}
pub fn parse_conf_change(s: &str) -> Result<Vec<ConfChangeSingle>, String> {
    s.split_ascii_whitespace()
        .map(|t| {
            let ty = match &t[..1] {
                "v" => ConfChangeType::AddNode,
                "l" => ConfChangeType::AddLearnerNode,
                "r" => ConfChangeType::RemoveNode,
                _ => return Err(format!("unknown token {t}")),
            };
            t[1..].parse().map(|id| new_conf_change_single(id, ty)).map_err(|e| format!("{t}: {e}"))
        })
        .collect()
}
pub trait ConfChangeI {
    fn into_v2(self) -> ConfChangeV2;
    fn as_v2(&self) -> Cow<'_, ConfChangeV2>;
    fn as_v1(&self) -> Option<&ConfChange>;
}
impl ConfChangeI for ConfChange {
    fn into_v2(self) -> ConfChangeV2 {
        ConfChangeV2 {
            transition: 0,
            changes: vec![new_conf_change_single(self.node_id, self.get_change_type())],
            context: self.context,
        }
    }
    fn as_v2(&self) -> Cow<'_, ConfChangeV2> {
        Cow::Owned(self.clone().into_v2())
    }
    fn as_v1(&self) -> Option<&ConfChange> {
        Some(self)
    }
}
impl ConfChangeI for ConfChangeV2 {
    fn into_v2(self) -> ConfChangeV2 {
        self
    }
    fn as_v2(&self) -> Cow<'_, ConfChangeV2> {
        Cow::Borrowed(self)
    }
    fn as_v1(&self) -> Option<&ConfChange> {
        None
    }
}
#[must_use]
pub fn conf_state_eq(a: &ConfState, b: &ConfState) -> bool {
    fn s(v: &[u64]) -> std::collections::BTreeSet<u64> {
        v.iter().copied().collect()
    }
    s(&a.voters) == s(&b.voters)
        && s(&a.learners) == s(&b.learners)
        && s(&a.voters_outgoing) == s(&b.voters_outgoing)
        && s(&a.learners_next) == s(&b.learners_next)
        && a.auto_leave == b.auto_leave
}
pub mod prelude {
    pub use crate::eraftpb::*;
}
pub mod util {}
