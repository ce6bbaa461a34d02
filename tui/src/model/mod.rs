//! Everything the dashboard knows. Plain data: no I/O, no clock, nothing about how it is drawn.

pub mod cluster;
pub mod editor;
pub mod prompt;
pub mod requests;
pub mod tree;
pub mod value;
pub mod verdict;
pub mod watches;

use bytes::Bytes;
use jiff::civil::DateTime;

use crate::cmd::Reads;
use crate::keymap::{Action, Scope};
use crate::layout;
use crate::model::cluster::Cluster;
use crate::model::prompt::Prompt;
use crate::model::requests::Requests;
use crate::model::tree::Tree;
use crate::model::value::ValuePane;
use crate::model::verdict::Verdict;
use crate::model::watches::Watches;
use crate::msg::{Moment, Size};

#[derive(Debug)]
pub struct Model {
    pub now: Moment,
    pub size: Size,
    pub pane: Pane,
    pub conn: Conn,
    pub cluster: Cluster,
    /// Made anew whenever the cluster changes.
    pub verdict: Verdict,
    pub tree: Tree,
    pub value: ValuePane,
    pub watches: Watches,
    pub prompt: Option<Prompt>,
    pub notice: Option<Notice>,
    pub reads: Reads,
    pub requests: Requests,
    /// Where requests were last told to go.
    pub reach: Vec<String>,
    /// A key press that has to wait until the value under the cursor is there.
    pub after_reading: Option<Action>,
    /// What is being written or deleted.
    pub writing: Bytes,
}

/// What has the keys while no prompt is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Overview,
    Tree,
    Value,
    Watches,
}

/// The connection to the cluster as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conn {
    /// Nobody has answered yet.
    Connecting,
    /// Somebody answers.
    Up,
    /// Nobody answers any more.
    Lost { since: DateTime },
}

/// A sentence for the bottom line, about what was just done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub text: String,
    pub until_ms: u64,
}

/// Long enough to be read; the next key press takes it away sooner.
const NOTICE_MS: u64 = 8000;

impl Model {
    /// `given`: the addresses the user gave, best first.
    pub fn new(given: Vec<String>, separator: u8, now: Moment) -> Self {
        let cluster = Cluster::new(given);
        Self {
            now,
            size: Size::default(),
            pane: Pane::Overview,
            conn: Conn::Connecting,
            verdict: verdict::verdict(&cluster),
            reach: cluster.reach(),
            cluster,
            tree: Tree::new(separator),
            value: ValuePane::default(),
            watches: Watches::default(),
            prompt: None,
            notice: None,
            reads: Reads::default(),
            requests: Requests::default(),
            after_reading: None,
            writing: Bytes::new(),
        }
    }

    /// Where a key press is looked up, innermost first.
    pub fn scopes(&self) -> Vec<Scope> {
        match &self.prompt {
            Some(prompt) => vec![prompt.scope(), Scope::Always],
            None => vec![self.pane.scope(), Scope::Browse, Scope::Always],
        }
    }

    pub fn say(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), until_ms: self.now.mono_ms + NOTICE_MS });
    }

    /// Rows of the tree that are on the screen.
    pub fn tree_window(&self) -> std::ops::Range<usize> {
        let from = self.tree.offset;
        from..(from + layout::tree_rows(self.size)).min(self.tree.len())
    }
}

impl Pane {
    pub const ALL: [Self; 4] = [Self::Overview, Self::Tree, Self::Value, Self::Watches];

    pub fn scope(self) -> Scope {
        match self {
            Self::Overview => Scope::Overview,
            Self::Tree => Scope::Tree,
            Self::Value => Scope::Value,
            Self::Watches => Scope::Watches,
        }
    }
}
