//! The invocations, in the order in which they are run.
//!
//! In a line, `{REV}` is the revision before it runs (`{REV-2}` two before), `{LEASE}` the lease
//! granted last, `{ENDPOINT}` the member; for the rest see [`crate::side`]. Words are quoted as in
//! a transaction.

mod accounts;
mod authentication;
mod kv;
mod line;
mod long;
mod maintenance;
mod members;
mod wire;

use rustix::process::Signal;

/// One invocation.
pub(crate) struct Case {
    pub(crate) line: String,
    pub(crate) input: &'static str,
    /// With variables, no `--endpoints` is given.
    pub(crate) variables: Vec<(&'static str, &'static str)>,
    /// The lines to wait for from a command that goes on.
    pub(crate) lines: Option<usize>,
    /// What ends a command that goes on; killed, it is not asked for its exit code.
    pub(crate) signal: Signal,
    /// The row of the table of differences that explains why the output is not the same.
    pub(crate) row: Option<&'static str>,
    pub(crate) mask: Mask,
}

/// What is masked besides IDs and addresses.
#[derive(Clone, Copy)]
pub(crate) enum Mask {
    Ids,
    /// The numbers after these words.
    After(&'static [&'static str]),
    /// Every number, and the width of columns.
    Numbers,
    /// All of a usage but what it is of.
    Usage,
    /// The output is a message of protobuf, and shown field by field.
    Wire,
    /// The lease of a session, and what is named after it under `queue/`.
    Session,
}

/// What happens to one cluster.
pub(crate) struct Scene {
    pub(crate) members: usize,
    pub(crate) flags: &'static [&'static str],
    pub(crate) cases: Vec<Case>,
}

impl Case {
    pub(crate) fn title(&self) -> String {
        let variables: Vec<_> =
            self.variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let variables = variables.concat();
        let input = match self.input {
            "" => String::new(),
            long if long.len() > LONGEST_TITLE => format!(" <<< {} bytes", long.len()),
            short => format!(" <<< {short:?}"),
        };
        format!("{variables}etcdctl {}{input}", self.line)
    }
}

const LONGEST_TITLE: usize = 1000;

/// All invocations.
pub(crate) fn scenes() -> Vec<Scene> {
    vec![
        Scene { members: 1, flags: &[], cases: long::once() },
        Scene { members: 1, flags: &[], cases: one_member() },
        Scene {
            members: 1,
            flags: authentication::FAST,
            cases: in_each_format(authentication::guarded),
        },
        Scene { members: 1, flags: &[], cases: in_each_format(long::sessions) },
        Scene { members: 3, flags: &[], cases: members::of_three() },
        Scene { members: 1, flags: maintenance::SMALL_QUOTA, cases: maintenance::without_space() },
    ]
}

/// The same ones in three formats, then those that need only one.
fn one_member() -> Vec<Case> {
    let mut cases = in_each_format(|script| {
        kv::keys(script);
        kv::leases(script);
        kv::transactions(script);
        kv::deletions(script);
        kv::watches(script);
        members::of_one(script);
        maintenance::one_member(script);
        accounts::roles(script);
        accounts::users(script);
        kv::compaction(script);
    });
    let mut script = Script { format: "", cases: Vec::new() };
    line::tables(&mut script);
    line::syntax(&mut script);
    line::variables(&mut script);
    line::mistakes(&mut script);
    accounts::passwords(&mut script);
    accounts::mistakes(&mut script);
    members::mistakes(&mut script);
    maintenance::mistakes(&mut script);
    line::groups(&mut script);
    // It grants a lease whose ID nobody is told.
    wire::answers(&mut script);
    line::later_flags(&mut script);
    line::later_commands(&mut script);
    cases.append(&mut script.cases);
    cases
}

fn in_each_format(run: impl Fn(&mut Script)) -> Vec<Case> {
    let mut cases = Vec::new();
    for format in ["simple", "json", "fields"] {
        let mut script = Script { format, cases: Vec::new() };
        run(&mut script);
        cases.append(&mut script.cases);
    }
    cases
}

struct Script {
    /// Empty: the lines name their own, or none.
    format: &'static str,
    cases: Vec<Case>,
}

impl Script {
    fn run(&mut self, line: &str) -> &mut Case {
        let format =
            if self.format.is_empty() { String::new() } else { format!("-w {} ", self.format) };
        self.cases.push(Case {
            line: format!("{format}{line}"),
            input: "",
            variables: Vec::new(),
            lines: None,
            signal: Signal::KILL,
            row: None,
            mask: Mask::Ids,
        });
        self.cases.last_mut().expect("one was pushed")
    }

    fn run_all(&mut self, lines: &[&str]) {
        for line in lines {
            self.run(line);
        }
    }

    /// The row, in this format only.
    fn run_but(&mut self, line: &str, format: &str, row: &'static str) -> &mut Case {
        let differs = self.format == format;
        let case = self.run(line);
        case.row = differs.then_some(row);
        case
    }

    /// Of three numbers, the one for this format.
    fn by_format(&self, simple: usize, json: usize, fields: usize) -> usize {
        match self.format {
            "json" => json,
            "fields" => fields,
            _ => simple,
        }
    }
}
