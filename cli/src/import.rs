//! `kvorum server import`: from a data directory of etcd's to one of ours.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use kvorum_server::etcd::restore::{self, Made, Replayed, RestoreError, Target};
use kvorum_server::etcd::wal::WalError;

use crate::exit;
use crate::run::Streams;

/// Take over what an etcd has, with what is in its log
///
/// The etcd must not run, and nothing of it is changed. Keys, history, leases, users, roles and the
/// alarm CORRUPT are taken over; the cluster is a new one, of the members given here. Make all of
/// them from the same ETCD-DIR: that of the member that was leader last.
#[derive(Debug, Parser)]
#[command(name = "kvorum server import")]
struct ImportArgs {
    /// The data directory of etcd, which holds `member`
    #[arg(value_name = "ETCD-DIR")]
    from: PathBuf,

    /// Where the log of that etcd is, if it was told so [default: ETCD-DIR/member/wal]
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,

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
    match restore::import(&args.from, args.wal_dir.as_deref(), &target) {
        Ok(made) => {
            let dir = target.data_dir.display();
            let out =
                format!("{} keys at revision {} taken over into {dir}\n", made.keys, made.revision);
            let start = format!("kvorum server --name {} --data-dir {dir}", target.name);
            streams.exit(&out, &format!("{}start it with: {start}\n", remarks(&made)), 0)
        }
        Err(error) => streams.exit("", &complaint(&error), exit::ERROR),
    }
}

/// What whoever runs it should know; each a line.
fn remarks(made: &Made) -> String {
    let Replayed { uncommitted, refused, skipped_v2 } = made.replayed;
    let counts = [
        (
            uncommitted,
            "entries at the end of the log were not yet noted as committed; they were taken, for \
             the last acknowledged writes are among them",
        ),
        (refused, "requests in the log changed nothing: that etcd refused them, or had done them"),
        (skipped_v2, "writes of the API of etcd 2 were left out: its store is not taken over"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, what)| format!("{count} {what}\n"));
    let newer = made.newer_version.iter().map(|version| newer(version) + "\n");
    newer.chain(counts).collect()
}

/// That a state is of a version whose records may not all be known.
pub(crate) fn newer(version: &str) -> String {
    format!(
        "warning: the state is of etcd {version}, which is newer than this version knows: what only \
         that one has was left out"
    )
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
        RestoreError::Wal(WalError::NoLog(_)) => {
            "hint: if that etcd was started with --wal-dir, give that here too\n"
        }
        RestoreError::Schema(_) | RestoreError::Wal(_) | RestoreError::UnknownEntry { .. } => {
            "hint: start that etcd, take a snapshot of it, and restore that: kvorum snapshot restore\n"
        }
        _ => "",
    };
    format!("error: {error}\n{hint}")
}
