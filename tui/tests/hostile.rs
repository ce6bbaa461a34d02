//! Whatever a cluster holds and whatever is pressed: no panic, and no byte that drives the
//! terminal.

mod support;

use bytes::Bytes;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use kvorum_tui::cmd::Slot;
use kvorum_tui::keymap::KEYMAP;
use kvorum_tui::model::prompt::Prompt;
use kvorum_tui::msg::{Change, Msg, WatchEvent, WatchSignal};
use ratatui::buffer::Buffer;
use support::{Cluster, Dashboard};

/// splitmix64: the same seed presses the same keys.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.below(most))
            .map(|_| if self.below(6) == 0 { b'/' } else { self.next() as u8 })
            .collect()
    }

    /// Text with what makes text hard: controls, directions, marks, wide and joined characters.
    fn text(&mut self, most: u64) -> String {
        const HARD: [&str; 16] = [
            "\u{1b}[2J",
            "\u{7}",
            "\r\n",
            "\t",
            "\u{9b}",
            "\u{202e}",
            "\u{2066}",
            "\u{200d}",
            "\u{fe0f}",
            "\u{301}",
            "日本",
            "👩\u{200d}👧",
            "🇵🇱",
            "👍🏽",
            "\u{1160}\u{11a8}",
            "\u{ad}",
        ];
        (0..self.below(most))
            .map(|_| match self.below(4) {
                0 => HARD[self.below(16) as usize].to_owned(),
                1 => char::from_u32(self.below(0x3000) as u32).unwrap_or('/').to_string(),
                _ => char::from(b' ' + self.below(95) as u8).to_string(),
            })
            .collect()
    }

    /// Mostly a screen that shows all panes, now and then one that is too small or huge.
    fn size(&mut self) -> (u16, u16) {
        match self.below(4) {
            0 => (1 + self.below(130) as u16, 1 + self.below(40) as u16),
            _ => (60 + self.below(70) as u16, 15 + self.below(25) as u16),
        }
    }

    fn key(&mut self) -> KeyEvent {
        const CODES: [KeyCode; 14] = [
            KeyCode::Enter,
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::Backspace,
            KeyCode::Delete,
        ];
        match self.below(8) {
            0..3 => KeyEvent::new(CODES[self.below(14) as usize], KeyModifiers::NONE),
            3 => KeyEvent::new(
                KeyCode::Char(char::from(b'a' + self.below(26) as u8)),
                KeyModifiers::CONTROL,
            ),
            4 => KeyEvent::new(
                KeyCode::Char(self.text(2).chars().next().unwrap_or('x')),
                KeyModifiers::NONE,
            ),
            _ => KeyEvent::new(
                KeyCode::Char(char::from(b' ' + self.below(95) as u8)),
                KeyModifiers::NONE,
            ),
        }
    }
}

fn assert_harmless(buffer: &Buffer, seed: u64) {
    for cell in &buffer.content {
        for letter in cell.symbol().chars() {
            let drives = letter.is_control()
                || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe0f}' | '\u{61c}');
            assert!(!drives, "seed {seed}: {:?} is in a cell", cell.symbol());
        }
        assert!(
            kvorum_tui::text::width(cell.symbol()) <= 2,
            "seed {seed}: {:?} is too wide for a cell",
            cell.symbol()
        );
    }
}

/// The frame of every pane is a column of its own: nothing inside it may shift it.
fn assert_borders_stand(buffer: &Buffer, seed: u64) {
    let (width, height) = (buffer.area.width, buffer.area.height);
    if width < 60 || height < 15 {
        return;
    }
    for y in 3..height - 2 {
        let right = buffer[(width - 1, y)].symbol();
        assert!("│┃┐┓┘┛".contains(right), "seed {seed}: the border of line {y} is {right:?}");
    }
}

fn hostile_cluster(random: &mut Random) -> Cluster {
    let mut cluster = Cluster::new(1 + random.below(4));
    for nth in 0..40 {
        let key = if nth % 2 == 0 { random.bytes(20) } else { random.text(20).into_bytes() };
        let value = if nth % 3 == 0 { random.bytes(200) } else { random.text(200).into_bytes() };
        cluster.put(if key.is_empty() { b"x".to_vec() } else { key }, value);
    }
    // The last in the order of keys: one press away.
    cluster.put(b"\xff\xff\xffedit", HARD_VALUE);
    for nth in 0..cluster.members.len() {
        cluster.members[nth].name = random.text(20);
        let error = random.text(60);
        cluster.members[nth].errors.push(error);
    }
    cluster
}

