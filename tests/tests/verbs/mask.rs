//! What differs from run to run has a name in a transcript: ids, addresses, sizes, durations.

use std::path::Path;

use kvorum_tests::transcript::Said;

pub(crate) struct Masks {
    /// Texts that are known, the longest first.
    names: Vec<(String, String)>,
}

/// Numbers that are a member's or a run's own, by the names that output formats have for them.
const FIELDS: [&str; 18] = [
    "hash",
    "Hash",
    "dbSize",
    "DBSize",
    "dbSizeInUse",
    "DBSizeInUse",
    "raftTerm",
    "RaftTerm",
    "raft_term",
    "raftIndex",
    "RaftIndex",
    "raftAppliedIndex",
    "RaftAppliedIndex",
    "remaining_ttl_s",
    "db_size_bytes",
    "db_size_in_use_bytes",
    "raft_index",
    "raft_applied_index",
];

/// Units of what is measured.
const SIZES: [&str; 6] = ["kB", "MB", "KiB", "MiB", "GB", "GiB"];
const TIMES: [&str; 3] = ["ms", "µs", "ns"];

/// A number of the server's own choice has at least so many digits.
const ID_DIGITS: usize = 14;

impl Masks {
    pub(crate) fn of(home: &Path, endpoint: &str, cluster: u64, members: &[u64]) -> Masks {
        let mut names = vec![
            (home.display().to_string(), "HOME".to_owned()),
            (endpoint.to_owned(), "ENDPOINT".to_owned()),
            (format!("{cluster:x}"), "CLUSTER".to_owned()),
            (cluster.to_string(), "CLUSTER".to_owned()),
        ];
        for (at, id) in members.iter().enumerate() {
            let name = if at == 0 { "MEMBER".to_owned() } else { format!("MEMBER{}", at + 1) };
            names.push((format!("{id:x}"), name.clone()));
            names.push((id.to_string(), name));
        }
        names.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Masks { names }
    }

    pub(crate) fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (known, name) in &self.names {
            // YAML has quotes around one that could be read as a number.
            text = text.replace(&format!("_id: \"{known}\""), &format!("_id: {name}"));
            text = text.replace(known, name);
        }
        in_order(&text.lines().map(|line| line_masked(line) + "\n").collect::<String>())
    }
}

fn line_masked(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    let mut masked = false;
    while let Some(first) = rest.chars().next() {
        let word = &rest[..rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len())];
        let word = word.trim_end_matches('.');
        if word.is_empty() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        rest = &rest[word.len()..];
        let name = name_of(word, &out, &mut rest);
        masked |= name.is_some();
        out.push_str(name.unwrap_or(word));
    }
    if out.contains("ENDPOINT, MEMBER, ") {
        return status_masked(&out);
    }
    // Columns are as wide as what stood in them.
    if masked && out.contains(['|', '│']) { squeezed(&out) } else { out }
}

/// A line of `endpoint status`: sizes, shares, terms and indices are the run's own.
fn status_masked(line: &str) -> String {
    let number = |part: &str| part.trim_end_matches([' ', 'B', '%']).parse::<u64>().is_ok();
    let masked = line.split(", ").map(|part| if number(part) { "N" } else { part });
    masked.collect::<Vec<_>>().join(", ").replace("SIZE", "N")
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '.'
}

/// The name for a word, if it is one that changes; a unit after it is taken from the rest.
fn name_of(word: &str, before: &str, rest: &mut &str) -> Option<&'static str> {
    let number = word.starts_with(|c: char| c.is_ascii_digit());
    if before.ends_with("127.0.0.1:") && number {
        return Some("PORT");
    }
    if number && before.ends_with("remaining(") {
        return Some("TIME");
    }
    let field = before.trim_end_matches(['"', ' ', ':']);
    if number && field.len() < before.len() && FIELDS.iter().any(|name| field.ends_with(name)) {
        return Some("N");
    }
    let unit = rest.strip_prefix(' ').unwrap_or_default();
    if number && let Some(unit) = SIZES.iter().find(|known| unit.starts_with(**known)) {
        *rest = &rest[1 + unit.len()..];
        return Some("SIZE");
    }
    // Without zeroes in front.
    let hash = (5..=8).contains(&word.len()) && is_hexadecimal(word);
    if before.is_empty() && rest.starts_with(", ") && hash {
        return Some("HASH");
    }
    if is_hexadecimal(word) && word.len() >= ID_DIGITS && !word.starts_with("00000000") {
        return Some("ID");
    }
    let digits = word.trim_end_matches(|c: char| c.is_alphabetic());
    let unit = &word[digits.len()..];
    let time = TIMES.contains(&unit) || (unit == "s" && digits.contains('.'));
    (number && time && digits.chars().all(|c| c.is_ascii_digit() || c == '.')).then_some("TIME")
}

fn is_hexadecimal(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_hexdigit())
}

/// What `doctor` says without its findings about the disk, which are the machine's. Its exit code
/// says nothing any more if they were all that it found to be wrong.
pub(crate) fn without_disk(said: &mut Said) {
    let mut of_disk = false;
    let mut kept = Vec::new();
    for line in said.stdout.lines() {
        if !goes_on(line) {
            of_disk = line.split_whitespace().nth(1) == Some("disk");
        }
        if !of_disk {
            kept.push(line);
        }
    }
    let wrong = |line: &&str| line.starts_with("warning") || line.starts_with("critical");
    if said.stdout.lines().any(|line| wrong(&line)) && !kept.iter().any(wrong) {
        said.code = 0;
    }
    said.stdout = kept.join("\n");
}

/// Whether a line of `doctor` belongs to the finding above it: what to do, and what does not fit into
/// one line.
fn goes_on(line: &str) -> bool {
    line.trim_start().starts_with("-> ") || line.starts_with("           ")
}

/// Members are told in the order of their ids, which are the run's own: the order of their names
/// takes its place.
fn in_order(text: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines() {
        match parts.last_mut() {
            Some(last) if goes_on(line) => {
                *last += line;
                last.push('\n');
            }
            _ => parts.push(format!("{line}\n")),
        }
    }
    let kind = |part: &String| match part.split_whitespace().next() {
        Some(word) if word.starts_with("MEMBER") => "a member".to_owned(),
        _ => part.split_whitespace().take(2).collect::<Vec<_>>().join(" "),
    };
    let is_sorted = |kind: &str| ["a member", "warning addresses"].contains(&kind);
    let mut runs: Vec<Vec<String>> = Vec::new();
    for part in parts {
        match runs.last_mut() {
            Some(run) if is_sorted(&kind(&part)) && kind(&run[0]) == kind(&part) => run.push(part),
            _ => runs.push(vec![part]),
        }
    }
    for run in &mut runs {
        run.sort();
    }
    runs.concat().concat()
}

fn squeezed(line: &str) -> String {
    let mut out = String::new();
    for c in line.chars() {
        if !(c == ' ' && out.ends_with(' ')) {
            out.push(c);
        }
    }
    out
}
