//! `backup FOLDER`

use std::path::PathBuf;

use clap::Args;

/// Save a snapshot into a folder, look through it, and keep the newest ones
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "One member is read, which is not the leader if there is a choice. The file is named \
                  by the cluster's id, the time (UTC) and the revision, \
                  kvorum-cdf818194e3a8c32-20261201T140310Z-r1234.db, once all of it is there and was \
                  read again; kvorum snapshot restore makes a member of it.\nWith --keep, what is older \
                  than the newest so many goes then, of such names, of this cluster and no others; one \
                  that is damaged is named, and not counted.\n\nExamples:\n  kvorum backup \
                  /var/backups/etcd\n  kvorum backup /var/backups/etcd --keep 7"
)]
pub struct BackupArgs {
    /// The folder; it is made if it is not there
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,

    /// Keep the newest so many, this one among them; without, all
    #[arg(long, value_name = "FILES", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
}
