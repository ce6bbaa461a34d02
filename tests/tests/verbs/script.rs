//! A transcript as a script: its commands are what is run, and what stands below each is what it
//! said the last time.
//!
//! ```text
//! $ kvorum put /a < v\n                in a pipe, with this on standard input
//! % kvorum txn < \n\n\n                on a terminal, with this typed at once
//! % kvorum del --prefix / ? [y/N] n\r  typed when the screen shows `[y/N]`
//! $ kvorum watch /a ^C watched         interrupted when the server has a watch, or when it shows
//!                                      some other word
//! ```
//!
//! Words may stand in '…' and have `\n`, `\r` and `\xNN` in them. `NAME=value` before `kvorum` is a
//! variable. Below a command, `ours| ` and `etcd| ` stand before what only one of the servers makes
//! it say.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt as _;

/// The two servers, in the order in which a transcript tells of them.
pub(crate) const SERVERS: [&str; 2] = ["ours", "etcd"];

pub(crate) struct Case {
    /// `$` or `%`.
    pub(crate) sign: char,
    pub(crate) line: String,
    /// What is kept of what it said.
    kept: Vec<String>,
}

/// A line taken apart.
#[derive(Debug, Default)]
pub(crate) struct Invocation {
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) words: Vec<OsString>,
    pub(crate) input: Vec<u8>,
    /// What is waited for, and what is typed then.
    pub(crate) typed: Vec<(String, String)>,
    /// It is interrupted when it has shown this.
    pub(crate) interrupted: Option<String>,
}

/// What stands above the first command, and the commands.
pub(crate) fn read(text: &str) -> (String, Vec<Case>) {
    let mut head = String::new();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        let command = ["$ ", "% "].iter().find_map(|sign| Some((*sign, line.strip_prefix(sign)?)));
        match (command, cases.last_mut()) {
            (Some((sign, line)), _) => {
                let sign = sign.chars().next().expect("it is no empty text");
                cases.push(Case { sign, line: line.to_owned(), kept: vec![] });
            }
            (None, Some(case)) => case.kept.push(line.to_owned()),
            (None, None) => {
                head += line;
                head.push('\n');
            }
        }
    }
    (head, cases)
}

/// A transcript from what the two servers made each command say, the second one being left out if
/// it is not there.
pub(crate) fn written(head: &str, cases: &[Case], ours: &[String], etcd: &[String]) -> String {
    let mut text = head.to_owned();
    for (at, case) in cases.iter().enumerate() {
        let answer = etcd.get(at).map_or_else(|| ours[at].clone(), |etcd| both(&ours[at], etcd));
        let _ = write!(text, "{} {}\n{answer}\n", case.sign, case.line);
    }
    text
}

/// Answers of as many lines are told apart line by line, others as a whole.
fn both(ours: &str, etcd: &str) -> String {
    if ours == etcd {
        return ours.to_owned();
    }
    if ours.lines().count() != etcd.lines().count() {
        return prefixed("ours", ours) + &prefixed("etcd", etcd);
    }
    let lines = ours.lines().zip(etcd.lines());
    let line = |(ours, etcd): (&str, &str)| {
        if ours == etcd {
            format!("{ours}\n")
        } else {
            prefixed("ours", ours) + &prefixed("etcd", etcd)
        }
    };
    lines.map(line).collect()
}

fn prefixed(server: &str, said: &str) -> String {
    said.lines().map(|line| [server, "| ", line, "\n"].concat()).collect()
}

impl Case {
    pub(crate) fn invocation(&self) -> Invocation {
        let mut words = VecDeque::from(split(&self.line));
        let mut found = Invocation::default();
        while let Some(word) = words.pop_front().filter(|word| word.bytes != b"kvorum") {
            let text = word.text();
            let (name, value) = text.split_once('=').expect("only variables stand before kvorum");
            found.variables.push((name.to_owned(), value.to_owned()));
        }
        while let Some(word) = words.pop_front() {
            let mut next = || words.pop_front().expect("something comes after a sign");
            match (word.quoted, word.bytes.as_slice()) {
                (false, b"<") => found.input = next().bytes,
                (false, b"?") => found.typed.push((next().text(), next().text())),
                (false, b"^C") => found.interrupted = Some(next().text()),
                _ => found.words.push(OsString::from_vec(word.bytes)),
            }
        }
        found
    }

    /// What is kept of what one server made it say.
    pub(crate) fn kept(&self, server: &str) -> String {
        let others = SERVERS.iter().filter(|other| **other != server);
        let others: Vec<String> = others.map(|other| format!("{other}| ")).collect();
        let own = format!("{server}| ");
        let mut kept: Vec<&str> = self.kept.iter().map(String::as_str).collect();
        if kept.last() == Some(&"") {
            kept.pop();
        }
        let kept = kept.into_iter().filter(|line| !others.iter().any(|o| line.starts_with(o)));
        kept.map(|line| line.strip_prefix(&own).unwrap_or(line).to_owned() + "\n").collect()
    }
}

struct Word {
    bytes: Vec<u8>,
    quoted: bool,
}

impl Word {
    fn text(self) -> String {
        String::from_utf8(self.bytes).expect("what is typed is text")
    }
}

fn split(line: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quoted = false;
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b' ' if !quoted => words.extend(word.take()),
            b'\'' => {
                quoted = !quoted;
                word.get_or_insert(Word { bytes: vec![], quoted: true }).quoted = true;
            }
            _ => {
                let byte = if byte == b'\\' { escaped(&mut rest) } else { byte };
                word.get_or_insert(Word { bytes: vec![], quoted: false }).bytes.push(byte);
            }
        }
    }
    words.extend(word);
    words
}

fn escaped(rest: &mut impl Iterator<Item = u8>) -> u8 {
    match rest.next() {
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b'x') => {
            let digits: Vec<u8> = rest.take(2).collect();
            let digits = String::from_utf8(digits).expect("digits are text");
            u8::from_str_radix(&digits, 16).expect("two hexadecimal digits follow")
        }
        other => other.expect("something follows a backslash"),
    }
}
