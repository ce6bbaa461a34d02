//! The rules of the house that a compiler cannot check: which crate may know which, what the
//! pure crates must not do, what the dependency tree must not hold, how files are named and how
//! long they get, and that README tells the truth about commands and paths.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use kvorum_tests::workspace;
use serde_json::Value;

/// Who may use whom. An arrow that is not here is not allowed; README has the picture.
const ARROWS: &[(&str, &[&str])] = &[
    ("raft-proto", &[]),
    ("kvorum-proto", &[]),
    ("kvorum-core", &["kvorum-proto", "raft-proto"]),
    ("kvorum-server", &["kvorum-core", "kvorum-proto", "raft-proto"]),
    ("kvorum-client", &["kvorum-proto"]),
    ("kvorum-tui", &["kvorum-client"]),
    ("kvorum", &["kvorum-client", "kvorum-server", "kvorum-tui"]),
];

/// May use everything: it is the proof of all.
const THE_TESTS: &str = "kvorum-tests";

/// All that the pure crates may depend on, ours and others', to build as well as to run.
const PURE: &[(&str, &[&str])] = &[
    // base64 is how etcd writes a hashed password into the log.
    // xxhash-rust is a pure function of bytes, without a dependency: the elements of the state hash.
    (
        "kvorum-core",
        &[
            "arrayvec",
            "base64",
            "bytes",
            "kvorum-proto",
            "prost",
            "raft",
            "raft-proto",
            "slog",
            "thiserror",
            "xxhash-rust",
        ],
    ),
    // tonic and tonic-prost only behind the feature `grpc`, which the heart does not enable.
    // prost-types is what protox makes, and only the build script sees it.
    (
        "kvorum-proto",
        &["bytes", "prost", "prost-types", "protox", "tonic", "tonic-prost", "tonic-prost-build"],
    ),
    ("raft-proto", &["bytes", "prost", "protobuf"]),
];

/// What must not stand in the sources of the heart, and what takes its place.
const IMPURE: &[(&str, &str)] = &[
    ("std::fs", "the log and the backend belong to the shell"),
    ("std::io", "bytes come in as inputs and go out as effects"),
    ("std::net", "messages come in as inputs and go out as effects"),
    ("std::env", "settings come in with the configuration"),
    ("std::process", "a fatal state is an effect or an error"),
    ("std::thread", "the heart is stepped; threads belong to the shell"),
    ("tokio", "the heart is stepped; tasks belong to the shell"),
    ("Instant", "time comes in as milliseconds"),
    ("SystemTime", "time comes in as milliseconds"),
    ("rand::", "a random number is chosen by the shell and comes in"),
    ("HashMap", "its order is random: take a BTreeMap"),
    ("HashSet", "its order is random: take a BTreeSet"),
    ("Mutex", "one thread owns the heart"),
    ("Atomic", "one thread owns the heart"),
    ("println!", "the heart says nothing; what happened is an effect"),
];

/// One version of each in the whole tree, or two halves of a connection cannot be joined.
const ONLY_ONCE: &[&str] = &[
    "axum",
    "crossterm",
    "etcd-client",
    "h2",
    "hyper",
    "prost",
    "prost-types",
    "raft-proto",
    "ratatui-core",
    "rustls",
    "tokio",
    "tonic",
];

/// These need more than rustup, a C compiler and `sh`, or bring a second TLS library.
const NOT_IN_THE_TREE: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "bindgen",
    "clang-sys",
    "cmake",
    "native-tls",
    "openssl",
    "openssl-sys",
    "protobuf-src",
    "protoc-bin-vendored",
];

/// What lies at the top of the repository, besides what `.gitignore` names.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".git",
    ".gitignore",
    ".rustfmt.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "cli",
    "proto",
    "server",
    "tests",
    "tui",
];

const LONGEST_FILE: usize = 500;

/// Flat tables may be longer: path and reason.
const LONG_TABLES: &[(&str, &str)] = &[];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["common", "helper", "helpers", "manager", "misc", "shared", "util", "utils"];

/// Pieces of paths that exist on one machine only; split so that they are not found here.
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/tm", "p/")];

#[test]
fn arrows_between_crates_point_down_only() {
    let members = members();
    let mut known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    known.insert(THE_TESTS);
    let found: BTreeSet<&str> = members.keys().map(String::as_str).collect();
    assert_eq!(found, known, "the crates of the workspace and the table of arrows differ");

    for (name, allowed) in ARROWS {
        let used = dependencies(members[*name]);
        let wrong: Vec<&String> = used
            .iter()
            .filter(|used| known.contains(used.as_str()) && !allowed.contains(&used.as_str()))
            .collect();
        assert!(wrong.is_empty(), "{name} must not know {wrong:?}");
    }
}

