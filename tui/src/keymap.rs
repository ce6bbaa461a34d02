//! Every key the dashboard knows, in one table.
//!
//! A key press is looked up here and nowhere else, so what `?` shows and what `KEYS.md` says (both
//! are generated from this table) is exactly what works.

use std::fmt::Write as _;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Where a binding holds. What is typed goes to the innermost scope first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everywhere, an open input field included.
    Always,
    /// Wherever no input field is open.
    Browse,
    Overview,
    Tree,
    Value,
    Watches,
    Help,
    /// One line of input.
    Field,
    /// Several lines of input.
    Editor,
    /// A question answered by one key.
    Question,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Quit,
    Repaint,
    Help,
    Refresh,
    ToggleReads,
    NextPane,
    PreviousPane,
    ShowOverview,
    ShowKeys,
    ShowWatches,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Close,
    Filter,
    Put,
    Edit,
    Delete,
    Watch,
    WatchBelow,
    NewWatch,
    Format,
    Pause,
    NextWatch,
    PreviousWatch,
    StopWatch,
    Yes,
    Cancel,
    Submit,
    Save,
    TakeTheirs,
    NextField,
    NewLine,
    CursorLeft,
    CursorRight,
    CursorUp,
    CursorDown,
    CursorHome,
    CursorEnd,
    EraseBack,
    EraseForward,
    EraseWord,
    EraseLine,
}

/// One key, as it is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Press {
    code: KeyCode,
    ctrl: bool,
}

#[derive(Debug)]
pub struct Binding {
    pub scope: Scope,
    pub presses: &'static [Press],
    pub action: Action,
    /// What it does, for the help and for `KEYS.md`.
    pub help: &'static str,
    /// One or two words for the bottom line, where it is worth the room.
    pub hint: &'static str,
}

const fn key(letter: char) -> Press {
    Press { code: KeyCode::Char(letter), ctrl: false }
}

const fn ctrl(letter: char) -> Press {
    Press { code: KeyCode::Char(letter), ctrl: true }
}

const fn named(code: KeyCode) -> Press {
    Press { code, ctrl: false }
}

const fn bind(
    scope: Scope,
    presses: &'static [Press],
    action: Action,
    help: &'static str,
    hint: &'static str,
) -> Binding {
    Binding { scope, presses, action, help, hint }
}

const UP: &[Press] = &[named(KeyCode::Up), key('k')];
const DOWN: &[Press] = &[named(KeyCode::Down), key('j')];
const PAGE_UP: &[Press] = &[named(KeyCode::PageUp), ctrl('b')];
const PAGE_DOWN: &[Press] = &[named(KeyCode::PageDown), ctrl('f')];
const FIRST: &[Press] = &[named(KeyCode::Home), key('g')];
const LAST: &[Press] = &[named(KeyCode::End), key('G')];
const ESCAPE: &[Press] = &[named(KeyCode::Esc)];

