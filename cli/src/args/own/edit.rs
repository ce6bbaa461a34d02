//! `edit KEY`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::show::ViewAs;
use crate::args::{UsageError, bytes_of};

/// Change one value in an editor, without overwriting what others changed meanwhile
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "edit [OPTIONS] <KEY>",
    after_help = "The editor is $VISUAL, $EDITOR or vi. The key keeps its lease. If the key is \
                  changed meanwhile, both changes are merged; where they contradict each other \
                  the editor is opened again. What cannot be written is kept in a file, and the \
                  command that goes on from there is told.\n\nExamples:\n  edit /config/app\n  \
                  EDITOR='code --wait' kvorum edit /config/app\n  edit /blob --as hex"
)]
pub struct EditArgs {
    /// The key; one that is not there yet is created
    #[arg(value_name = "KEY")]
    // The name `key` is taken by a global flag.
    pub operand: OsString,

    /// Edit as text, json, k8s, hex, or raw: the bytes as they are
    #[arg(long = "as", value_name = "FORM", value_parser = ViewAs::parse)]
    pub view: Option<ViewAs>,

    /// Go on with the text in this file, which an edit has left there
    #[arg(long, value_name = "FILE", requires = "base")]
    pub resume: Option<PathBuf>,

    /// The revision of the value that the text was made from; 0: of none
    #[arg(long, value_name = "REV", requires = "resume",
          value_parser = clap::value_parser!(i64).range(0..))]
    pub base: Option<i64>,
}

impl EditArgs {
    pub fn key(&self) -> Result<Vec<u8>, UsageError> {
        let key = bytes_of(&self.operand);
        if key.is_empty() {
            return Err(UsageError::arguments("edit needs a key"));
        }
        Ok(key)
    }
}
