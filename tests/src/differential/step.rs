//! What is asked, as data: the same for both sides.

use std::fmt;

use serde_json::Value;

/// In a message, the id of the member that is asked.
pub const MEMBER: &str = "<member>";

/// In whose name a request is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Without a token.
    Nobody,
    /// With the token that the side has given this user last; without one if there is none.
    User(String),
    /// With this token, whatever it is.
    Token(String),
}

/// One message to one method.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: &'static str,
    pub message: Value,
    pub who: Who,
    /// More metadata, or headers.
    pub metadata: Vec<(&'static str, &'static [u8])>,
}

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    Call(Call),
    /// The same as JSON over HTTP.
    Gateway(Call),
    /// Plain HTTP: method, path, headers, body.
    Http(HttpCall),
    /// Messages on a stream that is then closed; the answers until it ends, at most so many.
    Stream {
        call: Call,
        messages: Vec<Value>,
        at_most: usize,
    },
    /// Messages on a stream of the gateway; so many lines of its answer, which may have no end.
    GatewayLines {
        call: Call,
        messages: Vec<Value>,
        count: usize,
    },
    /// A snapshot, whose content is the server's own: its framing is compared.
    Drain(Call),
    GatewayDrain(Call),
    /// Opens the watch stream of this number, in whose name.
    OpenWatch(usize, Who),
    /// A message on the watch stream of this number.
    Watch(usize, Value),
    CloseWatch(usize),
    /// Waits until both sides have sent the same on all watch streams.
    Settle,
    /// Asks for a lock or an election with two leases; the second has it once the first lets go.
    Queue {
        service: Queueing,
        name: String,
        leases: [i64; 2],
        who: Who,
    },
    /// Campaigns, proclaims, is observed, campaigns again, resigns, and proclaims once more.
    Term {
        name: String,
        lease: i64,
        who: Who,
        by_gateway: bool,
    },
    /// A lock or an election with a lease that the server makes; both are given back.
    Sessionless {
        service: Queueing,
        name: String,
        who: Who,
    },
    /// A lease whose id the server chooses, looked at and revoked.
    GrantAny {
        ttl: i64,
        who: Who,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queueing {
    Lock,
    Election,
}

#[derive(Clone, Debug)]
pub struct HttpCall {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: String,
}

impl Call {
    pub fn new(method: &'static str, message: Value) -> Call {
        Call { method, message, who: Who::Nobody, metadata: Vec::new() }
    }

    pub fn by(self, who: &Who) -> Call {
        Call { who: who.clone(), ..self }
    }
}

impl Step {
    pub fn call(method: &'static str, message: Value) -> Step {
        Step::Call(Call::new(method, message))
    }

    /// What the requests of this step are counted as.
    pub fn rpcs(&self) -> Vec<(String, u64)> {
        let by = |name: &str| (name.to_owned(), 1);
        match self {
            Step::Call(call) | Step::Drain(call) => vec![by(call.method)],
            Step::Gateway(call) | Step::GatewayDrain(call) => {
                vec![(format!("gateway {}", call.method), 1)]
            }
            Step::GatewayLines { call, messages, .. } => {
                vec![(format!("gateway {}", call.method), messages.len().max(1) as u64)]
            }
            Step::Http(call) => vec![(format!("http {}", call.method), 1)],
            Step::Stream { call, messages, .. } => {
                vec![(call.method.to_owned(), messages.len().max(1) as u64)]
            }
            Step::Watch(..) => vec![by("Watch/Watch")],
            Step::OpenWatch(..) | Step::CloseWatch(_) | Step::Settle => vec![],
            Step::Queue { service, .. } => {
                service.calls().into_iter().map(|name| (name.to_owned(), 2)).collect()
            }
            Step::Term { by_gateway, .. } => [
                ("Election/Campaign", 2),
                ("Election/Proclaim", 2),
                ("Election/Leader", 2),
                ("Election/Observe", 1),
                ("Election/Resign", 2),
            ]
            .map(|(name, times)| {
                (format!("{}{name}", if *by_gateway { "gateway " } else { "" }), times)
            })
            .into(),
            Step::Sessionless { service, .. } => {
                let [ask, give_back] = service.calls();
                vec![by(ask), by(give_back), by("Lease/LeaseRevoke")]
            }
            Step::GrantAny { .. } => {
                ["Lease/LeaseGrant", "Lease/LeaseTimeToLive", "Lease/LeaseRevoke"].map(by).into()
            }
        }
    }

    /// The method whose rows of the table of differences apply.
    pub fn subject(&self) -> String {
        match self {
            Step::Http(call) => format!("http {}", call.path.split('?').next().unwrap_or("")),
            _ => self.rpcs().into_iter().next().map_or("Watch/Watch".into(), |(name, _)| name),
        }
    }
}

impl Queueing {
    /// The methods that ask for it and give it back.
    pub fn calls(self) -> [&'static str; 2] {
        match self {
            Queueing::Lock => ["Lock/Lock", "Lock/Unlock"],
            Queueing::Election => ["Election/Campaign", "Election/Resign"],
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Call(call) => write!(out, "{call}"),
            Step::Gateway(call) => write!(out, "gateway {call}"),
            Step::Http(call) => {
                write!(out, "{} {} {:?} {:?}", call.method, call.path, call.headers, call.body)
            }
            Step::Stream { call, messages, .. } => {
                write!(out, "{call}")?;
                messages.iter().try_for_each(|message| write!(out, " {message}"))
            }
            Step::GatewayLines { call, messages, .. } => {
                write!(out, "gateway {call}")?;
                messages.iter().try_for_each(|message| write!(out, " {message}"))
            }
            Step::Drain(call) => write!(out, "drain {call}"),
            Step::GatewayDrain(call) => write!(out, "drain gateway {call}"),
            Step::OpenWatch(stream, who) => write!(out, "open watch stream {stream} as {who:?}"),
            Step::Watch(stream, message) => write!(out, "on watch stream {stream}: {message}"),
            Step::CloseWatch(stream) => write!(out, "close watch stream {stream}"),
            Step::Settle => write!(out, "settle the watch streams"),
            other => write!(out, "{other:?}"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.method, self.message)?;
        match &self.who {
            Who::Nobody => {}
            who => write!(out, " as {who:?}")?,
        }
        for (name, value) in &self.metadata {
            write!(out, " {name}: {}", value.escape_ascii())?;
        }
        Ok(())
    }
}
