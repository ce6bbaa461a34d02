//! What commands say, written down and compared with what is kept in a file; `KVORUM_UPDATE=1`
//! writes the file anew.
//!
//! `$` is a command in a pipe, with `! ` before each line on standard error; `%` is one on a
//! terminal, with the screen that it leaves. `[1]` is an exit code.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::program::Program;
use crate::terminal::Terminal;

/// The terminal is large enough for all that is said on it.
pub const COLUMNS: u16 = 100;
pub const ROWS: u16 = 60;

/// What a command said, and how it ended.
pub struct Said {
    /// `$` or `%`.
    pub sign: char,
    /// The command as it is written down.
    pub line: String,
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Said {
    /// As it stands in a transcript, with an empty line at its end.
    pub fn written(&self, masked: impl Fn(&str) -> String) -> String {
        format!("{} {}\n{}\n", self.sign, self.line, self.answer(masked))
    }

    /// What stands below the command.
    pub fn answer(&self, masked: impl Fn(&str) -> String) -> String {
        let mut written = String::new();
        for line in masked(&self.stdout).lines() {
            let _ = writeln!(written, "{line}");
        }
        for line in masked(&self.stderr).lines() {
            let _ = writeln!(written, "! {line}");
        }
        if self.code != 0 {
            let _ = writeln!(written, "[{}]", self.code);
        }
        written
    }
}

/// Compares with the file, or writes it anew.
pub fn compare(path: &Path, said: &str) {
    if std::env::var_os("KVORUM_UPDATE").is_some() {
        std::fs::write(path, said).expect("a transcript can be written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let differs = said.lines().zip(kept.lines()).find(|(said, kept)| said != kept);
    assert!(said == kept, "{} differs ({differs:?}); it says:\n{said}", path.display());
}

/// Commands that are run one after the other, and what they say. The endpoint is written
/// `ENDPOINT`, and the seconds that a lease has left are not.
pub struct Transcript {
    path: PathBuf,
    kvorum: Program,
    home: TempDir,
    endpoint: String,
    /// What differs from run to run, and what is written in its place.
    hidden: Vec<(String, &'static str)>,
    text: String,
}

/// A command that goes on.
pub struct Begun {
    words: String,
    child: Child,
}

impl Transcript {
    pub fn of(path: PathBuf, kvorum: Program, cluster: &Cluster) -> Transcript {
        Self::at(path, kvorum, &cluster.endpoints())
    }

    pub fn at(path: PathBuf, kvorum: Program, endpoint: &str) -> Transcript {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        Transcript {
            path,
            kvorum,
            hidden: vec![(home.path().display().to_string(), "HOME")],
            home,
            endpoint: endpoint.to_owned(),
            text: String::new(),
        }
    }

    /// Writes a name in the place of what differs from run to run.
    pub fn hiding(mut self, what: &str, name: &'static str) -> Transcript {
        self.hidden.push((what.to_owned(), name));
        self
    }

    /// The folder of whoever types, written `HOME`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs a command in a pipe.
    pub fn pipe(&mut self, words: &[&str]) {
        let begun = self.begin(words);
        self.ended(begun);
    }

    /// Runs one on a terminal that is large enough for all it says.
    pub fn terminal(&mut self, words: &[&str]) {
        let mut terminal = Terminal::start(self.command(words), COLUMNS, ROWS);
        let status = terminal.ended();
        let screen = terminal.screen();
        assert!(terminal.is_restored(), "{words:?}: {screen}");
        let code = status.code().expect("it is not killed");
        self.tell('%', &words.join(" "), (screen, String::new()), code);
    }

    /// Runs one on a terminal, and types an answer when it shows what it asks.
    pub fn asked(&mut self, words: &[&str], question: &str, answer: &str) {
        let mut terminal = Terminal::start(self.command(words), COLUMNS, ROWS);
        terminal.shows(question);
        terminal.keys(answer);
        let code = terminal.ended().code().expect("it is not killed");
        self.tell('%', &words.join(" "), (terminal.screen(), String::new()), code);
    }

    /// Runs one in a pipe, with this on its standard input.
    pub fn typed(&mut self, words: &[&str], input: &str) {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kvorum runs");
        let mut stdin = child.stdin.take().expect("it was asked for");
        stdin.write_all(input.as_bytes()).expect("it is read");
        drop(stdin);
        self.ended(Begun { words: words.join(" "), child });
    }

    /// Runs one that is not written down.
    pub fn silently(&mut self, words: &[&str]) {
        let output = self.command(words).output().expect("kvorum runs");
        assert!(output.status.success(), "{words:?}: {output:?}");
    }

    /// Runs one whose output is too long to be kept, and counts its lines.
    pub fn lines(&mut self, words: &[&str], lines: usize) {
        let output = self.command(words).output().expect("kvorum runs");
        assert!(output.status.success(), "{words:?}: {output:?}");
        assert_eq!(output.stdout.split(|byte| *byte == b'\n').count() - 1, lines);
    }

    /// Runs one whose words differ from run to run, and looks at its exit code.
    pub fn fails(&mut self, words: &[&str], code: i32) {
        let output = self.command(words).output().expect("kvorum runs");
        assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.starts_with("error: ") && said.contains("\nhint: "), "{words:?}: {said}");
    }

    pub fn begin(&mut self, words: &[&str]) -> Begun {
        let mut command = self.command(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Begun { words: words.join(" "), child: command.spawn().expect("kvorum runs") }
    }

    pub fn ended(&mut self, begun: Begun) {
        self.ended_with(begun, "");
    }

    /// Of a line on standard error that begins with `cut`, only that is kept.
    pub fn ended_with(&mut self, begun: Begun, cut: &str) {
        let output = begun.child.wait_with_output().expect("kvorum ends");
        let code = output.status.code().expect("it is not killed");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let cut = |line: &str| match line.strip_prefix(cut) {
            Some(_) if !cut.is_empty() => format!("{cut}…\n"),
            _ => format!("{line}\n"),
        };
        let stderr: String = stderr.lines().map(cut).collect();
        self.tell('$', &begun.words, (stdout, stderr), code);
    }

    /// Compares with the transcript that is kept.
    pub fn check(self) {
        compare(&self.path, &self.text);
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.kvorum.command();
        command.env("HOME", self.home.path()).args(["--endpoints", &self.endpoint]).args(words);
        command
    }

    fn tell(&mut self, sign: char, words: &str, (stdout, stderr): (String, String), code: i32) {
        let hidden = |text: &str| {
            let named = text.replace(&self.endpoint, "ENDPOINT");
            self.hidden.iter().fold(named, |text, (what, name)| text.replace(what, name))
        };
        let line = hidden(&format!("kvorum {words}"));
        let said = Said { sign, line, stdout, stderr, code };
        let masked = |text: &str| without_seconds(&hidden(text));
        self.text.push_str(&said.written(masked));
    }
}

fn without_seconds(text: &str) -> String {
    let mut parts = text.split("\"remaining_ttl_s\":");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("\"remaining_ttl_s\":…");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}
