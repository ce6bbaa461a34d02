//! The one map from what went wrong to what a gRPC client is told: etcd's codes and texts.

use kvorum_core::auth::AuthError;
use kvorum_core::error::StoreError;
use kvorum_core::node::Refusal;
use tonic::{Code, Status};

use crate::runtime::RequestError;

/// What a service refuses itself, before or beside the store and the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    EmptyKey,
    KeyNotFound,
    ValueProvided,
    LeaseProvided,
    InvalidSortOption,
    TooManyOps,
    DuplicateKey,
    RequestTooLarge,
    NotLeader,
    BadLeaderTransferee,
    WrongDowngradeVersionFormat,
    InvalidDowngradeTarget,
    NoInflightDowngrade,
    ClusterVersionUnavailable,
    MemberBadUrls,
    PeerUrlExists,
    MemberNotFound,
    MemberNotLearner,
    UnknownMethod,
    InvalidClientApiVersion,
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Status {
        let (code, text) = match refused {
            Refused::EmptyKey => (Code::InvalidArgument, "etcdserver: key is not provided"),
            Refused::KeyNotFound => (Code::InvalidArgument, "etcdserver: key not found"),
            Refused::ValueProvided => (Code::InvalidArgument, "etcdserver: value is provided"),
            Refused::LeaseProvided => (Code::InvalidArgument, "etcdserver: lease is provided"),
            Refused::InvalidSortOption => {
                (Code::InvalidArgument, "etcdserver: invalid sort option")
            }
            Refused::TooManyOps => {
                (Code::InvalidArgument, "etcdserver: too many operations in txn request")
            }
            Refused::DuplicateKey => {
                (Code::InvalidArgument, "etcdserver: duplicate key given in txn request")
            }
            Refused::RequestTooLarge => (Code::InvalidArgument, "etcdserver: request is too large"),
            Refused::NotLeader => (Code::FailedPrecondition, "etcdserver: not leader"),
            Refused::BadLeaderTransferee => {
                (Code::FailedPrecondition, "etcdserver: bad leader transferee")
            }
            Refused::WrongDowngradeVersionFormat => {
                (Code::InvalidArgument, "etcdserver: wrong downgrade target version format")
            }
            Refused::InvalidDowngradeTarget => {
                (Code::InvalidArgument, "etcdserver: invalid downgrade target version")
            }
            Refused::NoInflightDowngrade => {
                (Code::FailedPrecondition, "etcdserver: no inflight downgrade job")
            }
            Refused::ClusterVersionUnavailable => {
                (Code::FailedPrecondition, "etcdserver: cluster version not found during downgrade")
            }
            Refused::MemberBadUrls => {
                (Code::InvalidArgument, "etcdserver: given member URLs are invalid")
            }
            Refused::PeerUrlExists => {
                (Code::FailedPrecondition, "etcdserver: Peer URLs already exists")
            }
            Refused::MemberNotFound => (Code::NotFound, "etcdserver: member not found"),
            Refused::MemberNotLearner => {
                (Code::FailedPrecondition, "etcdserver: can only promote a learner member")
            }
            // As etcd sends what it has no code for.
            Refused::UnknownMethod => (Code::Unknown, "etcdserver: unknown method"),
            Refused::InvalidClientApiVersion => {
                (Code::InvalidArgument, "etcdserver: invalid client api version")
            }
        };
        Status::new(code, text)
    }
}

/// A refusal of the state machine; its text is etcd's already.
pub(super) fn of_store(error: StoreError) -> Status {
    let code = match error {
        StoreError::Compacted | StoreError::FutureRevision | StoreError::LeaseTtlTooLarge => {
            Code::OutOfRange
        }
        StoreError::LeaseNotFound => Code::NotFound,
        StoreError::LeaseExists => Code::FailedPrecondition,
        StoreError::KeyNotFound => Code::InvalidArgument,
        StoreError::NoSpace => Code::ResourceExhausted,
        StoreError::Corrupt => Code::DataLoss,
        StoreError::Auth(error) => return of_auth(error),
        // Neither is ever an answer: the one is not asked for, the other stops the member.
        StoreError::NotReadOnly | StoreError::UnknownEntry => Code::Internal,
    };
    Status::new(code, error.to_string())
}