#[rustfmt::skip] // a table is read by its columns
pub const KEYMAP: &[Binding] = &[
    bind(Scope::Always, &[ctrl('c')], Action::Quit, "leave the dashboard", ""),
    bind(Scope::Always, &[ctrl('l')], Action::Repaint, "draw the whole screen again", ""),

    bind(Scope::Browse, &[key('?')], Action::Help, "show these keys", "help"),
    bind(Scope::Browse, &[key('q')], Action::Quit, "leave the dashboard", "quit"),
    bind(Scope::Browse, &[named(KeyCode::Tab)], Action::NextPane, "go to the next pane", ""),
    bind(Scope::Browse, &[named(KeyCode::BackTab)], Action::PreviousPane, "go to the previous pane", ""),
    bind(Scope::Browse, &[key('1')], Action::ShowOverview, "the overview: health and members", ""),
    bind(Scope::Browse, &[key('2')], Action::ShowKeys, "the tree of keys", ""),
    bind(Scope::Browse, &[key('3')], Action::ShowWatches, "the live watches", ""),
    bind(Scope::Browse, &[key('r')], Action::Refresh, "read again what is on the screen", "refresh"),
    bind(Scope::Browse, &[key('L')], Action::ToggleReads, "switch between serializable and linearizable reads", ""),
    bind(Scope::Browse, &[key('p')], Action::Put, "put a new key", "put"),
    bind(Scope::Browse, &[key('n')], Action::NewWatch, "watch a key or prefix that you type", ""),

    bind(Scope::Overview, UP, Action::Up, "the member above", ""),
    bind(Scope::Overview, DOWN, Action::Down, "the member below", ""),

    bind(Scope::Tree, UP, Action::Up, "the row above", ""),
    bind(Scope::Tree, DOWN, Action::Down, "the row below", ""),
    bind(Scope::Tree, PAGE_UP, Action::PageUp, "one page up", ""),
    bind(Scope::Tree, PAGE_DOWN, Action::PageDown, "one page down", ""),
    bind(Scope::Tree, FIRST, Action::First, "the first row", ""),
    bind(Scope::Tree, LAST, Action::Last, "the last row", ""),
    bind(Scope::Tree, &[named(KeyCode::Enter), named(KeyCode::Right), key('l')], Action::Open,
        "open a folder, or look at a value", "open"),
    bind(Scope::Tree, &[named(KeyCode::Left), key('h')], Action::Close, "close the folder, or go to the one around it", ""),
    bind(Scope::Tree, &[key('/')], Action::Filter, "show only keys with a text in their name", "filter"),
    bind(Scope::Tree, ESCAPE, Action::Cancel, "take the filter away", ""),
    bind(Scope::Tree, &[key('e')], Action::Edit, "edit the value", "edit"),
    bind(Scope::Tree, &[key('d')], Action::Delete, "delete the key, or all keys under a folder", "delete"),
    bind(Scope::Tree, &[key('w')], Action::Watch, "watch the selected key, or everything under the folder", "watch"),
    bind(Scope::Tree, &[key('W')], Action::WatchBelow, "watch everything that starts with the selected name", ""),
    bind(Scope::Tree, &[key('t')], Action::Format, "show the value as text, as JSON or as bytes", ""),

    bind(Scope::Value, UP, Action::Up, "scroll up", ""),
    bind(Scope::Value, DOWN, Action::Down, "scroll down", ""),
    bind(Scope::Value, PAGE_UP, Action::PageUp, "one page up", ""),
    bind(Scope::Value, PAGE_DOWN, Action::PageDown, "one page down", ""),
    bind(Scope::Value, FIRST, Action::First, "the beginning", ""),
    bind(Scope::Value, LAST, Action::Last, "the end", ""),
    bind(Scope::Value, &[named(KeyCode::Esc), named(KeyCode::Left), key('h')], Action::Close, "back to the tree", "back"),
    bind(Scope::Value, &[key('t')], Action::Format, "show the value as text, as JSON or as bytes", "format"),
    bind(Scope::Value, &[key('e')], Action::Edit, "edit the value", "edit"),
    bind(Scope::Value, &[key('d')], Action::Delete, "delete the key", "delete"),
    bind(Scope::Value, &[key('w')], Action::Watch, "watch the key", "watch"),

    bind(Scope::Watches, UP, Action::Up, "older events", ""),
    bind(Scope::Watches, DOWN, Action::Down, "newer events", ""),
    bind(Scope::Watches, PAGE_UP, Action::PageUp, "one page of older events", ""),
    bind(Scope::Watches, PAGE_DOWN, Action::PageDown, "one page of newer events", ""),
    bind(Scope::Watches, FIRST, Action::First, "the oldest event that is kept", ""),
    bind(Scope::Watches, LAST, Action::Last, "the newest event, and follow", "follow"),
    bind(Scope::Watches, &[named(KeyCode::Left), key('h')], Action::PreviousWatch, "the previous watch", ""),
    bind(Scope::Watches, &[named(KeyCode::Right), key('l')], Action::NextWatch, "the next watch", ""),
    bind(Scope::Watches, &[key(' ')], Action::Pause, "hold the list still, or follow again", "pause"),
    bind(Scope::Watches, &[key('w')], Action::NewWatch, "watch a key or prefix that you type", "new watch"),
    bind(Scope::Watches, &[key('x')], Action::StopWatch, "stop this watch", "stop"),

    bind(Scope::Help, UP, Action::Up, "scroll up", ""),
    bind(Scope::Help, DOWN, Action::Down, "scroll down", ""),
    bind(Scope::Help, PAGE_UP, Action::PageUp, "one page up", ""),
    bind(Scope::Help, PAGE_DOWN, Action::PageDown, "one page down", ""),
    bind(Scope::Help, &[named(KeyCode::Esc), key('?'), key('q')], Action::Cancel, "close the help", "close"),

    bind(Scope::Field, &[named(KeyCode::Enter)], Action::Submit, "accept", "accept"),
    bind(Scope::Field, ESCAPE, Action::Cancel, "leave without doing anything", "cancel"),
    bind(Scope::Field, &[named(KeyCode::Tab), named(KeyCode::BackTab)], Action::NextField, "the other field, where there is one", ""),
    bind(Scope::Field, &[ctrl('s')], Action::Save, "write it", ""),
    bind(Scope::Field, &[named(KeyCode::Left)], Action::CursorLeft, "one character left", ""),
    bind(Scope::Field, &[named(KeyCode::Right)], Action::CursorRight, "one character right", ""),
    bind(Scope::Field, &[named(KeyCode::Home), ctrl('a')], Action::CursorHome, "to the beginning", ""),
    bind(Scope::Field, &[named(KeyCode::End), ctrl('e')], Action::CursorEnd, "to the end", ""),
    bind(Scope::Field, &[named(KeyCode::Backspace), ctrl('h')], Action::EraseBack, "erase the character before", ""),
    bind(Scope::Field, &[named(KeyCode::Delete)], Action::EraseForward, "erase the character under the cursor", ""),
    bind(Scope::Field, &[ctrl('w')], Action::EraseWord, "erase the word before", ""),
    bind(Scope::Field, &[ctrl('u')], Action::EraseLine, "erase the line up to the cursor", ""),

    bind(Scope::Editor, &[ctrl('s')], Action::Save, "write it", "save"),
    bind(Scope::Editor, ESCAPE, Action::Cancel, "leave; asks when something was changed", "cancel"),
    bind(Scope::Editor, &[ctrl('t')], Action::TakeTheirs, "after a conflict: start again from the cluster's value", ""),
    bind(Scope::Editor, &[named(KeyCode::Tab), named(KeyCode::BackTab)], Action::NextField, "the other field, or a tab where there is none", ""),
    bind(Scope::Editor, &[named(KeyCode::Enter)], Action::NewLine, "a new line", ""),
    bind(Scope::Editor, &[named(KeyCode::Up)], Action::CursorUp, "one line up", ""),
    bind(Scope::Editor, &[named(KeyCode::Down)], Action::CursorDown, "one line down", ""),
    bind(Scope::Editor, &[named(KeyCode::Left)], Action::CursorLeft, "one character left", ""),
    bind(Scope::Editor, &[named(KeyCode::Right)], Action::CursorRight, "one character right", ""),
    bind(Scope::Editor, &[named(KeyCode::Home), ctrl('a')], Action::CursorHome, "to the beginning of the line", ""),
    bind(Scope::Editor, &[named(KeyCode::End), ctrl('e')], Action::CursorEnd, "to the end of the line", ""),
    bind(Scope::Editor, &[named(KeyCode::PageUp)], Action::PageUp, "one page up", ""),
    bind(Scope::Editor, &[named(KeyCode::PageDown)], Action::PageDown, "one page down", ""),
    bind(Scope::Editor, &[named(KeyCode::Backspace), ctrl('h')], Action::EraseBack, "erase the character before", ""),
    bind(Scope::Editor, &[named(KeyCode::Delete)], Action::EraseForward, "erase the character under the cursor", ""),
    bind(Scope::Editor, &[ctrl('w')], Action::EraseWord, "erase the word before", ""),
    bind(Scope::Editor, &[ctrl('u')], Action::EraseLine, "erase the line up to the cursor", ""),

    bind(Scope::Question, &[key('y')], Action::Yes, "yes, do it", "yes"),
    bind(Scope::Question, &[named(KeyCode::Esc), key('n')], Action::Cancel, "no, leave everything as it is", "no"),
];

