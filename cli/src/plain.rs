//! Texts of Go and of the operating system that errors carry along, in words for a person.

/// What was typed and cannot be read, after its quoted form.
const REASONS: [(&str, &str, &str); 3] = [
    ("strconv.ParseBool", "invalid syntax", "is neither true nor false"),
    ("strconv.Parse", "invalid syntax", "is no number"),
    ("strconv.Parse", "value out of range", "is out of range"),
];

/// `strconv.ParseInt: parsing "x": invalid syntax` is `"x" is no number`, and the operating system's
/// words need not have its number with them.
pub(crate) fn plain(text: &str) -> String {
    for (parser, reason, words) in REASONS {
        if let Some(plain) = replaced(text, parser, reason, words) {
            return plain;
        }
    }
    without_number(text)
}

fn replaced(text: &str, parser: &str, reason: &str, words: &str) -> Option<String> {
    let (before, call) = text.split_once(parser)?;
    let (_, typed) = call.split_once(": parsing ")?;
    let (typed, after) = typed.split_once(&format!("\": {reason}"))?;
    Some(format!("{before}{typed}\" {words}{after}"))
}

fn without_number(text: &str) -> String {
    let Some((before, rest)) = text.split_once(" (os error ") else { return text.to_owned() };
    match rest.split_once(')') {
        Some((number, after)) if number.chars().all(|c| c.is_ascii_digit()) => {
            format!("{before}{after}")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_go_says_of_a_number_is_said_in_words() {
        let parsing = "bad TTL (strconv.ParseInt: parsing \"x\": invalid syntax)";
        assert_eq!(plain(parsing), "bad TTL (\"x\" is no number)");
        let large = "strconv.ParseInt: parsing \"9e9\": value out of range";
        assert_eq!(plain(large), "\"9e9\" is out of range");
        let no_bool = "strconv.ParseBool: parsing \"maybe\": invalid syntax";
        assert_eq!(plain(no_bool), "\"maybe\" is neither true nor false");
    }

    #[test]
    fn the_number_of_an_error_is_left_out() {
        let text = "could not open a (Permission denied (os error 13)): b";
        assert_eq!(plain(text), "could not open a (Permission denied): b");
        assert_eq!(plain("nothing of that"), "nothing of that");
        assert_eq!(plain("a key (os error of ours"), "a key (os error of ours");
    }
}
