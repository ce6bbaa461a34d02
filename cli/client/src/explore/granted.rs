//! Where a user who may not read everything can begin: the ranges that the user's own roles grant.

use kvorum_proto::authpb::Permission;
use kvorum_proto::authpb::permission::Type;
use kvorum_proto::etcdserverpb::auth_client::AuthClient;
use kvorum_proto::etcdserverpb::{AuthRoleGetRequest, AuthUserGetRequest};
use tonic::Code;

use super::keyspace::Wire;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::range::KeyRange;
use crate::request::Get;

/// What of a range may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readable {
    /// All of it.
    Whole(KeyRange),
    /// These parts: sorted, apart, never none.
    Granted(Vec<KeyRange>),
}

/// Why nothing can be read, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRanges {
    #[error(
        "this cluster does not say who you are without a user name, so your ranges are unknown"
    )]
    NoUser,
    #[error("user {user} may not read these keys, nor any part of them")]
    Nothing { user: String },
    #[error("user {user} may not read these keys, nor be told which ones ({cause})")]
    Untold { user: String, cause: String },
}

impl NoRanges {
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoUser => "give --user, or the prefix that you may read",
            Self::Nothing { .. } => "ask an administrator for a role that reads them",
            Self::Untold { .. } => "give the prefix that you may read",
        }
    }
}

impl Readable {
    pub fn into_ranges(self) -> Vec<KeyRange> {
        match self {
            Self::Whole(range) => vec![range],
            Self::Granted(ranges) => ranges,
        }
    }
}

/// What of `range` may be read. Asks whether all of it, and only if that is denied for the user's
/// own roles.
pub async fn readable(
    connection: &Connection,
    range: KeyRange,
) -> Result<Result<Readable, NoRanges>, Failure> {
    // Rights are looked at before the revision, and this one nobody has: no key is counted or read.
    let get = Get {
        range: range.clone(),
        revision: i64::MAX,
        count_only: true,
        serializable: true,
        ..Get::default()
    };
    match connection.get(get).await {
        Ok(_) => return Ok(Ok(Readable::Whole(range))),
        Err(failure) => match failure.code() {
            Some(Code::OutOfRange) => return Ok(Ok(Readable::Whole(range))),
            Some(Code::PermissionDenied) => {}
            _ => return Err(failure),
        },
    }
    let Some(credentials) = &connection.config().credentials else {
        return Ok(Err(NoRanges::NoUser));
    };
    let user = credentials.user.clone();
    let own = match own_permissions(connection, &user).await {
        Ok(own) => own,
        Err(failure) if failure.code().is_some() && !failure.is_no_leader() => {
            return Ok(Err(NoRanges::Untold { user, cause: failure.to_string() }));
        }
        Err(failure) => return Err(failure),
    };
    let granted = merged(own.iter().filter(|it| reads(it)).map(granted_range).collect());
    let parts: Vec<_> = granted.iter().filter_map(|part| part.intersection(&range)).collect();
    Ok(if parts.is_empty() {
        Err(NoRanges::Nothing { user })
    } else {
        Ok(Readable::Granted(parts))
    })
}

/// The permissions of a user's roles. A user may ask that about themselves.
async fn own_permissions(connection: &Connection, user: &str) -> Result<Vec<Permission>, Failure> {
    let wire = Wire::new(connection);
    let request = AuthUserGetRequest { name: user.to_owned() };
    let roles = wire
        .ask(request, |gate, request| async move {
            Ok(AuthClient::new(gate).user_get(request).await?.into_inner())
        })
        .await?;
    let mut permissions = Vec::new();
    for role in roles.roles {
        let request = AuthRoleGetRequest { role };
        let role = wire
            .ask(request, |gate, request| async move {
                Ok(AuthClient::new(gate).role_get(request).await?.into_inner())
            })
            .await?;
        permissions.extend(role.perm);
    }
    Ok(permissions)
}

pub(super) fn reads(permission: &Permission) -> bool {
    matches!(permission.perm_type(), Type::Read | Type::Readwrite)
}

pub(super) fn writes(permission: &Permission) -> bool {
    matches!(permission.perm_type(), Type::Write | Type::Readwrite)
}

pub(super) fn granted_range(permission: &Permission) -> KeyRange {
    KeyRange::between(permission.key.to_vec(), permission.range_end.to_vec())
}

/// The same keys, sorted, in as few ranges as can be.
fn merged(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    ranges.sort_by(|a, b| a.key.cmp(&b.key));
    let mut out: Vec<KeyRange> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if last.touches(&range) => last.extend_to(&range),
            _ => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::merged;
    use crate::range::KeyRange;

    #[test]
    fn ranges_that_meet_become_one() {
        let ranges = vec![
            KeyRange::prefix("c"),
            KeyRange::prefix("a"),
            KeyRange::single("b"),
            KeyRange::prefix("b"),
            KeyRange::single("x"),
            KeyRange::single("x"),
        ];
        let whole = merged(ranges);
        assert_eq!(whole, [KeyRange::between("a", "d"), KeyRange::single("x")]);
        let open =
            merged(vec![KeyRange::from_key("m"), KeyRange::prefix("z"), KeyRange::single("n")]);
        assert_eq!(open, [KeyRange::from_key("m")]);
    }

    #[test]
    fn a_part_of_a_range_is_what_both_have() {
        let all = KeyRange::prefix("");
        let app = KeyRange::prefix("/app/");
        assert_eq!(app.intersection(&all), Some(app.clone()));
        assert_eq!(all.intersection(&app), Some(app.clone()));
        assert_eq!(KeyRange::single("/app/x").intersection(&app), Some(KeyRange::single("/app/x")));
        assert_eq!(app.intersection(&KeyRange::prefix("/b")), None);
        assert_eq!(KeyRange::single("/b").intersection(&app), None);
        let both = KeyRange::between("a", "f").intersection(&KeyRange::from_key("c"));
        assert_eq!(both, Some(KeyRange::between("c", "f")));
    }
}
