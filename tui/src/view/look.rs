//! Colours and lines. Colour never says anything by itself: each has its word or its sign beside
//! it.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub color: bool,
    /// Lines and signs of plain ASCII.
    pub ascii: bool,
}

const ASCII: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

impl Look {
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub fn selected(self, focused: bool) -> Style {
        if focused { Style::new().add_modifier(Modifier::REVERSED) } else { self.strong() }
    }

    pub fn focus(self) -> Style {
        self.colored(Color::Cyan)
    }

    pub fn good(self) -> Style {
        self.badge(Color::Green)
    }

    pub fn warning(self) -> Style {
        self.badge(Color::Yellow)
    }

    pub fn bad(self) -> Style {
        self.badge(Color::Red)
    }

    pub fn warning_text(self) -> Style {
        self.colored(Color::Yellow)
    }

    pub fn bad_text(self) -> Style {
        self.colored(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub fn folder(self) -> Style {
        self.colored(Color::Cyan)
    }

    /// The pane that has the keys is drawn thick, so that it shows without colour too.
    pub fn border(self, focused: bool) -> border::Set<'static> {
        match (self.ascii, focused) {
            (true, _) => ASCII,
            (false, true) => border::THICK,
            (false, false) => border::PLAIN,
        }
    }

    pub fn open_sign(self, open: bool) -> &'static str {
        match (self.ascii, open) {
            (true, true) => "-",
            (true, false) => "+",
            (false, true) => "▾",
            (false, false) => "▸",
        }
    }

    fn colored(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    fn badge(self, color: Color) -> Style {
        self.colored(color).add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }
}
