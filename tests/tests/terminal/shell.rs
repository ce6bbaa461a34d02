//! The shell: what is typed, pasted, piped and interrupted.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use kvorum_tests::binary;
use kvorum_tests::program::Names;
use kvorum_tests::terminal::Terminal;
use kvorum_tests::wait::until;
use rustix::process::Signal;

use super::{Place, SOON, assert_at_once, succeeds, text};

/// Waits for a prompt with nothing typed behind this text. Before it stands, the terminal would
/// take Ctrl-C and Ctrl-D for itself.
fn prompts_after(shell: &Terminal, text: &str) {
    shell.becomes(&format!("a prompt after {text:?}"), |screen| {
        let Some((_, after)) = screen.split_once(text) else { return false };
        let last = after.lines().last();
        last.is_some_and(|line| line.starts_with("127.0.0.1:") && line.ends_with('>'))
    });
}

#[test]
fn the_shell_greets_in_two_lines_and_carries_out_what_is_typed() {
    let place = Place::new();
    let mut shell = place.shell();
    let screen = shell.screen();
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines[0].contains("is healthy: 1 member, leader m1"), "{screen}");
    assert!(lines[1].contains("help") && lines[2].starts_with(&place.prompt()), "{screen}");

    // Typed ahead: each line waits for the one before.
    shell.keys("put 'a key' \"x\\x00y\"\rget 'a key'\r");
    shell.shows("x\\x00y");
    shell.keys("get nothing --rev=99\r");
    shell.shows("error: etcdserver: mvcc: required revision is a future revision");
    shell.keys("nonsense\r");
    prompts_after(&shell, "unrecognized subcommand 'nonsense'");
    shell.keys("\x04");
    assert!(shell.ended().success());
    assert!(shell.is_restored(), "{}", shell.screen());
}

#[test]
fn a_watch_prints_above_a_line_that_is_half_typed() {
    let place = Place::new();
    let shell = place.shell();
    shell.keys("watch --prefix w/\r");
    shell.shows("[1] watching");
    shell.keys("put half ty");
    shell.shows("> put half ty");
    place.put("w/1", "one");
    let half_typed_last =
        |screen: &str| screen.lines().last().is_some_and(|line| line.ends_with("> put half ty"));
    shell.becomes("the event above the half-typed line", |screen| {
        screen.contains("PUT\nw/1\none\n") && half_typed_last(screen)
    });
    shell.keys("ped\rget half\r");
    shell.shows("half\ntyped");
    shell.keys("jobs\r");
    shell.shows("[1] watch --prefix w/");
    shell.keys("kill 1\rjobs\rput w/2 two\rput said done\r");
    shell.becomes("the end", |screen| screen.matches("\nOK\n").count() >= 3);
    assert!(!shell.screen().contains("PUT\nw/2"), "{}", shell.screen());
}

#[test]
fn events_stay_in_order_while_commands_run() {
    const EVENTS: usize = 200;
    const GETS_MAX: usize = 500;
    let place = Place::new();
    // Everything stays on a screen this high: three lines an event, one a command.
    let shell = Terminal::start(place.kvorum(&[]), 80, 2000);
    shell.shows(&place.prompt());
    shell.keys("watch --prefix f/\r");
    shell.shows("[1] watching");
    let puts: Vec<String> = (0..EVENTS).map(|number| format!("put f/{number:03} x\n")).collect();
    let puts = puts.concat();
    std::thread::scope(|scope| {
        let script = scope.spawn(|| place.script(&puts));
        let mut typed = 0;
        while typed < GETS_MAX && !script.is_finished() {
            typed += 1;
            shell.keys("get nothing\r");
            shell.becomes("the next prompt", |screen| {
                screen.matches("> get nothing\n").count() >= typed
            });
        }
    });
    shell.shows(&format!("f/{:03}\nx", EVENTS - 1));
    let screen = shell.screen();
    let shown: Vec<&str> = screen.lines().filter_map(|line| line.strip_prefix("f/")).collect();
    let written: Vec<String> = (0..EVENTS).map(|number| format!("{number:03}")).collect();
    assert_eq!(shown, written);
}

#[test]
fn an_event_is_on_the_screen_at_once() {
    let place = Place::new();
    let watching = place.shell();
    watching.keys("watch --prefix w/\r");
    watching.shows("[1] watching");
    let typing = place.shell();
    let took = (0..10).map(|round| {
        typing.keys(&format!("put w/{round} value-{round}\r"));
        watching.shows(&format!("w/{round}\nvalue-{round}"))
    });
    let took: Vec<Duration> = took.collect();
    println!("from Enter in one shell to the event in another: {took:.0?}");
    assert_at_once(took);
}

