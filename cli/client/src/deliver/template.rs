//! A text with values of keys in it, in the language of Jinja.
//!
//! Which keys a template uses is known when it has been rendered: it is given what is known so far
//! ([`Keys`]), and says what else it has asked for ([`Rendered::Wants`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use thiserror::Error;

use crate::naming::Instance;
use crate::range::KeyRange;

/// A template that was understood.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    asked: Arc<Mutex<Asked>>,
}

/// What a template has asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Used {
    Key(Vec<u8>),
    Prefix(Vec<u8>),
}

/// What is known of the keys: those of each range that was asked for, with their values.
pub type Keys = BTreeMap<Used, BTreeMap<Vec<u8>, Vec<u8>>>;

/// What came of rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    Text(Vec<u8>),
    /// Something has to be known first.
    Wants(BTreeSet<Used>),
}

/// Why there is no text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct BadTemplate(String);

/// Keys and prefixes that one template may ask for: each is followed on its own.
pub const MOST_RANGES: usize = 200;

/// Steps of a template, so that it ends: enough for a file of some 100,000 lines.
const MOST_STEPS: u64 = 2_000_000;

/// A file that is larger is no configuration.
const MOST_BYTES: usize = 16 << 20;

const NAME: &str = "template";

#[derive(Debug, Default)]
struct Asked {
    keys: Arc<Keys>,
    /// Of what is known.
    used: BTreeSet<Used>,
    wants: BTreeSet<Used>,
}

impl Used {
    pub fn range(&self) -> KeyRange {
        match self {
            Self::Key(key) => KeyRange::single(key.clone()),
            Self::Prefix(prefix) => KeyRange::prefix(prefix.clone()),
        }
    }
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let asked = Arc::new(Mutex::new(Asked::default()));
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.map_err(|error| bad(&error))?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(MOST_STEPS));
        environment.add_filter("from_json", from_json);
        let of = asked.clone();
        environment
            .add_function("get", move |key: &str, default: Option<Value>| get(&of, key, default));
        let of = asked.clone();
        environment.add_function("list", move |prefix: &str| list(&of, prefix));
        let of = asked.clone();
        environment.add_function("services", move |name: &str| services(&of, name));
        environment.add_template_owned(NAME, text.to_owned()).map_err(|error| bad(&error))?;
        Ok(Self { environment, asked })
    }

    /// Renders it with what is known.
    pub fn render(&self, keys: &Arc<Keys>) -> Result<Rendered, BadTemplate> {
        *locked(&self.asked) = Asked { keys: keys.clone(), ..Asked::default() };
        let template = self.environment.get_template(NAME).map_err(|error| bad(&error))?;
        let mut out = Limited(Vec::new());
        let rendered = template.render_captured_to((), &mut out).map(drop);
        let wants = std::mem::take(&mut locked(&self.asked).wants);
        if keys.len() + wants.len() > MOST_RANGES {
            return Err(BadTemplate(format!(
                "the template asks for more than {MOST_RANGES} keys and prefixes: list(PREFIX) \
                 takes many at once"
            )));
        }
        // What was made without something that it wants means nothing, errors included.
        if !wants.is_empty() {
            return Ok(Rendered::Wants(wants));
        }
        rendered.map_err(|error| bad(&error))?;
        Ok(Rendered::Text(out.0))
    }
}

impl Template {
    /// What the last text was made of.
    pub fn used(&self) -> BTreeSet<Used> {
        locked(&self.asked).used.clone()
    }
}

fn locked(asked: &Mutex<Asked>) -> MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of a range; `None` if it is wanted first.
fn known<T>(
    asked: &Mutex<Asked>,
    used: Used,
    read: impl FnOnce(&BTreeMap<Vec<u8>, Vec<u8>>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let keys = locked(asked).keys.clone();
    if let Some(values) = keys.get(&used) {
        locked(asked).used.insert(used);
        return read(values).map(Some);
    }
    let mut asked = locked(asked);
    if asked.wants.len() <= MOST_RANGES {
        asked.wants.insert(used);
    }
    Ok(None)
}

fn get(asked: &Mutex<Asked>, key: &str, default: Option<Value>) -> Result<Value, Error> {
    let found = known(asked, Used::Key(key.into()), |values| {
        values.get(key.as_bytes()).map(|value| text(key.as_bytes(), value)).transpose()
    })?;
    match (found, default) {
        (None, _) => Ok(Value::from("")),
        (Some(Some(value)), _) => Ok(Value::from(value)),
        (Some(None), Some(default)) => Ok(default),
        (Some(None), None) => Err(invalid(format!("there is no key {key:?}"))),
    }
}

/// Pairs of what is behind the prefix, and the value.
fn list(asked: &Mutex<Asked>, prefix: &str) -> Result<Value, Error> {
    let pairs = known(asked, Used::Prefix(prefix.into()), |values| {
        let pairs = values.iter().map(|(key, value)| {
            let name = text(key, key.strip_prefix(prefix.as_bytes()).unwrap_or(key))?;
            Ok(vec![name, text(key, value)?])
        });
        pairs.collect::<Result<Vec<_>, Error>>()
    })?;
    Ok(Value::from(Serde(pairs.unwrap_or_default())))
}

/// The addresses of a service, as etcd's naming resolver reads them.
fn services(asked: &Mutex<Asked>, name: &str) -> Result<Value, Error> {
    let prefix = format!("{}/", name.trim_end_matches('/'));
    let addresses = known(asked, Used::Prefix(prefix.into()), |values| {
        // What is no endpoint is not for this function.
        let instances = values.values().filter_map(|value| Instance::read(value));
        let addresses = instances.map(|instance| instance.addr);
        let mut addresses: Vec<String> = addresses.filter(|addr| !addr.is_empty()).collect();
        addresses.sort();
        Ok(addresses)
    })?;
    Ok(Value::from(Serde(addresses.unwrap_or_default())))
}

fn from_json(text: &str) -> Result<Value, Error> {
    // Without what is still wanted there is nothing to parse.
    if text.is_empty() {
        return Ok(Value::UNDEFINED);
    }
    let value: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| invalid(format!("{text:.40?} is no JSON: {error}")))?;
    Ok(Value::from(Serde(value)))
}

