//! What all formats have in common.

/// A value of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Null,
    Text(String),
    /// A number, true or false, as it is written; in JSON without quotes.
    Bare(String),
    List(Vec<Node>),
    /// In the order of the file; a name may be there twice.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// As JSON, on one line; numbers stay as they are written where JSON has them so.
    pub(super) fn json(&self) -> Json<'_> {
        Json(self)
    }
}

pub(super) struct Json<'a>(&'a Node);

impl std::fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Node::Null => f.write_str("null"),
            Node::Text(text) => quoted(text, f),
            Node::Bare(text) => f.write_str(text),
            Node::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{}", if at == 0 { "" } else { "," }, item.json())?;
                }
                f.write_str("]")
            }
            Node::Map(fields) => {
                f.write_str("{")?;
                for (at, (name, value)) in fields.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { "," })?;
                    quoted(name, f)?;
                    write!(f, ":{}", value.json())?;
                }
                f.write_str("}")
            }
        }
    }
}

fn quoted(text: &str, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| std::fmt::Error)?)
}

impl From<toml::Value> for Node {
    fn from(value: toml::Value) -> Self {
        match value {
            toml::Value::String(text) => Self::Text(text),
            toml::Value::Integer(value) => Self::Bare(value.to_string()),
            // JSON has no infinity.
            toml::Value::Float(value) if !value.is_finite() => Self::Text(value.to_string()),
            toml::Value::Float(value) => Self::Bare(format!("{value:?}")),
            toml::Value::Boolean(value) => Self::Bare(value.to_string()),
            toml::Value::Datetime(value) => Self::Text(value.to_string()),
            toml::Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            toml::Value::Table(fields) => {
                Self::Map(fields.into_iter().map(|(name, value)| (name, value.into())).collect())
            }
        }
    }
}
