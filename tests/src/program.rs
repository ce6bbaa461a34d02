//! Which server and which etcdctl a test runs: ours under each of its names, or Debian's etcd.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

/// The path of the binary under test; cargo tells it to integration tests only.
#[macro_export]
macro_rules! binary {
    () => {
        ::std::path::Path::new(env!("CARGO_BIN_EXE_kvorum-under-test"))
    };
}

/// A program to run, with the arguments that always come first.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    first: Vec<&'static str>,
    /// Keeps the folder of its name for as long as it may be started.
    _folder: Option<Arc<TempDir>>,
}

impl Program {
    /// A command that runs this program in an environment free of etcd's variables and of the
    /// user's own settings.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.first);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["ETCD_", "ETCDCTL_", "KVORUM_", "XDG_"].iter().any(|own| text.starts_with(own)) {
                command.env_remove(name);
            }
        }
        // Debian's etcdctl would be that of etcd 2 without the first.
        command.env("ETCDCTL_API", "3").env("HOME", "/nonexistent").env("NO_COLOR", "1");
        command
    }
}

/// A folder in which the binary under test has all its names: it acts by the one it is called by.
pub struct Names {
    folder: Arc<TempDir>,
}

impl Names {
    pub fn of(binary: &Path) -> Names {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for name in ["kvorum", "etcd", "etcdctl", "etcdutl"] {
            std::os::unix::fs::symlink(binary, folder.path().join(name))
                .expect("a link can be made");
        }
        Names { folder: Arc::new(folder) }
    }

    /// The server, by etcd's name.
    ///
    /// `KVORUM_SERVER` names another server to take in its place: with etcd's own, a test that
    /// fails is a wrong test.
    pub fn server(&self) -> Program {
        match std::env::var_os("KVORUM_SERVER") {
            Some(path) => etcd_at(path.into()),
            None => self.called("etcd"),
        }
    }

    pub fn kvorum(&self) -> Program {
        self.called("kvorum")
    }

    pub fn etcdctl(&self) -> Program {
        self.called("etcdctl")
    }

    pub fn etcdutl(&self) -> Program {
        self.called("etcdutl")
    }

    fn called(&self, name: impl AsRef<OsStr>) -> Program {
        let path = self.folder.path().join(name.as_ref());
        Program { path, first: vec![], _folder: Some(Arc::clone(&self.folder)) }
    }
}

/// Debian's etcd, if this machine has it.
pub fn real_etcd() -> Option<Program> {
    real("etcd").map(etcd_at)
}

/// The gRPC proxy that Debian's etcd has in it, if this machine has it.
pub fn real_proxy() -> Option<Program> {
    real("etcd").map(|path| Program { path, first: vec!["grpc-proxy", "start"], _folder: None })
}

/// Debian's etcdctl, if this machine has it.
pub fn real_etcdctl() -> Option<Program> {
    real("etcdctl").map(|path| Program { path, first: vec![], _folder: None })
}

/// Why a test that wanted real etcd did not run.
pub const NO_ETCD: &str = "KVORUM_ETCD_DIR does not name a folder with etcd and etcdctl";

/// etcd 3.4 logs in the form of its successors when it is told to.
fn etcd_at(path: PathBuf) -> Program {
    Program { path, first: vec!["--logger=zap"], _folder: None }
}

fn real(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("KVORUM_ETCD_DIR")?);
    let path = if folder.is_absolute() { folder } else { crate::workspace::root().join(folder) };
    let path = path.join(name);
    path.is_file().then_some(path)
}
