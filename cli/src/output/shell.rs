//! Words of a command that is printed to be pasted into a shell.

use super::escape::is_dangerous;

/// One word of a POSIX shell; bytes that are no text, and what a terminal is not sent, need bash,
/// zsh or ksh.
pub fn shell_word(bytes: &[u8]) -> String {
    let bare = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./:@%+=,-".contains(byte);
    match str::from_utf8(bytes) {
        Ok(text) if !bytes.is_empty() && bytes.iter().all(bare) => text.to_owned(),
        Ok(text) if !text.chars().any(|c| c.is_control() || is_dangerous(c)) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => {
            let escaped: Vec<_> = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("$'{}'", escaped.concat())
        }
    }
}

/// What is no option, as the last word of a command.
pub fn shell_operand(bytes: &[u8]) -> String {
    let end = if bytes.starts_with(b"-") { "-- " } else { "" };
    format!("{end}{}", shell_word(bytes))
}

#[cfg(test)]
mod tests {
    use super::{shell_operand, shell_word};

    #[test]
    fn a_word_is_quoted_as_a_shell_reads_it() {
        for (bytes, word) in [
            (&b"/a/b-1"[..], "/a/b-1"),
            (b"", "''"),
            (b"it's $HOME", r"'it'\''s $HOME'"),
            (b"\xff\n", r"$'\xff\x0a'"),
            ("a\u{202e}b".as_bytes(), r"$'\x61\xe2\x80\xae\x62'"),
        ] {
            assert_eq!(shell_word(bytes), word);
        }
    }

    #[test]
    fn an_operand_that_looks_like_an_option_is_none() {
        assert_eq!(shell_operand(b"-k"), "-- -k");
        assert_eq!(shell_operand(b"/a-k"), "/a-k");
    }
}
