//! The value of the selected key, laid out for its pane.
//!
//! The layout is made when the value, its format or the width changes, so that drawing and
//! scrolling cost only what is on the screen.

use std::fmt::Write as _;

use bytes::Bytes;
use kvorum_client::decode::pretty_json;

use crate::msg::{Failure, KeyValue, LeaseLeft, Moment};
use crate::text;

/// As much of a value as is laid out; the rest is named, not shown. Keeps a key press well under a
/// frame.
const SHOWN_BYTES: usize = 256 * 1024;
/// A lease in sight is asked for this often.
const LEASE_POLL_MS: u64 = 3000;
/// Bytes on a line of the hex view.
const HEX_COLUMNS: usize = 16;

#[derive(Debug, Default)]
pub struct ValuePane {
    pub state: ValueState,
    /// What was asked for by hand; `None` goes by the value.
    chosen: Option<Format>,
    pub format: Format,
    rows: Vec<String>,
    width: usize,
    pub scroll: usize,
    pub lease: Option<(LeaseLeft, Moment)>,
    /// The revision of the cluster when the value was read.
    pub read_at: i64,
    /// The newest revision that was known when it was asked for.
    pub asked_at: i64,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum ValueState {
    /// No key is selected.
    #[default]
    Nothing,
    Reading(Bytes),
    Missing(Bytes),
    Failed(Bytes, Failure),
    Shown(KeyValue),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Json,
    Hex,
}

impl ValuePane {
    pub fn key(&self) -> Option<&Bytes> {
        match &self.state {
            ValueState::Nothing => None,
            ValueState::Reading(key) | ValueState::Missing(key) | ValueState::Failed(key, _) => {
                Some(key)
            }
            ValueState::Shown(kv) => Some(&kv.key),
        }
    }

    pub fn shown(&self) -> Option<&KeyValue> {
        match &self.state {
            ValueState::Shown(kv) => Some(kv),
            _ => None,
        }
    }

    /// Another key is selected: nothing of the last one stays.
    pub fn turn_to(&mut self, state: ValueState) {
        *self = Self { state, width: self.width, asked_at: self.asked_at, ..Self::default() };
    }

    pub fn show(&mut self, kv: KeyValue, revision: i64) {
        let same_key = self.key() == Some(&kv.key);
        let same_lease = self.shown().is_some_and(|shown| shown.lease == kv.lease);
        if !same_key {
            self.chosen = None;
            self.scroll = 0;
        }
        if !same_lease {
            self.lease = None;
        }
        self.read_at = revision;
        self.state = ValueState::Shown(kv);
        self.lay_out();
    }

    pub fn next_format(&mut self) {
        let json = self.shown().is_some_and(|kv| pretty_json(&kv.value).is_some());
        self.chosen = Some(match self.format {
            Format::Text => Format::Hex,
            Format::Hex if json => Format::Json,
            Format::Hex | Format::Json => Format::Text,
        });
        self.scroll = 0;
        self.lay_out();
    }

    pub fn set_width(&mut self, columns: u16) {
        let columns = usize::from(columns);
        if self.width != columns {
            self.width = columns;
            self.lay_out();
        }
    }

    pub fn rows(&self) -> &[String] {
        &self.rows
    }

    pub fn scroll_by(&mut self, rows: isize, height: usize) {
        let last = self.rows.len().saturating_sub(height);
        self.scroll = self.scroll.saturating_add_signed(rows).min(last);
    }

    /// The lease, when it is time to ask how long it has left: somebody may keep it alive.
    pub fn lease_due(&self, now: Moment) -> Option<i64> {
        let id = self.shown()?.lease;
        let fresh = |asked: Moment| now.mono_ms < asked.mono_ms + LEASE_POLL_MS;
        (id != 0 && !self.lease.is_some_and(|(_, asked)| fresh(asked))).then_some(id)
    }

    /// Seconds that the key's lease has left.
    pub fn lease_left_s(&self, now: Moment) -> Option<i64> {
        let (lease, asked) = self.lease?;
        let gone_s = now.mono_ms.saturating_sub(asked.mono_ms) / 1000;
        Some(lease.left_s.saturating_sub(gone_s as i64))
    }

