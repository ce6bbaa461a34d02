//! `ctx list|show|use|add|remove|import`

use std::ffi::OsString;

use kvorum_client::contexts::{Clusters, Context, ContextError, Contexts, Places};

use crate::args::own::{CtxAddArgs, CtxArgs, CtxCommand, CtxImportArgs};
use crate::args::{Preferences, UsageError};
use crate::command::CommandError;
use crate::exit;
use crate::manner::Color;
use crate::mode::Mode;
use crate::output::{Row, Rows, Style, Tone, Value, escape_control};
use crate::run::{self, Invocation, Streams};
use crate::settings::{Field, Origin, Settings};

pub(super) fn execute(
    args: &CtxArgs,
    invocation: &Invocation<'_>,
    streams: &mut Streams,
) -> Result<(), CommandError> {
    let places = places()?;
    match args.command.as_ref().unwrap_or(&CtxCommand::List) {
        CtxCommand::List => list(&places, invocation, streams),
        CtxCommand::Show { name } => show(name.as_deref(), invocation, streams),
        CtxCommand::Use { name } => choose(name, &places, streams),
        CtxCommand::Add(add) => self::add(add, &places, invocation, streams),
        CtxCommand::Remove { name } => {
            let mut contexts = Contexts::read(&places)?;
            contexts.remove(name)?;
            contexts.write(&places)?;
            Clusters::read(&places)?.forget(&places, name)?;
            say(&format!("context {name} is forgotten"), streams)
        }
        CtxCommand::Import(import) => self::import(import, &places, streams),
    }
}

impl From<ContextError> for CommandError {
    fn from(error: ContextError) -> Self {
        Self::Other { code: exit::ERROR, message: error.to_string() }
    }
}

fn places() -> Result<Places, CommandError> {
    Places::find(&|name| std::env::var_os(name).map(Into::into)).ok_or_else(|| {
        UsageError::arguments("there is no home folder to keep contexts in: set HOME").into()
    })
}

fn say(line: &str, streams: &mut Streams) -> Result<(), CommandError> {
    Ok(writeln!(streams.out, "{line}")?)
}

/// One line of the list.
struct Listed<'a> {
    name: &'a str,
    context: &'a Context,
    is_default: bool,
    /// Of the longest name there is.
    name_columns: usize,
}

impl Listed<'_> {
    fn care(&self) -> String {
        let said = [(self.context.read_only, "read-only"), (self.context.protected, "protected")];
        let said: Vec<_> = said.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
        said.join(", ")
    }
}

impl Row for Listed<'_> {
    fn simple(&self, style: &Style) -> String {
        let mark = if self.is_default { '*' } else { ' ' };
        let name = style.paint.padded(Tone::Label, &shown(self.name), self.name_columns);
        let care = self.care();
        let care = if care.is_empty() { String::new() } else { format!("  ({care})") };
        format!("{mark} {name}  {}{care}", shown(&self.context.endpoints.join(",")))
    }

    fn value(&self) -> Value {
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
        Value::map([
            ("name", Value::text(self.name)),
            ("default", Value::Bool(self.is_default)),
            ("endpoints", Value::list(self.context.endpoints.iter().map(Value::text))),
            ("user", text(&self.context.user)),
            ("color", text(&self.context.color)),
            ("read_only", Value::Bool(self.context.read_only)),
            ("protected", Value::Bool(self.context.protected)),
        ])
    }

    fn cells(&self) -> Vec<String> {
        let mark = if self.is_default { "*" } else { "" };
        let endpoints = self.context.endpoints.join(",");
        let user = self.context.user.clone().unwrap_or_default();
        vec![mark.to_owned(), self.name.to_owned(), endpoints, user, self.care()]
    }
}

fn shown(text: &str) -> String {
    String::from_utf8_lossy(&escape_control(text.as_bytes())).into_owned()
}

fn list(
    places: &Places,
    invocation: &Invocation<'_>,
    streams: &mut Streams,
) -> Result<(), CommandError> {
    let contexts = Contexts::read(places)?;
    let style = super::style_alone(invocation)?;
    let header = ["", "name", "endpoints", "user", "care"];
    let mut rows = Rows::new(&style, &header, &mut streams.out);
    let columns = contexts.contexts.keys().map(|name| shown(name).len()).max();
    let name_columns = columns.unwrap_or(0);
    for (name, context) in &contexts.contexts {
        let is_default = contexts.default.as_ref() == Some(name);
        rows.row(&Listed { name, context, is_default, name_columns })?;
    }
    rows.end()?;
    if contexts.contexts.is_empty() {
        let color = Color::here(invocation.preferences);
        let hint = run::said("hint: kvorum ctx add NAME --endpoints HOST:PORT", color);
        let _ = writeln!(streams.err, "no context is defined yet\n{hint}");
    }
    Ok(())
}

impl Row for Field {
    fn simple(&self, style: &Style) -> String {
        let name = style.paint.of(Tone::Label, &shown(&self.name));
        format!("{name}  {}  ({})", shown(&self.value), shown(&self.origin.to_string()))
    }

    fn value(&self) -> Value {
        Value::map([
            ("name", Value::text(&self.name)),
            ("value", Value::text(&self.value)),
            ("origin", Value::text(self.origin.to_string())),
        ])
    }

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.value.clone(), self.origin.to_string()]
    }
}

