//! `show`: one value and all that is known of it.

use std::io::IsTerminal as _;

use kvorum_client::decode::{
    Body, Decoded, Format as Found, decode, decode_as, without_managed_fields,
};
use kvorum_client::{Get, pb};

use crate::args::own::{ShowArgs, ViewAs};
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{
    Row, Style, Tone, Value, escape_message, instead_of, is_masked, kv_value, one_line, print_one,
    shell_operand, shell_word,
};

const HEADER: [&str; 7] =
    ["key", "value", "decoded as", "create rev", "mod rev", "version", "lease"];

pub(super) async fn execute(args: &ShowArgs, session: &mut Session) -> Result<(), CommandError> {
    let (key, revision) = args.place()?;
    let get = Get { revision, serializable: true, ..Get::key(key.clone()) };
    let mut answer = session.connection.get(get).await?;
    let Some(kv) = answer.kvs.pop() else { return Err(missing(&key, revision, session).await) };
    let masked = !kv.value.is_empty() && is_masked(&session.style.masked, &kv.key);
    if args.view == Some(ViewAs::Raw) {
        if masked {
            return Err(crate::output::PrintError::Masked.into());
        }
        session.out.write_all(&kv.value)?;
        session.out.flush()?;
        return Ok(());
    }
    let decoded = if masked { None } else { Some(decoded(args, &kv)?) };
    let lease = if kv.lease == 0 { None } else { Some(lease(kv.lease, session).await) };
    let asked_for_json = matches!(args.view, Some(ViewAs::View(_)));
    let style = &session.style;
    let shown = Shown { kv: &kv, revision, decoded, lease, pretty: asked_for_json, style };
    print_one(&shown, &HEADER, style, &mut session.out)?;
    say_serializable(answer.header.map_or(0, |header| header.revision), session);
    Ok(())
}

/// Says on a terminal that what was read may be behind the leader.
fn say_serializable(revision: i64, session: &mut Session) {
    if !session.manner.quiet && std::io::stderr().is_terminal() {
        let endpoint = session.connection.current_endpoint();
        session.remark(&format!("read serializably at revision {revision}, as {endpoint} has it"));
    }
}

async fn missing(key: &[u8], revision: i64, session: &Session) -> CommandError {
    let at = if revision == 0 { String::new() } else { format!(" at revision {revision}") };
    let code = if session.manner.exit_status { exit::finer::NOT_FOUND } else { exit::ERROR };
    let message = format!("there is no key {}{at}", one_line(key));
    if let Some(hint) = meant_revision(key) {
        return CommandError::Hinted { code, message, hint };
    }
    let operand = shell_operand(key);
    if revision != 0
        && let Ok(answer) =
            session.connection.get(Get { serializable: true, ..Get::key(key) }).await
        && let Some(kv) = answer.kvs.first()
    {
        let created = kv.create_revision;
        let hint = format!("it was created at revision {created}: kvorum show {operand} shows it");
        return CommandError::Hinted { code, message, hint };
    }
    let hint = format!("kvorum get --prefix --keys-only {operand} lists what begins like it");
    CommandError::Hinted { code, message, hint }
}

/// What to type, if what stands behind the key's `@` was meant to be a revision.
fn meant_revision(key: &[u8]) -> Option<String> {
    let at = key.iter().rposition(|byte| *byte == b'@')?;
    let (key, behind) = (&key[..at], str::from_utf8(&key[at + 1..]).ok()?);
    behind.parse::<i64>().ok()?;
    let (example, operand) = (shell_word(&[key, b"@12"].concat()), shell_operand(key));
    Some(format!(
        "behind @ stands a revision, as in {example}; kvorum show {operand} tells the last that \
         changed it"
    ))
}

fn decoded(args: &ShowArgs, kv: &pb::KeyValue) -> Result<Decoded, CommandError> {
    let mut decoded = match args.view {
        Some(ViewAs::View(view)) => decode_as(view, &kv.key, &kv.value).map_err(|error| {
            let message = format!("the value of {} cannot be read so: {error}", one_line(&kv.key));
            let hint = "leave --as out, or try --as hex".to_owned();
            CommandError::Hinted { code: exit::ERROR, message, hint }
        })?,
        Some(ViewAs::Raw) | None => decode(&kv.key, &kv.value),
    };
    if decoded.format == Found::Kubernetes && !args.managed_fields {
        decoded.body = match decoded.body {
            Body::Tree(tree) => Body::Tree(without_managed_fields(tree)),
            other => other,
        };
    }
    Ok(decoded)
}

