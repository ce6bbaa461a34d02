//! `edit`: an editor, a comparison, a merge.

mod draft;
mod start;

use kvorum_client::decode::{Editable, View};
use kvorum_client::edit::{
    MergedRevisions, Swap, difference, has_conflict_markers, may_have_written, merge, swap,
};
use kvorum_client::{Failure, KeyRange, pb};

use crate::args::own::{EditArgs, ViewAs, split_revision};
use crate::command::remember::remember;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Row, Style, Value, go, is_masked, print_one, shell_word};
use draft::{Draft, EditError, chosen_editor, forget};
use start::{Continuation, Start};

/// A key that changes faster than it can be merged is given up after so many tries.
const MAX_MERGES: usize = 10;

pub(super) async fn execute(args: &EditArgs, session: &mut Session) -> Result<(), CommandError> {
    let key = args.key()?;
    let name = go::quote(&key);
    if is_masked(&session.style.masked, &key) {
        return Err(CommandError::Hinted {
            code: exit::ERROR,
            message: format!("the value of {name} is masked"),
            hint: "--reveal lets the editor show it".to_owned(),
        });
    }
    let start = Start::of(args, &key, session).await?;
    let editable = editable(start.model.as_ref(), args.view).map_err(|(message, hint)| {
        let message = format!("{name} cannot be edited so: {message}");
        CommandError::Hinted { code: exit::ERROR, message, hint: hint.to_owned() }
    })?;
    if let Some(absence) = start.absence(&name) {
        session.remark(&absence);
        if let Some((key, revision)) = split_revision(&key) {
            let key = shell_word(&key);
            session.remark(&format!(
                "hint: KEY@REVISION is how show is asked: kvorum show {key}@{revision}"
            ));
        }
    }
    let text = start.text.as_deref().unwrap_or(editable.form());
    let draft = Draft::new(text, editable.extension()).map_err(EditError::File);
    let draft = draft.map_err(|error| not_edited(&error))?;
    let checked = matches!(args.view, None | Some(ViewAs::View(View::Json)))
        && start.model.as_ref().is_some_and(|kv| is_json(&kv.value).is_ok());
    let base_form = (!start.base_is_lost).then(|| editable.form().to_vec());
    let Start { base, made_from, .. } = start;
    let edit = Edit { args, key, name, base, made_from, base_form, editable, draft, checked };
    let edited = match edit.draft.edit(&chosen_editor(|name| std::env::var_os(name))).await {
        Ok(edited) => edited,
        Err(error) => {
            let given = start.text.as_deref().unwrap_or(edit.editable.form());
            // An editor that fails may have been left on purpose, or have crashed with an hour's work.
            return Err(if error.leaves_text() || edit.draft.differs(given) {
                edit.kept(&error.to_string(), session)
            } else {
                not_edited(&error)
            });
        }
    };
    if args.resume.is_some() && has_conflict_markers(&edited) {
        return Err(edit.kept(UNRESOLVED, session));
    }
    edit.finish(edited, session).await
}

const UNRESOLVED: &str = "the conflict is not resolved: its markers are still there";

