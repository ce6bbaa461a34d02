//! What is open over the panes and takes the keys: help, input fields, the editor, questions.

use bytes::Bytes;

use crate::keymap::Scope;
use crate::model::editor::Editor;
use crate::msg::KeyValue;

#[derive(Debug)]
pub enum Prompt {
    Help {
        scroll: usize,
    },
    /// Narrows the tree while it is typed.
    Filter {
        field: Editor,
        before: Vec<u8>,
    },
    Put(PutForm),
    Edit(EditForm),
    /// The text of a form would be lost.
    Discard(Box<Prompt>),
    DeleteKey {
        key: Bytes,
        /// Its newest revision when it was looked at: a key that changed since is not deleted.
        expected: i64,
    },
    DeletePrefix(DeletePrefix),
    NewWatch {
        field: Editor,
        prefix: bool,
        problem: Option<String>,
    },
}

/// A key that is to be made. Never replaces one that is there.
#[derive(Debug)]
pub struct PutForm {
    pub key: Editor,
    pub value: Editor,
    pub in_value: bool,
    pub sending: bool,
    pub problem: Option<String>,
}

/// A value that is being changed. Written only if nobody else wrote it meanwhile.
#[derive(Debug)]
pub struct EditForm {
    pub key: Bytes,
    /// The text the editing began with.
    pub original: String,
    /// Newest revision of the key that was seen; 0 if it is gone.
    pub expected: i64,
    pub lease: i64,
    pub editor: Editor,
    pub sending: bool,
    pub problem: Option<String>,
    /// What somebody else wrote, after a conflict.
    pub theirs: Option<KeyValue>,
}

/// Everything under a prefix is to be deleted: the number of keys has to be typed.
#[derive(Debug)]
pub struct DeletePrefix {
    pub prefix: Bytes,
    pub count: Option<u64>,
    pub typed: Editor,
    pub problem: Option<String>,
}

impl Prompt {
    /// Where its keys are looked up.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Help { .. } => Scope::Help,
            Self::Filter { .. } | Self::NewWatch { .. } | Self::DeletePrefix(_) => Scope::Field,
            Self::Put(form) if !form.in_value => Scope::Field,
            Self::Put(_) | Self::Edit(_) => Scope::Editor,
            Self::Discard(_) | Self::DeleteKey { .. } => Scope::Question,
        }
    }

    /// The text that keys and pastes go into.
    pub fn input(&mut self) -> Option<&mut Editor> {
        match self {
            Self::Filter { field, .. } | Self::NewWatch { field, .. } => Some(field),
            Self::Put(form) if form.sending => None,
            Self::Put(form) => Some(if form.in_value { &mut form.value } else { &mut form.key }),
            Self::Edit(form) => (!form.sending).then_some(&mut form.editor),
            Self::DeletePrefix(form) => Some(&mut form.typed),
            Self::Help { .. } | Self::Discard(_) | Self::DeleteKey { .. } => None,
        }
    }

    /// Whether leaving it loses something that was typed.
    pub fn is_changed(&self) -> bool {
        match self {
            Self::Put(form) => !form.value.is_empty(),
            Self::Edit(form) => form.editor.text() != form.original,
            _ => false,
        }
    }

    pub fn set_problem(&mut self, text: String) {
        match self {
            Self::Put(form) => form.problem = Some(text),
            Self::Edit(form) => form.problem = Some(text),
            Self::DeletePrefix(form) => form.problem = Some(text),
            Self::NewWatch { problem, .. } => *problem = Some(text),
            Self::Help { .. } | Self::Filter { .. } | Self::Discard(_) | Self::DeleteKey { .. } => {
            }
        }
    }
}
