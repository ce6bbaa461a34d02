//! What is run in a scene and what it says, compared with what stands in `transcripts/`.
//!
//! `$` is a command in a pipe, with `! ` before each line on standard error; `%` is one on a
//! terminal, with the screen that it leaves. The endpoint is written `ENDPOINT`, and the seconds that
//! a lease has left are not.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::{Names, Program};
use kvorum_tests::terminal::Terminal;
use kvorum_tests::workspace;
use tempfile::TempDir;

pub(crate) struct Transcript {
    name: &'static str,
    kvorum: Program,
    home: TempDir,
    endpoint: String,
    text: String,
}

/// A command that goes on.
pub(crate) struct Begun {
    words: String,
    child: Child,
}

impl Transcript {
    pub(crate) fn of(name: &'static str, cluster: &Cluster) -> Transcript {
        Self::at(name, &cluster.endpoints())
    }

    pub(crate) fn at(name: &'static str, endpoint: &str) -> Transcript {
        Transcript {
            name,
            kvorum: Names::of(binary!()).kvorum(),
            home: tempfile::tempdir().expect("a temporary folder can be made"),
            endpoint: endpoint.to_owned(),
            text: String::new(),
        }
    }

    /// Runs a command in a pipe.
    pub(crate) fn pipe(&mut self, words: &[&str]) {
        let begun = self.begin(words);
        self.ended(begun);
    }

    /// Runs one on a terminal that is large enough for all it says.
    pub(crate) fn terminal(&mut self, words: &[&str]) {
        let mut terminal = Terminal::start(self.command(words), 100, 60);
        let status = terminal.ended();
        let screen = terminal.screen();
        assert!(terminal.is_restored(), "{words:?}: {screen}");
        let code = status.code().expect("it is not killed");
        self.tell('%', &words.join(" "), &screen, "", code);
    }

    /// Runs one whose output is too long to be kept, and counts its lines.
    pub(crate) fn lines(&mut self, words: &[&str], lines: usize) {
        let output = self.command(words).output().expect("kvorum runs");
        assert!(output.status.success(), "{words:?}: {output:?}");
        assert_eq!(output.stdout.split(|byte| *byte == b'\n').count() - 1, lines);
    }

    /// Runs one whose words differ from run to run, and looks at its exit code.
    pub(crate) fn fails(&mut self, words: &[&str], code: i32) {
        let output = self.command(words).output().expect("kvorum runs");
        assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.starts_with("error: ") && said.contains("\nhint: "), "{words:?}: {said}");
    }

    pub(crate) fn begin(&mut self, words: &[&str]) -> Begun {
        let mut command = self.command(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Begun { words: words.join(" "), child: command.spawn().expect("kvorum runs") }
    }

    pub(crate) fn ended(&mut self, begun: Begun) {
        self.ended_with(begun, "");
    }

    /// Of a line on standard error that begins with `cut`, only that is kept.
    pub(crate) fn ended_with(&mut self, begun: Begun, cut: &str) {
        let output = begun.child.wait_with_output().expect("kvorum ends");
        let code = output.status.code().expect("it is not killed");
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let cut = |line: &str| match line.strip_prefix(cut) {
            Some(_) if !cut.is_empty() => format!("{cut}…\n"),
            _ => format!("{line}\n"),
        };
        let stderr: String = stderr.lines().map(cut).collect();
        self.tell('$', &begun.words, &stdout, &stderr, code);
    }

    /// Compares with the transcript that is kept.
    pub(crate) fn check(self) {
        let path = workspace::root()
            .join("tests/tests/explore/transcripts")
            .join(format!("{}.txt", self.name));
        if std::env::var_os("KVORUM_UPDATE").is_some() {
            std::fs::write(&path, &self.text).expect("a transcript can be written");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = self.text.lines().zip(kept.lines()).find(|(said, kept)| said != kept);
        assert!(
            self.text == kept,
            "{} differs ({differs:?}); it says:\n{}",
            path.display(),
            self.text
        );
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.kvorum.command();
        command.env("HOME", self.home.path()).args(["--endpoints", &self.endpoint]).args(words);
        command
    }

    fn tell(&mut self, sign: char, words: &str, stdout: &str, stderr: &str, code: i32) {
        let masked = |text: &str| without_seconds(&text.replace(&self.endpoint, "ENDPOINT"));
        let mut told = format!("{sign} kvorum {words}\n");
        for line in masked(stdout).lines() {
            let _ = writeln!(told, "{line}");
        }
        for line in masked(stderr).lines() {
            let _ = writeln!(told, "! {line}");
        }
        if code != 0 {
            let _ = writeln!(told, "[{code}]");
        }
        told.push('\n');
        self.text.push_str(&told);
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