fn show(
    name: Option<&str>,
    invocation: &Invocation<'_>,
    streams: &mut Streams,
) -> Result<(), CommandError> {
    let named = name.map(|name| Preferences {
        context: Some(name.to_owned()),
        ..invocation.preferences.clone()
    });
    let preferences = named.as_ref().unwrap_or(invocation.preferences);
    let settings = Settings::resolve(invocation.global, preferences, Mode::Kvorum, &|name| {
        std::env::var_os(name)
    })?;
    let style = super::style_alone(invocation)?;
    let mut rows = Rows::new(&style, &["option", "value", "origin"], &mut streams.out);
    let care = care(&settings);
    for field in settings.fields.iter().chain(&care) {
        rows.row(field)?;
    }
    rows.end()?;
    if settings.fields.is_empty() {
        let _ = writeln!(streams.err, "nothing is set: 127.0.0.1:2379, without TLS or a user");
    }
    Ok(())
}

/// How careful the context is, as further fields.
fn care(settings: &Settings) -> Vec<Field> {
    let manner = &settings.manner;
    let Some(context) = &manner.context else { return Vec::new() };
    let care = &manner.protection;
    let separator = char::from(manner.separator).to_string();
    let fields = [
        ("read-only", care.read_only.then(|| "true".to_owned())),
        ("protected", care.protected.then(|| "true".to_owned())),
        ("frame", care.color.clone()),
        ("separator", (manner.separator != b'/').then_some(separator)),
    ];
    let field = |(name, value): (&str, Option<String>)| {
        let origin = Origin::Context(context.clone());
        Some(Field { name: name.to_owned(), value: value?, origin })
    };
    fields.into_iter().filter_map(field).collect()
}

fn choose(name: &str, places: &Places, streams: &mut Streams) -> Result<(), CommandError> {
    let mut contexts = Contexts::read(places)?;
    if name == "-" {
        contexts.default = None;
        contexts.write(places)?;
        return say("no context is the default any more", streams);
    }
    contexts.choose(name)?;
    contexts.write(places)?;
    say(&format!("{name} is the default context of what starts from here on"), streams)
}

fn add(
    args: &CtxAddArgs,
    places: &Places,
    invocation: &Invocation<'_>,
    streams: &mut Streams,
) -> Result<(), CommandError> {
    let (global, preferences) = (invocation.global, invocation.preferences);
    let mut contexts = Contexts::read(places)?;
    let known = contexts.contexts.get(&args.name).cloned();
    let is_new = known.is_none();
    let mut context = known.unwrap_or_default();
    if !global.endpoints.is_empty() {
        context.endpoints = split(&global.endpoints.join(","));
    }
    if is_new && context.endpoints.is_empty() {
        return Err(UsageError::arguments("a new context needs --endpoints").into());
    }
    for (given, field) in [
        (&global.cacert, &mut context.cacert),
        (&global.cert, &mut context.cert),
        (&global.key, &mut context.key),
    ] {
        if let Some(path) = given {
            // Where one is when a context is used is another folder.
            *field = Some(std::path::absolute(path)?);
        }
    }
    if let Some(user) = &global.user {
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        if !password.is_empty() || global.password.is_some() {
            return Err(UsageError::arguments(
                "a password is not written into a file: give --password-command, or be asked",
            )
            .into());
        }
        context.user = Some(user.to_owned());
    }
    if let Some(skip) = global.insecure_skip_tls_verify {
        context.insecure_skip_tls_verify = skip;
    }
    for (given, field) in [
        (&args.password_command, &mut context.password_command),
        (&args.frame, &mut context.color),
        (&args.separator, &mut context.separator),
    ] {
        if given.is_some() {
            field.clone_from(given);
        }
    }
    context.read_only = preferences.read_only.unwrap_or(context.read_only);
    context.protected = args.protected.unwrap_or(context.protected);
    if !args.mask.is_empty() {
        context.masked = Some(args.mask.clone());
    }
    contexts.put(&args.name, context)?;
    contexts.write(places)?;
    let done = if is_new { "is added" } else { "is changed" };
    let name = &args.name;
    let next = match contexts.default.as_deref() {
        Some(current) if current == name => "it is the default".to_owned(),
        _ => format!("kvorum ctx use {name} makes it the default"),
    };
    say(&format!("context {name} {done}; {next}"), streams)
}

fn split(list: &str) -> Vec<String> {
    list.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn import(
    args: &CtxImportArgs,
    places: &Places,
    streams: &mut Streams,
) -> Result<(), CommandError> {
    let (name, context) = match (args.env, args.kubeadm) {
        (true, false) => ("env", of_variables(&|name| std::env::var_os(name))?),
        (false, true) => ("kubeadm", Context::of_kubeadm(&args.pki)?),
        _ => return Err(UsageError::arguments("import needs --env or --kubeadm").into()),
    };
    let name = args.name.as_deref().unwrap_or(name);
    let mut contexts = Contexts::read(places)?;
    if contexts.contexts.contains_key(name) {
        return Err(UsageError::arguments(format!(
            "there is a context {name} already: give another name with --name, or kvorum ctx \
             remove {name}"
        ))
        .into());
    }
    contexts.put(name, context)?;
    contexts.write(places)?;
    say(&format!("context {name} is added; kvorum ctx use {name} makes it the default"), streams)
}

/// What the variables say, but for a password.
fn of_variables(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Context, CommandError> {
    let text = |name: &str| {
        let value = variable(&format!("ETCDCTL_{name}"))?.to_string_lossy().into_owned();
        (!value.is_empty()).then_some(value)
    };
    let Some(endpoints) = text("ENDPOINTS") else {
        return Err(UsageError::arguments("ETCDCTL_ENDPOINTS is not set").into());
    };
    let path = |name| text(name).map(std::path::absolute).transpose();
    Ok(Context {
        endpoints: split(&endpoints),
        cacert: path("CACERT")?,
        cert: path("CERT")?,
        key: path("KEY")?,
        insecure_skip_tls_verify: text("INSECURE_SKIP_TLS_VERIFY").is_some_and(|on| on == "true"),
        user: text("USER").and_then(|user| user.split(':').next().map(str::to_owned)),
        ..Context::default()
    })
}