/// A lease, and the seconds it has left of those it was granted, where that can be learned.
struct Lease {
    id: i64,
    left: Option<(i64, i64)>,
}

async fn lease(id: i64, session: &Session) -> Lease {
    let answer = session.connection.lease_time_to_live(id, false).await;
    let left = answer.ok().map(|answer| (answer.ttl, answer.granted_ttl));
    Lease { id, left }
}

/// A value with what is known of it.
struct Shown<'a> {
    kv: &'a pb::KeyValue,
    /// What it was read at; 0 is now.
    revision: i64,
    /// Nothing, where the value is masked.
    decoded: Option<Decoded>,
    lease: Option<Lease>,
    /// JSON is laid out also where nobody looks.
    pretty: bool,
    style: &'a Style,
}

impl Shown<'_> {
    fn description(&self) -> String {
        self.decoded.as_ref().map_or_else(|| "masked".to_owned(), Decoded::description)
    }

    /// The description, where bytes are called what they are not, and said to be shown in hex.
    fn kind(&self) -> String {
        let Some(decoded @ Decoded { format: Found::Bytes, body: Body::Bytes(bytes), .. }) =
            &self.decoded
        else {
            return self.description();
        };
        let mut words: Vec<String> = decoded.packings.iter().map(ToString::to_string).collect();
        let kind = if str::from_utf8(bytes).is_ok() { "text" } else { "not text" };
        words.push(match &decoded.detail {
            Some(detail) => format!("{kind}: {detail} (hex below)"),
            None => format!("{kind} (hex below)"),
        });
        words.join(", ")
    }

    fn form(&self) -> String {
        let Some(decoded) = &self.decoded else { return instead_of(self.kv.value.len()) };
        match &decoded.body {
            Body::Tree(tree) if !self.pretty => {
                serde_saphyr::to_string(tree).unwrap_or_else(|_| decoded.text(true))
            }
            Body::Tree(_) => decoded.text(true),
            _ => decoded.text(self.pretty || self.style.escaped),
        }
    }

    fn lease(&self) -> Option<String> {
        let Lease { id, left } = self.lease.as_ref()?;
        Some(match left {
            Some((_, 0)) => format!("{id:016x} (expired)"),
            Some((left, granted)) => format!("{id:016x} ({left}s of {granted}s left)"),
            None => format!("{id:016x}"),
        })
    }
}

impl Row for Shown<'_> {
    fn simple(&self, style: &Style) -> String {
        let kv = self.kv;
        let shown = |line: &str| {
            if style.escaped { escape_message(line).into_owned() } else { line.to_owned() }
        };
        let field = |name: &str, value: &str| {
            format!("{}{}", style.paint.padded(Tone::Label, name, 10), shown(value))
        };
        let key = style.paint.of(Tone::Key, &one_line(&kv.key));
        let mut lines = vec![format!("{}{key}", field("key", ""))];
        if self.revision != 0 {
            lines.push(field("read at", &format!("revision {}", self.revision)));
        }
        let changed = format!(
            "at revision {} (version {}, created at {})",
            kv.mod_revision, kv.version, kv.create_revision
        );
        lines.push(field("changed", &changed));
        lines.extend(self.lease().map(|lease| field("lease", &lease)));
        lines.push(field("value", &format!("{} bytes, {}", kv.value.len(), self.kind())));
        lines.push(String::new());
        let form = self.form();
        lines.extend(form.strip_suffix('\n').unwrap_or(&form).split('\n').map(shown));
        lines.join("\n")
    }

    /// What `get` has, and more: the same names for the same things.
    fn value(&self) -> Value {
        let kv = pb::KeyValue { value: Vec::new(), lease: 0, ..self.kv.clone() };
        let stored = match &self.decoded {
            Some(_) => Value::bytes(&self.kv.value),
            None => Value::Text(instead_of(self.kv.value.len())),
        };
        let Value::Map(fields) = kv_value(&kv) else { return Value::Null };
        let with_value = fields.into_iter().map(|(name, value)| match name.as_str() {
            "value" => (name, stored.clone()),
            _ => (name, value),
        });
        let lease = self.lease.as_ref().map(|lease| {
            let left = lease.left.filter(|(_, granted)| *granted != 0);
            Value::map([("id", Value::lease(lease.id))])
                .with_some("granted_ttl_s", left.map(|(_, granted)| granted.into()))
                .with_some("remaining_ttl_s", left.map(|(left, _)| left.into()))
        });
        Value::Map(with_value.collect())
            .with("size_bytes", Value::Uint(self.kv.value.len() as u64))
            .with_some("lease", lease)
            .with("decoded_as", Value::Text(self.description()))
            .with_some("decoded", self.decoded.as_ref().and_then(tree))
    }

    fn cells(&self) -> Vec<String> {
        let kv = self.kv;
        vec![
            one_line(&kv.key),
            self.form(),
            self.description(),
            kv.create_revision.to_string(),
            kv.mod_revision.to_string(),
            kv.version.to_string(),
            self.lease().unwrap_or_default(),
        ]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.kv.key)
    }

    fn raw(&self) -> Option<&[u8]> {
        self.decoded.as_ref().map(|_| self.kv.value.as_slice())
    }
}

