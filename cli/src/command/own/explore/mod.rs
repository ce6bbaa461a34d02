//! Looking into a keyspace: one file a verb. All of them read serializably, what they scan is read
//! at one revision, and nothing is held in memory that grows with the number of keys.

pub(super) mod begin;
mod count;
mod du;
mod grep;
mod leases;
mod locks;
mod ls;
mod read;
mod roles_for;
mod tree;
mod wait;

use super::super::{CommandError, Session};
use super::{progress, shown};
use crate::args::own::Explore;

pub(super) async fn execute(explore: &Explore, session: &mut Session) -> Result<(), CommandError> {
    match explore {
        Explore::Ls(args) => ls::execute(args, session).await,
        Explore::Tree(args) => tree::execute(args, session).await,
        Explore::Du(args) => du::execute(args, session).await,
        Explore::Count(args) => count::execute(args, session).await,
        Explore::Grep(args) => grep::execute(args, session).await,
        Explore::Leases(args) => leases::execute(args, session).await,
        Explore::Locks(args) => locks::execute(args, session).await,
        Explore::RolesFor(args) => roles_for::execute(args, session).await,
        Explore::Wait(args) => wait::execute(args, session).await,
    }
}
