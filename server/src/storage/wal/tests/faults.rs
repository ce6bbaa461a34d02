//! After a failed write or sync the log takes nothing more.

use super::*;

#[test]
fn a_failed_sync_is_never_retried() {
    // Every operation of a cut, append and sync, failing once and then working again.
    let mut failed_syncs = Vec::new();
    for after in 0.. {
        let disk = disk_with_log(small());
        let mut model = Model::default();
        let (mut log, _) = open(&disk).unwrap();
        fill(&mut log, &mut model, 2, 100);
        disk.fail_after(after);
        let next = group(3, 3, 1, 40_000);
        let Err(first) = log.append(&next).and_then(|()| log.sync()) else { break };
        let LogError::Io { action, path, .. } = &first else { panic!("{first}") };
        if *action == "sync" {
            failed_syncs.push(path.clone());
        }
        disk.heal();
        let operations = disk.operations();
        let again = log.sync().unwrap_err().to_string();
        assert!(again.contains("injected fault"), "{again}");
        assert!(matches!(log.append(&group(3, 3, 1, 10)), Err(LogError::Poisoned(_))));
        assert!(matches!(log.sync(), Err(LogError::Poisoned(_))));
        assert!(matches!(log.read(1, 2, 1), Err(LogError::Poisoned(_))));
        assert_eq!(disk.operations(), operations, "{first}");
    }
    let unnamed = segment(2).with_extension("log.new");
    assert_eq!(failed_syncs, [unnamed, PathBuf::from(DIR), segment(1), segment(2)]);
}

#[test]
fn an_error_names_the_file() {
    let disk = disk_with_log(small());
    let (mut log, _) = open(&disk).unwrap();
    log.append(&group(1, 1, 1, 100)).unwrap();
    disk.fail_after(0);
    let message = log.sync().unwrap_err().to_string();
    assert_eq!(message, "cannot write /log/00000001.log: injected fault");
}
