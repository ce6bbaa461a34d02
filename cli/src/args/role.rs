//! `role add|delete|get|list|grant-permission|revoke-permission`

use std::ffi::OsString;

use clap::{Args, Subcommand};
use kvorum_client::{Access, KeyRange};

use super::value::{bytes_of, parse_bool};
use super::{UsageError, exactly, no_arguments};

/// Roles: what may be asked
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct RoleArgs {
    #[command(subcommand)]
    pub command: RoleCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum RoleCommand {
    /// Add a role
    #[command(override_usage = "role add <ROLE>")]
    Add {
        #[arg(value_name = "ROLE")]
        operands: Vec<String>,
    },
    /// Delete a role
    #[command(override_usage = "role delete <ROLE>")]
    Delete {
        #[arg(value_name = "ROLE")]
        operands: Vec<String>,
    },
    /// Show what a role allows
    #[command(override_usage = "role get <ROLE>")]
    Get {
        #[arg(value_name = "ROLE")]
        operands: Vec<String>,
    },
    GrantPermission(RoleGrantArgs),
    /// List the roles
    List {
        #[arg(hide = true)]
        operands: Vec<String>,
    },
    RevokePermission(RoleRevokeArgs),
}

/// Allow a key or a range of keys to a role
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "role grant-permission [OPTIONS] <ROLE> <read|write|readwrite> <KEY> [END]"
)]
pub struct RoleGrantArgs {
    #[arg(value_name = "ROLE ACCESS KEY END")]
    pub operands: Vec<OsString>,

    #[command(flatten)]
    pub range: PermissionRange,
}

/// Take the permission of a key or a range of keys from a role
#[derive(Debug, Clone, Args)]
#[command(override_usage = "role revoke-permission [OPTIONS] <ROLE> <KEY> [END]")]
pub struct RoleRevokeArgs {
    #[arg(value_name = "ROLE KEY END")]
    pub operands: Vec<OsString>,

    #[command(flatten)]
    pub range: PermissionRange,
}

/// How the range of a permission goes on after its key.
#[derive(Debug, Clone, Args)]
pub struct PermissionRange {
    /// Every key that begins with KEY
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub prefix: bool,

    /// Every key from KEY on
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub from_key: bool,
}

/// What `role grant-permission` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub role: String,
    pub access: Access,
    pub range: KeyRange,
}

/// What `role revoke-permission` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub role: String,
    pub range: KeyRange,
    /// The key as it was typed, which is not the range's if it is empty.
    pub key: Vec<u8>,
}

impl RoleArgs {
    pub(super) fn check(&self) -> Result<(), UsageError> {
        match &self.command {
            RoleCommand::Add { operands } => added(operands).map(drop),
            RoleCommand::Delete { operands } => deleted(operands).map(drop),
            RoleCommand::Get { operands } => shown(operands).map(drop),
            RoleCommand::GrantPermission(args) => args.grant().map(drop),
            RoleCommand::List { operands } => {
                no_arguments(operands, "role list command requires no arguments")
            }
            RoleCommand::RevokePermission(args) => args.revocation().map(drop),
        }
    }
}

impl RoleGrantArgs {
    pub fn grant(&self) -> Result<Grant, UsageError> {
        let [role, access, keys @ ..] = self.operands.as_slice() else {
            return Err(UsageError::arguments(Self::NEEDS));
        };
        if keys.is_empty() {
            return Err(UsageError::arguments(Self::NEEDS));
        }
        let access = access.to_string_lossy();
        // The enumeration of the wire, in any case of letters.
        let access = match access.to_uppercase().as_str() {
            "READ" => Access::Read,
            "WRITE" => Access::Write,
            "READWRITE" => Access::ReadWrite,
            _ => {
                return Err(UsageError::arguments(format!("invalid permission type: {access}")));
            }
        };
        let role = role.to_string_lossy().into_owned();
        Ok(Grant { role, access, range: self.range.of(keys)? })
    }

    const NEEDS: &str = "role grant command requires role name, permission type, and key [endkey] \
                         as its argument";
}

impl RoleRevokeArgs {
    pub fn revocation(&self) -> Result<Revocation, UsageError> {
        let [role, keys @ ..] = self.operands.as_slice() else {
            return Err(UsageError::arguments(Self::NEEDS));
        };
        let Some(key) = keys.first() else {
            return Err(UsageError::arguments(Self::NEEDS));
        };
        let role = role.to_string_lossy().into_owned();
        Ok(Revocation { role, range: self.range.of(keys)?, key: bytes_of(key) })
    }

    const NEEDS: &str =
        "role revoke-permission command requires role name and key [endkey] as its argument";
}

impl PermissionRange {
    /// An empty key stands for the first one; what follows it is then left aside, as in etcdctl.
    fn of(&self, keys: &[OsString]) -> Result<KeyRange, UsageError> {
        let key = bytes_of(&keys[0]);
        let end = keys.get(1).filter(|_| !key.is_empty());
        let refused = |text| Err(UsageError::arguments(text));
        match (self.prefix, self.from_key, end) {
            (true, true, None) => refused("--from-key and --prefix flags are mutually exclusive"),
            (true, _, Some(_)) => refused("unexpected endkey argument with --prefix flag"),
            (false, true, Some(_)) => refused("unexpected endkey argument with --from-key flag"),
            (true, false, None) => Ok(KeyRange::prefix(key)),
            (false, true, None) => Ok(KeyRange::from_key(key)),
            (false, false, Some(end)) => Ok(KeyRange::between(key, bytes_of(end))),
            (false, false, None) if key.is_empty() => Ok(KeyRange::single(vec![0])),
            (false, false, None) => Ok(KeyRange::single(key)),
        }
    }
}

/// The role that `role add` names.
pub(crate) fn added(operands: &[String]) -> Result<&[String; 1], UsageError> {
    exactly(operands, "role add command requires role name as its argument")
}

/// The role that `role delete` names.
pub(crate) fn deleted(operands: &[String]) -> Result<&[String; 1], UsageError> {
    exactly(operands, "role delete command requires role name as its argument")
}

/// The role that `role get` names.
pub(crate) fn shown(operands: &[String]) -> Result<&[String; 1], UsageError> {
    exactly(operands, "role get command requires role name as its argument")
}
