//! `edit` with an editor that is a script, and so can let the value change while it is edited:
//! nothing that others wrote is overwritten, and nothing that was typed is lost. Against ours and
//! against Debian's etcd.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::{binary, or_skip};
use tempfile::TempDir;

struct Outcome {
    stdout: String,
    stderr: String,
    code: i32,
}

/// A member, and a folder for what editors are given.
struct Place {
    names: Names,
    cluster: Cluster,
    /// The script and whatever it leaves for the test.
    folder: TempDir,
    /// Where drafts are.
    drafts: TempDir,
}

impl Place {
    fn at(server: &Program, names: Names) -> Place {
        let temporary = || tempfile::tempdir().expect("a temporary folder can be made");
        let cluster = Cluster::start(server, 1);
        Place { names, cluster, folder: temporary(), drafts: temporary() }
    }

    fn run(&self, args: &[&str]) -> Outcome {
        let mut command = self.names.kvorum().command();
        command.args(["--endpoints", &self.cluster.endpoints()]).args(args);
        command.env("EDITOR", self.folder.path().join("editor")).env("TMPDIR", self.drafts.path());
        let output = command.stdin(Stdio::null()).output().expect("kvorum runs");
        Outcome {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().expect("kvorum is not killed"),
        }
    }

    fn say(&self, args: &[&str]) -> String {
        let outcome = self.run(args);
        assert_eq!(outcome.code, 0, "{args:?}: {}", outcome.stderr);
        outcome.stdout
    }

    /// Edits with a script for an editor: `$1` is the file, `kvorum` the program at this cluster,
    /// `$here` a folder of the test's own.
    fn edit(&self, args: &[&str], script: &str) -> Outcome {
        let kvorum = self.names.kvorum().command().get_program().to_owned();
        let text = format!(
            "#!/bin/sh\nhere='{}'\nkvorum() {{ '{}' --endpoints {} \"$@\" >/dev/null; }}\n\
             {script}\n",
            self.folder.path().display(),
            kvorum.display(),
            self.cluster.endpoints()
        );
        let path = self.folder.path().join("editor");
        fs::write(&path, text).expect("the script can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
        self.run(&[&["edit"], args].concat())
    }

    fn value(&self, key: &str) -> String {
        self.say(&["get", key, "-o", "raw"])
    }

    fn field(&self, key: &str, field: &str) -> String {
        self.say(&["get", key, "-o", &format!("jsonpath={{.kvs[0].{field}}}")]).trim().to_owned()
    }

    /// Runs the command of a hint as a person pastes it, with another script for an editor.
    fn go_on(&self, outcome: &Outcome, script: &str) -> Outcome {
        let hint = outcome.stderr.split("goes on with it: kvorum edit ").nth(1);
        let hint = hint.unwrap_or_else(|| panic!("no command: {}", outcome.stderr)).trim();
        let words: Vec<&str> = hint.split(' ').collect();
        self.edit(&words, script)
    }

    /// The drafts that were left, and what is in them.
    fn left(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.drafts.path()).expect("the folder can be read");
        let folders = entries.map(|entry| entry.expect("an entry can be read").path());
        let files = folders.flat_map(|folder| fs::read_dir(folder).expect("a draft's folder"));
        let paths = files.map(|file| file.expect("an entry can be read").path());
        paths.map(|path| (path.clone(), fs::read(path).expect("a draft can be read"))).collect()
    }

    fn put(&self, key: &str, value: &str) {
        self.say(&["put", key, "--", value]);
    }
}

/// Runs on our server and on Debian's etcd.
fn on_both(test: fn(&Place)) {
    let names = Names::of(binary!());
    test(&Place::at(&names.server(), names));
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    test(&Place::at(&etcd, Names::of(binary!())));
}

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
        let failed = place.edit(&["/a"], r#"echo more >> "$1"; exit 3"#);
        assert_eq!(failed.code, 1);
        assert!(failed.stderr.contains("exit status: 3"), "{}", failed.stderr);
        assert_eq!((place.field("/a", "mod_revision"), place.left()), (before, vec![]));
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
