//! Rows that are asked of one server one after the other, and their transcript.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use kvorum_tests::binary;
use kvorum_tests::differential::answer::is_ok;
use kvorum_tests::differential::differences::{Unlike, is_form, unlike};
use kvorum_tests::differential::side::{Side, Start, start};
use kvorum_tests::differential::step::{Call, Step, Who};
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::skip::skip;
use kvorum_tests::workspace;
use serde_json::{Value, json};

use crate::waiting::WAITING;

/// One bad input.
pub(crate) struct Row {
    name: &'static str,
    what: &'static str,
    before: Vec<Step>,
    probe: Step,
    after: Vec<Step>,
    later: Option<Later>,
    /// Some of etcd's own answers are no refusal, and what was asked happens.
    changes: bool,
    /// etcd 3.4 does not survive it, so it is not asked.
    kills: bool,
}

/// What 3.6 answers where 3.4 answers something else.
struct Later {
    answer: Value,
    source: &'static str,
}

pub(crate) fn row(name: &'static str, what: &'static str, probe: Step) -> Row {
    Row {
        name,
        what,
        before: vec![],
        probe,
        after: vec![],
        later: None,
        changes: false,
        kills: false,
    }
}

/// A row of one call.
pub(crate) fn call(
    name: &'static str,
    what: &'static str,
    method: &'static str,
    message: Value,
) -> Row {
    row(name, what, Step::call(method, message))
}

impl Row {
    pub(crate) fn before(self, before: Vec<Step>) -> Row {
        Row { before, ..self }
    }

    pub(crate) fn after(self, after: Vec<Step>) -> Row {
        Row { after, ..self }
    }

    pub(crate) fn later(self, answer: Value, source: &'static str) -> Row {
        Row { later: Some(Later { answer, source }), ..self }
    }

    pub(crate) fn changes(self) -> Row {
        Row { changes: true, ..self }
    }

    pub(crate) fn kills(self) -> Row {
        Row { kills: true, ..self }
    }

    /// Makes what must be there, or takes it back.
    async fn prepare(&self, side: &mut Side, steps: &[Step]) {
        for step in steps {
            let answer = side.perform(step).await;
            assert!(is_ok(&answer), "{}: {step} is answered {answer}", self.name);
        }
    }

    /// Asked in this name.
    pub(crate) fn by(mut self, who: &Who) -> Row {
        if let Step::Call(call) | Step::Gateway(call) | Step::Stream { call, .. } = &mut self.probe
        {
            call.who = who.clone();
        }
        self
    }
}

pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) start: Start,
    pub(crate) rows: Vec<Row>,
}

/// What one row has shown.
struct Shown {
    answer: Value,
    changed: Vec<String>,
}

impl Section {
    /// Holds etcd against the recording, or records it, and then ours.
    pub(crate) fn check(&self) {
        let recording = match real_etcd() {
            Some(etcd) => Some(self.ask(&etcd, true)),
            None if std::env::var_os("KVORUM_NO_SKIP").is_some() => return skip(NO_ETCD),
            None => None,
        };
        let mut complaints = String::new();
        if let Some(recording) = recording {
            complaints += &self.record(&recording);
        }
        let recorded = self.recorded();
        let Some(ours) = self.ask_ours() else {
            assert!(complaints.is_empty(), "bad inputs, {}:\n{complaints}", self.name);
            return;
        };
        for ((row, shown), recorded) in self.rows.iter().zip(ours).zip(recorded) {
            let wanted = row.later.as_ref().map_or(recorded, |later| later.answer.clone());
            let answer = shortened(shown.answer);
            let mut wrong = String::new();
            for found in unlike(&row.probe.subject(), &wanted, &answer) {
                if !is_meant(&found) {
                    let _ = writeln!(wrong, "    {found:?}");
                }
            }
            for changed in shown.changed {
                let _ = writeln!(wrong, "    it changed {changed}");
            }
            let waits = WAITING.contains(&row.name);
            if !waits && !wrong.is_empty() {
                let _ = writeln!(complaints, "{} {}\n  {}\n{wrong}", row.name, row.what, row.probe);
            } else if waits && wrong.is_empty() {
                let _ = writeln!(complaints, "{} is right: take it off the waiting list", row.name);
            }
        }
        assert!(complaints.is_empty(), "bad inputs, {}:\n{complaints}", self.name);
    }

