//! Words of others, made fit to be shown.

/// At most so many characters, without any that a terminal would act on.
pub(crate) fn printable(text: &str, max_chars: usize) -> String {
    let clean = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut shown: String = text.chars().take(max_chars).map(clean).collect();
    if text.chars().nth(max_chars).is_some() {
        shown.push('…');
    }
    shown
}
