//! The program: arguments → command → output, under the name it was called by.
//!
//! - [`args`] parses and touches nothing; the shell parses its lines with the same types.
//! - [`command`] carries out one command over a connection and prints through [`output`].
//! - [`etcdctl`] and [`kvorum`] are the two manners of the command line ([`mode`]); [`etcdutl`] is
//!   the first of them for files.
//! - [`explain`] knows what errors mean.
//! - [`import`] takes over a data directory of etcd's.
//! - [`repl`] is the shell, [`dashboard`] opens the dashboard, [`playground`] starts members to try
//!   them on.

pub mod args;
mod cobra;
pub mod command;
mod completion;
pub mod dashboard;
pub mod etcdctl;
pub mod etcdutl;
mod examples;
pub mod exit;
pub mod explain;
pub mod import;
pub mod kvorum;
pub mod manner;
pub mod mode;
pub mod output;
mod pager;
mod plain;
pub mod playground;
pub mod repl;
pub mod run;
pub mod secret;
pub mod settings;
pub mod signals;
pub mod tab;
pub mod terminal;
mod usage;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use kvorum_server::server_main;

/// Runs the program with the process's own arguments.
pub fn run() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let path = args.first().cloned().unwrap_or_default();
    let name = Path::new(&path).file_name().unwrap_or_default().to_owned();
    match name.as_os_str() {
        name if etcdctl::is_name(name) => etcdctl::main(args),
        name if etcdutl::is_name(name) => etcdutl::main(args),
        name if name == OsStr::new("etcd") => server_main(args.split_off(1), "etcd"),
        _ if args.get(1).is_some_and(|word| word == "server") => {
            let args = args.split_off(2);
            match args.first().and_then(|word| word.to_str()) {
                Some("import") => import::main(args),
                Some("defrag") => etcdutl::defrag(args),
                _ => server_main(args, "kvorum server"),
            }
        }
        _ => kvorum::main(args),
    }
}
