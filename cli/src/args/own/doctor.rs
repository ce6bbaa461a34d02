//! `doctor`

use clap::Args;

/// Look for what is wrong with the cluster, and say what to do about each finding
///
/// Reads only: each advertised client URL is asked for its status, and each member once for its
/// metrics (about 200 KiB). Comparing hashes makes every member read all of its data, so above
/// 4 GiB that is left out unless --hash is given.
///
/// The exit code is 0 if nothing is wrong, and 1 otherwise; what could not be looked at is no
/// fault.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  kvorum doctor\n  kvorum doctor --report > report.txt\n  kvorum \
                  doctor -o json"
)]
pub struct DoctorArgs {
    /// Text to paste into an issue: no keys, values, user names or secrets
    #[arg(long)]
    pub report: bool,

    /// Compare hashes whatever the size of the data
    #[arg(long)]
    pub hash: bool,
}
