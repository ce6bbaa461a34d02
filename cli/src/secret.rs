//! Passwords, from a command or from the person at the terminal. None is ever stored.

use std::io;
use std::process::{Command, Stdio};

use crate::mode::Mode;
use crate::settings::PasswordWanted;
use crate::terminal;

/// Finds the password of a user.
pub fn password(wanted: &PasswordWanted, mode: Mode) -> io::Result<String> {
    let Some(command) = &wanted.command else {
        let question = match mode {
            Mode::Etcdctl => "Password: ".to_owned(),
            Mode::Kvorum => format!("Password for {}: ", wanted.user),
        };
        return terminal::ask_password(&question, mode);
    };
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "the password command {command:?} failed: {}",
            output.status
        )));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(io::Error::other(format!("the password command {command:?} printed nothing"))),
    }
}
