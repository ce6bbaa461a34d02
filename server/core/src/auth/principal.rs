//! Who asks.

use kvorum_proto::etcdserverpb::RequestHeader;

/// Who asks for something, as the edge found out. It goes through the log in an entry's header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Principal {
    /// Somebody who did not say.
    #[default]
    Anonymous,
    /// A user who proved it, by a token or a certificate.
    User {
        name: String,
        /// The auth revision the proof is good for: what is older than the state's is refused.
        auth_revision: u64,
    },
    /// A member itself, for what no client asks for: leases that ran out, alarms, its own name.
    /// Nothing that a client sends can say so; headers are made by the member that proposes.
    Member,
}

impl Principal {
    /// Who stands in an entry's header.
    pub fn of(header: Option<&RequestHeader>) -> Self {
        match header {
            Some(header) if header.of_member => Principal::Member,
            Some(header) if !header.username.is_empty() || header.auth_revision > 0 => {
                let name = header.username.clone();
                Principal::User { name, auth_revision: header.auth_revision }
            }
            Some(_) | None => Principal::Anonymous,
        }
    }

    /// The header of an entry that this one asks for.
    pub fn header(&self, id: u64) -> RequestHeader {
        let header = RequestHeader { id, ..RequestHeader::default() };
        match self {
            Principal::Anonymous => header,
            Principal::User { name, auth_revision } => {
                RequestHeader { username: name.clone(), auth_revision: *auth_revision, ..header }
            }
            Principal::Member => RequestHeader { of_member: true, ..header },
        }
    }

    /// The user's name; none for a member or for who did not say.
    pub fn user(&self) -> Option<&str> {
        match self {
            Principal::User { name, .. } => Some(name),
            Principal::Anonymous | Principal::Member => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_who_asks() {
        let user = Principal::User { name: "alice".into(), auth_revision: 7 };
        for principal in [Principal::Anonymous, user, Principal::Member] {
            let header = principal.header(5);
            assert_eq!(header.id, 5);
            assert_eq!(Principal::of(Some(&header)), principal);
        }
        assert_eq!(Principal::of(None), Principal::Anonymous);
    }
}
