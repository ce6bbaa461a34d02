//! How soon a service is seen and missed, and a change reaches the command it is for.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use kvorum_proto::etcdserverpb::PutRequest;

use crate::{Place, client, say};

/// From the start of `service register` on.
const MAX_SEEN: Duration = Duration::from_millis(100);

/// Beyond the time to live, after a kill -9.
const MAX_GONE: Duration = Duration::from_secs(1);

/// From the put on.
const MAX_DELIVERED: Duration = Duration::from_millis(200);

/// The least that etcd grants with its usual election timeout.
const TTL: Duration = Duration::from_secs(2);

const SERVICES: u16 = 20;
const KILLED: u16 = 5;
const CHANGES: usize = 50;

/// What may be waited for at most; a machine that needs longer measures nothing.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn measure(place: &Place) -> bool {
    let (seen, gone) = services(place);
    let delivered = changes(place);
    let mut is_within = true;
    for (what, mut took, max) in [
        ("a service is seen", seen, MAX_SEEN),
        ("a service that was killed is gone, beyond its TTL of 2 s", gone, MAX_GONE),
        ("a change reaches the command", delivered, MAX_DELIVERED),
    ] {
        took.sort_unstable();
        let (median, most) = (took[took.len() / 2], took[took.len() - 1]);
        let (count, median_ms) = (took.len(), median.as_millis());
        say(&format!(
            "  {what}: median {median_ms} ms, at most {} ms of {count}",
            most.as_millis()
        ));
        is_within &= most <= max;
    }
    is_within
}

fn services(place: &Place) -> (Vec<Duration>, Vec<Duration>) {
    let watch = Told::by(place.command(&["service", "watch", "web", "-o", "ndjson"]));
    let register = |address: &str| {
        Told::by(place.command(&["service", "register", "web", address, "--ttl", "2"]))
    };
    let _first = register("127.0.0.1:9999");
    // From here on somebody watches.
    watch.next();
    let (mut seen, mut gone) = (Vec::new(), Vec::new());
    let mut living = Vec::new();
    for port in 1..=SERVICES {
        let address = format!("127.0.0.1:{port}");
        let began = Instant::now();
        let mut service = register(&address);
        let (line, at) = watch.next();
        assert!(line.contains("added") && line.contains(&address), "{line}");
        seen.push(at.saturating_duration_since(began));
        if port > KILLED {
            living.push(service);
            continue;
        }
        let killed = Instant::now();
        service.kill();
        let (line, at) = watch.next();
        assert!(line.contains("removed") && line.contains(&address), "{line}");
        gone.push(at.saturating_duration_since(killed).saturating_sub(TTL));
    }
    (seen, gone)
}

fn changes(place: &Place) -> Vec<Duration> {
    let show =
        ["--quiet", "config", "run", "/greeting/", "--", "sh", "-c", "echo $text; exec sleep 600"];
    let mut client = place.runtime.block_on(client(&place.url));
    let mut put = |text: &str| {
        let (key, value) = ("/greeting/text".into(), text.to_owned().into());
        let put = PutRequest { key, value, ..PutRequest::default() };
        place.runtime.block_on(client.put(put)).expect("a put is taken");
    };
    put("first");
    let run = Told::by(place.command(&show));
    assert_eq!(run.next().0, "first");
    let change = |round: usize| {
        let text = format!("change-{round}");
        let began = Instant::now();
        put(&text);
        let (line, at) = run.next();
        assert_eq!(line, text);
        at.saturating_duration_since(began)
    };
    (0..CHANGES).map(change).collect()
}

/// A program that runs, and what it prints. It is killed when this is dropped.
struct Told {
    child: Child,
    lines: Receiver<(String, Instant)>,
}

impl Told {
    fn by(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("kvorum runs");
        let out = child.stdout.take().expect("its output is a pipe");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send((line, Instant::now())).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line, and when it came.
    fn next(&self) -> (String, Instant) {
        self.lines.recv_timeout(PATIENCE).expect("a line comes")
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.kill();
    }
}
