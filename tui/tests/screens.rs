//! What the dashboard looks like, and what it does, after real keys on a known cluster.

mod support;

use kvorum_tui::cmd::{Request, Slot};
use kvorum_tui::model::Pane;
use kvorum_tui::msg::{Alarm, Change, Msg, WatchEvent, WatchSignal};
use support::{Cluster, Dashboard, put_event};

#[test]
fn a_healthy_cluster_is_seen_at_a_glance() {
    let mut cluster = Cluster::example();
    let mut small = Dashboard::on(&mut cluster, 80, 24);
    insta::assert_snapshot!("overview_80x24", small.screen());
    let mut large = Dashboard::on(&mut cluster, 200, 50);
    insta::assert_snapshot!("overview_200x50", large.screen());
    let mut narrow = Dashboard::on(&mut cluster, 60, 15);
    insta::assert_snapshot!("overview_60x15", narrow.screen());
}

#[test]
fn before_anyone_answers_the_address_is_shown() {
    let mut dashboard = Dashboard::new(80, 24);
    insta::assert_snapshot!("connecting", dashboard.screen());
    let mut nobody = Cluster::new(1);
    nobody.kill(0);
    dashboard.wait(&mut nobody, 2);
    insta::assert_snapshot!("nobody_answers", dashboard.screen());
}

#[test]
fn the_loss_of_members_and_their_return_are_shown() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    cluster.kill(2);
    dashboard.wait(&mut cluster, 60);
    dashboard.press(&mut cluster, "j j");
    insta::assert_snapshot!("one_member_down", dashboard.screen());

    cluster.kill(1);
    dashboard.wait(&mut cluster, 60);
    insta::assert_snapshot!("no_quorum", dashboard.screen());

    cluster.kill(0);
    dashboard.wait(&mut cluster, 60);
    insta::assert_snapshot!("all_members_lost", dashboard.screen());

    for member in &mut cluster.members {
        member.up = true;
    }
    cluster.leader = 0x8002;
    dashboard.wait(&mut cluster, 10);
    assert!(dashboard.screen().contains("OK  healthy: 3 of 3 members serve, leader infra2"));
}

#[test]
fn alarms_and_errors_are_named() {
    let mut cluster = Cluster::example();
    cluster.alarms.push(Alarm { member: 0x8002, kind: "NOSPACE".into() });
    cluster.members[1].errors.push("etcdserver: mvcc: database space exceeded".into());
    let mut dashboard = Dashboard::on(&mut cluster, 120, 30);
    dashboard.press(&mut cluster, "j");
    insta::assert_snapshot!("alarm", dashboard.screen());
}

#[test]
fn keys_and_values_are_explored_level_by_level() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j Enter j Enter j");
    insta::assert_snapshot!("tree_80x24", dashboard.screen());
    dashboard.press(&mut cluster, "j Tab");
    dashboard.resize(200, 50);
    insta::assert_snapshot!("tree_200x50", dashboard.screen());
    dashboard.press(&mut cluster, "h G Enter j j");
    dashboard.resize(100, 20);
    insta::assert_snapshot!("key_with_a_lease", dashboard.screen());
}

#[test]
fn nothing_is_read_before_it_is_looked_at() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::new(80, 24);
    dashboard.wait(&mut cluster, 5);
    assert!(!dashboard.model.tree.is_loaded(), "the overview reads no keys");
    dashboard.send(Msg::Key(support::key_event("2")));
    let asked: Vec<&Request> = dashboard.waiting.iter().map(|(_, request)| request).collect();
    assert!(matches!(asked[..], [Request::Level { .. }]), "the tree reads one level: {asked:?}");
}

#[test]
fn an_empty_cluster_says_so() {
    let mut cluster = Cluster::new(1);
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2");
    insta::assert_snapshot!("no_keys", dashboard.screen());
}

