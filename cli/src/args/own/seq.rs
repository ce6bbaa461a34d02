//! `seq put|list`

use std::ffi::OsString;

use clap::{Args, Subcommand};

use crate::args::value::parse_radix;
use crate::args::{UsageError, bytes_of};

/// Items in one global order: numbers below a prefix, without a gap and without a duplicate
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct SeqArgs {
    #[command(subcommand)]
    pub command: SeqCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum SeqCommand {
    Put(SeqPutArgs),
    List(SeqListArgs),
}

/// Put an item at the end of the order
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "seq put [OPTIONS] <PREFIX> [VALUE]",
    after_help = "The key is PREFIX/ and the number with 16 digits, as etcd's recipes have it; the \
                  last number is kept in __PREFIX, so that none is given twice even if items are \
                  deleted. Who may put needs both. Without a value, the value is read from standard \
                  input.\nEnds with 1 if nothing was put, or if that is unknown, which is said: an \
                  item is never put again blindly.\n\nExamples:\n  kvorum seq put /jobs \
                  'mail alice'\n  kvorum seq put /jobs --lines < jobs.txt"
)]
pub struct SeqPutArgs {
    /// What the keys begin with, and the value
    #[arg(value_name = "PREFIX")]
    operands: Vec<OsString>,

    /// Lease to attach, in hexadecimal
    #[arg(long, value_name = "ID", default_value = "0", hide_default_value = true)]
    lease: String,

    /// Each line of standard input is an item; those of a transaction follow one another
    #[arg(long)]
    pub lines: bool,
}

/// Show the items in their order
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "seq list [OPTIONS] <PREFIX>",
    after_help = "-o raw prints the values alone.\n\nExamples:\n  kvorum seq list /jobs --values\n  \
                  kvorum seq list /jobs --from 100 --limit 10 -o ndjson"
)]
pub struct SeqListArgs {
    #[arg(value_name = "PREFIX")]
    prefix: OsString,

    /// From this number on
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub from: u64,

    /// With the values
    #[arg(long)]
    pub values: bool,

    /// So many at most
    #[arg(long, value_name = "ITEMS", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
}

/// What is put where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeqPut {
    pub prefix: Vec<u8>,
    /// `None`: it is on standard input.
    pub value: Option<Vec<u8>>,
    pub lease: i64,
}

impl SeqArgs {
    /// Whether the arguments make sense, without doing anything.
    pub fn check(&self) -> Result<(), UsageError> {
        match &self.command {
            SeqCommand::Put(args) => args.plan().map(drop),
            SeqCommand::List(args) => args.prefix().map(drop),
        }
    }
}

impl SeqPutArgs {
    pub fn plan(&self) -> Result<SeqPut, UsageError> {
        let (prefix, value) = match self.operands.as_slice() {
            [prefix] => (prefix, None),
            [_, _] if self.lines => {
                return Err(UsageError::arguments(
                    "with --lines, the values are on standard input",
                ));
            }
            [prefix, value] => (prefix, Some(bytes_of(value))),
            _ => return Err(UsageError::arguments("seq put takes a prefix and a value")),
        };
        let lease = parse_radix(&self.lease, 16)
            .map_err(|error| UsageError::arguments(format!("--lease is no lease: {error}")))?;
        Ok(SeqPut { prefix: a_prefix(prefix)?, value, lease })
    }
}

impl SeqListArgs {
    pub fn prefix(&self) -> Result<Vec<u8>, UsageError> {
        a_prefix(&self.prefix)
    }
}

fn a_prefix(prefix: &OsString) -> Result<Vec<u8>, UsageError> {
    let prefix = bytes_of(prefix);
    if prefix.is_empty() || prefix == b"/" {
        return Err(UsageError::arguments("a prefix is needed, such as /jobs"));
    }
    Ok(prefix)
}