/// A refusal for who asks, or for what it would do to users and roles.
pub(super) fn of_auth(error: AuthError) -> Status {
    let code = match error {
        AuthError::UserEmpty
        | AuthError::RoleEmpty
        | AuthError::Failed
        | AuthError::PermissionNotGiven
        | AuthError::InvalidManagement
        | AuthError::OldRevision => Code::InvalidArgument,
        AuthError::RootUserMissing
        | AuthError::RootRoleMissing
        | AuthError::UserExists
        | AuthError::UserNotFound
        | AuthError::RoleExists
        | AuthError::RoleNotFound
        | AuthError::RoleNotGranted
        | AuthError::PermissionNotGranted
        | AuthError::NotEnabled => Code::FailedPrecondition,
        AuthError::PermissionDenied => Code::PermissionDenied,
        AuthError::InvalidToken => Code::Unauthenticated,
        AuthError::NoPasswordUser => Code::Unknown,
    };
    Status::new(code, error.to_string())
}

/// A request that never reached the state machine, or whose fate is unknown.
pub(super) fn of_request(error: RequestError) -> Status {
    match error {
        RequestError::Refused(refusal) => of_refusal(refusal),
        RequestError::Store(error) => of_store(error),
        RequestError::TooLarge => Refused::RequestTooLarge.into(),
        RequestError::TooMuchToSort
        | RequestError::TooMuchToRead
        | RequestError::TooManyReads
        | RequestError::StoreBusy => {
            Status::new(Code::ResourceExhausted, format!("kvorum: {error}"))
        }
        RequestError::NotApplied => Status::new(
            Code::Unavailable,
            "etcdserver: request timed out, waiting for the applied index took too long",
        ),
        RequestError::Stopped => Status::new(Code::Unavailable, "etcdserver: server stopped"),
        RequestError::Storage(reason) => Status::new(Code::Internal, format!("kvorum: {reason}")),
    }
}

pub(super) fn of_refusal(refusal: Refusal) -> Status {
    let (code, text) = match refusal {
        Refusal::NoLeader => (Code::Unavailable, "etcdserver: no leader"),
        Refusal::TooManyRequests => (Code::ResourceExhausted, "etcdserver: too many requests"),
        Refusal::LeaderChanged => (Code::Unavailable, "etcdserver: leader changed"),
        Refusal::LeaderFailed => (
            Code::Unavailable,
            "etcdserver: request timed out, possibly due to previous leader failure",
        ),
        Refusal::ConnectionLost => {
            (Code::Unavailable, "etcdserver: request timed out, possibly due to connection lost")
        }
        Refusal::Timeout => (Code::Unavailable, "etcdserver: request timed out"),
    };
    Status::new(code, text)
}

/// The store answered something else than it was asked, which it never does.
pub(super) fn not_a(what: &str) -> Status {
    Status::internal(format!("kvorum: the answer is not that of a {what}"))
}

