//! Text being typed: one line or several.
//!
//! The text is kept exactly, whatever is in it; only the view escapes. Positions are bytes at
//! grapheme boundaries.

use unicode_segmentation::UnicodeSegmentation;

/// etcd refuses larger requests by default, so nothing larger is worth typing.
pub const TEXT_MAX_BYTES: usize = 1_500_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Editor {
    lines: Vec<String>,
    /// Bytes altogether, line ends included.
    size: usize,
    pub row: usize,
    /// Byte offset into the row.
    column: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
}

/// The text would have become larger than what a cluster takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more text than a cluster takes in one request ({TEXT_MAX_BYTES} bytes)")]
pub struct TooLarge;

impl Default for Editor {
    fn default() -> Self {
        Self::new("")
    }
}

impl Editor {
    /// With the cursor at the end of the first line.
    pub fn new(text: &str) -> Self {
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        Self { size: text.len(), row: 0, column: lines[0].len(), lines }
    }

    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The cursor's row, and the text of it before and after the cursor.
    pub fn cursor(&self) -> (&str, &str) {
        self.lines[self.row].split_at(self.column)
    }

    pub fn insert(&mut self, text: &str) -> Result<(), TooLarge> {
        if self.size + text.len() > TEXT_MAX_BYTES {
            return Err(TooLarge);
        }
        self.size += text.len();
        let rest = self.lines[self.row].split_off(self.column);
        let mut pieces = text.split('\n');
        self.lines[self.row].push_str(pieces.next().unwrap_or_default());
        let more: Vec<String> = pieces.map(str::to_owned).collect();
        let row = self.row + more.len();
        self.lines.splice((self.row + 1)..=self.row, more);
        self.row = row;
        self.column = self.lines[row].len();
        self.lines[row].push_str(&rest);
        Ok(())
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Left => match self.before() {
                Some(width) => self.column -= width,
                None if self.row > 0 => {
                    self.row -= 1;
                    self.column = self.lines[self.row].len();
                }
                None => {}
            },
            Step::Right => match self.after() {
                Some(width) => self.column += width,
                None if self.row + 1 < self.lines.len() => {
                    self.row += 1;
                    self.column = 0;
                }
                None => {}
            },
            Step::Up => self.go_to_row(self.row.saturating_sub(1)),
            Step::Down => self.go_to_row(self.row + 1),
            Step::Home => self.column = 0,
            Step::End => self.column = self.lines[self.row].len(),
        }
    }

    pub fn go_to_row(&mut self, row: usize) {
        let graphemes = self.cursor().0.graphemes(true).count();
        self.row = row.min(self.lines.len() - 1);
        let line = &self.lines[self.row];
        self.column = line.grapheme_indices(true).nth(graphemes).map_or(line.len(), |(at, _)| at);
    }

    pub fn erase_back(&mut self) {
        match self.before() {
            Some(width) => self.remove(self.column - width),
            None if self.row > 0 => {
                let line = self.lines.remove(self.row);
                self.row -= 1;
                self.column = self.lines[self.row].len();
                self.lines[self.row].push_str(&line);
                self.size -= 1;
            }
            None => {}
        }
    }

    pub fn erase_forward(&mut self) {
        let (row, column) = (self.row, self.column);
        self.step(Step::Right);
        if (row, column) != (self.row, self.column) {
            self.erase_back();
        }
    }

    pub fn erase_word(&mut self) {
        let before = self.cursor().0;
        // A path is erased segment by segment.
        let word = before.trim_end_matches(|letter: char| !letter.is_alphanumeric());
        let from = word.rfind(|letter: char| !letter.is_alphanumeric());
        let from = from.map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
        self.remove(from);
    }

    pub fn erase_line(&mut self) {
        self.remove(0);
    }

    /// Removes what is between `from` and the cursor in its row.
    fn remove(&mut self, from: usize) {
        self.lines[self.row].replace_range(from..self.column, "");
        self.size -= self.column - from;
        self.column = from;
    }

    /// Bytes of the grapheme before the cursor.
    fn before(&self) -> Option<usize> {
        self.cursor().0.graphemes(true).next_back().map(str::len)
    }

    fn after(&self) -> Option<usize> {
        self.cursor().1.graphemes(true).next().map(str::len)
    }
}

#[cfg(test)]
mod tests {
    use super::{Editor, Step, TEXT_MAX_BYTES, TooLarge};

    #[test]
    fn text_is_kept_exactly() {
        for text in ["", "a", "a\nb\n", "\r\n\x1b\t", "żółć\n日本"] {
            let mut editor = Editor::default();
            editor.insert(text).expect("it is short");
            assert_eq!(editor.text(), text);
            assert_eq!(Editor::new(text).text(), text);
        }
    }

    #[test]
    fn the_cursor_moves_by_what_one_sees() {
        let mut editor = Editor::new("ae\u{301}日");
        editor.step(Step::Left);
        editor.step(Step::Left);
        assert_eq!(editor.cursor(), ("a", "e\u{301}日"));
        editor.erase_forward();
        assert_eq!(editor.text(), "a日");
        editor.step(Step::End);
        editor.erase_back();
        editor.erase_back();
        editor.erase_back();
        assert!(editor.is_empty());
    }

    #[test]
    fn lines_are_split_and_joined() {
        let mut editor = Editor::new("abcd");
        editor.step(Step::Left);
        editor.insert("1\n2").expect("it is short");
        assert_eq!(editor.lines(), ["abc1", "2d"]);
        editor.step(Step::Home);
        editor.erase_back();
        assert_eq!(editor.text(), "abc12d");
        editor.step(Step::Up);
        editor.step(Step::Down);
        assert_eq!(editor.cursor(), ("abc1", "2d"));
    }

    #[test]
    fn words_and_lines_are_erased_up_to_the_cursor() {
        let mut editor = Editor::new("/app/config/db");
        editor.erase_word();
        assert_eq!(editor.text(), "/app/config/");
        editor.erase_word();
        assert_eq!(editor.text(), "/app/");
        editor.erase_line();
        assert!(editor.is_empty());
        editor.erase_word();
    }

    #[test]
    fn more_than_a_request_is_refused_whole() {
        let mut editor = Editor::new("a");
        assert_eq!(editor.insert(&"b".repeat(TEXT_MAX_BYTES)), Err(TooLarge));
        assert_eq!(editor.text(), "a");
    }
}