    /// None if the whole section waits and the server does not even take its flags.
    fn ask_ours(&self) -> Option<Vec<Shown>> {
        let asked = std::panic::catch_unwind(|| self.ask(&Names::of(binary!()).server(), false));
        match asked {
            Ok(shown) => Some(shown),
            Err(_) if self.rows.iter().all(|row| WAITING.contains(&row.name)) => None,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn ask(&self, program: &Program, spared: bool) -> Vec<Shown> {
        let started = start(program, self.start);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(async {
            let mut side = Side::connect(started).await.expect("the server answers");
            let mut shown = Vec::new();
            for row in &self.rows {
                row.prepare(&mut side, &row.before).await;
                if spared && row.kills {
                    let answer = json!({"status": "the server stops"});
                    shown.push(Shown { answer, changed: vec![] });
                    continue;
                }
                let before = state(&mut side, row.name).await;
                let answer = side.perform(&row.probe).await;
                let after = state(&mut side, row.name).await;
                // What 3.4 does otherwise it may also do where it should not.
                let allowed = row.changes || (spared && row.later.is_some());
                let changed = if allowed { vec![] } else { differing(&before, &after) };
                row.prepare(&mut side, &row.after).await;
                shown.push(Shown { answer, changed });
            }
            shown
        })
    }

    /// Writes the transcript, or complains where it is another.
    fn record(&self, shown: &[Shown]) -> String {
        let mut complaints = String::new();
        let mut text = String::new();
        for (row, Shown { answer, changed }) in self.rows.iter().zip(shown) {
            for changed in changed {
                let _ = writeln!(complaints, "etcd, {}: it changed {changed}", row.name);
            }
            let answer = shortened(answer.clone());
            let _ = writeln!(text, "{} {}", row.name, row.what);
            let probe = row.probe.to_string();
            let probe: String = probe.chars().take(200).collect();
            let _ = writeln!(text, "  {probe}\n  3.4: {answer}");
            if let Some(Later { answer: later, source }) = &row.later {
                let _ = writeln!(text, "  3.6: {later}\n  see {source}");
                if unlike(&row.probe.subject(), later, &answer).iter().all(is_meant) {
                    let _ = writeln!(complaints, "{}: 3.4 answers as 3.6 does", row.name);
                }
            }
        }
        let path = self.path();
        if std::env::var_os("KVORUM_UPDATE").is_some() {
            std::fs::write(&path, text).expect("the transcript can be written");
            return complaints;
        }
        let recorded = std::fs::read_to_string(&path).unwrap_or_default();
        for (recorded, found) in recorded.lines().zip(text.lines()) {
            if recorded != found {
                let _ = writeln!(complaints, "recorded: {recorded}\n   found: {found}");
            }
        }
        if recorded.lines().count() != text.lines().count() {
            let _ = writeln!(complaints, "{} has other rows", path.display());
        }
        complaints
    }

    /// The answers of the transcript.
    fn recorded(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path()).expect("the transcript can be read");
        let answers: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("  3.4: "))
            .map(|answer| serde_json::from_str(answer).expect("an answer is JSON"))
            .collect();
        assert_eq!(answers.len(), self.rows.len(), "record the transcript of {}", self.name);
        answers
    }

    fn path(&self) -> PathBuf {
        workspace::root().join(format!("tests/transcripts/bad-inputs-{}.txt", self.name))
    }
}

/// What must be the same before and after a refused request: everything that can be read.
type State = BTreeMap<String, Value>;

/// As root, if there is one that has a token.
async fn state(side: &mut Side, row: &str) -> State {
    let mut state = State::new();
    let everything = json!({"key": "AA==", "range_end": "AA=="});
    read(side, row, &mut state, "KV/Range", everything).await;
    // With the compacted revision, and what is no longer to be read.
    read(side, row, &mut state, "Maintenance/HashKV", json!({})).await;
    read(side, row, &mut state, "Maintenance/Alarm", json!({})).await;
    if !side.is_etcd_3_4() {
        read(side, row, &mut state, "Auth/AuthStatus", json!({})).await;
    }
    for (list, names, get, name) in [
        ("Lease/LeaseLeases", "leases", "Lease/LeaseTimeToLive", "ID"),
        ("Auth/UserList", "users", "Auth/UserGet", "name"),
        ("Auth/RoleList", "roles", "Auth/RoleGet", "role"),
    ] {
        let listed = read(side, row, &mut state, list, json!({})).await;
        for item in listed["body"][names].as_array().into_iter().flatten() {
            let mut request = json!({name: item.get("ID").unwrap_or(item)});
            if name == "ID" {
                request["keys"] = true.into();
            }
            read(side, row, &mut state, get, request).await;
        }
    }
    state
}

async fn read(
    side: &mut Side,
    row: &str,
    state: &mut State,
    method: &'static str,
    request: Value,
) -> Value {
    let step = Step::Call(Call::new(method, request).by(&Who::User("state".into())));
    let answer = shortened(side.perform(&step).await);
    assert!(is_ok(&answer), "the state around {row} cannot be read: {step}: {answer}");
    state.insert(step.to_string(), answer.clone());
    answer
}

fn differing(before: &State, after: &State) -> Vec<String> {
    let what: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = what.into_iter().filter(|what| before.get(*what) != after.get(*what));
    let or_none = |found: Option<&Value>| found.map_or("nothing".to_owned(), Value::to_string);
    differing
        .map(|what| format!("{what}: {} / {}", or_none(before.get(what)), or_none(after.get(what))))
        .collect()
}

/// Whether a star in what is wanted stands for what was answered.
fn is_meant(found: &Unlike) -> bool {
    let wanted = found.theirs.as_ref().and_then(Value::as_str);
    wanted.is_some_and(|wanted| is_form(wanted, found.ours.as_ref()))
}

/// Without what is long and says nothing, or runs on.
fn shortened(mut answer: Value) -> Value {
    const LENGTH: usize = 400;
    match &mut answer {
        Value::String(text) if text.len() > LENGTH => json!(format!("{} characters", text.len())),
        Value::Array(list) => list.drain(..).map(shortened).collect(),
        Value::Object(fields) => {
            let mut fields = std::mem::take(fields);
            if fields.contains_key("grantedTTL") {
                fields.insert("TTL".into(), "<time left>".into());
            }
            fields.into_iter().map(|(name, value)| (name, shortened(value))).collect()
        }
        _ => answer,
    }
}