/// The scopes in the order in which help shows them, with their titles.
pub const SCOPES: &[(Scope, &str)] = &[
    (Scope::Browse, "Anywhere"),
    (Scope::Overview, "Overview"),
    (Scope::Tree, "Tree of keys"),
    (Scope::Value, "Value"),
    (Scope::Watches, "Watches"),
    (Scope::Field, "Input field"),
    (Scope::Editor, "Editor"),
    (Scope::Question, "Question"),
    (Scope::Help, "Help"),
    (Scope::Always, "Always"),
];

/// What a key press means in the first of `scopes` that knows it.
pub fn action(scopes: &[Scope], event: &KeyEvent) -> Option<Action> {
    let press = Press::of(event)?;
    scopes.iter().find_map(|scope| {
        KEYMAP
            .iter()
            .find(|binding| binding.scope == *scope && binding.presses.contains(&press))
            .map(|binding| binding.action)
    })
}

/// The bindings worth a place on the bottom line, innermost scope first.
pub fn hints(scopes: &[Scope]) -> impl Iterator<Item = (String, &'static str)> {
    scopes.iter().flat_map(|scope| {
        KEYMAP
            .iter()
            .filter(move |binding| binding.scope == *scope && !binding.hint.is_empty())
            .map(|binding| (binding.presses[0].to_string(), binding.hint))
    })
}

