//! `ctx list|show|use|add|remove|import`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::parse_bool;

/// The clusters that are known by name: where they are, who one is there, how careful to be
#[derive(Debug, Clone, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "Examples:\n  kvorum ctx add prod --endpoints https://10.0.0.1:2379 --cacert \
                  ca.pem --read-only --frame red\n  kvorum ctx import --kubeadm\n  kvorum ctx \
                  use prod\n  kvorum --context prod get /config/app"
)]
pub struct CtxArgs {
    #[command(subcommand)]
    pub command: Option<CtxCommand>,
}

#[derive(Debug, Clone, Subcommand)]
pub enum CtxCommand {
    /// List the contexts; * marks the default
    List,
    /// Show every field of a connection, and where it comes from
    Show {
        /// The context; without one, what a command would use at this moment
        name: Option<String>,
    },
    /// Make a context the default
    Use {
        /// The context; `-` for none
        name: String,
    },
    Add(Box<CtxAddArgs>),
    /// Forget a context; the cluster is not touched
    Remove {
        name: String,
    },
    Import(CtxImportArgs),
}

/// Add a context, or change the fields of one; --endpoints, --cacert, --cert, --key and --user are
/// taken from the global options
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "A password is never written into the file: --password-command names a command \
                  whose first line it is, and without one it is asked for.\n\nExamples:\n  kvorum \
                  ctx add dev --endpoints 127.0.0.1:2379\n  kvorum ctx add prod --endpoints \
                  https://a:2379,https://b:2379 --user ops --password-command 'pass etcd/prod' \
                  --read-only --frame red"
)]
pub struct CtxAddArgs {
    /// What the context is to be called
    pub name: String,

    /// A command whose first line of output is the password
    #[arg(long, value_name = "COMMAND")]
    pub password_command: Option<String>,

    /// The colour of prompt and frame: red, yellow, green, blue, magenta, cyan
    #[arg(long = "frame", visible_alias = "frame-color", value_name = "COLOR")]
    pub frame: Option<String>,

    /// Ask for the typed prefix before anything is deleted there
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = parse_bool)]
    pub protected: Option<bool>,

    /// What separates the segments of a key
    #[arg(long, value_name = "CHAR")]
    pub separator: Option<String>,

    /// Mask values below this prefix until --reveal; may be repeated
    #[arg(long, value_name = "PREFIX")]
    pub mask: Vec<String>,
}

/// Make a context of what this machine knows already
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  kvorum ctx import --kubeadm\n  ETCDCTL_ENDPOINTS=a:2379 kvorum ctx \
                  import --env --name a"
)]
pub struct CtxImportArgs {
    /// From the `ETCDCTL_*` variables
    #[arg(long)]
    pub env: bool,

    /// From kubeadm's certificates
    #[arg(long)]
    pub kubeadm: bool,

    /// Where kubeadm keeps them
    #[arg(long, value_name = "DIR", default_value = "/etc/kubernetes/pki/etcd")]
    pub pki: PathBuf,

    /// The name of the new context
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}