/// A method that is not done yet: `what` says which, in a clause.
pub(super) fn not_yet(what: &str) -> Status {
    Status::unimplemented(format!("kvorum: {what} not supported yet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_speaks_with_etcds_codes_and_texts() {
        for (error, code, text) in [
            (StoreError::Compacted, 11, "etcdserver: mvcc: required revision has been compacted"),
            (
                StoreError::FutureRevision,
                11,
                "etcdserver: mvcc: required revision is a future revision",
            ),
            (StoreError::LeaseNotFound, 5, "etcdserver: requested lease not found"),
            (StoreError::LeaseExists, 9, "etcdserver: lease already exists"),
            (StoreError::LeaseTtlTooLarge, 11, "etcdserver: too large lease TTL"),
            (StoreError::KeyNotFound, 3, "etcdserver: key not found"),
            (StoreError::NoSpace, 8, "etcdserver: mvcc: database space exceeded"),
            (StoreError::Corrupt, 15, "etcdserver: corrupt cluster"),
        ] {
            let status = of_store(error);
            assert_eq!((status.code() as i32, status.message()), (code, text));
        }
    }

    #[test]
    fn refusals_of_users_and_roles_have_etcds_codes_and_texts() {
        for (error, code, text) in [
            (AuthError::RootUserMissing, 9, "etcdserver: root user does not exist"),
            (AuthError::RootRoleMissing, 9, "etcdserver: root user does not have root role"),
            (AuthError::UserExists, 9, "etcdserver: user name already exists"),
            (AuthError::UserEmpty, 3, "etcdserver: user name is empty"),
            (AuthError::UserNotFound, 9, "etcdserver: user name not found"),
            (AuthError::RoleExists, 9, "etcdserver: role name already exists"),
            (AuthError::RoleNotFound, 9, "etcdserver: role name not found"),
            (AuthError::RoleEmpty, 3, "etcdserver: role name is empty"),
            (
                AuthError::Failed,
                3,
                "etcdserver: authentication failed, invalid user ID or password",
            ),
            (
                AuthError::NoPasswordUser,
                2,
                "auth: authentication failed, password was given for no password user",
            ),
            (AuthError::PermissionNotGiven, 3, "etcdserver: permission not given"),
            (AuthError::PermissionDenied, 7, "etcdserver: permission denied"),
            (AuthError::RoleNotGranted, 9, "etcdserver: role is not granted to the user"),
            (
                AuthError::PermissionNotGranted,
                9,
                "etcdserver: permission is not granted to the role",
            ),
            (AuthError::NotEnabled, 9, "etcdserver: authentication is not enabled"),
            (AuthError::InvalidToken, 16, "etcdserver: invalid auth token"),
            (AuthError::InvalidManagement, 3, "etcdserver: invalid auth management"),
            (AuthError::OldRevision, 3, "etcdserver: revision of auth store is old"),
        ] {
            let status = of_store(StoreError::Auth(error));
            assert_eq!((status.code() as i32, status.message()), (code, text));
        }
    }

    #[test]
    fn the_node_speaks_with_etcds_codes_and_texts() {
        for (refusal, code, text) in [
            (Refusal::NoLeader, 14, "etcdserver: no leader"),
            (Refusal::TooManyRequests, 8, "etcdserver: too many requests"),
            (Refusal::LeaderChanged, 14, "etcdserver: leader changed"),
            (Refusal::Timeout, 14, "etcdserver: request timed out"),
            (
                Refusal::LeaderFailed,
                14,
                "etcdserver: request timed out, possibly due to previous leader failure",
            ),
            (
                Refusal::ConnectionLost,
                14,
                "etcdserver: request timed out, possibly due to connection lost",
            ),
        ] {
            let status = of_refusal(refusal);
            assert_eq!((status.code() as i32, status.message()), (code, text));
        }
    }

    #[test]
    fn a_services_own_refusals_have_etcds_codes_and_texts() {
        for (refused, code, text) in [
            (Refused::EmptyKey, 3, "etcdserver: key is not provided"),
            (Refused::KeyNotFound, 3, "etcdserver: key not found"),
            (Refused::ValueProvided, 3, "etcdserver: value is provided"),
            (Refused::LeaseProvided, 3, "etcdserver: lease is provided"),
            (Refused::InvalidSortOption, 3, "etcdserver: invalid sort option"),
            (Refused::TooManyOps, 3, "etcdserver: too many operations in txn request"),
            (Refused::DuplicateKey, 3, "etcdserver: duplicate key given in txn request"),
            (Refused::RequestTooLarge, 3, "etcdserver: request is too large"),
            (Refused::NotLeader, 9, "etcdserver: not leader"),
            (Refused::BadLeaderTransferee, 9, "etcdserver: bad leader transferee"),
            (
                Refused::WrongDowngradeVersionFormat,
                3,
                "etcdserver: wrong downgrade target version format",
            ),
            (Refused::InvalidDowngradeTarget, 3, "etcdserver: invalid downgrade target version"),
            (Refused::NoInflightDowngrade, 9, "etcdserver: no inflight downgrade job"),
            (
                Refused::ClusterVersionUnavailable,
                9,
                "etcdserver: cluster version not found during downgrade",
            ),
            (Refused::MemberBadUrls, 3, "etcdserver: given member URLs are invalid"),
            (Refused::PeerUrlExists, 9, "etcdserver: Peer URLs already exists"),
            (Refused::MemberNotFound, 5, "etcdserver: member not found"),
            (Refused::MemberNotLearner, 9, "etcdserver: can only promote a learner member"),
            (Refused::UnknownMethod, 2, "etcdserver: unknown method"),
            (Refused::InvalidClientApiVersion, 3, "etcdserver: invalid client api version"),
        ] {
            let status = Status::from(refused);
            assert_eq!((status.code() as i32, status.message()), (code, text));
        }
    }
}
