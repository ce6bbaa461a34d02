//! Running the commands of a script against a cluster.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::keyspace::Keyspace;
use kvorum_tests::program::{Names, Program};
use kvorum_tests::terminal::Terminal;
use kvorum_tests::transcript::{COLUMNS, ROWS, Said};
use kvorum_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::mask::{Masks, without_disk};
use crate::script::{Case, Invocation};

/// Two busy cores are slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// Control sequences in keys and values of the scenes; none may reach a terminal.
const PLANTED: [&[u8]; 4] = [b"\x1b[31m", b"\x1b]0;", b"\x07", b"\x1b[2J"];

/// More lines than that are told by the first and the last of them, and their number.
const LONG_LINES: usize = 45;
const FIRST_LINES: usize = 8;
const LAST_LINES: usize = 3;

/// Where commands are run: a home with files in it, and a cluster.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) keyspace: Keyspace,
    kvorum: Program,
    home: TempDir,
    endpoint: String,
    member: String,
    masks: Masks,
    /// What a terminal was sent that it would obey.
    pub(crate) leaks: Mutex<Vec<String>>,
}

impl Stage {
    /// In front of the first member of a cluster that everybody may ask.
    pub(crate) fn of(cluster: Cluster) -> Stage {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let keyspace = Keyspace::of(&cluster);
        let (id, members) = keyspace.ids();
        let endpoint = cluster.members[0].endpoint();
        let masks = Masks::of(home.path(), &endpoint, id, &members);
        let stage = Stage {
            cluster,
            keyspace,
            kvorum: Names::of(binary!()).kvorum(),
            home,
            endpoint,
            member: format!("{:x}", members[0]),
            masks,
            leaks: Mutex::default(),
        };
        stage.script("change", "printf changed > \"$1\"\n");
        stage.script("keep", "true\n");
        stage
    }

    /// Something to be run, by its name.
    fn script(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.home.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}")).expect("a script can be written");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("a file can be made executable");
    }

    /// Runs a command and gives what stands below it in a transcript.
    pub(crate) fn play(&self, case: &Case) -> String {
        let invocation = case.invocation();
        let mut said = match case.sign {
            '%' => self.on_terminal(&invocation, &case.line),
            _ => self.in_a_pipe(&invocation, &case.line),
        };
        if words_of(&invocation).first().is_some_and(|verb| verb == "doctor") {
            without_disk(&mut said);
        }
        let answer = said.answer(|text| self.masks.masked(&visible(&shortened(text))));
        let forged = answer.lines().find(|line| line.starts_with("$ ") || line.starts_with("% "));
        assert_eq!(forged, None, "this would be read as a command");
        answer
    }

    fn on_terminal(&self, invocation: &Invocation, line: &str) -> Said {
        let mut terminal = Terminal::start(self.command(invocation), COLUMNS, ROWS);
        if !invocation.input.is_empty() {
            let input = String::from_utf8_lossy(&invocation.input);
            terminal.keys(&input.replace('\n', "\r"));
        }
        for (shown, keys) in &invocation.typed {
            let said = || has_said(&terminal, shown).then_some(());
            let screen = || terminal.screen();
            assert!(until(PATIENCE, said).is_some(), "{line}: {}", screen());
            if shown.contains("assword") {
                // What is typed while the terminal still shows it would be lost.
                let hidden = until(PATIENCE, || (!terminal.shows_keys()).then_some(()));
                assert!(hidden.is_some(), "{line}: a password is shown");
            }
            terminal.keys(keys);
        }
        if let Some(text) = &invocation.interrupted {
            if text == "watched" {
                self.keyspace.watched(1);
            } else {
                terminal.shows(text);
            }
            terminal.keys("\x03");
        }
        let status = terminal.ended();
        self.forget_the_watch_of(invocation);
        let screen = terminal.screen();
        assert!(terminal.is_restored(), "{line}: {screen}");
        let written = terminal.written();
        // Who asks for raw bytes gets them.
        let raw = invocation.words.iter().any(|word| word == "raw");
        for bytes in PLANTED.into_iter().filter(|_| !raw) {
            if written.windows(bytes.len()).any(|window| window == bytes) {
                let mut leaks = self.leaks.lock().unwrap_or_else(PoisonError::into_inner);
                leaks.push(format!("% {line}: {}", bytes.escape_ascii()));
            }
        }
        let code = code(status);
        Said { sign: '%', line: line.to_owned(), stdout: screen, stderr: String::new(), code }
    }

    /// The next one that waits for its watch must not take this one's for it.
    fn forget_the_watch_of(&self, invocation: &Invocation) {
        if invocation.interrupted.as_deref() == Some("watched") {
            self.keyspace.watched(0);
        }
    }

    fn in_a_pipe(&self, invocation: &Invocation, line: &str) -> Said {
        let mut command = self.command(invocation);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kvorum runs");
        let stdout = gathered(child.stdout.take().expect("it is a pipe"));
        let stderr = gathered(child.stderr.take().expect("it is a pipe"));
        let mut stdin = child.stdin.take().expect("it is a pipe");
        // Whoever does not read its input may have closed it.
        let _ = stdin.write_all(&invocation.input);
        drop(stdin);
        if let Some(text) = &invocation.interrupted {
            if text == "watched" {
                self.keyspace.watched(1);
            } else {
                let shown = until(PATIENCE, || {
                    let all = [stdout.text(), stderr.text()].concat();
                    all.contains(text).then_some(())
                });
                assert!(shown.is_some(), "{line}: it says {} {}", stdout.text(), stderr.text());
            }
            kill_process(Pid::from_child(&child), Signal::INT).expect("it can be signalled");
        }
        let code = ended(&mut child, line);
        self.forget_the_watch_of(invocation);
        let (stdout, stderr) = (stdout.all(), stderr.all());
        Said { sign: '$', line: line.to_owned(), stdout, stderr, code }
    }

    fn command(&self, invocation: &Invocation) -> Command {
        let mut command = self.kvorum.command();
        command.env("HOME", self.home.path()).current_dir(self.home.path());
        command.env("PAGER", "less").env("EDITOR", "./change");
        command.envs(invocation.variables.iter().cloned());
        command.args(["--endpoints", &self.endpoint]);
        let names = [("ENDPOINT", &self.endpoint), ("MEMBER", &self.member)];
        for word in &invocation.words {
            let named = names.iter().find(|(name, _)| word == name);
            command.arg(named.map_or(word.clone(), |(_, text)| OsString::from(text)));
        }
        command
    }
}

