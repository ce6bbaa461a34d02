//! When long output goes through a pager, and what a slow cluster shows meanwhile.

use std::process::Command;
use std::time::Duration;

use kvorum_tests::slow;
use kvorum_tests::terminal::Terminal;

use super::Place;

/// More than a first page of a scan has.
const KEYS: usize = 1000;

/// There and back, on the line to a cluster far away.
const ROUND_TRIP: Duration = Duration::from_secs(2);

/// Stands in for a pager: whatever goes through it is marked.
const PAGER: &str = "sed 's/^/paged /'";

/// Its keys are their numbers, in four digits.
fn place() -> Place {
    let place = Place::new();
    let puts: Vec<_> = (0..KEYS).map(|i| format!("put key-{i:04} value\n")).collect();
    assert!(place.script(&puts.concat()).status.success());
    place
}

fn grep(mut command: Command, pattern: &str) -> Terminal {
    command.env("KVORUM_PAGER", PAGER).args(["grep", pattern]);
    Terminal::start(command, 80, 24)
}

/// The first line of the screen and the last, without what is said on the side.
fn ends(screen: &str) -> (&str, &str) {
    let mut rows = screen.lines().filter(|line| line.contains("key-"));
    let first = rows.next().expect("there are rows");
    (first, rows.next_back().unwrap_or(first))
}

#[test]
fn only_what_does_not_fit_on_the_screen_is_paged() {
    let place = place();
    for (pattern, expected) in [
        ("key-000", ("key-0000", "key-0009")),
        // Of 100 lines the screen shows the last ones, with a sentence and the cursor below.
        ("key-00", ("paged key-0078", "paged key-0099")),
    ] {
        let mut terminal = grep(place.kvorum(&[]), pattern);
        assert!(terminal.ended().success());
        assert_eq!(ends(&terminal.screen()), expected, "{}", terminal.screen());
    }
}

#[test]
fn without_a_pager_long_output_is_simply_shown() {
    let place = place();
    let mut command = place.kvorum(&["grep", "key-00"]);
    command.env("KVORUM_PAGER", "no-such-pager --flag");
    let mut terminal = Terminal::start(command, 80, 24);
    assert!(terminal.ended().success());
    assert_eq!(ends(&terminal.screen()).1, "key-0099", "{}", terminal.screen());
}

#[test]
fn slow_output_is_shown_as_it_comes_and_paged_when_there_is_more_than_a_screen_of_it() {
    let place = place();
    let port = place.cluster.members[0].client_port();
    let far = slow::line_to(port, ROUND_TRIP / 2).expect("a port can be had");
    // The first page has one row, the others follow a round trip later.
    for (pattern, end) in [("key-(0000|0999)", "key-0999"), ("key-(0000|09)", "paged key-0999")] {
        let mut terminal = grep(place.kvorum_at(&far, &[]), pattern);
        terminal.shows("waiting for an answer");
        terminal.shows("key-0000");
        assert!(!terminal.screen().contains("999"), "{}", terminal.screen());
        assert!(terminal.ended().success());
        assert_eq!(ends(&terminal.screen()).1, end, "{}", terminal.screen());
        let progress = " of 1,000 keys, ";
        let written = String::from_utf8_lossy(&terminal.written()).into_owned();
        assert!(written.contains(progress), "{written}");
        let end = terminal.screen();
        assert!(!end.contains(progress) && !end.contains("waiting"), "{end}");
    }
}
