//! Who asks, and who may what: the rules by themselves, as etcd 3.6 has them with the advisories
//! of 2026 (CVE-2026-33413, CVE-2026-33343, CVE-2026-44283, GHSA-xg4h-6gfc-h4m8).

use kvorum_tests::differential::side::Side;
use kvorum_tests::differential::step::Who;

/// Keys as a request names them: an empty end is the key alone, a zero byte all from the key on.
pub(crate) type Span = (&'static str, &'static str);

/// Somebody who asks.
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    pub(crate) roles: &'static [&'static str],
    proof: Proof,
}

#[derive(PartialEq)]
enum Proof {
    Nothing,
    Nonsense,
    /// A token whose user is not there any more.
    Orphan,
    Token,
    /// A token as those say it who think of HTTP.
    Bearer,
}

/// A role with one permission: what may be read in it, and what written.
pub(crate) struct Role {
    pub(crate) name: &'static str,
    /// As in `authpb.Permission.Type`.
    pub(crate) kind: u8,
    pub(crate) span: Span,
}

const READ: u8 = 0;
const WRITE: u8 = 1;
const READWRITE: u8 = 2;
const ROOT: &str = "root";

pub(crate) const ROLES: &[Role] = &[
    Role { name: "reading", kind: READ, span: ("k", "l") },
    Role { name: "writing", kind: WRITE, span: ("k", "l") },
    Role { name: "working", kind: READWRITE, span: ("k", "l") },
    Role { name: "left", kind: READWRITE, span: ("k", "k/b") },
    Role { name: "right", kind: READWRITE, span: ("k/b", "l") },
    Role { name: "reading x", kind: READ, span: ("x", "y") },
    Role { name: "writing x", kind: WRITE, span: ("x", "y") },
];

pub(crate) const CALLERS: &[Caller] = &[
    Caller { name: "nobody", roles: &[], proof: Proof::Nothing },
    Caller { name: "nonsense", roles: &[], proof: Proof::Nonsense },
    Caller { name: "deleted", roles: &[], proof: Proof::Orphan },
    Caller { name: "bare", roles: &[], proof: Proof::Token },
    Caller { name: "reader", roles: &["reading"], proof: Proof::Token },
    Caller { name: "writer", roles: &["writing"], proof: Proof::Token },
    Caller { name: "worker", roles: &["working"], proof: Proof::Token },
    Caller { name: "worker by bearer", roles: &["working"], proof: Proof::Bearer },
    Caller { name: "left", roles: &["left"], proof: Proof::Token },
    Caller { name: "both halves", roles: &["left", "right"], proof: Proof::Token },
    Caller { name: "reader x", roles: &["reading x"], proof: Proof::Token },
    Caller { name: "writer x", roles: &["writing x"], proof: Proof::Token },
    Caller {
        name: "wide",
        roles: &["reading", "writing", "reading x", "writing x"],
        proof: Proof::Token,
    },
    Caller { name: ROOT, roles: &[ROOT], proof: Proof::Token },
];

/// What a request needs.
#[derive(Clone, Debug, Default)]
pub(crate) enum Needs {
    /// Nothing, not even a good token.
    Nothing,
    /// No user, but no bad token either.
    Anyone,
    #[default]
    User,
    Root,
    /// To be this user, or root.
    Oneself(&'static str),
    /// To have this role, or root's.
    Having(&'static str),
    Keys {
        reads: Vec<Span>,
        writes: Vec<Span>,
    },
}

pub(crate) const NO_USER: &str = "InvalidArgument: etcdserver: user name is empty";
pub(crate) const NO_TOKEN: &str = "Unauthenticated: etcdserver: invalid auth token";
pub(crate) const OLD_TOKEN: &str = "InvalidArgument: etcdserver: revision of auth store is old";
pub(crate) const DENIED: &str = "PermissionDenied: etcdserver: permission denied";

impl Caller {
    /// As whom it asks, by the token the side was given for it.
    pub(crate) fn who(&self, side: &Side) -> Who {
        let user = Who::User(self.name.into());
        match self.proof {
            Proof::Nothing => Who::Nobody,
            Proof::Nonsense => Who::Token("nonsense.1".into()),
            Proof::Token | Proof::Orphan => user,
            Proof::Bearer => {
                let token = side.token(&user).expect("it has logged in");
                Who::Token(format!("Bearer {token}"))
            }
        }
    }

    pub(crate) fn is_user(&self) -> bool {
        matches!(self.proof, Proof::Token | Proof::Bearer)
    }

    /// Whether it is to be removed once it has a token.
    pub(crate) fn is_orphan(&self) -> bool {
        self.proof == Proof::Orphan
    }

    /// How a request with these needs is refused; none if it is not.
    pub(crate) fn refusal(&self, needs: &Needs) -> Option<&'static str> {
        match (&self.proof, needs) {
            (_, Needs::Nothing) | (Proof::Nothing, Needs::Anyone) => None,
            (Proof::Nothing, _) => Some(NO_USER),
            (Proof::Nonsense | Proof::Orphan, _) => Some(NO_TOKEN),
            (Proof::Token | Proof::Bearer, _) => (!self.may(needs)).then_some(DENIED),
        }
    }

    fn may(&self, needs: &Needs) -> bool {
        if self.roles.contains(&ROOT) {
            return true;
        }
        match needs {
            Needs::Nothing | Needs::Anyone | Needs::User => true,
            Needs::Root => false,
            Needs::Oneself(name) => self.name == *name,
            Needs::Having(role) => self.roles.contains(role),
            Needs::Keys { reads, writes } => {
                reads.iter().all(|span| self.covers(*span, READ))
                    && writes.iter().all(|span| self.covers(*span, WRITE))
            }
        }
    }

    /// Whether it has all of this, by one role or by several that touch. No role goes on for ever.
    fn covers(&self, (key, end): Span, kind: u8) -> bool {
        let held = ROLES.iter().filter(|role| self.roles.contains(&role.name));
        let held: Vec<&Role> =
            held.filter(|role| role.kind == kind || role.kind == READWRITE).collect();
        let mut at = key;
        loop {
            let here = held.iter().map(|role| role.span).find(|(from, to)| *from <= at && at < *to);
            match here {
                None => return false,
                Some(_) if end.is_empty() => return true,
                Some((_, to)) if end != "\0" && end <= to => return true,
                Some((_, to)) => at = to,
            }
        }
    }
}

impl Needs {
    pub(crate) fn read(span: Span) -> Needs {
        Needs::Keys { reads: vec![span], writes: vec![] }
    }

    pub(crate) fn write(span: Span) -> Needs {
        Needs::Keys { reads: vec![], writes: vec![span] }
    }

    pub(crate) fn both(span: Span) -> Needs {
        Needs::Keys { reads: vec![span], writes: vec![span] }
    }
}
