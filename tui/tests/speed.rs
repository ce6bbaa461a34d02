//! A key press on a level of a hundred thousand keys is on the screen within a frame.

mod support;

use std::time::Duration;

use bytes::Bytes;
use kvorum_tui::cmd::Slot;
use kvorum_tui::msg::{Answer, Entry, LevelPart, Msg, Reply};
use support::{Cluster, Dashboard, key_event};

const KEYS: usize = 100_000;
/// What the issue allows from the key press to the frame.
const LIMIT: Duration = Duration::from_millis(16);

fn with_many_keys(cluster: &mut Cluster) -> Dashboard {
    let mut dashboard = Dashboard::on(cluster, 200, 50);
    dashboard.send(Msg::Key(key_event("2")));
    let entries = (0..KEYS).map(|nth| Entry {
        name: Bytes::from(format!("user-{nth:06}-profile")),
        folder: nth % 100 == 0,
    });
    let part =
        LevelPart { entries: entries.collect(), revision: 1, done: true, ..LevelPart::default() };
    let at = dashboard
        .waiting
        .iter()
        .position(|(ticket, _)| matches!(ticket.slot, Slot::Level(_)))
        .expect("it asks");
    let (ticket, _) = dashboard.waiting.remove(at).expect("it is there");
    dashboard.send(Msg::Answer(Answer { ticket, body: Ok(Reply::Level(part)) }));
    dashboard.serve(cluster);
    dashboard.draw();
    dashboard
}

/// The middle one of a few measurements. Processor time, so that other tests on the same machine do
/// not count.
fn cost(dashboard: &mut Dashboard, cluster: &mut Cluster, key: &str) -> Duration {
    let mut costs: Vec<Duration> = (0..5)
        .map(|_| {
            let pressed = processor_time();
            dashboard.send(Msg::Key(key_event(key)));
            dashboard.draw();
            let cost = processor_time().saturating_sub(pressed);
            dashboard.serve(cluster);
            cost
        })
        .collect();
    costs.sort_unstable();
    costs[costs.len() / 2]
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn a_key_press_among_a_hundred_thousand_keys_takes_less_than_a_frame() {
    let mut cluster = Cluster::new(3);
    let mut dashboard = with_many_keys(&mut cluster);
    let mut costs = Vec::new();
    for key in [
        "j",
        "PgDn",
        "G",
        "k",
        "PgUp",
        "g",
        "Enter",
        "h",
        "t",
        "/",
        "9",
        "-",
        "p",
        "Backspace",
        "Esc",
        "?",
        "Esc",
    ] {
        costs.push((cost(&mut dashboard, &mut cluster, key), key));
    }
    costs.sort_unstable_by(|a, b| b.cmp(a));
    assert!(costs[0].0 <= LIMIT, "the slowest keys: {costs:?}");
}
