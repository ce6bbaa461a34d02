//! Colours, few of them: what something is can be read without.
//!
//! They are of the sixteen that a terminal's owner chooses, and those that grep, ls and gcc have for
//! the same things, which are readable on light and on dark: no yellow, no plain blue.

/// Paints words, or leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paint {
    on: bool,
}

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It did not work, or is broken.
    Fault,
    /// It will break.
    Warning,
    /// What to do, or to know.
    Note,
    /// Nothing is wrong.
    Fine,
    Key,
    /// A key up to its last separator.
    Branch,
    /// What was searched for.
    Match,
    /// The name of a column or of a field.
    Label,
}

impl Tone {
    /// The parameters of `ESC [ … m`.
    fn code(self) -> &'static str {
        match self {
            Self::Fault | Self::Match => "1;31",
            Self::Warning => "1;35",
            Self::Note => "1;36",
            Self::Fine => "32",
            Self::Key => "35",
            Self::Branch => "1;34",
            Self::Label => "1",
        }
    }
}

impl Paint {
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    pub fn is_on(self) -> bool {
        self.on
    }

    /// The text in its colour. It must be escaped already: what is in it reaches the terminal.
    pub fn of(self, tone: Tone, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let (begin, end) = self.around(tone);
        format!("{begin}{text}{end}")
    }

    /// What stands before and behind what has this colour.
    pub fn around(self, tone: Tone) -> (String, &'static str) {
        if self.on { (format!("\x1b[{}m", tone.code()), "\x1b[0m") } else { (String::new(), "") }
    }

    /// As [`Paint::of`], filled with blanks up to `columns`; ASCII only.
    pub fn padded(self, tone: Tone, text: &str, columns: usize) -> String {
        format!("{}{:gap$}", self.of(tone, text), "", gap = columns.saturating_sub(text.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Paint, Tone};

    #[test]
    fn a_colour_ends_where_its_word_ends() {
        let paint = Paint::new(true);
        assert_eq!(paint.of(Tone::Key, "/a"), "\x1b[35m/a\x1b[0m");
        assert_eq!(paint.padded(Tone::Fine, "ok", 4), "\x1b[32mok\x1b[0m  ");
        assert_eq!(paint.of(Tone::Key, ""), "");
    }

    #[test]
    fn without_colours_the_text_is_the_same() {
        assert_eq!(Paint::default().of(Tone::Fault, "error:"), "error:");
        assert_eq!(Paint::default().padded(Tone::Fine, "ok", 4), "ok  ");
    }
}
