//! The dashboard on a real terminal; what it draws is proved where it lives, without one.

use std::time::Duration;

use kvorum_tests::binary;
use kvorum_tests::program::Names;
use kvorum_tests::terminal::Terminal;
use rustix::process::Signal;

use super::playground::{Playground, temporary_folders};
use super::{Place, assert_at_once};

#[test]
fn the_dashboard_opens_from_the_shell_and_comes_back_to_it() {
    let place = Place::new();
    let shell = place.shell();
    shell.keys("watch w\r");
    shell.shows("[1] watching");
    shell.keys("ui\r");
    shell.shows_all(&["Overview", "healthy"]);
    place.put("w", "meanwhile");
    shell.keys("2");
    shell.shows("meanwhile");
    shell.keys("q");
    shell.shows_all(&["PUT\nw\nmeanwhile", &place.prompt()]);
    shell.keys("get w\r");
    shell.shows("get w\nw\nmeanwhile");
}

#[test]
fn the_dashboard_has_the_colours_and_the_letters_that_the_flags_say() {
    let place = Place::new();
    for (flags, coloured, boxes) in [
        (&["--color=always"][..], true, true),
        (&["--color=never"], false, true),
        (&["--plain"], false, false),
    ] {
        let dashboard = Terminal::start(place.kvorum(&[flags, &["ui"]].concat()), 80, 24);
        dashboard.shows("healthy");
        assert_eq!(dashboard.is_coloured(), coloured, "{flags:?}: {}", dashboard.screen());
        assert_eq!(!dashboard.screen().is_ascii(), boxes, "{flags:?}: {}", dashboard.screen());
    }
}

#[test]
fn the_playground_shows_three_members_the_leader_and_its_keys() {
    let names = Names::of(binary!());
    for (columns, rows, leave) in [(80, 24, "q"), (200, 50, "\x03")] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = names.kvorum().command();
        command.env("TMPDIR", folder.path()).arg("playground");
        let mut dashboard = Terminal::start(command, columns, rows);
        dashboard.shows_all(&[
            "healthy: 3 of 3 members serve",
            "infra1",
            "infra2",
            "infra3",
            "leader",
        ]);
        println!("{}", dashboard.screen());
        dashboard.keys("2");
        dashboard.shows_all(&["config", "locks", "services"]);
        println!("{}", dashboard.screen());
        dashboard.paste("drop everything\n");
        dashboard.shows("pasted text was ignored");
        dashboard.keys(leave);
        assert!(dashboard.ended().success());
        assert!(dashboard.is_restored(), "{}", dashboard.screen());
        assert_eq!(temporary_folders(folder.path()), 0);
    }
}

#[test]
fn a_put_appears_in_the_dashboards_watch_at_once() {
    let playground = Playground::start();
    let dashboard = Terminal::start(playground.kvorum(&["ui"]), 80, 24);
    dashboard.shows("healthy");
    dashboard.keys("n");
    dashboard.shows("watch");
    dashboard.keys("\x15/w/\r");
    dashboard.shows("watching from revision");
    let shell = Terminal::start(playground.kvorum(&[]), 80, 24);
    shell.becomes("a prompt", |screen| screen.ends_with('>'));
    let took = (0..10).map(|round| {
        let value = format!("value-{round}");
        shell.keys(&format!("put /w/{round} {value}\r"));
        dashboard.shows(&value)
    });
    let took: Vec<Duration> = took.collect();
    println!("from Enter in a shell to the dashboard's watch: {took:.0?}");
    assert_at_once(took);
}

#[test]
fn the_loss_of_all_members_is_shown_and_survived() {
    let mut playground = Playground::start();
    let mut dashboard = Terminal::start(playground.kvorum(&["ui"]), 80, 24);
    dashboard.shows("healthy: 3 of 3 members serve");
    playground.process.kill();
    dashboard.shows("no member answers: 3 of 3 unreachable");
    dashboard.resize(120, 30);
    // crossterm notices a key that comes in the same moment as a resize only with the next one.
    dashboard.becomes("wider", |screen| screen.lines().any(|line| line.chars().count() > 80));
    dashboard.keys("2");
    dashboard.shows_all(&["[2 Keys]", "no member answers"]);
    dashboard.keys("q");
    assert!(dashboard.ended().success());
    assert!(dashboard.is_restored(), "{}", dashboard.screen());
}

#[test]
fn the_dashboard_gives_the_terminal_back_however_it_ends() {
    let place = Place::new();
    for end in ["q", "\x03", "TERM", "HUP"] {
        let mut dashboard = Terminal::start(place.kvorum(&["ui"]), 80, 24);
        dashboard.shows("healthy");
        assert!(!dashboard.is_restored(), "it has the terminal to itself");
        match end {
            "TERM" => dashboard.signal(Signal::TERM),
            "HUP" => dashboard.signal(Signal::HUP),
            keys => dashboard.keys(keys),
        }
        assert!(dashboard.ended().success(), "{end:?}");
        assert!(dashboard.is_restored(), "{end:?}: {}", dashboard.screen());
    }
    // So that this can fail: nobody is left to give it back.
    let mut killed = Terminal::start(place.kvorum(&["ui"]), 80, 24);
    killed.shows("healthy");
    killed.signal(Signal::KILL);
    killed.ended();
    assert!(!killed.is_restored());
}