/// What is more than the stored text or bytes.
fn tree(decoded: &Decoded) -> Option<Value> {
    if let Some(tree) = decoded.tree() {
        return Some(tree.into());
    }
    match &decoded.body {
        Body::Text(text) if !decoded.packings.is_empty() => Some(Value::text(text)),
        Body::Bytes(bytes) if !decoded.packings.is_empty() => Some(Value::bytes(bytes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kvorum_client::decode::{View, decode, decode_as};
    use kvorum_client::pb;

    use super::{Decoded, Shown, meant_revision};
    use crate::output::{Paint, Row as _, Style};

    fn kind(value: &[u8], decoded: Decoded) -> String {
        let kv = pb::KeyValue { value: value.to_vec(), ..pb::KeyValue::default() };
        let style = Style::default();
        let (kv, decoded) = (&kv, Some(decoded));
        Shown { kv, revision: 0, decoded, lease: None, pretty: false, style: &style }.kind()
    }

    #[test]
    fn bytes_are_told_as_what_they_are_not() {
        assert_eq!(kind(b"\xff\x00", decode(b"/a", b"\xff\x00")), "not text (hex below)");
        let text = decode_as(View::Hex, b"/a", b"text").unwrap();
        assert_eq!(kind(b"text", text), "text (hex below)");
        let encrypted = b"k8s:enc:aescbc:v1:key1:\xff";
        let expected = "not text: encrypted by Kubernetes (aescbc, key key1) (hex below)";
        assert_eq!(kind(encrypted, decode(b"/a", encrypted)), expected);
        assert_eq!(kind(b"text", decode(b"/a", b"text")), "text");
    }

    #[test]
    fn the_names_of_fields_are_painted_and_what_they_hold_is_not() {
        let kv =
            pb::KeyValue { key: b"/a".to_vec(), value: b"v".to_vec(), ..pb::KeyValue::default() };
        let style = Style { paint: Paint::new(true), escaped: true, ..Style::default() };
        let decoded = Some(decode(b"/a", b"v"));
        let shown =
            Shown { kv: &kv, revision: 0, decoded, lease: None, pretty: false, style: &style };
        let text = shown.simple(&style);
        assert!(text.starts_with("\x1b[1mkey\x1b[0m       \x1b[35m/a\x1b[0m\n"), "{text}");
        assert!(text.ends_with("\x1b[1mvalue\x1b[0m     1 bytes, text\n\nv"), "{text}");
    }

    #[test]
    fn only_a_number_behind_the_at_was_meant_as_a_revision() {
        let hint = meant_revision(b"/a@-1").unwrap();
        assert!(hint.contains("as in /a@12; kvorum show /a tells"), "{hint}");
        let hint = meant_revision(b"-a b@-1").unwrap();
        assert!(hint.contains("as in '-a b@12'; kvorum show -- '-a b' tells"), "{hint}");
        assert_eq!(meant_revision(b"me@example.com"), None);
        assert_eq!(meant_revision(b"/a"), None);
    }
}