fn text(key: &[u8], bytes: &[u8]) -> Result<String, Error> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| invalid(format!("{} is no text", super::quoted(key))))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn bad(error: &Error) -> BadTemplate {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    BadTemplate(match error.line() {
        Some(line) => format!("line {line}: {detail}"),
        None => detail,
    })
}

struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(io::Error::other(format!("the text has more than {MOST_BYTES} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::{BadTemplate, Keys, Rendered, Template, Used};

    /// Renders with these keys, fetching what is wanted as often as it takes.
    fn render(template: &str, all: &[(&str, &[u8])]) -> Result<String, BadTemplate> {
        let template = Template::parse(template)?;
        let all: BTreeMap<Vec<u8>, Vec<u8>> =
            all.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.to_vec())).collect();
        let mut keys = Keys::new();
        loop {
            match template.render(&Arc::new(keys.clone()))? {
                Rendered::Text(text) => return Ok(String::from_utf8(text).unwrap()),
                Rendered::Wants(wants) => {
                    for used in wants {
                        let range = used.range();
                        let within = all.clone().into_iter().filter(|(key, _)| range.holds(key));
                        keys.insert(used, within.collect());
                    }
                }
            }
        }
    }

    fn fault(template: &str, all: &[(&str, &[u8])]) -> String {
        render(template, all).unwrap_err().to_string()
    }

    #[test]
    fn values_lists_services_and_json_stand_where_they_are_asked_for() {
        let keys: [(&str, &[u8]); 6] = [
            ("/app/host", b"db1"),
            ("/app/pool", br#"{"max": 20, "names": ["a", "b"]}"#),
            ("/app/users/alice", b"rw"),
            ("/app/users/bob", b"<r>"),
            ("web/1", br#"{"Op":0,"Addr":"10.0.0.2:80","Metadata":null}"#),
            ("web/0", br#"{"Op":0,"Addr":"10.0.0.1:80","Metadata":null}"#),
        ];
        let text = "host={{ get('/app/host') }} port={{ get('/app/port', 5432) }}\n\
                    {% for name, rights in list('/app/users/') %}{{ name }}:{{ rights }}\n{% endfor %}\
                    {% set pool = get('/app/pool')|from_json %}{{ pool.max }} {{ pool.names|join('+') }}\n\
                    {{ services('web')|join(',') }}\n";
        let expected = "host=db1 port=5432\nalice:rw\nbob:<r>\n20 a+b\n10.0.0.1:80,10.0.0.2:80\n";
        assert_eq!(render(text, &keys).unwrap(), expected);
        // What is asked for may be named by another value.
        let chained = "{{ get(get('/app/host')) }}";
        assert_eq!(render(chained, &[("/app/host", b"k"), ("k", b"v")]).unwrap(), "v");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        assert!(fault("a\n{% for x in %}", &[]).starts_with("line 2: "));
        assert_eq!(fault("a\nb\n{{ get('/nope') }}", &[]), "line 3: there is no key \"/nope\"");
        assert_eq!(fault("{{ get('/a') }}", &[("/a", b"\xff")]), "line 1: \"/a\" is no text");
        assert!(fault("{{ nope }}", &[]).starts_with("line 1: "));
        assert!(fault("{{ get('/a')|from_json }}", &[("/a", b"{")]).contains("is no JSON"));
    }

    #[test]
    fn a_template_that_does_not_end_and_one_that_asks_for_too_much_are_errors() {
        let endless =
            "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
        assert!(render(endless, &[]).is_err());
        let greedy = "{% for a in range(300) %}{{ get('/k/' ~ a, '') }}{% endfor %}";
        assert!(fault(greedy, &[]).contains("more than 200 keys and prefixes"));
    }

    #[test]
    fn a_range_is_a_key_or_all_below_a_prefix() {
        assert!(Used::Key(b"/a".to_vec()).range().is_single());
        assert!(Used::Prefix(b"/a/".to_vec()).range().holds(b"/a/b"));
    }
}
