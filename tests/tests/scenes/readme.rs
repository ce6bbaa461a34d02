//! The scenes of the README, pasted into a shell as they stand there.

use kvorum_tests::workspace;

use super::stage::on_both;

/// What can be taken in at a glance.
const MOST_LINES: usize = 10;

#[test]
fn every_scene_of_the_readme_works_when_it_is_pasted() {
    let scenes = scenes();
    assert!(scenes.len() >= 6, "{}", scenes.len());
    on_both(1, |stage| {
        for (name, script) in &scenes {
            assert!(script.lines().count() <= MOST_LINES, "{name}");
            let strict = format!("set -e\n{script}\nwait || true");
            let mut shell = stage.shell(&strict);
            let output = shell.env("HOME", stage.folder.path()).output().expect("a shell runs");
            let said = String::from_utf8_lossy(&output.stdout);
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {said}\n{complaint}");
        }
    });
}

/// The titles and the shell blocks of the section.
fn scenes() -> Vec<(String, String)> {
    let path = workspace::root().join("README.md");
    let text = std::fs::read_to_string(path).expect("the README can be read");
    let section = text.split_once("\n### Scenes\n").expect("there is such a section").1;
    let section = section.split_once("\n### ").map_or(section, |(section, _)| section);
    let parts = section.split("\n#### ").skip(1);
    let block = |part: &str| {
        let (title, rest) = part.split_once('\n')?;
        let script = rest.split_once("```sh\n")?.1.split_once("\n```")?.0;
        Some((title.to_owned(), script.to_owned()))
    };
    parts.filter_map(block).collect()
}
