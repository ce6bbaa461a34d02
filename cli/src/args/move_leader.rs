//! `move-leader <id>`

use clap::Args;

use super::value::parse_id;
use super::{UsageError, exactly};

/// Hand leadership to another member
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "move-leader <ID>",
    after_help = "The endpoint of the member that leads must be among --endpoints."
)]
pub struct MoveLeaderArgs {
    /// Who is to lead, in hexadecimal
    #[arg(value_name = "ID")]
    pub operands: Vec<String>,
}

impl MoveLeaderArgs {
    pub fn target(&self) -> Result<u64, UsageError> {
        let [id] = exactly(&self.operands, "move-leader command needs 1 argument")?;
        parse_id(id).map_err(UsageError::arguments)
    }
}
