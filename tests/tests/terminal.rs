//! The shell, the dashboard and the playground on a real terminal, as a person meets them.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::process::Process;
use kvorum_tests::program::Names;
use kvorum_tests::terminal::Terminal;
use kvorum_tests::wait::until;
use rustix::process::Signal;
use tempfile::TempDir;

/// How long something that must happen may take.
const SOON: Duration = Duration::from_secs(20);

/// From a put to its event on a screen. A person's machine needs a tenth of it; a busy one may
/// need more.
const EVENT_WITHIN: Duration = Duration::from_secs(2);

/// A member, a home of one's own, and the program to run.
struct Place {
    names: Names,
    home: TempDir,
    cluster: Cluster,
}

impl Place {
    fn new() -> Place {
        let names = Names::of(binary!());
        let cluster = Cluster::start(&names.server(), 1);
        Place { home: tempfile::tempdir().expect("a temporary folder can be made"), names, cluster }
    }

    /// The program at this cluster.
    fn kvorum(&self, arguments: &[&str]) -> Command {
        let mut command = self.names.kvorum().command();
        command.env("HOME", self.home.path()).arg("--endpoints").arg(self.cluster.endpoints());
        command.args(arguments);
        command
    }

    /// A shell whose prompt stands.
    fn shell(&self) -> Terminal {
        let shell = Terminal::start(self.kvorum(&[]), 80, 24);
        shell.shows(&self.prompt());
        shell
    }

    fn prompt(&self) -> String {
        format!("{}> ", self.cluster.endpoints()).trim_end().to_owned()
    }

    fn put(&self, key: &str, value: &str) {
        succeeds(&mut self.kvorum(&["put", key, value]));
    }

    fn histories(&self) -> Vec<PathBuf> {
        let folder = self.home.path().join(".local/state/kvorum");
        let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
        entries.map(|entry| entry.expect("an entry can be read").path()).collect()
    }