    fn lay_out(&mut self) {
        self.rows.clear();
        let ValueState::Shown(kv) = &self.state else { return };
        let shown = &kv.value[..kv.value.len().min(SHOWN_BYTES)];
        let cut = kv.value.len() - shown.len();
        let json = if cut == 0 { pretty_json(shown) } else { None };
        let text = readable(shown, cut > 0);
        self.format = self.chosen.unwrap_or(match (&json, text) {
            (Some(_), _) => Format::Json,
            (None, Some(_)) => Format::Text,
            (None, None) => Format::Hex,
        });
        let width = self.width.max(1);
        match (self.format, json) {
            (Format::Hex, _) => self.rows.extend(hex_rows(shown, width)),
            (Format::Json, Some(pretty)) => self.rows.extend(wrapped(&pretty, width)),
            _ => self.rows.extend(wrapped(&String::from_utf8_lossy(shown), width)),
        }
        if cut > 0 {
            self.rows.push(format!(
                "({} more bytes are not shown)",
                crate::figures::grouped(cut as i64)
            ));
        }
    }
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "JSON",
            Self::Hex => "hex",
        }
    }
}

/// The text of a value, if it is meant to be read: UTF-8 without control characters other than line
/// ends and tabs.
pub fn readable(value: &[u8], cut: bool) -> Option<&str> {
    let text = match std::str::from_utf8(value) {
        Ok(text) => text,
        // A cut may fall into the middle of a character.
        Err(error) if cut && error.error_len().is_none() => {
            std::str::from_utf8(&value[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let plain = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\t' | '\r');
    text.chars().all(plain).then_some(text)
}

fn wrapped(text: &str, width: usize) -> impl Iterator<Item = String> {
    text.lines().flat_map(move |line| text::wrap(&text::visible_line(line), width))
}

/// `00000010  6b 76 6f 72 75 6d 00 ff  …  kvorum..`
fn hex_rows(bytes: &[u8], width: usize) -> impl Iterator<Item = String> {
    // Each byte takes three columns and one for its character; eight bytes where sixteen do not
    // fit.
    let columns = if width >= 10 + HEX_COLUMNS * 4 { HEX_COLUMNS } else { HEX_COLUMNS / 2 };
    bytes.chunks(columns).enumerate().map(move |(nth, chunk)| {
        let mut row = format!("{:08x} ", nth * columns);
        for at in 0..columns {
            let _ = match chunk.get(at) {
                Some(byte) => write!(row, " {byte:02x}"),
                None => write!(row, "   "),
            };
        }
        row.push_str("  ");
        row.extend(
            chunk
                .iter()
                .map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' }),
        );
        row
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Format, ValuePane};
    use crate::msg::KeyValue;

    fn pane(value: &[u8], width: u16) -> ValuePane {
        let mut pane = ValuePane::default();
        pane.set_width(width);
        pane.show(KeyValue { value: Bytes::copy_from_slice(value), ..KeyValue::default() }, 1);
        pane
    }

    #[test]
    fn the_format_goes_by_the_value_and_can_be_chosen() {
        assert_eq!(pane(b"plain\ttext\n", 40).rows(), ["plain   text"]);
        let mut json = pane(br#"{"a":1}"#, 40);
        assert_eq!((json.format, json.rows().len()), (Format::Json, 3));
        json.next_format();
        assert_eq!((json.format, json.rows()), (Format::Text, &["{\"a\":1}".to_owned()][..]));
        let binary = pane(b"\x00\xffkv\x1b", 80);
        assert_eq!(binary.format, Format::Hex);
        assert_eq!(
            binary.rows(),
            ["00000000  00 ff 6b 76 1b                                   ..kv."]
        );
    }

    #[test]
    fn long_lines_are_wrapped_to_the_pane_and_again_when_it_changes() {
        let mut pane = pane(b"abcdefghij\nk", 4);
        assert_eq!(pane.rows(), ["abcd", "efgh", "ij", "k"]);
        pane.scroll_by(10, 2);
        assert_eq!(pane.scroll, 2);
        pane.set_width(10);
        assert_eq!(pane.rows(), ["abcdefghij", "k"]);
    }

    #[test]
    fn a_huge_value_is_cut_and_says_so() {
        let pane = pane(&vec![b'a'; 300 * 1024], 100);
        assert_eq!(
            pane.rows().last().map(String::as_str),
            Some("(45,056 more bytes are not shown)")
        );
        assert_eq!(pane.format, Format::Text);
    }
}
