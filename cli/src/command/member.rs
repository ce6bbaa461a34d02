//! `member add|list|promote|remove|update`

use kvorum_client::pb;

use super::{CommandError, Session};
use crate::args::member::member_id;
use crate::args::{MemberAddArgs, MemberArgs, MemberCommand};
use crate::output::{Answer, Format, go};

pub(super) async fn execute(args: &MemberArgs, session: &mut Session) -> Result<(), CommandError> {
    match &args.command {
        MemberCommand::Add(add) => self::add(add, session).await,
        MemberCommand::List(list) => {
            let members = if list.serializable()? {
                session.connection.members().await?
            } else {
                session.connection.members_linearizable().await?
            };
            session.print(Answer::Members(&members))
        }
        MemberCommand::Promote { operands } => {
            let id = member_id(operands)?;
            let pb::MemberPromoteResponse { header, members } =
                session.connection.member_promote(id).await?;
            changed(id, "promoted in", &pb::MemberListResponse { header, members }, session)
        }
        MemberCommand::Remove { operands } => {
            let id = member_id(operands)?;
            let pb::MemberRemoveResponse { header, members } =
                session.connection.member_remove(id).await?;
            changed(id, "removed from", &pb::MemberListResponse { header, members }, session)
        }
        MemberCommand::Update(update) => {
            let id = update.id()?;
            let pb::MemberUpdateResponse { header, members } =
                session.connection.member_update(id, &update.urls()?).await?;
            changed(id, "updated in", &pb::MemberListResponse { header, members }, session)
        }
    }
}

/// Announces the member; in `simple`, says how it is to be started as well.
async fn add(args: &MemberAddArgs, session: &mut Session) -> Result<(), CommandError> {
    let name = args.name()?;
    let answer = session.connection.member_add(&args.urls()?, args.learner).await?;
    session.print(Answer::MemberAdd(&answer))?;
    if session.style.format != Format::Simple {
        return Ok(());
    }
    let new = answer.member.as_ref().map_or(0, |member| member.id);
    let urls = answer.members.iter().flat_map(|member| {
        let name = if member.id == new { name } else { &member.name };
        member.peer_ur_ls.iter().map(move |url| format!("{name}={url}"))
    });
    let cluster = urls.collect::<Vec<_>>().join(",");
    let quote = |text: &str| go::quote(text.as_bytes());
    session.say(&format!(
        "\nETCD_NAME={}\nETCD_INITIAL_CLUSTER={}\nETCD_INITIAL_ADVERTISE_PEER_URLS={}\n\
         ETCD_INITIAL_CLUSTER_STATE=\"existing\"",
        quote(name),
        quote(&cluster),
        quote(&args.peer_urls)
    ))
}

fn changed(
    id: u64,
    what: &str,
    members: &pb::MemberListResponse,
    session: &mut Session,
) -> Result<(), CommandError> {
    let cluster = members.header.as_ref().map_or(0, |header| header.cluster_id);
    let text = format!("Member {id:16x} {what} cluster {cluster:16x}");
    session.print(Answer::MemberChange(&text, members))
}
