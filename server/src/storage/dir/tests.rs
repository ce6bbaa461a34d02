//! One owner, nothing changed where nothing should be, and a member whole or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::storage::disk::FileDisk;
use crate::storage::memory::MemoryDisk;

fn real() -> (tempfile::TempDir, Arc<dyn Disk>) {
    (tempfile::tempdir().unwrap(), Arc::new(FileDisk))
}

#[test]
fn a_second_owner_is_told_who_is_there() {
    let (temp, disk) = real();
    let path = temp.path().join("data");
    let first = DataDir::open(disk.clone(), &path).unwrap();
    let error = DataDir::open(disk.clone(), &path).unwrap_err().to_string();
    let pid = std::process::id();
    assert_eq!(
        error,
        format!(
            "data directory {} is in use by another process (pid {pid}); stop it, or choose \
             another --data-dir",
            path.display()
        )
    );
    drop(first);
    DataDir::open(disk, &path).unwrap();
}

#[test]
fn what_is_made_is_for_the_owner_alone() {
    let (temp, disk) = real();
    let path = temp.path().join("some/data");
    let dir = DataDir::open(disk, &path).unwrap();
    dir.create_member(|log, store| {
        dir.disk().create(&log.join("file")).unwrap();
        dir.disk().create(store).unwrap();
        Ok::<_, StorageError>(())
    })
    .unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join(LOCK)), 0o600);
    assert_eq!(mode(&path.join(MEMBER)), 0o700);
    assert_eq!(mode(&dir.log()), 0o700);
    assert_eq!(mode(&dir.log().join("file")), 0o600);
    assert_eq!(mode(&dir.store()), 0o600);
    assert!(!dir.is_open_to_others().unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(dir.is_open_to_others().unwrap());
}

#[test]
fn a_directory_of_etcd_is_left_alone() {
    for inside in ETCD {
        let (temp, disk) = real();
        fs::create_dir_all(temp.path().join(inside)).unwrap();
        let error = DataDir::open(disk, temp.path()).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{path} is a data directory of etcd itself; choose another --data-dir, or bring it \
                 over: kvorum server import {path} --data-dir NEW",
                path = temp.path().display()
            )
        );
        let names: Vec<_> = fs::read_dir(temp.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing was added");
    }
}

#[test]
fn a_path_that_cannot_be_a_directory_is_told() {
    let (temp, disk) = real();
    let file = temp.path().join("file");
    fs::write(&file, "mine").unwrap();
    let error = DataDir::open(disk.clone(), &file).unwrap_err().to_string();
    assert!(error.contains("is not a directory; choose another --data-dir"), "{error}");
    let error = DataDir::open(disk, &file.join("data")).unwrap_err().to_string();
    assert!(error.contains("choose another --data-dir"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_directory_that_cannot_be_written_is_told() {
    let disk = MemoryDisk::new();
    disk.fail_after(0);
    let error = DataDir::open(Arc::new(disk.clone()), Path::new("/data")).unwrap_err().to_string();
    assert!(error.starts_with("cannot use data directory /data: "), "{error}");
    assert!(error.contains("make it writable for this user"), "{error}");
    assert!(disk.kind(Path::new("/data")).unwrap().is_none());
}

#[test]
fn what_a_crash_left_half_made_is_replaced() {
    let (temp, disk) = real();
    let dir = DataDir::open(disk, temp.path()).unwrap();
    fs::create_dir_all(temp.path().join(MEMBER_NEW).join(LOG)).unwrap();
    fs::write(temp.path().join(MEMBER_NEW).join(STORE), "half").unwrap();
    assert!(!dir.has_member().unwrap());
    dir.create_member(|_, store| {
        dir.disk().create(store).unwrap();
        Ok::<_, StorageError>(())
    })
    .unwrap();
    assert!(dir.has_member().unwrap());
    assert_eq!(fs::read(dir.store()).unwrap(), b"");
}
