//! A key press on a level of a hundred thousand keys is on the screen within a frame.

mod support;

use std::time::Duration;

use bytes::Bytes;
use kvorum_tui::cmd::Slot;
use kvorum_tui::msg::{Answer, Entry, LevelPart, Msg, Reply};
use support::{Cluster, Dashboard, key_event};

const KEYS: usize = 100_000;
/// From the key press to the frame.
const LIMIT: Duration = Duration::from_millis(16);
/// Ends as it begins: at the first row, without a filter. The filter leaves 40,951 rows, then
/// 10,000, then the same again.
const PRESSES: [&str; 21] = [
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
    "Backspace",
    "Enter",
    "G",
    "Esc",
    "g",
    "?",
    "Esc",
];

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

/// What each press costs, to the frame. Processor time, so that other tests on the same machine do
/// not count.
fn costs(dashboard: &mut Dashboard, cluster: &mut Cluster) -> Vec<Duration> {
    let press = |key: &&str| {
        let pressed = processor_time();
        dashboard.send(Msg::Key(key_event(key)));
        dashboard.draw();
        let cost = processor_time().saturating_sub(pressed);
        dashboard.serve(cluster);
        let rows = dashboard.screen().matches("-profile").count();
        assert!(*key == "?" || rows > 10, "{rows} rows after {key}");
        cost
    };
    PRESSES.iter().map(press).collect()
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn a_key_press_among_a_hundred_thousand_keys_takes_less_than_a_frame() {
    let mut cluster = Cluster::new(3);
    let mut dashboard = with_many_keys(&mut cluster);
    let mut rounds: Vec<Vec<Duration>> =
        (0..5).map(|_| costs(&mut dashboard, &mut cluster)).collect();
    let middle = |nth: usize| {
        rounds.sort_unstable_by_key(|round| round[nth]);
        rounds[rounds.len() / 2][nth]
    };
    let mut middles: Vec<(Duration, &str)> = (0..PRESSES.len()).map(middle).zip(PRESSES).collect();
    middles.sort_unstable_by(|a, b| b.cmp(a));
    assert!(middles[0].0 <= LIMIT, "the slowest keys: {middles:?}");
}