/// A value that fills an editor with what is hard, and is text all the same.
const HARD_VALUE: &str =
    "a\u{202e}b\u{2066}c\u{200d}d\t日本\n👩\u{200d}👧 🇵🇱👍🏽 e\u{301}\u{fe0f}\u{ad}\nlast";

#[test]
fn random_keys_on_hostile_data_neither_panic_nor_reach_the_terminal() {
    // Where a seed begins, so that every pane is met by random keys.
    const BEGINNINGS: [&str; 5] = ["1", "2 G", "2 G e", "p", "n Enter"];
    let (mut delivered, mut edited, mut small) = (0, 0, 0);
    for seed in 0..40 {
        let mut random = Random(seed);
        let mut cluster = hostile_cluster(&mut random);
        let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
        dashboard.press(&mut cluster, BEGINNINGS[seed as usize % BEGINNINGS.len()]);
        for _ in 0..60 {
            match random.below(24) {
                0 => {
                    let (width, height) = random.size();
                    dashboard.resize(width, height);
                }
                1 => dashboard.send(Msg::Paste(random.text(40))),
                2 => dashboard.wait(&mut cluster, 1),
                3 => {
                    let nth = random.below(cluster.members.len() as u64) as usize;
                    cluster.members[nth].up = random.below(3) > 0;
                }
                4..8 => delivered += deliver(&mut dashboard, &mut random),
                _ => {
                    dashboard.send(Msg::Key(random.key()));
                    if random.below(4) > 0 {
                        dashboard.serve(&mut cluster);
                    }
                }
            }
            edited += usize::from(matches!(dashboard.model.prompt, Some(Prompt::Edit(_))));
            small += usize::from(dashboard.screen().contains("too small"));
            let buffer = dashboard.draw();
            assert_harmless(buffer, seed);
            assert_borders_stand(buffer, seed);
        }
    }
    // Otherwise the panes that matter were not tested.
    assert!(
        delivered > 50 && edited > 100 && small < 600,
        "{delivered} events, {edited} frames with an editor, {small} too small"
    );
}

/// An event for each watch that is open; gives how many.
fn deliver(dashboard: &mut Dashboard, random: &mut Random) -> usize {
    const IDS: std::ops::RangeInclusive<u32> = 1..=8;
    let open: Vec<u32> =
        IDS.filter(|id| dashboard.model.requests.is_waiting(&Slot::Watch(*id))).collect();
    for id in &open {
        let (key, value) = (random.bytes(20), random.bytes(30));
        let change = Change::Put { preview: Bytes::from(value), size: 30, created: true };
        let event = WatchEvent { revision: 5, change, key: Bytes::from(key) };
        dashboard.watch_signal(*id, WatchSignal::Events(vec![event]));
    }
    open.len()
}

#[test]
fn every_screen_fits_every_size() {
    let mut random = Random(7);
    let mut cluster = hostile_cluster(&mut random);
    for keys in
        ["1", "2", "2 G", "2 Tab", "2 d", "2 G e", "2 G d", "3", "p", "n", "?", "2 /", "n Enter"]
    {
        let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
        dashboard.press(&mut cluster, keys);
        if keys == "n Enter" {
            assert!(deliver(&mut dashboard, &mut random) > 0, "a watch is open");
        }
        for (width, height) in [
            (1, 1),
            (20, 5),
            (59, 15),
            (60, 15),
            (61, 16),
            (80, 24),
            (132, 43),
            (500, 150),
            (60, 200),
            (500, 15),
        ] {
            dashboard.resize(width, height);
            let buffer = dashboard.draw();
            assert_harmless(buffer, 7);
            assert_borders_stand(buffer, 7);
        }
    }
}

#[test]
fn every_binding_does_something_or_nothing_in_every_pane() {
    let mut cluster = Cluster::example();
    for pane in ["1", "2", "2 Tab", "3"] {
        for binding in KEYMAP {
            let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
            dashboard.press(&mut cluster, pane);
            for press in binding.presses {
                dashboard.send(Msg::Key(press.event()));
                dashboard.draw();
            }
        }
    }
}