    fn script(&self, lines: &str) -> Output {
        let mut command = self.kvorum(&[]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be run");
        let mut stdin = child.stdin.take().expect("it has a standard input");
        // A script that stopped early does not read the rest.
        let _ = stdin.write_all(lines.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("the program can be run");
    assert!(output.status.success(), "{command:?}: {output:?}");
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_shell_greets_in_two_lines_and_carries_out_what_is_typed() {
    let place = Place::new();
    let shell = place.shell();
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
    shell.shows("unrecognized subcommand 'nonsense'");
    shell.keys("\x04");
    assert!(shell_ends(shell), "Ctrl-D leaves without an error and gives the terminal back");
}

fn shell_ends(mut shell: Terminal) -> bool {
    shell.ended().success() && shell.is_restored()
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
    shell.shows("half\nped");
    shell.keys("jobs\r");
    shell.shows("[1] watch --prefix w/");
    shell.keys("kill 1\rjobs\rput w/2 two\rput said done\r");
    shell.becomes("the end", |screen| screen.matches("\nOK\n").count() >= 3);
    assert!(!shell.screen().contains("PUT\nw/2"), "{}", shell.screen());
}

#[test]
fn an_event_is_on_the_screen_at_once() {
    let place = Place::new();
    let watching = place.shell();
    watching.keys("watch --prefix w/\r");
    watching.shows("[1] watching");
    let typing = place.shell();
    let mut slowest = Duration::ZERO;
    for round in 0..10 {
        typing.keys(&format!("put w/{round} value-{round}\r"));
        slowest = slowest.max(watching.shows(&format!("w/{round}\nvalue-{round}")));
    }
    println!("from Enter in one shell to the event in another: at most {slowest:?}");
    assert!(slowest < EVENT_WITHIN, "{slowest:?}");
}

#[test]
fn ctrl_c_ends_the_command_and_not_the_shell() {
    let mut place = Place::new();
    let shell = place.shell();
    shell.keys("lease grant 60\r");
    shell.shows("granted with TTL(60s)");
    let screen = shell.screen();
    let lease = screen.lines().find_map(|line| line.strip_prefix("lease ")?.split(' ').next());
    shell.keys(&format!("lease keep-alive {}\r", lease.expect("a lease was granted")));
    shell.shows("keepalived with TTL");
    shell.keys("\x03");
    let at_prompt = |screen: &str| screen.lines().last().is_some_and(|line| line.ends_with('>'));
    shell.becomes("the prompt", at_prompt);

    shell.keys("put given up\x03");
    shell.becomes("a new prompt", at_prompt);
    place.cluster.members[0].running().suspend();
    shell.keys("get a\r\x03");
    shell.becomes("the prompt again", |screen| screen.contains("get a\n") && at_prompt(screen));
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
    shell.shows("delete 2 keys: those that begin with \"d/\"? [y/N]");
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
    let place = Place::new();
    place.put("/config/app/motd", "hello");
    place.put("/config/db", "there");
    let shell = place.shell();
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
}

#[test]
fn the_history_is_its_owners_and_never_holds_a_password() {
    let place = Place::new();
    let mut shell = place.shell();
    shell.keys(
        "put remembered 1\rget k --user root:secret\r put hidden 1\rget said\rput said done\r",
    );
    shell.shows("put said done\nOK");
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
    assert_eq!(screen.matches("connect").count(), 2, "{screen}");
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
        "error: etcdserver: mvcc: required revision is a future revision\n"
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
    let said = format!("error: nothing answers at 127.0.0.1:{port}\nhint: kvorum playground");
    assert_eq!(shell.screen().trim_end(), said);
}

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

/// A playground that no terminal is attached to.
struct Playground {
    process: Process,
    endpoints: String,
    names: Names,
    folder: TempDir,
}

impl Playground {
    fn start() -> Playground {
        let names = Names::of(binary!());
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (process, endpoints) = serve(&names, folder.path(), &[]);
        Playground { process, endpoints, names, folder }
    }

    /// The program at the playground.
    fn kvorum(&self, arguments: &[&str]) -> Command {
        let mut command = self.names.kvorum().command();
        command.env("HOME", self.folder.path()).arg("--endpoints").arg(&self.endpoints);
        command.args(arguments);
        command
    }
}

/// Starts a playground whose temporary files go to `folder`, and waits for its endpoints.
fn serve(names: &Names, folder: &Path, arguments: &[&str]) -> (Process, String) {
    let log = folder.join("log");
    let mut command = names.kvorum().command();
    command.env("TMPDIR", folder).arg("playground").args(arguments);
    let process = Process::start(command, &log).expect("the playground can be run");
    let endpoints = until(SOON * 2, || {
        let log = process.log();
        let line = log.rsplit_terminator('\n').next().filter(|line| line.starts_with("127."));
        line.map(str::to_owned)
    });
    let endpoints = endpoints.unwrap_or_else(|| panic!("no endpoints: {}", process.log()));
    (process, endpoints)
}

fn temporary_folders(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("an entry can be read").file_name());
    names.filter(|name| name.to_string_lossy().starts_with("kvorum-playground-")).count()
}

#[test]
fn a_playground_without_a_terminal_serves_until_it_is_told_to_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let playground = Playground::start();
        let keys = succeeds(&mut playground.kvorum(&["get", "", "--prefix", "--keys-only"]));
        for key in ["/config/app/motd", "/services/web/10.0.0.21:80", "/locks/nightly-backup/"] {
            assert!(keys.contains(key), "{keys}");
        }
        assert_eq!(temporary_folders(playground.folder.path()), 1);
        let asked = Instant::now();
        let mut process = playground.process;
        process.signal(signal);
        assert!(process.ended().success());
        println!("the playground ended {:?} after {signal:?}", asked.elapsed());
        assert_eq!(temporary_folders(playground.folder.path()), 0);
    }
}

#[test]
fn a_playground_keeps_its_data_and_its_ports_in_a_folder_of_ones_own() {
    let names = Names::of(binary!());
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let data = data.to_str().expect("its name is text");
    let (mut process, endpoints) = serve(&names, folder.path(), &["--data-dir", data]);
    let at = |arguments: &[&str]| {
        let mut command = names.kvorum().command();
        succeeds(command.arg("--endpoints").arg(&endpoints).args(arguments))
    };
    at(&["put", "/config/app/motd", "mine"]);
    process.terminate();
    assert!(process.ended().success());
    let (_process, again) = serve(&names, folder.path(), &["--data-dir", data]);
    assert_eq!(again, endpoints);
    assert_eq!(at(&["get", "/config/app/motd"]), "/config/app/motd\nmine\n");
}

#[test]
fn the_playground_shows_three_members_the_leader_and_its_keys() {
    let names = Names::of(binary!());
    for (columns, rows) in [(80, 24), (200, 50)] {
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
        dashboard.keys("q");
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
    dashboard.keys("/w/\r");
    dashboard.shows("/w/");
    let shell = Terminal::start(playground.kvorum(&[]), 80, 24);
    shell.shows("> ");
    let mut slowest = Duration::ZERO;
    for round in 0..10 {
        let value = format!("value-{round}");
        shell.keys(&format!("put /w/{round} {value}\r"));
        slowest = slowest.max(dashboard.shows(&value));
    }
    println!("from Enter in a shell to the dashboard's watch: at most {slowest:?}");
    assert!(slowest < EVENT_WITHIN, "{slowest:?}");
}

#[test]
fn the_loss_of_all_members_is_shown_and_survived() {
    let mut playground = Playground::start();
    let mut dashboard = Terminal::start(playground.kvorum(&["ui"]), 80, 24);
    dashboard.shows("healthy: 3 of 3 members serve");
    playground.process.kill();
    dashboard.shows("no member answers: 3 of 3 unreachable");
    dashboard.resize(120, 30);
    dashboard.keys("2");
    dashboard.shows("config");
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
}
