//! `ls`, `tree`, `du`, `count`, `grep`, `leases`, `locks`, `roles-for`, `wait`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use kvorum_client::explore::{Pattern, PatternOptions, WaitFor};

use crate::args::{UsageError, bytes_of, parse_duration};

/// Looking into a keyspace.
#[derive(Debug, Clone, Subcommand)]
pub enum Explore {
    Ls(LsArgs),
    Tree(TreeArgs),
    Du(DuArgs),
    Count(CountArgs),
    Grep(GrepArgs),
    Leases(LeasesArgs),
    Locks(LocksArgs),
    RolesFor(RolesForArgs),
    Wait(WaitArgs),
}

/// Which keys, and as they were when.
#[derive(Debug, Clone, Default, Args)]
pub struct Where {
    /// What the keys begin with; without one, every key
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: OsString,

    /// As it was at this revision
    #[arg(long, value_name = "REVISION", default_value_t = 0, hide_default_value = true,
          value_parser = clap::value_parser!(i64).range(0..))]
    pub rev: i64,
}

/// Show the keys and branches right below a prefix
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  kvorum ls /config/\n  kvorum ls -l /config/")]
pub struct LsArgs {
    #[command(flatten)]
    pub at: Where,

    /// With revisions, versions and leases of keys, and how many keys each branch has
    #[arg(short, long)]
    pub long: bool,
}

/// Show keys as a tree, with the number of keys of what lies deeper
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  kvorum tree\n  kvorum tree /registry/ --depth 2\n  kvorum \
                        tree /config/ --depth 0")]
pub struct TreeArgs {
    #[command(flatten)]
    pub at: Where,

    /// Levels shown; 0 is all
    #[arg(long, value_name = "LEVELS", default_value_t = 3)]
    pub depth: usize,
}

/// Show how many keys and bytes lie below each branch, the largest first; this reads the values
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  kvorum du\n  kvorum du /registry/ --depth 2")]
pub struct DuArgs {
    #[command(flatten)]
    pub at: Where,

    /// Levels told apart
    #[arg(long, value_name = "LEVELS", default_value_t = 1)]
    pub depth: usize,
}

/// Count keys, without reading them
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  kvorum count\n  kvorum count /registry/pods/ --rev 1200")]
pub struct CountArgs {
    #[command(flatten)]
    pub at: Where,
}

/// Search keys, or values, for a regular expression
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Ends with 1 if nothing is found.\n\nExamples:\n  kvorum grep 'web-[0-9]+' \
                        /services/\n  kvorum grep --values -F 'image: nginx' /registry/"
)]
pub struct GrepArgs {
    /// What to search for; bytes that are no text too: `(?-u)\xff`
    #[arg(value_name = "PATTERN")]
    pattern: String,

    #[command(flatten)]
    pub at: Where,

    /// Search the values instead, line by line
    #[arg(long)]
    pub values: bool,

    /// The pattern is text, not a regular expression
    #[arg(short = 'F', long)]
    fixed_strings: bool,

    /// Upper and lower case are the same
    #[arg(short, long)]
    ignore_case: bool,

    /// Say only how many keys match
    #[arg(short, long)]
    pub count: bool,

    /// Say only which keys match
    #[arg(short = 'l', long)]
    pub keys_with_matches: bool,
}

/// List leases with their time left
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  kvorum leases\n  kvorum leases --keys")]
pub struct LeasesArgs {
    /// With the keys attached to each
    #[arg(long)]
    pub keys: bool,
}

/// Show who holds each lock or election, who waits, and how long their leases last
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "A lock is what etcdctl lock and the clients' recipes make: keys NAME/LEASE, of \
                  which the oldest holds it. Its creation revision is the fencing \
                  token.\n\nExamples:\n  kvorum locks\n  kvorum locks /locks/"
)]
pub struct LocksArgs {
    #[command(flatten)]
    pub at: Where,
}

/// Show which roles and users may read or write a key
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  kvorum roles-for /config/app --user root")]
pub struct RolesForArgs {
    // --key is the file of a certificate.
    #[arg(id = "asked_key", value_name = "KEY")]
    key: OsString,
}

/// Wait until a key exists, is deleted, or has a value
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Ends with 0 when it is so, and with 124 when the time is up.\n\nExamples:\n  \
                  kvorum wait /ready --for exists --timeout 30s\n  kvorum wait /state --for \
                  value=done"
)]
pub struct WaitArgs {
    // --key is the file of a certificate.
    #[arg(id = "asked_key", value_name = "KEY")]
    key: OsString,

    /// exists, deleted, or value=VALUE
    #[arg(long = "for", value_name = "WHAT", default_value = "exists")]
    wanted: OsString,

    /// How long at most; without, as long as it takes
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
}

impl Explore {
    /// Whether the arguments make sense, without doing anything.
    pub fn check(&self) -> Result<(), UsageError> {
        match self {
            Self::Grep(args) => args.pattern().map(drop),
            Self::Wait(args) => args.wanted().map(drop),
            Self::RolesFor(args) => not_empty(&args.key()),
            _ => Ok(()),
        }
    }
}

impl Where {
    pub fn prefix(&self) -> Vec<u8> {
        bytes_of(&self.prefix)
    }
}

impl GrepArgs {
    pub fn pattern(&self) -> Result<Pattern, UsageError> {
        let options = PatternOptions { fixed: self.fixed_strings, ignore_case: self.ignore_case };
        Pattern::new(&self.pattern, options)
            .map_err(|error| UsageError::arguments(error.to_string()))
    }
}

impl RolesForArgs {
    pub fn key(&self) -> Vec<u8> {
        bytes_of(&self.key)
    }
}

impl WaitArgs {
    pub fn key(&self) -> Vec<u8> {
        bytes_of(&self.key)
    }

    pub fn wanted(&self) -> Result<WaitFor, UsageError> {
        not_empty(&self.key())?;
        match self.wanted.as_bytes() {
            b"exists" => Ok(WaitFor::Exists),
            b"deleted" => Ok(WaitFor::Deleted),
            other => match other.strip_prefix(b"value=") {
                Some(value) => Ok(WaitFor::Value(value.to_vec())),
                None => Err(UsageError::arguments(format!(
                    "{} is nothing to wait for: exists, deleted or value=VALUE",
                    self.wanted.display()
                ))),
            },
        }
    }
}

fn not_empty(key: &[u8]) -> Result<(), UsageError> {
    if key.is_empty() { Err(UsageError::arguments("a key is not empty")) } else { Ok(()) }
}
