//! `edit` with an editor that is a script, and so can let the value change while it is edited:
//! nothing that others wrote is overwritten, and nothing that was typed is lost. Against ours and
//! against Debian's etcd.

mod kept;
mod place;

use std::fs;

use crate::place::{Place, on_both};

#[test]
fn what_is_saved_is_written_and_the_draft_is_gone() {
    on_both(|place| {
        place.put("/a", "one\ntwo\n");
        let outcome = place.edit(&["/a"], r#"ls -l "$1" > "$here/mode"; sed -i s/two/2/ "$1""#);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(outcome.stdout.starts_with("\"/a\" is written at revision "), "{}", outcome.stdout);
        assert_eq!(place.value("/a"), "one\n2\n");
        let mode = fs::read_to_string(place.folder.path().join("mode")).expect("the script ran");
        assert!(mode.starts_with("-rw-------"), "nobody else can read a draft: {mode}");
        assert_eq!(place.left(), []);
    });
}

#[test]
fn an_unchanged_file_and_an_editor_that_fails_write_nothing() {
    on_both(|place| {
        place.put("/a", "one");
        let before = place.field("/a", "mod_revision");
        let unchanged = place.edit(&["/a"], r#"touch "$1""#);
        assert_eq!(unchanged.code, 0);
        assert!(unchanged.stdout.contains("nothing was written"), "{}", unchanged.stdout);
        let failed = place.edit(&["/a"], "exit 3");
        assert_eq!(failed.code, 1);
        assert!(failed.stderr.contains("exit status: 3"), "{}", failed.stderr);
        assert_eq!((place.field("/a", "mod_revision"), place.left()), (before.clone(), vec![]));
        // What was typed before it failed is somebody's work.
        let failed = place.edit(&["/a"], r#"echo more >> "$1"; exit 3"#);
        assert_eq!((failed.code, place.field("/a", "mod_revision")), (1, before));
        assert!(failed.stderr.contains("hint: the edited text is kept in "), "{}", failed.stderr);
        assert_eq!(place.left().len(), 1);
    });
}

#[test]
fn changes_in_different_places_are_merged() {
    on_both(|place| {
        place.put("/a", "one\ntwo\nthree\nfour\nfive\n");
        let theirs = "ONE\ntwo\nthree\nfour\nfive\n";
        let script = format!("kvorum put /a -- '{theirs}'; sed -i s/five/5/ \"$1\"");
        let outcome = place.edit(&["/a"], &script);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("both changes are merged"), "{}", outcome.stderr);
        assert_eq!(place.value("/a"), "ONE\ntwo\nthree\nfour\n5\n");
        assert_eq!(place.left(), []);
    });
}

#[test]
fn different_fields_of_json_on_one_line_are_merged() {
    on_both(|place| {
        place.put("/a", r#"{"burst": 50, "timeout_ms": 800}"#);
        let theirs = r#"{"burst": 50, "timeout_ms": 900}"#;
        let script = format!("kvorum put /a -- '{theirs}'; sed -i s/50/75/ \"$1\"");
        let outcome = place.edit(&["/a"], &script);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("both changes are merged"), "{}", outcome.stderr);
        assert_eq!(place.value("/a"), r#"{"burst": 75, "timeout_ms": 900}"#);
    });
}

#[test]
fn changes_in_the_same_place_open_the_editor_again() {
    on_both(|place| {
        place.put("/a", "one\n");
        let first = place.field("/a", "mod_revision");
        let outcome = place.edit(
            &["/a"],
            r#"if [ -e "$here/again" ]; then
                 cp "$1" "$here/marked"; printf 'both\n' > "$1"
               else
                 touch "$here/again"; kvorum put /a 'theirs
'; printf 'ours\n' > "$1"
               fi"#,
        );
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let marked = fs::read_to_string(place.folder.path().join("marked")).expect("it was opened");
        let expected = format!(
            "<<<<<<< yours\nours\n||||||| original (revision {first})\none\n=======\ntheirs\n\
             >>>>>>> theirs (revision {})\n",
            first.parse::<i64>().expect("a revision is a number") + 1
        );
        assert_eq!(marked, expected);
        assert_eq!((place.value("/a"), place.left()), ("both\n".to_owned(), vec![]));
    });
}

#[test]
fn a_conflict_that_is_not_resolved_is_not_written() {
    on_both(|place| {
        place.put("/a", "one\n");
        let outcome = place.edit(
            &["/a"],
            r#"[ -e "$here/again" ] && exit 0
               touch "$here/again"; kvorum put /a theirs; printf 'ours\n' > "$1""#,
        );
        assert_eq!(outcome.code, 1);
        assert!(outcome.stderr.contains("its markers are still there"), "{}", outcome.stderr);
        assert_eq!(place.value("/a"), "theirs");
        let left = place.left();
        assert!(outcome.stderr.contains(&left[0].0.display().to_string()), "{}", outcome.stderr);
        assert!(String::from_utf8_lossy(&left[0].1).contains("ours"));
    });
}

#[test]
fn the_lease_is_kept_and_if_it_was_changed_meanwhile_the_new_one() {
    on_both(|place| {
        let grant = || place.say(&["lease", "grant", "600", "-o", "jsonpath={.id}"]);
        let (first, second) = (grant(), grant());
        let (first, second) = (first.trim(), second.trim());
        place.say(&["put", "/a", "one", "--lease", first]);
        assert_eq!(place.edit(&["/a"], r#"echo two > "$1""#).code, 0);
        let now = |place: &Place| (place.value("/a"), place.field("/a", "lease"));
        assert_eq!(now(place), ("two".to_owned(), first.to_owned()));
        let script = format!(r#"kvorum put /a two --lease {second}; echo three > "$1""#);
        assert_eq!(place.edit(&["/a"], &script).code, 0);
        assert_eq!(now(place), ("three".to_owned(), second.to_owned()));
    });
}

#[test]
fn a_last_line_without_an_end_stays_so() {
    on_both(|place| {
        place.put("/a", "one\ntwo");
        place.edit(&["/a"], r#"printf 'one\n2\n' > "$1""#);
        assert_eq!(place.value("/a"), "one\n2");
        // An editor that only adds the end of the last line has changed nothing.
        let outcome = place.edit(&["/a"], r#"echo >> "$1""#);
        assert!(outcome.stdout.contains("nothing was changed"), "{}", outcome.stdout);
        place.put("/b", "one\n");
        place.edit(&["/b"], r#"printf '1\n' > "$1""#);
        assert_eq!(place.value("/b"), "1\n");
    });
}

#[test]
fn a_key_that_was_deleted_meanwhile_does_not_come_back_and_the_text_is_kept() {
    on_both(|place| {
        place.put("/a", "one\n");
        let outcome = place.edit(&["/a"], r#"kvorum del /a; echo two > "$1""#);
        assert_eq!(outcome.code, 1);
        assert!(outcome.stderr.contains("was deleted while it was edited"), "{}", outcome.stderr);
        let left = place.left();
        assert!(outcome.stderr.contains(&left[0].0.display().to_string()), "{}", outcome.stderr);
        assert_eq!(left[0].1, b"two\n");
        assert_eq!(place.say(&["get", "/a"]), "");
    });
}

#[test]
fn a_key_that_is_not_there_is_created_unless_somebody_was_faster() {
    on_both(|place| {
        let outcome = place.edit(&["/new"], r#"echo value > "$1""#);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("\"/new\" is not there yet"), "{}", outcome.stderr);
        assert_eq!(place.value("/new"), "value");
        let script = r#"kvorum put /other theirs; echo ours > "$1"; grep -q theirs "$1""#;
        let outcome = place.edit(&["/other"], script);
        assert_eq!((outcome.code, place.value("/other").as_str()), (1, "theirs"));
    });
}

#[test]
fn bytes_are_refused_until_they_are_asked_for_as_digits_or_as_they_are() {
    on_both(|place| {
        let file = place.folder.path().join("bytes");
        fs::write(&file, b"\x00\xffend").expect("a file can be written");
        let put = format!("kvorum put /b < '{}'", file.display());
        place.edit(&["/carrier"], &put);
        let before = place.field("/b", "mod_revision");
        let refused = place.edit(&["/b"], r#"touch "$here/opened""#);
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains("--as hex"), "{}", refused.stderr);
        assert!(!place.folder.path().join("opened").exists(), "no editor was opened");
        assert_eq!(place.field("/b", "mod_revision"), before);
        let hex = place.edit(&["/b", "--as", "hex"], r#"sed -i 's/00 ff/41/' "$1""#);
        assert_eq!(hex.code, 0, "{}", hex.stderr);
        assert_eq!(place.value("/b"), "Aend");
        let raw = place.edit(&["/b", "--as", "raw"], r#"printf '\001' > "$1""#);
        assert_eq!(raw.code, 0, "{}", raw.stderr);
        assert_eq!(place.value("/b"), "\x01");
    });
}

/// A ConfigMap `ns/cfg` with `a: b`, as an API server writes it.
const CONFIG_MAP: &[u8] =
    b"k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x1f\x0a\x15\x0a\x03cfg\x12\x00\x1a\x02ns\
    \x22\x00*\x002\x008\x00B\x00\x12\x06\x0a\x01a\x12\x01b\x1a\x00\x22\x00";

#[test]
fn a_kubernetes_object_is_edited_as_json_and_written_as_it_was_stored() {
    on_both(|place| {
        let file = place.folder.path().join("object");
        fs::write(&file, CONFIG_MAP).expect("a file can be written");
        let key = "/registry/configmaps/ns/cfg";
        place.edit(&["/carrier"], &format!("kvorum put {key} < '{}'", file.display()));
        let outcome = place.edit(&[key], r#"sed -i 's/"b"/"c"/' "$1""#);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let shown = place.say(&["show", key, "-o", "jsonpath={.decoded.data.a}"]);
        assert_eq!(shown, "c\n");
        let stored = place.value(key);
        let expected = String::from_utf8_lossy(CONFIG_MAP).replace("\x12\x01b", "\x12\x01c");
        assert_eq!(stored, expected);

        let broken = place.edit(&[key], r#"echo '{' > "$1""#);
        assert_eq!((broken.code, place.value(key)), (1, expected));
        assert_eq!(place.left()[0].1, b"{\n");
    });
}

#[test]
fn a_rehearsal_shows_the_difference_and_a_read_only_context_opens_no_editor() {
    on_both(|place| {
        place.put("/a", "one\n");
        let rehearsed = place.edit(&["/a", "--dry-run"], r#"echo two > "$1""#);
        assert_eq!(rehearsed.code, 0, "{}", rehearsed.stderr);
        assert!(rehearsed.stdout.contains("\n-one\n+two\n"), "{}", rehearsed.stdout);
        let refused = place.edit(&["/a", "--read-only"], r#"touch "$here/opened""#);
        assert_eq!(refused.code, 1);
        assert!(!place.folder.path().join("opened").exists());
        assert_eq!(place.value("/a"), "one\n");
    });
}

#[test]
fn show_tells_what_a_value_is_and_where_it_stands() {
    on_both(|place| {
        place.put("/a", "{\"n\":1.0e2}");
        let revision = place.field("/a", "mod_revision");
        place.put("/a", "text");
        let now = place.say(&["show", "/a"]);
        assert!(now.contains("\nvalue     4 bytes, text\n\ntext\n"), "{now}");
        let then = place.say(&["show", &format!("/a@{revision}")]);
        assert!(then.contains(&format!("read at   revision {revision}\n")), "{then}");
        assert!(then.contains(", JSON\n\n{\"n\":1.0e2}\n"), "JSON is exact in a pipe: {then}");
        let missing = place.run(&["show", "/nothing", "--exit-status"]);
        assert_eq!((missing.code, missing.stdout.as_str()), (10, ""));
        assert!(missing.stderr.starts_with("error: there is no key /nothing\n"));

        place.put("/registry/secrets/ns/s", "hush");
        for args in [&["show"][..], &["show", "-o", "json"], &["get"], &["get", "-o", "yaml"]] {
            let args = [args, &["/registry/secrets/ns/s"]].concat();
            let hidden = place.say(&args);
            assert!(hidden.contains("(masked, 4 bytes; --reveal shows it)"), "{hidden}");
            assert!(!hidden.contains("hush"), "{hidden}");
            assert!(place.say(&[&args[..], &["--reveal"]].concat()).contains("hush"));
        }
        let raw = place.run(&["get", "/registry/secrets/ns/s", "-o", "raw"]);
        assert_eq!((raw.code, raw.stdout.as_str()), (1, ""));
        assert_eq!(place.say(&["get", "/registry/secrets/ns/s", "-o", "raw", "--reveal"]), "hush");
    });
}
