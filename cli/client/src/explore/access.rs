//! Who may read and write a key.

use kvorum_proto::authpb::Permission;
use kvorum_proto::etcdserverpb::auth_client::AuthClient;
use kvorum_proto::etcdserverpb::{
    AuthRoleGetRequest, AuthRoleListRequest, AuthStatusRequest, AuthUserGetRequest,
    AuthUserListRequest,
};
use tonic::Code;

use super::granted::{granted_range, reads, writes};
use super::keyspace::Wire;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::range::KeyRange;

/// A role that may do something with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub role: String,
    pub reads: bool,
    pub writes: bool,
    /// The grants that say so.
    pub through: Vec<KeyRange>,
    /// Who has the role.
    pub users: Vec<String>,
}

/// Who may do what with one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessReport {
    /// In the order of their names.
    pub roles: Vec<Access>,
    /// `None`: nobody can say (up to etcd 3.4). If not, anybody may do anything.
    pub enabled: Option<bool>,
    /// Only this user's own roles could be read: the others are root's to see.
    pub only_of: Option<String>,
}

/// It may do everything, whatever it was granted.
const ROOT: &str = "root";

/// Roles and users that may read or write `key`. Needs root; who is not is told of their own roles.
pub async fn access(connection: &Connection, key: &[u8]) -> Result<AccessReport, Failure> {
    let asker = Asker { wire: Wire::new(connection) };
    let enabled = match asker.enabled().await {
        Ok(enabled) => Some(enabled),
        // Only root may ask, which is why it must be on.
        Err(failure) if failure.code() == Some(Code::PermissionDenied) => Some(true),
        Err(failure) if failure.code() == Some(Code::Unimplemented) => by_ones_name(connection),
        Err(failure) => return Err(failure),
    };
    let (roles, users, only_of) = match asker.roles().await {
        Ok(roles) => (roles, asker.users().await?, None),
        Err(failure) if failure.code() == Some(Code::PermissionDenied) => {
            let Some(credentials) = &connection.config().credentials else { return Err(failure) };
            let user = credentials.user.clone();
            (asker.roles_of(&user).await?, vec![user.clone()], Some(user))
        }
        Err(failure) => return Err(failure),
    };
    let mut holders: Vec<(String, Vec<String>)> = Vec::new();
    for user in users {
        let roles = asker.roles_of(&user).await?;
        holders.push((user, roles));
    }
    let mut report = AccessReport { roles: Vec::new(), enabled, only_of };
    for role in roles {
        let permissions = asker.permissions_of(&role).await?;
        let users = holders.iter().filter(|(_, roles)| roles.contains(&role));
        let users = users.map(|(user, _)| user.clone()).collect();
        report.roles.extend(judge(role, &permissions, users, key));
    }
    report.roles.sort_by(|a, b| a.role.cmp(&b.role));
    Ok(report)
}

/// Whether authentication must be on, for a server that does not say (up to etcd 3.4): a password is
/// refused where it is off, and where it is on nobody is told anything without a name.
fn by_ones_name(connection: &Connection) -> Option<bool> {
    let config = connection.config();
    if config.credentials.is_none() && config.tls.cert.is_some() {
        return None;
    }
    Some(config.credentials.is_some())
}

fn judge(
    role: String,
    permissions: &[Permission],
    users: Vec<String>,
    key: &[u8],
) -> Option<Access> {
    let touching: Vec<_> = permissions.iter().filter(|it| granted_range(it).holds(key)).collect();
    let root = role == ROOT;
    let through = if root {
        // Some servers say so themselves, others take it for granted.
        vec![KeyRange::prefix("")]
    } else {
        touching.iter().map(|it| granted_range(it)).collect()
    };
    let access = Access {
        reads: root || touching.iter().any(|it| reads(it)),
        writes: root || touching.iter().any(|it| writes(it)),
        through,
        role,
        users,
    };
    (access.reads || access.writes).then_some(access)
}

struct Asker {
    wire: Wire,
}

impl Asker {
    async fn enabled(&self) -> Result<bool, Failure> {
        self.wire
            .ask(AuthStatusRequest {}, |gate, request| async move {
                Ok(AuthClient::new(gate).auth_status(request).await?.into_inner().enabled)
            })
            .await
    }

    async fn roles(&self) -> Result<Vec<String>, Failure> {
        self.wire
            .ask(AuthRoleListRequest {}, |gate, request| async move {
                Ok(AuthClient::new(gate).role_list(request).await?.into_inner().roles)
            })
            .await
    }

    async fn users(&self) -> Result<Vec<String>, Failure> {
        self.wire
            .ask(AuthUserListRequest {}, |gate, request| async move {
                Ok(AuthClient::new(gate).user_list(request).await?.into_inner().users)
            })
            .await
    }

    async fn roles_of(&self, user: &str) -> Result<Vec<String>, Failure> {
        self.wire
            .ask(AuthUserGetRequest { name: user.to_owned() }, |gate, request| async move {
                Ok(AuthClient::new(gate).user_get(request).await?.into_inner().roles)
            })
            .await
    }

    async fn permissions_of(&self, role: &str) -> Result<Vec<Permission>, Failure> {
        self.wire
            .ask(AuthRoleGetRequest { role: role.to_owned() }, |gate, request| async move {
                Ok(AuthClient::new(gate).role_get(request).await?.into_inner().perm)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use kvorum_proto::authpb::Permission;
    use kvorum_proto::authpb::permission::Type;

    use super::judge;
    use crate::range::KeyRange;

    fn grant(perm_type: Type, range: &KeyRange) -> Permission {
        Permission {
            perm_type: perm_type.into(),
            key: range.key.clone().into(),
            range_end: range.end.clone().into(),
        }
    }

    #[test]
    fn a_role_is_told_if_a_grant_of_it_holds_the_key() {
        let app = KeyRange::prefix("/app/");
        let exact = KeyRange::single("/app/x");
        let grants = [grant(Type::Read, &app), grant(Type::Write, &exact)];
        let judged = |key: &str| judge("app".to_owned(), &grants, vec![], key.as_bytes());
        let both = judged("/app/x").unwrap();
        assert_eq!((both.reads, both.writes, both.through), (true, true, vec![app.clone(), exact]));
        let one = judged("/app/y").unwrap();
        assert_eq!((one.reads, one.writes, one.through), (true, false, vec![app]));
        assert_eq!(judged("/b"), None);
    }

    #[test]
    fn root_may_do_everything() {
        let root = judge("root".to_owned(), &[], vec!["root".to_owned()], b"any").unwrap();
        assert!(root.reads && root.writes && root.through == [KeyRange::prefix("")]);
    }
}