/// One line of the help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelpLine {
    Title(&'static str),
    Key { presses: String, help: &'static str },
    Blank,
}

/// The whole keymap for `?`, with the section of the pane one comes from in front.
pub fn help(pane: Scope) -> Vec<HelpLine> {
    let front = SCOPES.iter().filter(|(scope, _)| *scope == pane);
    let others = SCOPES.iter().filter(|(scope, _)| *scope != pane);
    let mut lines = Vec::new();
    for (scope, title) in front.chain(others) {
        if !lines.is_empty() {
            lines.push(HelpLine::Blank);
        }
        lines.push(HelpLine::Title(title));
        for binding in KEYMAP.iter().filter(|binding| binding.scope == *scope) {
            let presses: Vec<String> = binding.presses.iter().map(Press::to_string).collect();
            lines.push(HelpLine::Key { presses: presses.join(" "), help: binding.help });
        }
    }
    lines
}

/// `KEYS.md`
pub fn markdown() -> String {
    let mut page = String::from(
        "# Keys of the dashboard\n\nGenerated from `src/keymap.rs`; `?` shows the same.\n",
    );
    for (scope, title) in SCOPES {
        page.push_str("\n## ");
        page.push_str(title);
        page.push_str("\n\n| Key | What it does |\n|---|---|\n");
        for binding in KEYMAP.iter().filter(|binding| binding.scope == *scope) {
            let presses: Vec<String> =
                binding.presses.iter().map(|press| format!("`{press}`")).collect();
            let _ = writeln!(page, "| {} | {} |", presses.join(" "), binding.help);
        }
    }
    page
}

impl Press {
    /// The event that a terminal sends for it.
    pub fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, if self.ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE })
    }

    /// Shift is part of the letter already; a press with any other modifier is none of ours.
    fn of(event: &KeyEvent) -> Option<Self> {
        let modifiers = event.modifiers.difference(KeyModifiers::SHIFT);
        let ctrl = modifiers == KeyModifiers::CONTROL;
        let code = match event.code {
            KeyCode::Char(letter) if ctrl => KeyCode::Char(letter.to_ascii_lowercase()),
            code => code,
        };
        (ctrl || modifiers.is_empty()).then_some(Self { code, ctrl })
    }
}

impl std::fmt::Display for Press {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            KeyCode::Char(letter) if self.ctrl => write!(f, "Ctrl-{}", letter.to_ascii_uppercase()),
            KeyCode::Char(' ') => f.write_str("Space"),
            KeyCode::Char(letter) => write!(f, "{letter}"),
            KeyCode::BackTab => f.write_str("Shift-Tab"),
            KeyCode::PageUp => f.write_str("PgUp"),
            KeyCode::PageDown => f.write_str("PgDn"),
            KeyCode::Delete => f.write_str("Del"),
            code => write!(f, "{code:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEYMAP, SCOPES, Scope, markdown};

    #[test]
    fn no_key_means_two_things_in_one_scope() {
        for (nth, binding) in KEYMAP.iter().enumerate() {
            for other in &KEYMAP[nth + 1..] {
                let shared = binding.presses.iter().find(|press| other.presses.contains(press));
                assert!(
                    binding.scope != other.scope || shared.is_none(),
                    "{} twice in {:?}",
                    shared.expect("just seen"),
                    binding.scope
                );
            }
        }
    }

    #[test]
    fn a_pane_does_not_hide_a_key_that_holds_anywhere() {
        for binding in
            KEYMAP.iter().filter(|binding| matches!(binding.scope, Scope::Browse | Scope::Always))
        {
            for pane in [Scope::Overview, Scope::Tree, Scope::Value, Scope::Watches] {
                let hidden = KEYMAP.iter().any(|other| {
                    other.scope == pane
                        && other.presses.iter().any(|press| binding.presses.contains(press))
                });
                assert!(!hidden, "{:?} hides {:?}", pane, binding.action);
            }
        }
    }

    #[test]
    fn every_key_is_documented() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/KEYS.md");
        if std::env::var_os("KVORUM_UPDATE").is_some() {
            std::fs::write(file, markdown()).expect("KEYS.md can be written");
        }
        let page = std::fs::read_to_string(file).expect("KEYS.md is there");
        assert_eq!(
            page,
            markdown(),
            "KEYS.md differs from the keymap; KVORUM_UPDATE=1 writes it anew"
        );
        for binding in KEYMAP {
            assert!(
                SCOPES.iter().any(|(scope, _)| *scope == binding.scope),
                "{:?} has no section",
                binding.scope
            );
            assert!(!binding.help.is_empty() && !binding.presses.is_empty());
        }
    }
}