#[test]
fn binary_values_and_hostile_names_are_shown_and_not_obeyed() {
    let mut cluster = Cluster::new(1);
    cluster.put(b"\xff\x00binary", b"\x00\x01\x1b[31mred\x07\xff\xfe and more than sixteen bytes");
    cluster.put("\u{1b}]0;title\u{7}", "plain");
    cluster.put("rtl\u{202e}gnp.exe", "x\u{202e}y\u{9b}31m\r\n\ttab");
    cluster.put("wide/日本語のキー", "値と絵文字👩\u{200d}👩\u{200d}👧 e\u{301}");
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 G");
    insta::assert_snapshot!("binary_value", dashboard.screen());
    dashboard.press(&mut cluster, "g j");
    insta::assert_snapshot!("hostile_name", dashboard.screen());
    dashboard.press(&mut cluster, "j Enter j");
    insta::assert_snapshot!("wide_key", dashboard.screen());
}

#[test]
fn a_filter_narrows_the_tree_while_it_is_typed() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j Enter j Enter /");
    dashboard.type_text(&mut cluster, "level");
    insta::assert_snapshot!("filter_typed", dashboard.screen());
    dashboard.press(&mut cluster, "Enter");
    insta::assert_snapshot!("filter_kept", dashboard.screen());
    dashboard.press(&mut cluster, "Esc");
    assert!(dashboard.screen().contains("motd"), "Esc takes the filter away");
    dashboard.press(&mut cluster, "/");
    dashboard.type_text(&mut cluster, "nothing like it");
    insta::assert_snapshot!("filter_without_a_match", dashboard.screen());
}

#[test]
fn help_is_the_keymap() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "?");
    insta::assert_snapshot!("help_80x24", dashboard.screen());
    dashboard.press(&mut cluster, "PgDn PgDn PgDn PgDn PgDn PgDn PgDn PgDn PgDn");
    insta::assert_snapshot!("help_end", dashboard.screen());
    dashboard.press(&mut cluster, "Esc");
    assert!(dashboard.model.prompt.is_none());
}

#[test]
fn text_pasted_outside_a_field_does_nothing_but_say_so() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j");
    dashboard.send(Msg::Paste("dy\nq".into()));
    assert!(dashboard.waiting.is_empty() && dashboard.model.prompt.is_none() && !dashboard.quit);
    insta::assert_snapshot!("pasted_outside_a_field", dashboard.screen());
}

#[test]
fn text_pasted_into_a_field_is_what_was_pasted() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "p");
    dashboard.send(Msg::Paste("/pasted\\x00 \u{1b}key\n".into()));
    dashboard.press(&mut cluster, "Enter");
    dashboard.send(Msg::Paste("one\r\ntwo\rthree".into()));
    dashboard.press(&mut cluster, "Ctrl-S");
    let kv = cluster.keys.get(&b"/pasted\\x00 \x1bkey"[..]).expect("the key is the pasted bytes");
    assert_eq!(&kv.value[..], b"one\ntwo\nthree");
}

#[test]
fn a_new_key_is_put_and_shown_and_never_replaces_one() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j p");
    insta::assert_snapshot!("put_form", dashboard.screen());
    dashboard.type_text(&mut cluster, "flags/beta");
    dashboard.press(&mut cluster, "Enter o f f Ctrl-S");
    assert_eq!(&cluster.keys[&b"/app/flags/beta"[..]].value[..], b"off");
    insta::assert_snapshot!("after_put", dashboard.screen());

    dashboard.press(&mut cluster, "p");
    dashboard.type_text(&mut cluster, "beta");
    dashboard.press(&mut cluster, "Enter o n Ctrl-S");
    assert_eq!(&cluster.keys[&b"/app/flags/beta"[..]].value[..], b"off");
    assert!(dashboard.screen().contains("not written: there is such a key already"));
    dashboard.press(&mut cluster, "Esc");
    assert!(dashboard.screen().contains("What you typed would be lost."));
    dashboard.press(&mut cluster, "y");
    assert!(dashboard.model.prompt.is_none(), "yes discards what was typed");
}

