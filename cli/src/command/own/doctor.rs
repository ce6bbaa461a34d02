//! `doctor`

use std::fmt::Write as _;
use std::io::Write as _;

use kvorum_client::doctor::{Facts, Finding, MemberFacts, Options, Severity, collect, judge};

use crate::args::own::DoctorArgs;
use crate::command::{CommandError, Session, version_text};
use crate::exit;
use crate::output::{Paint, Row, Rows, Style, Tone, Value, escape_control, wrap};

pub(super) async fn execute(args: &DoctorArgs, session: &mut Session) -> Result<(), CommandError> {
    let facts = collect(&session.connection, Options { hash: args.hash }).await?;
    let findings = judge(&facts);
    if args.report {
        let text = report(&facts, &findings, &version_text(session.mode));
        session.out.write_all(&escape_lines(&text))?;
        session.out.flush()?;
    } else {
        let header = ["severity", "check", "finding", "remedy"];
        let mut rows = Rows::new(&session.style, &header, &mut session.out);
        for finding in &findings {
            rows.row(&Shown(finding))?;
        }
        rows.end()?;
    }
    if findings.iter().any(|finding| finding.severity.is_fault()) {
        return Err(CommandError::Silent { code: exit::ERROR });
    }
    Ok(())
}

struct Shown<'a>(&'a Finding);

/// Where the sentences begin: behind the severity and the check.
const TEXT_AT: usize = SEVERITY_COLUMNS + CHECK_COLUMNS;
const SEVERITY_COLUMNS: usize = 9;
const CHECK_COLUMNS: usize = 15;

fn painted(severity: Severity, paint: Paint) -> String {
    let tone = match severity {
        Severity::Critical => Tone::Fault,
        Severity::Warning => Tone::Warning,
        Severity::Note | Severity::Unknown => Tone::Note,
        Severity::Fine => Tone::Fine,
    };
    paint.padded(tone, severity.name(), SEVERITY_COLUMNS)
}

impl Row for Shown<'_> {
    fn simple(&self, style: &Style) -> String {
        let Finding { severity, check, sentence, remedy } = self.0;
        let shown = |text: &str, indent| {
            let text = escape_lines(text);
            wrap(&String::from_utf8_lossy(&text), indent, style.columns)
        };
        let severity = painted(*severity, style.paint);
        let mut text =
            format!("{severity}{:<CHECK_COLUMNS$}{}", check.name(), shown(sentence, TEXT_AT));
        if let Some(remedy) = remedy {
            let arrow = style.paint.of(Tone::Note, "->");
            let _ = write!(text, "\n{:TEXT_AT$}{arrow} {}", "", shown(remedy, TEXT_AT + 3));
        }
        text
    }

    fn value(&self) -> Value {
        let Finding { severity, check, sentence, remedy } = self.0;
        Value::map([
            ("severity", Value::text(severity.name())),
            ("check", Value::text(check.name())),
            ("finding", Value::text(sentence)),
            ("remedy", remedy.as_ref().map_or(Value::Null, Value::text)),
        ])
    }

    fn cells(&self) -> Vec<String> {
        let Finding { severity, check, sentence, remedy } = self.0;
        vec![
            severity.name().to_owned(),
            check.name().to_owned(),
            sentence.clone(),
            remedy.clone().unwrap_or_default(),
        ]
    }
}

/// Names and addresses come from the cluster: nothing in them may act on a terminal.
fn escape_lines(text: &str) -> Vec<u8> {
    let lines: Vec<_> = text.split('\n').map(|line| escape_control(line.as_bytes())).collect();
    lines.join(&b'\n')
}

/// Everything that was seen, fit for others to read.
fn report(facts: &Facts, findings: &[Finding], version: &str) -> String {
    let mut text = format!("{version}\nlooked at {}\n", facts.now);
    let members = facts.members.len();
    let _ = writeln!(text, "cluster {:x} of {members} members\n", facts.cluster_id);
    for member in &facts.members {
        describe(member, &mut text);
    }
    text.push('\n');
    for severity in [Severity::Critical, Severity::Warning, Severity::Note, Severity::Unknown] {
        for finding in findings.iter().filter(|finding| finding.severity == severity) {
            let _ = writeln!(text, "{}", Shown(finding).simple(&Style::default()));
        }
    }
    let fine: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Fine)
        .map(|finding| finding.check.name())
        .collect();
    let _ = writeln!(text, "nothing wrong: {}", fine.join(", "));
    text
}

fn describe(member: &MemberFacts, text: &mut String) {
    let role = if member.is_learner { "learner" } else { "voter" };
    let _ = writeln!(text, "member {:x} {:?} {role}", member.id, member.name);
    for address in &member.addresses {
        let outcome = address.failure.as_ref().map(kvorum_client::Failure::public_text);
        let _ = writeln!(text, "  {} {}", address.url, outcome.as_deref().unwrap_or("answers"));
    }
    let Some(status) = &member.status else { return };
    let quota = status.quota_bytes.map_or_else(|| "unknown".to_owned(), |bytes| bytes.to_string());
    let _ = writeln!(
        text,
        "  version {} leader {:x} term {} index {} applied {} revision {}\n  size {} in use {} \
         quota {quota}",
        status.version,
        status.leader,
        status.term,
        status.index,
        status.applied,
        status.revision,
        status.size_bytes,
        status.in_use_bytes,
    );
    if let Ok(hash) = &member.hash {
        let compacted = match hash.compact_revision {
            // What a member says that was never compacted.
            ..0 => "never compacted".to_owned(),
            revision => format!("compacted at {revision}"),
        };
        let _ = writeln!(text, "  hash {:x} {compacted}", hash.hash);
    }
}
