//! `kvorum server import`: from a data directory of etcd's to one of ours.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use kvorum_server::etcd::restore::{self, RestoreError, Target};

use crate::exit;
use crate::run::Streams;

/// Take over what an etcd has, with what is committed in its log
///
/// The etcd must not run, and nothing of it is changed. Keys, history, leases, users, roles and
/// alarms are taken over; the cluster is a new one, of the members given here.
#[derive(Debug, Parser)]
#[command(name = "kvorum server import")]
struct ImportArgs {
    /// The data directory of etcd, which holds `member`
    #[arg(value_name = "ETCD-DIR")]
    from: PathBuf,

    /// The directory to make
    #[arg(long, value_name = "NEW")]
    data_dir: PathBuf,

    /// Name of the member
    #[arg(long, value_name = "NAME", default_value = "default")]
    name: String,

    /// All members of the new cluster [default: this one alone]
    #[arg(long, value_name = "NAME=URL,…")]
    initial_cluster: Option<String>,

    /// What tells the new cluster from others with the same addresses
    #[arg(long, value_name = "TOKEN", default_value = "etcd-cluster")]
    initial_cluster_token: String,

    /// Where the other members reach this one
    #[arg(long, value_name = "URL,…", default_value = "http://localhost:2380")]
    initial_advertise_peer_urls: String,
}

/// Runs one command line; the first word is `import`.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let mut streams = Streams::standard();
    let args = match ImportArgs::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let text = error.render().to_string();
            return match error.kind() {
                ErrorKind::DisplayHelp => streams.exit(&text, "", 0),
                _ => streams.exit("", &text, exit::ERROR),
            };
        }
    };
    let target = target(&args);
    match restore::import(&args.from, &target) {
        Ok(made) => {
            let dir = target.data_dir.display();
            let mut said =
                format!("start it with: kvorum server --name {} --data-dir {dir}\n", target.name);
            if made.skipped_v2 > 0 {
                said = format!(
                    "{} writes of the API of etcd 2 were left out: its store is not taken over\n{said}",
                    made.skipped_v2
                );
            }
            let out =
                format!("{} keys at revision {} taken over into {dir}\n", made.keys, made.revision);
            streams.exit(&out, &said, 0)
        }
        Err(error) => streams.exit("", &complaint(&error), exit::ERROR),
    }
}

fn target(args: &ImportArgs) -> Target {
    let urls = args.initial_advertise_peer_urls.split(',');
    let alone: Vec<String> = urls.map(|url| format!("{}={url}", args.name)).collect();
    Target {
        data_dir: args.data_dir.clone(),
        name: args.name.clone(),
        initial_cluster: args.initial_cluster.clone().unwrap_or_else(|| alone.join(",")),
        initial_cluster_token: args.initial_cluster_token.clone(),
        peer_urls: args.initial_advertise_peer_urls.clone(),
    }
}

fn complaint(error: &RestoreError) -> String {
    let hint = match error {
        RestoreError::Schema(_) | RestoreError::Wal(_) | RestoreError::UnknownEntry { .. } => {
            "hint: start that etcd, take a snapshot of it, and restore that: kvorum snapshot restore\n"
        }
        _ => "",
    };
    format!("error: {error}\n{hint}")
}