#[test]
fn the_pure_crates_depend_on_a_fixed_list() {
    let members = members();
    for (name, allowed) in PURE {
        let used = dependencies(members[*name]);
        let wrong: Vec<&String> =
            used.iter().filter(|used| !allowed.contains(&used.as_str())).collect();
        assert!(wrong.is_empty(), "{name} is pure and must not depend on {wrong:?}");
    }
    let core = members["kvorum-core"];
    let proto = declared(core).find(|dependency| dependency["name"] == "kvorum-proto");
    let features = &proto.expect("the heart uses the messages")["features"];
    assert_eq!(features, &Value::Array(vec![]), "the heart uses plain messages, no stubs");
    for dependency in declared(members["kvorum-proto"]) {
        let name = dependency["name"].as_str().unwrap_or_default();
        let stubs = ["tonic", "tonic-prost"].contains(&name);
        assert!(!stubs || dependency["optional"] == true, "{name} belongs to the feature `grpc`");
    }
}

#[test]
fn the_heart_has_no_io_clock_thread_or_randomness() {
    let mut faults = Vec::new();
    for (path, text) in files_under("server/core/src") {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for (banned, instead) in IMPURE.iter().filter(|(banned, _)| code.contains(banned)) {
                faults.push(format!("{}:{}: `{banned}`: {instead}", path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "the heart is pure:\n{}", faults.join("\n"));
}

#[test]
fn the_tree_has_one_of_each_and_nothing_that_needs_more_than_a_c_compiler() {
    let locked = locked();
    for name in ONLY_ONCE {
        let versions = locked.get(*name).cloned().unwrap_or_default();
        assert_eq!(versions.len(), 1, "{name} must be in Cargo.lock once, found {versions:?}");
    }
    let unwanted: Vec<_> =
        NOT_IN_THE_TREE.iter().filter(|name| locked.contains_key(**name)).collect();
    assert!(unwanted.is_empty(), "Cargo.lock must not hold {unwanted:?}: cargo tree -i NAME");

    for (path, text) in [read("Cargo.lock"), read("proto/protoc-shim/Cargo.lock")] {
        let foreign: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("source = "))
            .filter(|line| !line.contains("registry+https://github.com/rust-lang/crates.io-index"))
            .collect();
        let path = path.display();
        assert!(foreign.is_empty(), "{path}: only crates.io is a source: {foreign:?}");
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_house() {
    for (name, package) in members() {
        let manifest = package["manifest_path"].as_str().expect("a package has a manifest");
        let text = std::fs::read_to_string(manifest).expect("a manifest can be read");
        assert!(text.contains("[lints]\nworkspace = true"), "{name} does not take the lints");
        assert_eq!(package["license"], "Apache-2.0", "{name} says another licence");
    }
}

#[test]
fn files_are_short_and_named_for_what_they_hold() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let name = path.display().to_string();
        let lines = text.lines().count();
        let table = LONG_TABLES.iter().any(|(table, _)| *table == name);
        if lines > LONGEST_FILE && !table {
            faults.push(format!("{name}: {lines} lines, {LONGEST_FILE} are allowed: split it"));
        }
        let parts = path.iter().filter_map(|part| part.to_str());
        for part in parts.map(|part| part.trim_end_matches(".rs")) {
            if EMPTY_NAMES.contains(&part) {
                faults.push(format!("{name}: `{part}` does not say what is inside"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        // What `tests.rs` is for, its name and the module above it say.
        .filter(|(path, text)| !path.ends_with("tests.rs") && !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "these do not begin with `//!`: {silent:#?}");
}

#[test]
fn no_test_is_ignored() {
    let mark = concat!("#[ign", "ore");
    let ignored: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| text.contains(mark))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(ignored.is_empty(), "a test runs or is not there: {ignored:?}");
}

#[test]
fn the_top_of_the_repository_holds_only_what_was_agreed() {
    let (_, ignored) = read(".gitignore");
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let strangers: Vec<String> = std::fs::read_dir(workspace::root())
        .expect("the repository can be listed")
        .map(|entry| entry.expect("an entry can be read").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()) && !ignored.contains(&name.as_str()))
        .collect();
    assert!(strangers.is_empty(), "what are these, at the top? {strangers:?}");
}

#[test]
fn nothing_names_a_path_of_one_machine() {
    let mut faults = Vec::new();
    let everything = TOP_LEVEL.iter().filter(|name| **name != ".git").flat_map(|name| {
        let path = workspace::root().join(name);
        if path.is_dir() { files_under(name) } else { vec![read(name)] }
    });
    for (path, text) in everything {
        for (number, line) in text.lines().enumerate() {
            for found in MACHINE_PATHS.iter().filter(|found| line.contains(**found)) {
                faults.push(format!("{}:{}: {found}", path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "paths of one machine:\n{}", faults.join("\n"));
}

#[test]
fn the_commands_and_paths_of_the_readme_exist() {
    let (_, readme) = read("README.md");
    for command in ["cargo run --release -- playground", "cargo test --workspace"] {
        let shown = readme.contains(&format!("```sh\n{command}\n"));
        assert!(shown, "README must show `{command}` as a block of its own");
    }
    let commands = commands_in(&readme);
    assert!(!commands.is_empty(), "README shows no command of kvorum");
    for command in commands {
        let output = Command::new(env!("CARGO_BIN_EXE_kvorum-under-test"))
            .args([&command, "--help"])
            .output()
            .expect("the binary runs");
        let says = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "README shows `kvorum {command}`, but: {says}");
    }
    let folders = ["proto/", "server/", "cli/", "tui/", "tests/", ".ci/"];
    for path in readme.split('`').skip(1).step_by(2) {
        let path = path.split("::").next().unwrap_or_default();
        if folders.iter().any(|folder| path.starts_with(folder)) {
            assert!(workspace::root().join(path).exists(), "README names `{path}`: no such path");
        }
    }
}

/// The words that follow `kvorum` in code, and all words where README lists commands.
fn commands_in(readme: &str) -> BTreeSet<String> {
    let mut commands = BTreeSet::new();
    for code in readme.split(['`', '\n']) {
        let code = code.trim_start_matches("$ ");
        let Some(rest) = code.strip_prefix("kvorum ") else { continue };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
        // Five plain words and more are a list of commands, fewer are one command line.
        let listed = if words.len() >= 5 && words.iter().all(plain) { words.len() } else { 1 };
        commands.extend(
            words.iter().take(listed).filter(|word| plain(word)).map(|word| (*word).to_owned()),
        );
    }
    commands
}

/// The packages of the workspace by name.
fn members() -> BTreeMap<String, &'static Value> {
    let metadata = workspace::metadata();
    let ours = metadata["workspace_members"].as_array().expect("metadata lists the members");
    let packages = metadata["packages"].as_array().expect("metadata lists packages");
    packages
        .iter()
        .filter(|package| ours.contains(&package["id"]))
        .map(|package| (package["name"].as_str().unwrap_or_default().to_owned(), package))
        .collect()
}

/// What a package declares to need, to build or to run; not what only its tests need.
fn declared(package: &'static Value) -> impl Iterator<Item = &'static Value> {
    let all = package["dependencies"].as_array().expect("metadata lists dependencies");
    all.iter().filter(|dependency| dependency["kind"] != "dev")
}

fn dependencies(package: &'static Value) -> BTreeSet<String> {
    declared(package).filter_map(|found| found["name"].as_str()).map(str::to_owned).collect()
}

/// The versions of each package in Cargo.lock.
fn locked() -> BTreeMap<String, Vec<String>> {
    let (_, lock) = read("Cargo.lock");
    let value = |line: Option<&str>, key: &str| {
        let value = line?.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?;
        Some(value.to_owned())
    };
    let mut locked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock.split("[[package]]\n").skip(1) {
        let mut lines = package.lines();
        let name = value(lines.next(), "name").expect("a locked package has a name");
        let version = value(lines.next(), "version").expect("a locked package has a version");
        locked.entry(name).or_default().push(version);
    }
    locked
}

/// Every Rust file of ours.
fn sources() -> Vec<(PathBuf, String)> {
    let folders = ["cli", "proto", "server", "tests", "tui"];
    let all = folders.into_iter().flat_map(files_under);
    all.filter(|(path, _)| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// A file of the repository and its text.
fn read(name: &str) -> (PathBuf, String) {
    let text = std::fs::read_to_string(workspace::root().join(name));
    (name.into(), text.unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Every text file under a folder of the repository, sorted, with its path from the top.
fn files_under(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![workspace::root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder can be listed") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.extend((path.file_name() != Some("target".as_ref())).then_some(path));
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                found.push((from_the_top(&path), text));
            }
        }
    }
    found.sort();
    found
}

fn from_the_top(path: &Path) -> PathBuf {
    path.strip_prefix(workspace::root()).expect("the file is in the repository").to_owned()
}