#[test]
fn an_edit_is_written_only_if_nobody_else_wrote() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j Enter j Enter j j e");
    dashboard.press(&mut cluster, "Ctrl-U");
    dashboard.type_text(&mut cluster, "mine");
    cluster.put("/app/config/log.level", "theirs");
    dashboard.press(&mut cluster, "Ctrl-S");
    assert_eq!(&cluster.keys[&b"/app/config/log.level"[..]].value[..], b"theirs");
    insta::assert_snapshot!("edit_conflict", dashboard.screen());
    dashboard.press(&mut cluster, "Ctrl-T");
    assert!(dashboard.screen().contains("theirs"));
    dashboard.press(&mut cluster, "! Ctrl-S");
    assert_eq!(&cluster.keys[&b"/app/config/log.level"[..]].value[..], b"theirs!");
    assert!(dashboard.model.prompt.is_none());
}

#[test]
fn an_edit_keeps_the_lease() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 G Enter j j e x Ctrl-S");
    let kv = &cluster.keys[&b"/services/api/10.0.0.1"[..]];
    assert_eq!((&kv.value[..], kv.lease), (&b"upx"[..], 0x694d_71ab));
}

#[test]
fn a_key_is_deleted_only_after_a_yes_and_only_as_it_was_seen() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j Enter j Enter j d");
    insta::assert_snapshot!("delete_confirm", dashboard.screen());
    dashboard.press(&mut cluster, "Enter n");
    assert!(cluster.keys.contains_key(&b"/app/config/db.json"[..]), "neither Enter nor no deletes");

    dashboard.press(&mut cluster, "d");
    cluster.put("/app/config/db.json", "changed meanwhile");
    dashboard.press(&mut cluster, "y");
    assert!(cluster.keys.contains_key(&b"/app/config/db.json"[..]));
    assert!(dashboard.screen().contains("not deleted: it was written at revision 10; look again"));

    dashboard.press(&mut cluster, "d y");
    assert!(!cluster.keys.contains_key(&b"/app/config/db.json"[..]));
    assert!(dashboard.screen().contains("deleted 1 key at revision 11"));
}

#[test]
fn a_folder_is_deleted_only_after_its_number_of_keys_was_typed() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j d 3 Enter");
    insta::assert_snapshot!("delete_folder", dashboard.screen());
    dashboard.send(Msg::Paste("4".into()));
    dashboard.press(&mut cluster, "Enter");
    assert_eq!(cluster.keys.len(), 8, "a wrong and a pasted number delete nothing");
    dashboard.press(&mut cluster, "Backspace 4 Enter");
    assert_eq!(cluster.keys.len(), 4);
    assert!(dashboard.screen().contains("deleted 4 keys at revision 10"));
}

#[test]
fn a_watch_shows_events_gaps_and_interruptions_as_they_come() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 100, 24);
    dashboard.press(&mut cluster, "2 j w");
    assert_eq!(dashboard.model.pane, Pane::Watches);
    dashboard.watch_signal(
        1,
        WatchSignal::Events(vec![put_event(10, "/app/config/log.level", b"debug")]),
    );
    let deleted =
        WatchEvent { revision: 11, change: Change::Delete, key: "/app/flags/new-ui".into() };
    dashboard.watch_signal(
        1,
        WatchSignal::Events(vec![deleted, put_event(13, "/app/evil", b"\x1b[31m\xff\n")]),
    );
    dashboard.watch_signal(1, WatchSignal::Interrupted { reason: "the connection broke".into() });
    dashboard.watch_signal(1, WatchSignal::Gap { from: 14, compacted: 20 });
    dashboard.watch_signal(1, WatchSignal::Resumed);
    dashboard.watch_signal(
        1,
        WatchSignal::Events(vec![put_event(21, "/app/config/log.level", b"info")]),
    );
    insta::assert_snapshot!("watch", dashboard.screen());

    dashboard.press(&mut cluster, "Space");
    dashboard.watch_signal(1, WatchSignal::Events(vec![put_event(22, "/app/a", b"unseen")]));
    let held = dashboard.screen();
    assert!(held.contains("held still, 1 newer") && !held.contains("unseen"));
    dashboard.press(&mut cluster, "End");
    assert!(dashboard.screen().contains("unseen"));

    dashboard.press(&mut cluster, "x");
    assert!(
        dashboard.model.watches.list.is_empty()
            && !dashboard.model.requests.is_waiting(&Slot::Watch(1))
    );
}

