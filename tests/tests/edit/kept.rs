//! What was typed and could not be written: it is kept, and the command of the hint goes on with it.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::place::{Place, on_both};

#[test]
fn an_edit_that_failed_goes_on_from_its_text() {
    on_both(|place| {
        place.put("/a", "{\"n\": 1}\n");
        let broken = place.edit(&["/a"], r#"printf '{"n": 2' > "$1""#);
        assert_eq!(broken.code, 1);
        let command = format!("--base {} ", place.field("/a", "mod_revision"));
        assert!(broken.stderr.contains(&command), "{}", broken.stderr);
        let mended = place.go_on(&broken, r#"printf '}\n' >> "$1""#);
        assert_eq!(mended.code, 0, "{}", mended.stderr);
        assert_eq!(place.value("/a"), "{\"n\": 2}\n");
    });
}

#[test]
fn a_text_that_goes_on_overwrites_nothing_that_was_written_since() {
    on_both(|place| {
        place.put("/a", "{\n\"n\": 1,\n\"a\": 1,\n\"b\": 1,\n\"m\": 1\n}\n");
        let broken = place.edit(&["/a"], r#"sed -i 's/"n": 1,/"n": 2/' "$1""#);
        place.put("/a", "{\n\"n\": 1,\n\"a\": 1,\n\"b\": 1,\n\"m\": 3\n}\n");
        let merged = place.go_on(&broken, r#"sed -i 's/"n": 2/"n": 2,/' "$1""#);
        assert_eq!(merged.code, 0, "{}", merged.stderr);
        assert!(merged.stderr.contains("both changes are merged"), "{}", merged.stderr);
        let both = "{\n\"n\": 2,\n\"a\": 1,\n\"b\": 1,\n\"m\": 3\n}\n";
        assert_eq!(place.value("/a"), both);

        // What the text was made from is forgotten: all of it contradicts what is there.
        let broken = place.edit(&["/a"], r#"printf '{\n' > "$1""#);
        place.put("/a", "{}\n");
        place.say(&["compaction", &place.field("/a", "mod_revision")]);
        let marked = place
            .go_on(&broken, r#"[ -e "$here/once" ] || printf '[]\n' > "$1"; touch "$here/once""#);
        assert_eq!((marked.code, place.value("/a").as_str()), (1, "{}\n"), "{}", marked.stderr);
        assert!(marked.stderr.contains("its markers are still there"), "{}", marked.stderr);
        let unresolved = place.go_on(&marked, r#"cp "$1" "$here/marked""#);
        assert_eq!((unresolved.code, place.value("/a").as_str()), (1, "{}\n"));
        let text = fs::read_to_string(place.folder.path().join("marked")).expect("it was opened");
        assert!(text.contains("<<<<<<< yours\n[]\n|||||||"), "{text}");
        let resolved = place.go_on(&unresolved, r#"printf '[1]\n' > "$1""#);
        assert_eq!(
            (resolved.code, place.value("/a").as_str()),
            (0, "[1]\n"),
            "{}",
            resolved.stderr
        );
    });
}

#[test]
fn a_deleted_key_comes_back_only_if_its_text_is_gone_on_with() {
    on_both(|place| {
        place.put("/a", "one\n");
        let deleted = place.edit(&["/a"], r#"kvorum del /a; echo two > "$1""#);
        let taken = place.go_on(
            &deleted,
            r#"kvorum put /a 'theirs
'; [ ! -e "$here/once" ] || exit 3; touch "$here/once""#,
        );
        assert_eq!((taken.code, place.value("/a").as_str()), (1, "theirs\n"));
        assert!(taken.stderr.contains("\"/a\" is not there any more"), "{}", taken.stderr);
        place.say(&["del", "/a"]);
        let back = place.go_on(&deleted, "true");
        assert_eq!((back.code, place.value("/a").as_str()), (0, "two\n"), "{}", back.stderr);
        let refused = place.run(&["edit", "/a", "--resume", "nowhere"]);
        assert!(refused.stderr.contains("--base <REV>"), "{}", refused.stderr);
    });
}

#[test]
fn a_deleted_key_is_written_again_as_it_was_if_that_is_what_is_saved() {
    on_both(|place| {
        place.put("/a", "one\n");
        let deleted = place.edit(&["/a"], r#"kvorum del /a; echo two > "$1""#);
        let back = place.go_on(&deleted, r#"echo one > "$1""#);
        assert_eq!((back.code, place.value("/a").as_str()), (0, "one\n"), "{}", back.stderr);
    });
}

#[test]
fn a_conflict_whose_file_the_editor_takes_away_is_still_there() {
    on_both(|place| {
        place.put("/a", "one\n");
        let script = r#"if grep -q '^<<<' "$1"; then rm "$1"; exit; fi
            kvorum put /a theirs; echo mine > "$1""#;
        let taken = place.edit(&["/a"], script);
        assert_eq!((taken.code, place.value("/a").as_str()), (1, "theirs"), "{}", taken.stderr);
        let resolved = place.go_on(&taken, r#"grep -q '^mine$' "$1" && echo both > "$1""#);
        assert_eq!(resolved.code, 0, "{}", resolved.stderr);
        assert_eq!(place.value("/a"), "both");
    });
}

#[test]
fn a_draft_that_cannot_be_rewritten_keeps_the_text_and_what_it_was_made_from() {
    on_both(|place| {
        let long = "x".repeat(8150);
        let value = |first: &str, last: &str| format!("{first}\n{long}\n{last}\n");
        let theirs = place.folder.path().join("theirs");
        let meanwhile =
            format!("kvorum put /a < '{}'; sed -i 's/^last$/mine/' \"$1\"", theirs.display());
        // One is merged, the other contradicts, and no file has room for what comes of it.
        for their_value in [value(&"first".repeat(9), "last"), value("first", "theirs")] {
            place.put("/a", &value("first", "last"));
            let made_from = place.field("/a", "mod_revision");
            fs::write(&theirs, &their_value).expect("a file can be written");
            place.take_for_an_editor(&meanwhile);
            let failed = place.paste(&format!(
                "ulimit -f 8; trap '' XFSZ; exec kvorum edit --endpoints={} /a",
                place.cluster.endpoints()
            ));
            assert_eq!((failed.code, place.value("/a")), (1, their_value), "{}", failed.stderr);
            let command = format!("--base {made_from} ");
            assert!(failed.stderr.contains(&command), "{}", failed.stderr);
            let mut left = place.left();
            left.retain(|(path, _)| failed.stderr.contains(&path.display().to_string()));
            assert_eq!(left[0].1, value("first", "mine").into_bytes());
            let resolving = r#"if grep -q '^<<<' "$1"; then echo both > "$1"; fi"#;
            let resolved = place.go_on(&failed, resolving);
            assert_eq!(resolved.code, 0, "{}", resolved.stderr);
        }
        assert_eq!(place.value("/a"), "both\n");
    });
}

#[test]
fn the_command_that_goes_on_can_be_pasted_whatever_the_key() {
    on_both(|place| {
        for (key, flags) in [
            ("-k", &[][..]),
            ("/a, b (it's)", &[]),
            ("/a\u{202e}b", &["--as", "text"]),
            ("/registry/secrets/x", &["--reveal"]),
        ] {
            place.put(key, "one\n");
            let script = r#"kvorum del --yes --prefix ''; echo two > "$1""#;
            let failed = place.edit(&[flags, &["--", key]].concat(), script);
            assert_eq!(failed.code, 1, "{}", failed.stderr);
            let written = place.go_on(&failed, "true");
            assert_eq!(written.code, 0, "{key:?}: {}", written.stderr);
            assert_eq!(place.value(key), "two\n");
        }
    });
}

#[test]
fn a_text_whose_base_is_forgotten_contradicts_what_is_there() {
    on_both(|place| {
        let forget = |value: &str| {
            place.put("/a", value);
            place.say(&["compaction", &place.field("/a", "mod_revision")]);
        };
        place.put("/a", "one\n");
        let deleted = place.edit(&["/a"], r#"kvorum del /a; echo two > "$1""#);
        forget("three\n");
        let emptied = place.go_on(
            &deleted,
            r#"if [ -e "$here/once" ]; then cp "$1" "$here/marked"; else : > "$1"; fi
               touch "$here/once""#,
        );
        assert!(emptied.stderr.contains("its markers are still there"), "{}", emptied.stderr);
        let marked = fs::read_to_string(place.folder.path().join("marked")).expect("it was opened");
        assert!(marked.starts_with("<<<<<<< yours\n||||||| original (revision "), "{marked}");
        assert!(marked.contains(", compacted)\n=======\nthree\n>>>>>>> theirs "), "{marked}");
        let empty = place.go_on(&emptied, r#": > "$1""#);
        assert_eq!((empty.code, place.value("/a").as_str()), (0, ""), "{}", empty.stderr);

        forget("two\n");
        let same = place.go_on(&deleted, "true");
        assert!(
            same.stdout.contains("has written the same text meanwhile"),
            "{}{}",
            same.stdout,
            same.stderr
        );

        place.say(&["del", "/a"]);
        forget_all(place);
        let gone = place.go_on(&deleted, "true");
        assert!(gone.stderr.contains("has been compacted"), "{}", gone.stderr);
        let anew = place.go_on(&gone, "true");
        assert_eq!((anew.code, place.value("/a").as_str()), (0, "two"), "{}", anew.stderr);
    });
}

fn forget_all(place: &Place) {
    place.put("/b", "");
    place.say(&["compaction", &place.field("/b", "mod_revision")]);
}

#[test]
fn a_key_that_comes_back_says_that_its_lease_does_not() {
    on_both(|place| {
        let lease = place.say(&["lease", "grant", "600", "-o", "jsonpath={.id}"]);
        place.say(&["put", "/a", "one", "--lease", lease.trim()]);
        let deleted = place.edit(&["/a"], r#"kvorum del /a; echo two > "$1""#);
        let back = place.go_on(&deleted, "true");
        assert_eq!((back.code, place.value("/a").as_str()), (0, "two"), "{}", back.stderr);
        let said = format!("what is saved creates it, without the lease {} it had", lease.trim());
        assert!(back.stderr.contains(&said), "{}", back.stderr);
    });
}

#[test]
fn a_write_without_an_answer_is_not_said_to_have_failed() {
    on_both(|place| {
        place.put("/a", "one\n");
        let server = place.server;
        // A thread runs until it has heard of the signal.
        let script = format!(
            r#"echo two > "$1"; kill -STOP {server}
               while grep -L '^State:.T' /proc/{server}/task/*/status | grep -q .; do :; done"#
        );
        let unknown = place.edit(&["/a", "--command-timeout", "1s"], &script);
        let server = i32::try_from(server).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(server, Signal::CONT).expect("the server can be continued");
        assert_eq!(unknown.code, 1);
        assert!(unknown.stderr.contains("error: \"/a\" was being written: "), "{}", unknown.stderr);
        assert!(!unknown.stderr.contains("nothing was written"), "{}", unknown.stderr);
        assert!(unknown.stderr.contains("whether the write happened is unknown"));
        let known = place.go_on(&unknown, "true");
        assert_eq!((known.code, place.value("/a").as_str()), (0, "two\n"), "{}", known.stderr);
    });
}

#[test]
fn what_the_cluster_refuses_is_kept() {
    on_both(|place| {
        place.put("/a", "one");
        let large = r#"head -c 1700000 /dev/zero | tr '\0' x > "$1""#;
        let outcome = place.edit(&["/a"], large);
        assert_eq!((outcome.code, place.value("/a").as_str()), (1, "one"));
        assert!(outcome.stderr.contains("hint: the edited text is kept in "), "{}", outcome.stderr);
        assert_eq!(place.left()[0].1.len(), 1_700_000);
    });
}

#[test]
fn a_text_that_is_too_large_to_be_read_is_kept() {
    on_both(|place| {
        place.put("/a", "one");
        let outcome = place.edit(&["/a"], r#"truncate -s 65M "$1""#);
        assert_eq!((outcome.code, place.value("/a").as_str()), (1, "one"));
        assert!(outcome.stderr.contains("it is larger than 64 MiB"), "{}", outcome.stderr);
        assert_eq!(place.left().len(), 1);
        let removed = place.edit(&["/a"], r#"rm "$1""#);
        assert!(removed.stderr.ends_with("; nothing was written\n"), "{}", removed.stderr);
        assert_eq!(place.left().len(), 1);
    });
}
