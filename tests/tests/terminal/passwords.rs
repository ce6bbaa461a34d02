//! Passwords that are asked for: what is typed is not shown, and the terminal is as it was.

use kvorum_tests::terminal::Terminal;

use super::Place;

const SECRET: &str = "open sesame";

/// Answers the question that is on the screen.
fn answer(terminal: &Terminal, question: &str, keys: &str) {
    terminal.shows(question);
    terminal.becomes("a line that is not shown", |_| !terminal.shows_keys());
    terminal.keys(keys);
}

#[test]
fn a_new_password_is_asked_for_twice_and_not_shown() {
    let place = Place::new();
    let mut terminal = Terminal::start(place.kvorum(&["user", "add", "alice"]), 80, 24);
    answer(&terminal, "Password of alice:", &format!("{SECRET}\r"));
    let again = "Type password of alice again for confirmation:";
    answer(&terminal, again, &format!("{SECRET}\r"));
    terminal.shows("User alice created");
    assert!(terminal.ended().success());
    assert!(terminal.is_restored());
    assert!(!terminal.screen().contains(SECRET), "{}", terminal.screen());
}

#[test]
fn two_passwords_that_differ_are_refused() {
    let place = Place::new();
    let mut terminal = Terminal::start(place.kvorum(&["user", "add", "alice"]), 80, 24);
    answer(&terminal, "Password of alice:", "one\r");
    answer(&terminal, "again for confirmation:", "other\r");
    terminal.shows("error: given passwords are different");
    assert_eq!(terminal.ended().code(), Some(128));
    assert!(terminal.is_restored());
}

#[test]
fn ctrl_c_in_place_of_a_password_leaves_the_terminal_as_it_was() {
    let place = Place::new();
    for arguments in [&["user", "passwd", "alice"][..], &["--user", "alice", "get", "a"]] {
        let mut terminal = Terminal::start(place.kvorum(arguments), 80, 24);
        answer(&terminal, "Password", "half\x03");
        terminal.shows("interrupted");
        assert!(!terminal.ended().success());
        assert!(terminal.is_restored());
    }
}

#[test]
fn as_etcdctl_the_question_is_etcdctls() {
    let place = Place::new();
    let mut command = place.names.etcdctl().command();
    command.arg("--endpoints").arg(place.cluster.endpoints());
    command.args(["--user", "alice", "get", "a"]);
    let mut terminal = Terminal::start(command, 80, 24);
    // Nobody looks at it: authentication is not enabled.
    answer(&terminal, "Password:", "whatever\r");
    assert!(terminal.ended().success());
    assert!(terminal.is_restored());
    assert_eq!(terminal.screen().trim(), "Password:");
}

#[test]
fn the_shell_does_not_ask_for_what_it_would_show() {
    let place = Place::new();
    let shell = place.shell();
    shell.keys("user add alice\r");
    shell.shows("error: the shell would show the password of alice");
    shell.keys("user add alice --no-password\r");
    shell.shows("User alice created");
    shell.keys("user list\r");
    shell.shows("\nalice\n");
}
