//! What cannot be the same on both sides, taken out of an output.

use crate::cases::Mask;

/// Masks IDs and addresses by their shared names, and what the mask names.
pub(crate) fn masked(stdout: &[u8], names: &[(String, String)], mask: Mask) -> String {
    let text = match mask {
        Mask::Wire => wire::shown(stdout).unwrap_or_else(|| readable(stdout)),
        _ => readable(stdout),
    };
    let text = named(text, names);
    match mask {
        Mask::Ids | Mask::Wire => text,
        Mask::Usage => usage(&text),
        Mask::After(markers) => {
            markers.iter().fold(text, |text, marker| number_after(&text, marker))
        }
        Mask::Numbers => squeezed(&digits(&text)),
        Mask::Session => session(&text),
    }
}

/// A lease in each of its forms: hexadecimal in a key, and that in base64; decimal.
fn session(text: &str) -> String {
    let text = replaced(text, "queue/", |c| c.is_ascii_hexdigit());
    let text = replaced(&text, "\"key\":\"", |c| c.is_ascii_alphanumeric() || "+/=".contains(c));
    ["\"lease\":", "\"Lease\" : "].iter().fold(text, |text, marker| number_after(&text, marker))
}

/// Replaces what follows each `marker` and is made of such characters.
fn replaced(text: &str, marker: &str, is_part: impl Fn(char) -> bool) -> String {
    let mut parts = text.split(marker);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(marker);
        out.push_str("LEASE");
        out.push_str(part.trim_start_matches(&is_part));
    }
    out
}

/// `usage of member add`, whatever it says.
fn usage(text: &str) -> String {
    let name = text.strip_prefix("NAME:\n\t").and_then(|rest| rest.split_once(" - "));
    name.map_or(text.to_owned(), |(name, _)| format!("usage of {name}\n"))
}

fn named(mut text: String, names: &[(String, String)]) -> String {
    let mut names: Vec<_> = names.iter().collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, shared) in names {
        text = text.replace(name, shared);
    }
    text
}

/// Of three members, it is by chance who answers, which has the lowest ID, and how often they have
/// elected a leader.
pub(crate) fn in_any_order(text: &str) -> String {
    let text = ["\"raft_term\":", "\"RaftTerm\" : "]
        .iter()
        .fold(text.to_owned(), |text, marker| number_after(&text, marker));
    let mut lines: Vec<String> = text.lines().map(members_sorted).collect();
    let is_row = |line: &String| line.contains("ID-HEX, ") || line.starts_with("ENDPOINT, ");
    if lines.iter().all(is_row) {
        lines.sort();
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The members of a line of JSON, or of `ETCD_INITIAL_CLUSTER`.
fn members_sorted(line: &str) -> String {
    let list = [
        ("\"members\":[{", "}]", "},{"),
        ("ETCD_INITIAL_CLUSTER=\"", "\"", ","),
        ("[{", "}]", "},{"),
    ];
    for (begin, end, between) in list {
        if let Some((before, rest)) = line.split_once(begin)
            && let Some((inside, after)) = rest.rsplit_once(end)
        {
            let mut parts: Vec<&str> = inside.split(between).collect();
            parts.sort_unstable();
            return format!("{before}{begin}{}{end}{after}", parts.join(between));
        }
    }
    line.to_owned()
}

/// Text as it is, and every byte that is none as `\x…`, so that nothing is lost.
pub(crate) fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// Replaces the number (or duration) that follows each `marker`.
fn number_after(text: &str, marker: &str) -> String {
    let mut parts = text.split(marker);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || ".µnms".contains(c));
        out.push_str(marker);
        out.push('N');
        out.push_str(rest);
    }
    out
}

/// Replaces every number, decimals included, by `N`.
fn digits(text: &str) -> String {
    let mut out = String::new();
    let mut within = false;
    for c in text.chars() {
        let digit = c.is_ascii_digit() || (within && c == '.');
        if digit && !within {
            out.push('N');
        }
        if !digit {
            out.push(c);
        }
        within = digit;
    }
    // Which unit it was is part of the number.
    out.replace("µs", "ms").replace(" kB", " B").replace(" MB", " B")
}

/// Runs of spaces and of dashes become one: the columns of a table are as wide as what is in them.
fn squeezed(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !((c == ' ' || c == '-') && out.ends_with(c)) {
            out.push(c);
        }
    }
    out
}

/// Protobuf without its schema: enough to see every number and every text.
mod wire {
    use std::fmt::Write as _;

    use super::readable;

    /// `1{1:5 2:6} 2:"text"`; none if the bytes are no message.
    pub(super) fn shown(bytes: &[u8]) -> Option<String> {
        let mut text = String::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let tag = varint(&mut rest)?;
            let field = tag >> 3;
            if !text.is_empty() {
                text.push(' ');
            }
            match tag & 7 {
                0 => _ = write!(text, "{field}:{}", varint(&mut rest)?),
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).ok()?;
                    let (content, after) = rest.split_at_checked(length)?;
                    rest = after;
                    match shown(content).filter(|_| field > 0) {
                        Some(inner) if !content.is_empty() => {
                            _ = write!(text, "{field}{{{inner}}}");
                        }
                        _ => _ = write!(text, "{field}:{:?}", readable(content)),
                    }
                }
                _ => return None,
            }
        }
        Some(text)
    }

    fn varint(bytes: &mut &[u8]) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