#[test]
fn the_same_keys_are_watched_once() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j w 2 w");
    assert_eq!(dashboard.model.watches.list.len(), 1);
}

#[test]
fn a_small_terminal_says_so_and_comes_back() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j");
    let before = dashboard.screen();
    dashboard.resize(20, 5);
    insta::assert_snapshot!("too_small", dashboard.screen());
    dashboard.press(&mut cluster, "d");
    assert!(dashboard.model.prompt.is_none(), "nothing is done that cannot be seen");
    dashboard.resize(80, 24);
    assert_eq!(dashboard.screen(), before);
}

#[test]
fn plain_ascii_is_enough() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.look.ascii = true;
    dashboard.press(&mut cluster, "2 j Enter");
    let screen = dashboard.screen();
    assert!(screen.is_ascii(), "{screen}");
}

#[test]
fn without_colour_no_cell_has_one() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.look.color = false;
    cluster.kill(2);
    dashboard.wait(&mut cluster, 2);
    for keys in ["1", "2", "3", "?"] {
        dashboard.press(&mut cluster, keys);
        let colours = dashboard.draw().content.iter().map(|cell| (cell.fg, cell.bg));
        assert!(
            colours
                .clone()
                .all(|pair| pair == (ratatui::style::Color::Reset, ratatui::style::Color::Reset))
        );
    }
}

#[test]
fn an_answer_that_is_not_waited_for_any_more_changes_nothing() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j Enter j Enter");
    dashboard.send(Msg::Key(support::key_event("j")));
    let stale = dashboard.waiting.pop_front().expect("the value of the first key is asked for");
    dashboard.press(&mut cluster, "j");
    let before = dashboard.screen();
    let body = Ok(kvorum_tui::msg::Reply::Value { found: None, revision: 1 });
    dashboard.send(Msg::Answer(kvorum_tui::msg::Answer { ticket: stale.0, body }));
    assert_eq!(dashboard.screen(), before);
}

#[test]
fn reads_are_serializable_unless_asked_otherwise_and_say_so() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    assert!(dashboard.screen().contains("serializable reads"));
    dashboard.press(&mut cluster, "L");
    assert!(
        dashboard.screen().contains("reads are linearizable now: the cluster confirms every read")
    );
    dashboard.send(Msg::Key(support::key_event("2")));
    let linearizable = |request: &Request| {
        matches!(request, Request::Level { reads: kvorum_tui::cmd::Reads::Linearizable, .. })
    };
    assert!(dashboard.waiting.iter().any(|(_, request)| linearizable(request)));
}

#[test]
fn a_lease_that_is_kept_alive_does_not_seem_to_run_out() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 G Enter j j");
    dashboard.wait(&mut cluster, 120);
    let screen = dashboard.screen();
    assert!(screen.contains("s left)") && !screen.contains("expired"), "{screen}");
}

#[test]
fn the_value_in_sight_follows_the_cluster() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j Enter j Enter j j");
    cluster.put("/app/config/log.level", "written elsewhere");
    dashboard.wait(&mut cluster, 2);
    assert!(dashboard.screen().contains("written elsewhere"));
}

#[test]
fn leaving_another_prompt_does_not_cancel_a_write() {
    let mut cluster = Cluster::example();
    let mut dashboard = Dashboard::on(&mut cluster, 80, 24);
    dashboard.press(&mut cluster, "2 j d 4");
    dashboard.send(Msg::Key(support::key_event("Enter")));
    for key in ["?", "Esc", "p"] {
        dashboard.send(Msg::Key(support::key_event(key)));
    }
    assert!(dashboard.screen().contains("the last write is still on its way"));
    dashboard.serve(&mut cluster);
    assert_eq!(cluster.keys.len(), 4);
}
