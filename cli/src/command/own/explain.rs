//! `explain`

use crate::args::own::ExplainArgs;
use crate::command::CommandError;
use crate::exit;
use crate::explain::{Found, Topic, find, topics};
use crate::output::{Row, Rows, Style, Tone, Value, print_one, wrap};
use crate::run::{Invocation, Streams};

pub(super) fn execute(
    args: &ExplainArgs,
    invocation: &Invocation<'_>,
    streams: &mut Streams,
) -> Result<(), CommandError> {
    let style = super::style_alone(invocation)?;
    let header = ["topic", "means", "why", "next"];
    if args.words.is_empty() {
        let mut rows = Rows::new(&style, &header, &mut streams.out);
        for topic in topics() {
            rows.row(&Listed(topic))?;
        }
        return Ok(rows.end()?);
    }
    let words = args.words.join(" ");
    match find(&words) {
        Found::Topic(topic) => Ok(print_one(&Explained(topic), &header, &style, &mut streams.out)?),
        Found::Near(near) => Err(unknown(&words, &near)),
    }
}

fn unknown(words: &str, near: &[&str]) -> CommandError {
    let hint = match near {
        [] => "kvorum explain lists what is known".to_owned(),
        near => {
            let quoted: Vec<_> = near.iter().map(|name| format!("{name:?}")).collect();
            format!("did you mean {}?", quoted.join(" or "))
        }
    };
    let message = format!("nothing is known about {words:?}");
    CommandError::Hinted { code: exit::ERROR, message, hint }
}

/// Where in the list the meanings begin: behind the longest name.
const MEANS_AT: usize = 28;

const LABEL_COLUMNS: usize = 7;

struct Listed(&'static Topic);

struct Explained(&'static Topic);

impl Row for Listed {
    fn simple(&self, style: &Style) -> String {
        let name = style.paint.padded(Tone::Label, self.0.name, MEANS_AT);
        format!("{name}{}", wrap(self.0.means, MEANS_AT, style.columns))
    }

    fn value(&self) -> Value {
        value(self.0)
    }

    fn cells(&self) -> Vec<String> {
        cells(self.0)
    }
}

impl Row for Explained {
    fn simple(&self, style: &Style) -> String {
        let Topic { name, means, why, next, .. } = self.0;
        let line = |label: &str, text: &str| {
            let label = style.paint.padded(Tone::Label, label, LABEL_COLUMNS);
            format!("\n{label}{}", wrap(text, LABEL_COLUMNS, style.columns))
        };
        let mut text = format!("{}\n{}", style.paint.of(Tone::Label, name), line("means", means));
        if !why.is_empty() {
            text.push_str(&line("why", why));
        }
        for (nth, step) in next.iter().enumerate() {
            text.push_str(&line(if nth == 0 { "next" } else { "" }, step));
        }
        text
    }

    fn value(&self) -> Value {
        value(self.0)
    }

    fn cells(&self) -> Vec<String> {
        cells(self.0)
    }
}

fn value(topic: &Topic) -> Value {
    let texts = |texts: &[&'static str]| Value::list(texts.iter().map(|text| Value::text(*text)));
    Value::map([
        ("topic", Value::text(topic.name)),
        ("messages", texts(&topic.also)),
        ("means", Value::text(topic.means)),
        ("why", Value::text(topic.why)),
        ("next", texts(&topic.next)),
    ])
}

fn cells(topic: &Topic) -> Vec<String> {
    let text = |text: &str| text.to_owned();
    vec![text(topic.name), text(topic.means), text(topic.why), topic.next.join("; ")]
}