/// Byte by byte, so that an answer is not typed into the line of its question.
fn has_said(terminal: &Terminal, text: &str) -> bool {
    let written = String::from_utf8_lossy(&terminal.written()).replace('\r', "");
    written.contains(text)
}

/// What comes through a pipe, while it comes.
struct Gathered {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: std::thread::JoinHandle<()>,
}

fn gathered(mut pipe: impl Read + Send + 'static) -> Gathered {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&bytes);
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.extend_from_slice(&buffer[..count]);
        }
    });
    Gathered { bytes, reader }
}

impl Gathered {
    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn all(self) -> String {
        let Gathered { bytes, reader } = self;
        reader.join().expect("a reader ends");
        let bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn ended(child: &mut Child, line: &str) -> i32 {
    let status = until(PATIENCE, || child.try_wait().expect("a child can be asked"));
    let Some(status) = status else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{line}: it does not end");
    };
    code(status)
}

/// As a shell tells it.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| Some(128 + status.signal()?)).expect("it has ended")
}

/// The words that lead to a verb.
pub(crate) fn words_of(invocation: &Invocation) -> Vec<String> {
    let words = invocation.words.iter();
    words.map(|word| String::from_utf8_lossy(word.as_bytes()).into_owned()).collect()
}

fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= LONG_LINES {
        return text.to_owned();
    }
    let left_out = lines.len() - FIRST_LINES - LAST_LINES;
    let first = lines[..FIRST_LINES].join("\n");
    let last = lines[lines.len() - LAST_LINES..].join("\n");
    format!("{first}\n… {left_out} lines …\n{last}\n")
}

/// Bytes that a terminal would obey are written as pictures of themselves, and those that turn text
/// around by their numbers.
fn visible(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\0'..='\x1f' => out.extend(char::from_u32(0x2400 + u32::from(c))),
            '\x7f' => out.push('␡'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(out, "<U+{:04X}>", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}
