//! Long sentences on a terminal: broken between words, each further line below the first one's text.

use unicode_width::UnicodeWidthStr;

/// With less room than this beside the indent, a terminal breaks lines as well as anybody.
const LEAST_COLUMNS: usize = 20;

/// Breaks a text that begins at column `indent` so that it ends before column `columns`; `None`
/// leaves it whole. A command stays in one piece, wide as it may be: who pastes half of one runs it.
pub fn wrap(text: &str, indent: usize, columns: Option<usize>) -> String {
    let room = columns.map_or(0, |columns| columns.saturating_sub(indent));
    if room < LEAST_COLUMNS {
        return text.to_owned();
    }
    let lines: Vec<String> = text.split('\n').flat_map(|line| broken(line, room)).collect();
    lines.join(&format!("\n{:indent$}", ""))
}

fn broken(line: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for piece in pieces(line) {
        let width = piece.width();
        match lines.last_mut() {
            Some(last) if used + 1 + width <= room => {
                last.push(' ');
                last.push_str(&piece);
                used += 1 + width;
            }
            _ => {
                lines.push(piece);
                used = width;
            }
        }
    }
    lines
}

/// Words, and the commands that are named anywhere as if they were one: to the end of the clause,
/// which is not inside of quotes.
fn pieces(line: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut in_command = false;
    let mut quoted = false;
    for word in line.split(' ') {
        in_command &= quoted || !word.starts_with('(');
        match pieces.last_mut() {
            Some(command) if in_command => {
                command.push(' ');
                command.push_str(word);
            }
            _ => {
                in_command = matches!(word, "kvorum" | "fio");
                pieces.push(word.to_owned());
            }
        }
        quoted = in_command && ends_quoted(word, quoted);
        in_command &= quoted || !word.ends_with([';', ',', ':', ')']);
    }
    pieces
}

/// Whether a quote that [`shell_word`](super::shell_word) opens, at the beginning of a word, is
/// still open at its end. An apostrophe further on is one of a sentence.
fn ends_quoted(word: &str, quoted: bool) -> bool {
    if !quoted && !word.starts_with('\'') && !word.starts_with("$'") {
        return false;
    }
    let mut quoted = quoted;
    let mut escaped = false;
    for c in word.chars() {
        quoted ^= c == '\'' && !escaped;
        escaped = c == '\\' && !quoted && !escaped;
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_break_between_words_and_hang_below_the_first() {
        let text = "the quick brown fox jumps over the lazy dog";
        assert_eq!(wrap(text, 4, Some(28)), "the quick brown fox\n    jumps over the lazy dog");
        assert_eq!(
            wrap("日本語 日本語 日本語 日本語", 0, Some(20)),
            "日本語 日本語 日本語\n日本語"
        );
        assert_eq!(wrap("two\n  lines", 2, Some(60)), "two\n    lines");
    }

    #[test]
    fn without_a_width_or_without_room_a_text_stays_as_it_is() {
        let text = "the quick brown fox jumps over the lazy dog";
        assert_eq!(wrap(text, 4, None), text);
        assert_eq!(wrap(text, 23, Some(40)), text);
        assert_eq!(wrap("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx a", 0, Some(20)).lines().count(), 2);
    }

    #[test]
    fn a_command_can_be_pasted_whole() {
        let text = "kvorum compaction 7; kvorum defrag --endpoints 10.0.0.1:2379 (it pauses)";
        assert_eq!(
            wrap(text, 0, Some(30)),
            "kvorum compaction 7;\nkvorum defrag --endpoints 10.0.0.1:2379\n(it pauses)"
        );
    }

    #[test]
    fn a_command_does_not_end_inside_of_quotes() {
        for command in ["kvorum show '/a, b (c; d'", r"kvorum show 'it'\''s, a'\'' (key: x'"] {
            let text = format!("this is it: {command}, or another one");
            let expected = format!("this is it:\n{command},\nor another one");
            assert_eq!(wrap(&text, 0, Some(20)), expected);
        }
        let text = "kvorum get frees the server's space, and waits for it";
        assert_eq!(
            wrap(text, 0, Some(20)),
            "kvorum get frees the server's space,\nand waits for it"
        );
    }
}
