//! What needs no cluster: looking at snapshots, restoring them, and data directories of members that
//! do not run.

use kvorum_server::etcd::restore::{self, Choices, Target};
use kvorum_server::etcd::{hashkv, snapshot};
use kvorum_server::storage::offline;

use super::printout::Printout;
use super::version::{API_VERSION, ETCD_VERSION};
use super::{CommandError, completion};
use crate::args::{
    DefragDirArgs, FileCommand, FileSnapshotCommand, HashkvArgs, MigrateArgs, SnapshotRestoreArgs,
    SnapshotStatusArgs,
};
use crate::exit;
use crate::import::newer;
use crate::mode::Mode;
use crate::output::{Answer, FileHash, SnapshotStatus, go};

/// Carries one of etcdutl's commands out.
pub(crate) fn execute(command: &FileCommand, to: &mut Printout<'_>) -> Result<(), CommandError> {
    match command {
        FileCommand::Snapshot(args) => match &args.command {
            FileSnapshotCommand::Status(args) => status(args, to),
            FileSnapshotCommand::Restore(args) => restore(args, to),
        },
        FileCommand::Hashkv(args) => hashkv(args, to),
        FileCommand::Defrag(args) => defrag(args, to),
        FileCommand::Migrate(args) => Err(migrate(args)),
        FileCommand::Version { .. } => {
            to.say(&format!("etcdutl version: {ETCD_VERSION}\nAPI version: {API_VERSION}"))
        }
        FileCommand::Completion(args) => completion::for_files(args, to),
    }
}

pub(super) fn status(args: &SnapshotStatusArgs, to: &mut Printout<'_>) -> Result<(), CommandError> {
    let status = snapshot::status(args.file()?).map_err(|error| failed(&error))?;
    to.print(Answer::Snapshot(&SnapshotStatus {
        hash: status.hash,
        revision: status.revision,
        total_keys: status.total_keys,
        total_size_bytes: status.total_size_bytes,
        version: status.version,
    }))
}

pub(super) fn restore(
    args: &SnapshotRestoreArgs,
    to: &mut Printout<'_>,
) -> Result<(), CommandError> {
    let target = Target {
        data_dir: args.dir(),
        name: args.name.clone(),
        initial_cluster: args.initial_cluster.clone(),
        initial_cluster_token: args.initial_cluster_token.clone(),
        peer_urls: args.initial_advertise_peer_urls.clone(),
    };
    let choices = Choices { skip_hash_check: args.skip_hash_check, bump_revision: args.bump() };
    let made = restore::restore(args.file()?, &target, choices).map_err(|error| failed(&error))?;
    if let Some(version) = &made.newer_version {
        to.remark(&newer(version));
    }
    if to.mode == Mode::Kvorum {
        let (dir, name) = (target.data_dir.display(), &target.name);
        let (keys, revision) = (made.keys, made.revision);
        let done = format!("{keys} keys at revision {revision} restored into {dir}");
        let next = format!("start it with: kvorum server --name {name} --data-dir {dir}");
        to.say(&to.style.shown(&done))?;
        to.remark(&to.style.shown(&next));
    }
    Ok(())
}

pub(crate) fn hashkv(args: &HashkvArgs, to: &mut Printout<'_>) -> Result<(), CommandError> {
    let hashed = hashkv::of_file(args.file()?, args.rev).map_err(|error| failed(&error))?;
    to.print(Answer::FileHash(&FileHash {
        hash: hashed.hash,
        revision: hashed.revision,
        compact_revision: hashed.compact_revision,
    }))
}

pub(crate) fn defrag(args: &DefragDirArgs, to: &mut Printout<'_>) -> Result<(), CommandError> {
    let dir = args.data_dir()?;
    let done = offline::defragment(dir).map_err(|error| {
        let dir = dir.display();
        failed(&format!("Failed to defragment etcd data[{dir}] ({error})"))
    })?;
    if to.mode == Mode::Kvorum {
        let (before, after) = (go::size(done.bytes_before), go::size(done.bytes_after));
        to.say(&format!("{}: {before} before, {after} after", dir.display()))?;
    }
    Ok(())
}

/// There is nothing that it could do.
fn migrate(args: &MigrateArgs) -> CommandError {
    match args.data_dir() {
        Ok(dir) => failed(&format!(
            "{} is left as it is: kvorum's own format has no versions of etcd's to migrate between, \
             and a data directory of etcd's is for etcd's own etcdutl to change",
            dir.display()
        )),
        Err(error) => error.into(),
    }
}

fn failed(error: &impl ToString) -> CommandError {
    CommandError::Other { code: exit::ERROR, message: error.to_string() }
}