#[test]
fn ctrl_c_ends_the_command_and_not_the_shell() {
    let mut place = Place::new();
    let shell = Terminal::start(place.kvorum(&["--command-timeout=300s"]), 80, 24);
    shell.shows(&place.prompt());
    shell.keys("lease grant 60\r");
    shell.shows("granted with TTL(60s)");
    let screen = shell.screen();
    let lease = screen.lines().find_map(|line| line.strip_prefix("lease ")?.split(' ').next());
    shell.keys(&format!("lease keep-alive {}\r", lease.expect("a lease was granted")));
    shell.shows("keepalived with TTL");
    shell.keys("\x03");
    prompts_after(&shell, "^C");

    shell.keys("put given up");
    shell.shows("> put given up");
    shell.keys("\x03");
    prompts_after(&shell, "put given up");
    // A member that does not answer. Without Ctrl-C the command would end after some seconds, with
    // an error for the connection.
    place.cluster.members[0].running().suspend();
    shell.keys("get a\r");
    until(SOON, || shell.is_restored().then_some(()))
        .unwrap_or_else(|| panic!("a command has the terminal as it was:\n{}", shell.screen()));
    shell.keys("\x03");
    // The terminal may show ^C before the end of the line has been written.
    shell.becomes("a prompt after ^C", |screen| {
        screen
            .split_once("get a")
            .is_some_and(|(_, rest)| rest.trim_start().starts_with("^C\n") && rest.ends_with('>'))
    });
    assert!(!shell.screen().contains("error:"), "{}", shell.screen());
    place.cluster.members[0].running().resume();
    shell.keys("put after all\r");
    shell.shows("put after all\nOK");
}

#[test]
fn a_range_is_deleted_after_a_question_and_a_transaction_is_asked_for() {
    let place = Place::new();
    place.put("d/1", "one");
    place.put("d/2", "two");
    let shell = place.shell();
    shell.keys("del --prefix d/\r");
    shell.shows("delete 2 keys: those that begin with \"d/\", 12 B? [y/N]");
    shell.keys("n\r");
    shell.shows("nothing was deleted");
    shell.keys("txn\r");
    shell.shows("compares:");
    shell.keys("value(\"d/1\") = \"one\"\r\r");
    shell.shows("success requests");
    shell.keys("put d/1 won\r\r");
    shell.shows("failure requests");
    shell.keys("\r");
    shell.shows("SUCCESS");
    assert_eq!(succeeds(&mut place.kvorum(&["get", "d/1"])), "d/1\nwon\n");
}

#[test]
fn several_pasted_lines_are_carried_out_one_by_one() {
    let place = Place::new();
    let shell = place.shell();
    shell.paste("put p/1 'two\nlines'\nput p/2 x\nget p/1");
    shell.shows("get p/1");
    shell.keys("\r");
    shell.shows("p/1\ntwo\nlines");
    assert_eq!(
        succeeds(&mut place.kvorum(&["get", "p/", "--prefix"])),
        "p/1\ntwo\nlines\np/2\nx\n"
    );
    // Nothing is carried out after a line that fails.
    shell.paste("get p/1 --rev=99\nput p/3 never");
    shell.keys("\r");
    shell.shows("future revision");
    shell.keys("get p/2\r");
    shell.shows("get p/2\np/2\nx");
    assert_eq!(succeeds(&mut place.kvorum(&["get", "p/3"])), "");
}

#[test]
fn tab_completes_commands_flags_and_live_keys() {
    let mut place = Place::new();
    place.put("/config/app/motd", "hello");
    place.put("/config/db", "there");
    let shell = Terminal::start(place.kvorum(&["--command-timeout=300s"]), 80, 24);
    shell.shows(&place.prompt());
    shell.keys("ge\t");
    shell.shows("> get");
    // A key press never waits for the network, so a Tab may come before the keys.
    let completes = |typed: &str, text: &str| {
        shell.keys(typed);
        let found = until(SOON, || {
            shell.keys("\t");
            let limit = Duration::from_millis(200);
            until(limit, || shell.screen().contains(text).then_some(()))
        });
        assert!(found.is_some(), "{text} is not completed:\n{}", shell.screen());
    };
    completes("/co", "get /config/");
    completes("a", "get /config/app/motd");
    shell.keys("\r");
    shell.shows("/config/app/motd\nhello");
    shell.keys("get --keys-o\t");
    shell.shows("get --keys-only");
    shell.keys("\x03");
    prompts_after(&shell, "get --keys-only");

    // Nobody answers any more, and still every key is taken at once.
    place.cluster.members[0].running().suspend();
    shell.keys("get /services/\t\tapi");
    // A connection whose member is silent is given up after some ten seconds.
    let took = shell.shows("> get /services/api");
    assert!(took < Duration::from_secs(5), "a key press waits for the network: {took:?}");
}

