//! Changes of the quorum that come through the log.

use bytes::Bytes;
use kvorum_core::node::{Boot, Config, Effect, Effects, Input, Node, Role};
use prost::Message as _;
use raft_proto::eraftpb::{
    ConfChange, ConfChangeType, ConfState, Entry, EntryType, Message, MessageType,
};

/// Member 2 of three, whose disk and state machine are as fast as can be.
struct Member {
    node: Node,
    done: Effects,
}

impl Member {
    fn new() -> Member {
        let boot = Boot { conf_state: ConfState::from(([1, 2, 3], [])), ..Boot::default() };
        let node = Node::new(Config::new(2, 1), boot).expect("a member starts");
        Member { node, done: Effects::new() }
    }

    fn input(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut effects = Effects::new();
            self.node.step(input, &mut effects);
            for effect in &effects {
                match effect {
                    Effect::Append(group) => {
                        inputs.push(Input::Persisted { number: group.number });
                    }
                    Effect::Commit(entries) => {
                        let index = entries.last().expect("something is committed").index;
                        inputs.push(Input::Applied { index });
                    }
                    _ => {}
                }
            }
            self.done.extend(effects);
        }
    }

    fn hear(&mut self, kind: MessageType, from: u64, message: Message) {
        let msg_type = kind as i32;
        self.input(Input::Raft(Message { msg_type, from, to: 2, ..message }));
    }

    fn append(&mut self, entries: Vec<Entry>, commit: u64) {
        let message = Message { term: 1, entries, commit, ..Message::default() };
        self.hear(MessageType::MsgAppend, 1, message);
    }

    /// The configurations and commits among what was done.
    fn outcome(&self) -> Vec<String> {
        let outcome = |effect: &Effect| match effect {
            Effect::ConfChanged { index, conf_state } => {
                let mut voters = conf_state.voters.clone();
                voters.sort_unstable();
                Some(format!("{index}: voters {voters:?} learners {:?}", conf_state.learners))
            }
            Effect::Commit(entries) => {
                Some(format!("commit {:?}", entries.iter().map(|e| e.index).collect::<Vec<_>>()))
            }
            _ => None,
        };
        self.done.iter().filter_map(outcome).collect()
    }
}

fn entry(index: u64, entry_type: EntryType, data: Vec<u8>) -> Entry {
    let data = Bytes::from(data);
    Entry { index, term: 1, entry_type: entry_type as i32, data, ..Entry::default() }
}

fn change(index: u64, change_type: ConfChangeType, node_id: u64) -> Entry {
    let change_type = change_type as i32;
    let change = ConfChange { change_type, node_id, ..ConfChange::default() };
    entry(index, EntryType::EntryConfChange, change.encode_to_vec())
}

#[test]
fn a_committed_change_is_told_before_its_entry() {
    let mut member = Member::new();
    let changes = vec![
        change(1, ConfChangeType::AddLearnerNode, 4),
        change(2, ConfChangeType::RemoveNode, 3),
    ];
    member.append(changes, 2);
    assert_eq!(
        member.outcome(),
        ["1: voters [1, 2, 3] learners [4]", "2: voters [1, 2] learners [4]", "commit [1, 2]"]
    );
    assert_eq!(member.node.status().voters, [1, 2]);
    assert_eq!(member.node.status().learners, [4]);
}

#[test]
fn a_change_that_cannot_be_made_is_an_entry_without_effect() {
    let mut member = Member::new();
    let changes = vec![
        entry(1, EntryType::EntryConfChange, vec![0xff]),
        // Nothing is joint that could be left.
        entry(2, EntryType::EntryConfChangeV2, Vec::new()),
    ];
    member.append(changes, 2);
    assert_eq!(member.outcome(), ["commit [1, 2]"]);
    assert_eq!(member.node.status().voters, [1, 2, 3]);
}

#[test]
fn a_leader_that_is_removed_steps_down() {
    let mut member = Member::new();
    member.append(vec![change(1, ConfChangeType::RemoveNode, 2)], 0);
    for _ in 0..40 {
        member.input(Input::Tick);
    }
    let vote = |term| Message { term, ..Message::default() };
    member.hear(MessageType::MsgRequestPreVoteResponse, 3, vote(2));
    member.hear(MessageType::MsgRequestVoteResponse, 3, vote(2));
    assert_eq!(member.node.status().role, Role::Leader);
    let durable = Message { term: 2, index: 2, ..Message::default() };
    member.hear(MessageType::MsgAppendResponse, 3, durable);
    assert_eq!(member.outcome(), ["1: voters [1, 3] learners []", "commit [1, 2]"]);
    assert_eq!(member.node.status().role, Role::Follower);
    // It does not campaign again, and nothing it still hears upsets it.
    for _ in 0..40 {
        member.input(Input::Tick);
    }
    assert_eq!(member.node.status().role, Role::Follower);
    assert_eq!(member.node.status().term, 2);
}
