//! `config push`: a file becomes keys.

use std::fs;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::keyspace::Keyspace;
use kvorum_tests::program::Program;

use super::transcript;

const YAML: &str = "db:\n  host: localhost\n  ports: [5432, 5433]\nversion: 1.10\nmotd: |\n  one\n  \
                    two\n";

pub(crate) fn told(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    let mut told = transcript("pushed", &cluster);
    let home = told.home().to_owned();
    let written = |name: &str, content: &[u8]| {
        let path = home.join(name);
        let folder = path.parent().expect("it is in a folder");
        fs::create_dir_all(folder).expect("a folder can be made");
        fs::write(&path, content).expect("a file can be written");
        path.display().to_string()
    };
    let yaml = written("app.yaml", YAML.as_bytes());
    let bad = written("bad.yaml", b"db:\n  host: 'x\n");
    let null = written("null.json", b"{\"db\": {\"host\": null}}");
    let unknown = written("app.conf", b"A=1\n");
    let env = written("prod.env", b"# of production\nexport HOST=db\nNAME='a b'\n");
    let folder = home.join("conf.d").display().to_string();
    written("conf.d/a.txt", b"a\n");
    written("conf.d/sub/b.bin", b"\xff\x00");
    written("conf.d/.git/config", b"left out");
    keyspace.put("/app/version", "1.9");
    keyspace.put("/app/old", "x");
    keyspace.put("/application", "another");
    for words in [
        &["config", "push", &yaml, "/app"][..],
        &["config", "push", &yaml, "/app", "--dry-run"],
        &["config", "push", &yaml, "/app", "--yes"],
        &["config", "push", &yaml, "/app/", "--yes"],
        &["get", "--prefix", "/app"],
        &["config", "push", &yaml, "/app/", "--prune", "--yes"],
        &["config", "push", &env, "/app/", "--prune", "--dry-run"],
        &["config", "push", &unknown, "/conf/", "--yes"],
        &["config", "push", &unknown, "/conf/", "--format", "env", "--yes"],
        &["config", "push", &folder, "/files/", "--yes"],
        &["get", "--prefix", "/files/", "-o", "ndjson"],
        &["config", "push", &bad, "/app/", "--yes"],
        &["config", "push", &null, "/app/", "--yes"],
        &["config", "push", "/nonexistent.yaml", "/app/", "--yes"],
        &["config", "push", &yaml, "/app/", "--read-only", "--yes"],
        &["undo", "--yes"],
    ] {
        told.pipe(words);
    }
    told.check();
}
