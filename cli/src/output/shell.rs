//! Words as a person pastes them into a shell.

/// One word of a POSIX shell; bytes that are no text need bash, zsh or ksh.
pub fn shell_word(bytes: &[u8]) -> String {
    let bare = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./:@%+=,-".contains(byte);
    match str::from_utf8(bytes) {
        Ok(text) if !bytes.is_empty() && bytes.iter().all(bare) => text.to_owned(),
        Ok(text) if !text.chars().any(char::is_control) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => {
            let escaped: Vec<_> = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("$'{}'", escaped.concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn a_word_is_quoted_as_a_shell_reads_it() {
        for (bytes, word) in [
            (&b"/a/b-1"[..], "/a/b-1"),
            (b"", "''"),
            (b"it's $HOME", r"'it'\''s $HOME'"),
            (b"\xff\n", r"$'\xff\x0a'"),
        ] {
            assert_eq!(shell_word(bytes), word);
        }
    }
}