#[test]
fn the_history_is_its_owners_and_never_holds_a_password() {
    let place = Place::new();
    let mut shell = place.shell();
    shell.keys(
        "put remembered 1\rget k --user root:secret\r put hidden 1\rget said\rput said done\r",
    );
    prompts_after(&shell, "put said done\nOK");
    shell.keys("\x04");
    assert!(shell.ended().success());

    let [file] = &place.histories()[..] else { panic!("one history: {:?}", place.histories()) };
    assert_eq!(file.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    let history = std::fs::read_to_string(file).expect("it can be read");
    assert!(history.contains("put remembered 1\n"), "{history}");
    assert!(!history.contains("secret") && !history.contains("hidden"), "{history}");

    let shell = place.shell();
    shell.keys("\x12remem");
    shell.shows("put remembered 1");
}

#[test]
fn a_lost_connection_is_one_line_and_watches_go_on_without_a_gap() {
    let mut place = Place::new();
    let shell = place.shell();
    shell.keys("watch --prefix w/\rwatch w/1\r");
    shell.shows("[2] watching");
    shell.keys("half typed");
    place.cluster.members[0].kill();
    shell.shows("connection lost: ");
    place.cluster.members[0].start();
    place.cluster.await_serving();
    place.put("w/1", "after");
    shell.shows("connected again, to ");
    shell.becomes("the event, once for each watch", |screen| {
        screen.matches("PUT\nw/1\nafter\n").count() == 2
    });
    let screen = shell.screen();
    for line in ["connection lost", "connected again"] {
        assert_eq!(screen.matches(line).count(), 1, "{screen}");
    }
    assert!(screen.lines().last().is_some_and(|line| line.ends_with("> half typed")), "{screen}");
}

#[test]
fn a_shell_that_is_told_to_end_gives_the_terminal_back() {
    let place = Place::new();
    let mut shell = place.shell();
    shell.keys("half typed");
    shell.shows("half typed");
    shell.signal(Signal::TERM);
    shell.ended();
    assert!(shell.is_restored(), "{}", shell.screen());
}

#[test]
fn a_pipe_is_a_script_that_stops_at_the_first_failure() {
    let place = Place::new();
    let good = place.script("# a remark\nput a 'two\nlines'\nget a\n\ntxn\n\nput b 2\n\n\nget b\n");
    assert!(good.status.success(), "{good:?}");
    assert_eq!(text(&good.stdout), "OK\na\ntwo\nlines\nSUCCESS\n\nOK\nb\n2\n");

    let bad = place.script("put c 3\nget c --rev=99\nput c 4\n");
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    assert_eq!(
        text(&bad.stderr),
        "error: etcdserver: mvcc: required revision is a future revision\n\
         hint: kvorum endpoint status -o fields shows the revision there is\n"
    );
    assert_eq!(succeeds(&mut place.kvorum(&["get", "c"])), "c\n3\n");

    let ranged = place.script("del --prefix c\n");
    assert!(!ranged.status.success() && text(&ranged.stderr).contains("--yes"), "{ranged:?}");
    let open = place.script("put c 'never closed\n");
    assert!(!open.status.success() && text(&open.stderr).contains("quote"), "{open:?}");
    assert_eq!(succeeds(&mut place.kvorum(&["get", "c"])), "c\n3\n");
}

#[test]
fn without_a_cluster_the_shell_says_what_to_do() {
    let names = Names::of(binary!());
    let mut command = names.kvorum().command();
    let [port] = kvorum_tests::ports::free(1)[..] else { panic!("one port") };
    command.arg("--endpoints").arg(format!("127.0.0.1:{port}"));
    let mut shell = Terminal::start(command, 80, 24);
    assert_eq!(shell.ended().code(), Some(1));
    let said = format!(
        "error: nothing answers at 127.0.0.1:{port}\n\
         hint: check that a member runs there, and that this is its client port (2379\n      \
         unless it was changed)"
    );
    assert_eq!(shell.screen().trim_end(), said);
}

#[test]
fn a_cluster_without_a_leader_can_still_be_looked_at() {
    let mut place = Place::with_members(3);
    place.put("a", "1");
    // A quorum has it; the one that stays must have it too.
    let last = place.cluster.members[2].client_url();
    until(SOON, || {
        let told = succeeds(&mut place.kvorum_at(&last, &["get", "a", "--consistency=s"]));
        (told == "a\n1\n").then_some(())
    })
    .expect("every member has it");
    place.cluster.members[0].kill();
    place.cluster.members[1].kill();
    // The last one notices when nobody has answered it for an election timeout.
    let shell = until(SOON, || {
        let shell = Terminal::start(place.kvorum(&[]), 80, 24);
        shell.becomes("a prompt", |screen| screen.ends_with('>'));
        shell.screen().contains("has no leader: 3 members").then_some(shell)
    });
    let shell = shell.expect("it notices");
    shell.keys("get a --consistency=s\r");
    shell.shows("a\n1");
}