/// Whether this is JSON with a structure that can be broken: a bare word or number is text.
fn is_json(value: &[u8]) -> Result<(), String> {
    if !matches!(value.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Err("it does not begin with { or [".to_owned());
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(value)
        .map(drop)
        .map_err(|error| error.to_string())
}

type Refusal = (String, &'static str);

fn editable(base: Option<&pb::KeyValue>, view: Option<ViewAs>) -> Result<Editable, Refusal> {
    let value = base.map_or(&[][..], |kv| &kv.value);
    let view = match view {
        Some(ViewAs::Raw) => return Ok(Editable::raw(value)),
        Some(ViewAs::View(view)) => Some(view),
        None => None,
    };
    Editable::new(value, view).map_err(|error| {
        let hint = match view {
            Some(View::Text | View::Json) => "leave --as out, or give --as hex or --as raw",
            _ => {
                "--as hex edits its bytes as digits, --as raw hands them to the editor as they are"
            }
        };
        (error.to_string(), hint)
    })
}

fn not_edited(error: &EditError) -> CommandError {
    let message = format!("{error}; nothing was written");
    CommandError::Other { code: exit::ERROR, message }
}

/// One value between its reading and its writing.
struct Edit<'a> {
    args: &'a EditArgs,
    key: Vec<u8>,
    name: String,
    /// What must still be there when the text is written.
    base: Option<pb::KeyValue>,
    /// The revision of what the edited text was made from; 0 of nothing.
    made_from: i64,
    /// The form of what the edited text was made from, unless nobody knows it any more.
    base_form: Option<Vec<u8>>,
    editable: Editable,
    draft: Draft,
    /// What was JSON has to be JSON again.
    checked: bool,
}

/// What came of two changes of one text.
enum Merged {
    Ours(Vec<u8>),
    /// Both came to the same.
    Settled,
    /// Nothing; the draft holds what there is.
    Failed(String),
    /// Nothing, and the text is gone.
    Lost(String),
}

impl Edit<'_> {
    async fn finish(mut self, edited: Vec<u8>, session: &mut Session) -> Result<(), CommandError> {
        let mut ours = self.without_added_line_end(edited);
        // What was deleted meanwhile is to be written again, even as it was.
        let is_there = self.base.is_some() || self.made_from == 0;
        if is_there && self.base_form.as_ref() == Some(&ours) {
            return self.done(None, "nothing was changed, and nothing was written", session);
        }
        for _ in 0..MAX_MERGES {
            if self.checked
                && let Err(why) = is_json(&ours)
            {
                let reason = format!("it is no JSON any more ({why}); --as text would write it");
                return Err(self.kept(&reason, session));
            }
            let value = match self.editable.encode(&ours) {
                Ok(value) => value,
                Err(error) => return Err(self.kept(&error.to_string(), session)),
            };
            if session.manner.dry_run {
                session.out.write_all(&difference(self.before(), &ours))?;
                return self.done(None, "this would be written", session);
            }
            let theirs = match swap(&session.connection, &self.key, self.base.as_ref(), value).await
            {
                Ok(Swap::Written(header)) => {
                    let revision = header.revision;
                    let touched = [KeyRange::single(self.key.clone())];
                    remember("edit", Some(&header), &touched, session);
                    if let Some(file) = &self.args.resume {
                        forget(file);
                    }
                    let said = format!("{} is written at revision {revision}", self.name);
                    return self.done(Some(revision), &said, session);
                }
                Ok(Swap::Changed(Some(theirs))) => theirs,
                Ok(Swap::Changed(None)) => {
                    let reason = format!("{} was deleted while it was edited", self.name);
                    return Err(self.kept(&reason, session));
                }
                Err(failure) => return Err(self.failed(&failure, session)),
            };
            ours = match self.merge(&ours, theirs, session).await {
                Merged::Ours(ours) => ours,
                Merged::Settled => {
                    return self.done(
                        None,
                        "somebody else has written the same text meanwhile: nothing was written",
                        session,
                    );
                }
                Merged::Failed(reason) => return Err(self.kept(&reason, session)),
                Merged::Lost(reason) => {
                    let message = format!("nothing was written: {reason}");
                    return Err(CommandError::Other { code: exit::ERROR, message });
                }
            };
        }
        let reason = format!("{} changes faster than it can be merged", self.name);
        Err(self.kept(&reason, session))
    }

    /// Brings our text and what was written meanwhile together; where they contradict each other,
    /// the editor decides. The text is made from theirs as soon as the draft is, and not before:
    /// else who goes on with the draft would take their change back.
    async fn merge(&mut self, ours: &[u8], theirs: pb::KeyValue, session: &mut Session) -> Merged {
        let while_edited =
            format!("{} was changed at revision {} meanwhile", self.name, theirs.mod_revision);
        let Some(their_form) = self.editable.form_of(&theirs.value) else {
            return Merged::Failed(format!("{while_edited}, to something of another form"));
        };
        let revisions = MergedRevisions { base: self.made_from, theirs: theirs.mod_revision };
        let merged = merge(self.base_form.as_deref(), ours, &their_form, revisions);
        if merged.as_ref() == Ok(&their_form) {
            return Merged::Settled;
        }
        let (Ok(text) | Err(text)) = merged.as_ref();
        if let Err(error) = self.draft.write(text) {
            let reason = "your text cannot be brought together with that in a file";
            return Merged::Failed(format!("{while_edited}, and {reason}: {error}"));
        }
        self.made_from = theirs.mod_revision;
        self.base = Some(theirs);
        self.base_form = Some(their_form);
        match merged {
            Ok(merged) => {
                session.remark(&format!("{while_edited}: both changes are merged"));
                Merged::Ours(merged)
            }
            Err(both) => {
                session.remark(&format!("{while_edited}, in the same place: choose in the editor"));
                self.resolve(&both).await
            }
        }
    }

    /// The editor decides on the draft, which holds both changes.
    async fn resolve(&mut self, both: &[u8]) -> Merged {
        match self.draft.edit(&chosen_editor(|name| std::env::var_os(name))).await {
            Err(error) => {
                let kept = self.draft.restore(both).or_else(|_| {
                    self.draft = Draft::new(both, self.editable.extension())?;
                    Ok::<_, std::io::Error>(())
                });
                match kept {
                    Ok(()) => Merged::Failed(error.to_string()),
                    Err(lost) => Merged::Lost(format!("{error}, and the text is lost: {lost}")),
                }
            }
            Ok(text) if has_conflict_markers(&text) => Merged::Failed(UNRESOLVED.to_owned()),
            Ok(text) => Merged::Ours(self.without_added_line_end(text)),
        }
    }

    /// What the text was made from, or the nearest that is known of it.
    fn before(&self) -> &[u8] {
        self.base_form.as_deref().unwrap_or(self.editable.form())
    }

    /// Most editors end the last line. Where it had no end, it gets none.
    fn without_added_line_end(&self, mut text: Vec<u8>) -> Vec<u8> {
        let had_none = self.editable.is_plain() && !self.before().ends_with(b"\n");
        if had_none && text.ends_with(b"\n") {
            text.pop();
        }
        text
    }

    fn done(
        &self,
        revision: Option<i64>,
        said: &str,
        session: &mut Session,
    ) -> Result<(), CommandError> {
        let row = Outcome { key: &self.key, revision, said };
        print_one(&row, &["key", "written at"], &session.style, &mut session.out)?;
        Ok(())
    }

    /// A write that failed; whether it did is not always known.
    fn failed(self, failure: &Failure, session: &Session) -> CommandError {
        if !may_have_written(failure) {
            return self.kept(&failure.to_string(), session);
        }
        let mut message = format!("{} was being written: {failure}", self.name);
        // The others say it themselves.
        if let Failure::Refused { .. } = failure {
            message.push_str("; whether the write happened is unknown");
        }
        self.left(message, session)
    }

    fn kept(self, reason: &str, session: &Session) -> CommandError {
        self.left(format!("nothing was written: {reason}"), session)
    }

    /// Leaves what was typed where it is and says how to go on from there.
    fn left(self, message: String, session: &Session) -> CommandError {
        let path = self.draft.keep();
        let asked = Continuation::of(&self.key, self.args, session);
        let command = asked.command(&path, self.made_from);
        CommandError::Hinted {
            code: exit::ERROR,
            message,
            hint: format!(
                "the edited text is kept in {}, and this goes on with it: {command}",
                path.display()
            ),
        }
    }
}

/// What an edit came to.
struct Outcome<'a> {
    key: &'a [u8],
    /// `None`: nothing was written.
    revision: Option<i64>,
    said: &'a str,
}

impl Row for Outcome<'_> {
    fn simple(&self, _: &Style) -> String {
        self.said.to_owned()
    }

    fn value(&self) -> Value {
        Value::map([("key", Value::bytes(self.key)), ("written", self.revision.is_some().into())])
            .with_some("revision", self.revision.map(Value::Int))
    }

    fn cells(&self) -> Vec<String> {
        let at = self.revision.map_or_else(String::new, |revision| revision.to_string());
        vec![go::quote(self.key), at]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(self.key)
    }
}
