//! `export`, `import`, `apply`, `cp`, `mv`, `cas`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use kvorum_client::edit::Expected;
use kvorum_client::transfer::LeaseRule;

use crate::args::value::parse_radix;
use crate::args::{UsageError, bytes_of};

/// Keys that leave a cluster, or come into one.
#[derive(Debug, Clone, Subcommand)]
pub enum Transfer {
    Export(ExportArgs),
    Import(ImportArgs),
    Apply(ApplyArgs),
    Cp(CpArgs),
    Mv(MvArgs),
    Cas(CasArgs),
}

/// Write the keys of a prefix into a bundle, a file of text
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "export [OPTIONS] [PREFIX]",
    after_help = "One key a line, as JSON: good to keep in git, and for grep and jq. All keys are of \
                  one revision; each comes with its value, its lease and its revisions, and nothing \
                  is lost on the way back by import. A bundle that is cut is noticed when it is \
                  read; one that is edited by hand ends with {\"keys\":N}, without the sum. Users \
                  and roles are not in it.\n\nExamples:\n  export /config/ --to config.ndjson\n  \
                  export /config/ --rev 1204 | jq -r .key\n  export > all.ndjson"
)]
pub struct ExportArgs {
    /// What the keys begin with; without one, every key
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: OsString,

    /// As they were at this revision
    #[arg(long, value_name = "REVISION", default_value_t = 0, hide_default_value = true,
          value_parser = clap::value_parser!(i64).range(0..))]
    pub rev: i64,

    /// The file, which is replaced when the bundle is whole; without, to standard output
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// Which bundle, and where its keys go.
#[derive(Debug, Clone, Args)]
pub struct BundleArgs {
    /// The bundle; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Of the bundle, only the keys that begin so
    #[arg(long, value_name = "PREFIX")]
    only: Option<OsString>,

    /// To here: the keys get this prefix in the place of their own
    #[arg(long, value_name = "PREFIX")]
    to: Option<OsString>,

    #[command(flatten)]
    pub leases: LeasesArg,
}

/// Bring the keys of a bundle into a cluster; what else is there stays
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "import [OPTIONS] <FILE>",
    after_help = "A plan is shown first. What differs is created or overwritten, nothing is deleted, \
                  and what is already so is left as it is: an import that was cut is gone on with \
                  by the same again. Nothing is overwritten that somebody changed after the plan. \
                  A bundle that is cut or damaged writes nothing. Creation revisions and versions \
                  begin anew.\n\nExamples:\n  import config.ndjson\n  import backup.ndjson --only \
                  /config/ --to /config-old/\n  import config.ndjson --dry-run"
)]
pub struct ImportArgs {
    #[command(flatten)]
    pub bundle: BundleArgs,
}

/// Make a prefix exactly what a bundle has: what is not in it is deleted
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "apply [OPTIONS] <FILE>",
    after_help = "As import, and keys with the prefix of the bundle that are not in it are deleted; \
                  the plan names them.\n\nExamples:\n  apply config.ndjson\n  apply config.ndjson \
                  --dry-run\n  export /config/ | kvorum apply - --to /copy/ --yes"
)]
pub struct ApplyArgs {
    #[command(flatten)]
    pub bundle: BundleArgs,
}

/// What becomes of leases.
#[derive(Debug, Clone, Args)]
pub struct LeasesArg {
    /// keep: a key comes under the lease it has if that is alive where it goes, else under none;
    /// new: a new lease is granted in the place of each that is not; none: under none
    #[arg(long, value_name = "RULE", value_enum, default_value_t = LeasesChoice::Keep,
          hide_default_value = true, hide_possible_values = true)]
    leases: LeasesChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LeasesChoice {
    Keep,
    New,
    None,
}

/// Copy a key, or all keys of a prefix
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "cp [OPTIONS] <SOURCE> <DEST>",
    after_help = "What ends in / is a prefix. All keys are read at one revision. A plan is shown \
                  first, which names what it overwrites; what is already so is left as it \
                  is.\n\nExamples:\n  cp /config/app /config/app.bak\n  cp /config/ /staging/ \
                  --no-clobber\n  cp /config/ /restored/ --rev 1204\n  cp --from-context prod \
                  /config/ /config/ --context staging"
)]
pub struct CpArgs {
    #[command(flatten)]
    pub names: NamesArgs,

    /// As they were at this revision
    #[arg(long, value_name = "REVISION", default_value_t = 0, hide_default_value = true,
          value_parser = clap::value_parser!(i64).range(0..))]
    pub rev: i64,

    /// Read them from the cluster of this context
    #[arg(long, value_name = "NAME")]
    pub from_context: Option<String>,

    #[command(flatten)]
    pub leases: LeasesArg,
}

/// Move a key, or all keys of a prefix
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "mv [OPTIONS] <SOURCE> <DEST>",
    after_help = "What ends in / is a prefix. Each key is written and deleted in one transaction, \
                  if it is still as it was read: it is never there twice, nor not at all. A move \
                  that was cut is gone on with by the same again. Keys keep their \
                  leases.\n\nExamples:\n  mv /config/app /config/app.old\n  mv /config/ /retired/"
)]
pub struct MvArgs {
    #[command(flatten)]
    pub names: NamesArgs,
}

/// From where to where.
#[derive(Debug, Clone, Args)]
pub struct NamesArgs {
    /// The key, or the prefix
    #[arg(value_name = "SOURCE")]
    source: OsString,

    /// The key or the prefix that it becomes
    #[arg(value_name = "DEST")]
    dest: OsString,

    /// Both are prefixes, whatever they end in
    #[arg(long = "prefix")]
    is_prefix: bool,

    /// Leave alone what is there and is something else
    #[arg(long)]
    pub no_clobber: bool,
}

/// From where to where, of the same kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyNames {
    pub from: Vec<u8>,
    pub to: Vec<u8>,
    pub is_prefix: bool,
}

/// Write a key if it is as expected
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "cas [OPTIONS] <--rev REV|--absent|--value OLD> <KEY> [NEW]",
    after_help = "Compare and swap. Ends with 0 if it was written, and with 11 if something else is \
                  there, which is shown; nothing is written then. Without NEW, it is read from \
                  standard input. The key keeps its lease.\n\nExamples:\n  cas --absent /leader \
                  node-1\n  cas --rev 1204 /config/app off\n  cas --value on /config/app off"
)]
#[command(group = ArgGroup::new("expected").required(true).args(["rev", "absent", "value"]))]
pub struct CasArgs {
    /// The key
    #[arg(value_name = "KEY")]
    // The name `key` is taken by a global flag.
    operand: OsString,

    /// The value to write
    #[arg(value_name = "NEW")]
    pub new: Option<OsString>,

    /// If it was modified last at this revision
    #[arg(long, value_name = "REV", value_parser = clap::value_parser!(i64).range(1..))]
    rev: Option<i64>,

    /// If it is not there
    #[arg(long)]
    absent: bool,

    /// If it has this value
    #[arg(long, value_name = "OLD")]
    value: Option<OsString>,

    /// Put it under this lease, in hexadecimal
    #[arg(long, value_name = "ID")]
    lease: Option<String>,
}

impl Transfer {
    /// Whether the arguments make sense, without doing anything.
    pub fn check(&self) -> Result<(), UsageError> {
        match self {
            Self::Export(_) | Self::Import(_) | Self::Apply(_) => Ok(()),
            Self::Cp(args) => args.names.names(args.from_context.is_some()).map(drop),
            Self::Mv(args) => args.names.names(false).map(drop),
            Self::Cas(args) => args.key().and_then(|_| args.lease()).map(drop),
        }
    }
}

impl ExportArgs {
    pub fn prefix(&self) -> Vec<u8> {
        bytes_of(&self.prefix)
    }
}

impl BundleArgs {
    pub fn only(&self) -> Option<Vec<u8>> {
        self.only.as_deref().map(bytes_of)
    }

    pub fn to(&self) -> Option<Vec<u8>> {
        self.to.as_deref().map(bytes_of)
    }
}

impl LeasesArg {
    pub fn rule(&self) -> LeaseRule {
        match self.leases {
            LeasesChoice::Keep => LeaseRule::Keep,
            LeasesChoice::New => LeaseRule::New,
            LeasesChoice::None => LeaseRule::None,
        }
    }

    /// As it is typed, after a space; nothing if it is the default.
    pub fn flag(&self) -> &'static str {
        match self.leases {
            LeasesChoice::Keep => "",
            LeasesChoice::New => " --leases new",
            LeasesChoice::None => " --leases none",
        }
    }
}

impl NamesArgs {
    /// From where to where. `elsewhere`: these are names in two clusters.
    pub fn names(&self, elsewhere: bool) -> Result<CopyNames, UsageError> {
        let (from, to) = (bytes_of(&self.source), bytes_of(&self.dest));
        let is_prefix = |name: &[u8]| self.is_prefix || name.is_empty() || name.ends_with(b"/");
        if is_prefix(&from) != is_prefix(&to) {
            return Err(UsageError::arguments(
                "a key becomes a key, and a prefix a prefix: both end in /, or neither, or --prefix \
                 says that both are meant so",
            ));
        }
        let is_prefix = is_prefix(&from);
        if !elsewhere && from == to {
            return Err(UsageError::arguments("the source and the destination are the same"));
        }
        if !elsewhere && is_prefix && (from.starts_with(&to) || to.starts_with(&from)) {
            return Err(UsageError::arguments("one prefix is a part of the other"));
        }
        Ok(CopyNames { from, to, is_prefix })
    }
}

impl CasArgs {
    pub fn key(&self) -> Result<Vec<u8>, UsageError> {
        let key = bytes_of(&self.operand);
        if key.is_empty() { Err(UsageError::arguments("cas needs a key")) } else { Ok(key) }
    }

    pub fn expected(&self) -> Expected {
        match (self.rev, &self.value) {
            (Some(revision), _) => Expected::Revision(revision),
            (None, Some(value)) => Expected::Value(bytes_of(value)),
            (None, None) => Expected::Absent,
        }
    }

    /// `None`: the one that it has.
    pub fn lease(&self) -> Result<Option<i64>, UsageError> {
        let Some(id) = &self.lease else { return Ok(None) };
        let lease = parse_radix(id, 16).map_err(|error| {
            UsageError::arguments(format!("bad lease ID ({error}), expecting ID in Hex"))
        })?;
        Ok(Some(lease))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use kvorum_client::edit::Expected;

    use super::{CopyNames, Transfer};

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        transfer: Transfer,
    }

    fn parsed(words: &[&str]) -> Option<Transfer> {
        let line = Line::try_parse_from([&["kvorum"], words].concat()).ok()?;
        line.transfer.check().ok().map(|()| line.transfer)
    }

    fn copied(words: &[&str]) -> Option<CopyNames> {
        match parsed(words)? {
            Transfer::Cp(args) => args.names.names(args.from_context.is_some()).ok(),
            Transfer::Mv(args) => args.names.names(false).ok(),
            _ => None,
        }
    }

    #[test]
    fn a_key_becomes_a_key_and_a_prefix_a_prefix() {
        let names = |from: &str, to: &str, is_prefix| {
            Some(CopyNames { from: from.into(), to: to.into(), is_prefix })
        };
        assert_eq!(copied(&["cp", "/a", "/b"]), names("/a", "/b", false));
        assert_eq!(copied(&["cp", "/a/", "/b/"]), names("/a/", "/b/", true));
        assert_eq!(copied(&["mv", "--prefix", "/a", "/b"]), names("/a", "/b", true));
        let elsewhere = ["cp", "--from-context", "prod", "/a/", "/a/"];
        assert_eq!(copied(&elsewhere), names("/a/", "/a/", true));
        for words in [
            &["cp", "/a", "/b/"][..],
            &["cp", "/a/", "/b"],
            &["cp", "/a", "/a"],
            &["cp", "/a/", "/a/b/"],
            &["mv", "/a/b/", "/a/"],
            &["mv", "", "/a/"],
        ] {
            assert_eq!(copied(words), None, "{words:?}");
        }
    }

    #[test]
    fn what_is_expected_is_said_once() {
        let expected = |words: &[&str]| match parsed(&[&["cas", "/k", "new"], words].concat()) {
            Some(Transfer::Cas(args)) => Some(args.expected()),
            _ => None,
        };
        assert_eq!(expected(&["--rev", "7"]), Some(Expected::Revision(7)));
        assert_eq!(expected(&["--absent"]), Some(Expected::Absent));
        assert_eq!(expected(&["--value", ""]), Some(Expected::Value(Vec::new())));
        for words in [&[][..], &["--rev", "7", "--absent"], &["--rev", "0"], &["--rev", "x"]] {
            assert_eq!(expected(words), None, "{words:?}");
        }
    }
}
