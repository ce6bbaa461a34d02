//! What each command does to a cluster, before it does it.

use crate::args::{
    AlarmCommand, AuthCommand, Command, ElectPlan, LeaseCommand, MemberCommand, RoleCommand,
    UserCommand,
};
use crate::mode::Mode;
use crate::output::go;

/// What a command does to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Reads,
    Writes,
    /// Its input decides, which is not read yet.
    ByRequest,
}

/// A write that is all said in a sentence: what it is about to do, after "would".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intent {
    pub sentence: String,
    /// A person at a terminal is asked first.
    pub asks: bool,
}

pub fn effect(command: &Command) -> Effect {
    match command {
        Command::Put(_)
        | Command::Del(_)
        | Command::Compaction(_)
        | Command::Defrag(_)
        | Command::Lock(_)
        | Command::MakeMirror(_)
        | Command::Check(_)
        | Command::MoveLeader(_)
        | Command::Downgrade(_) => Effect::Writes,
        Command::Txn(_) => Effect::ByRequest,
        Command::Elect(args) => writes_unless(args.listen),
        Command::Lease(args) => {
            writes_unless(matches!(args.command, LeaseCommand::Timetolive(_) | LeaseCommand::List))
        }
        Command::Member(args) => writes_unless(matches!(args.command, MemberCommand::List(_))),
        Command::Alarm(args) => writes_unless(matches!(args.command, AlarmCommand::List { .. })),
        Command::Auth(args) => writes_unless(matches!(args.command, AuthCommand::Status { .. })),
        Command::User(args) => {
            writes_unless(matches!(args.command, UserCommand::Get(_) | UserCommand::List { .. }))
        }
        Command::Role(args) => writes_unless(matches!(
            args.command,
            RoleCommand::Get { .. } | RoleCommand::List { .. }
        )),
        // What a snapshot is restored into is a folder.
        Command::Get(_)
        | Command::Watch(_)
        | Command::Endpoint(_)
        | Command::Snapshot(_)
        | Command::Completion(_)
        | Command::Options { .. }
        | Command::Version => Effect::Reads,
    }
}

fn writes_unless(reads: bool) -> Effect {
    if reads { Effect::Reads } else { Effect::Writes }
}

/// `None` for a command that reads, or that says by itself what it would write.
pub(super) fn intent(command: &Command) -> Option<Intent> {
    let plain = |sentence: String| Some(Intent { sentence, asks: false });
    let asked = |sentence: String| Some(Intent { sentence, asks: true });
    let named = |operands: &[String]| operands.join(" ");
    match command {
        Command::Defrag(args) if args.rolling => plain(
            "defragment every member, the leader last and after its leadership was handed over"
                .to_owned(),
        ),
        Command::Defrag(_) => plain("defragment each member asked, one after the other".to_owned()),
        Command::MoveLeader(args) => match args.target() {
            Ok(id) => plain(format!("move the leadership to member {id:x}")),
            Err(_) => None,
        },
        Command::Downgrade(_) => plain("change the version the cluster is to be at".to_owned()),
        Command::Alarm(args) => match &args.command {
            AlarmCommand::Disarm { .. } => plain("disarm every alarm".to_owned()),
            AlarmCommand::List { .. } => None,
        },
        Command::Auth(args) => match &args.command {
            AuthCommand::Enable { .. } => asked("enable authentication".to_owned()),
            AuthCommand::Disable { .. } => {
                asked("disable authentication, so that everyone may do everything".to_owned())
            }
            AuthCommand::Status { .. } => None,
        },
        Command::Member(args) => match &args.command {
            MemberCommand::Add(add) => plain(format!("add the member {}", add.name().ok()?)),
            MemberCommand::Promote { operands } => {
                plain(format!("promote member {} to a voter", named(operands)))
            }
            MemberCommand::Remove { operands } => {
                asked(format!("remove member {} for good", named(operands)))
            }
            MemberCommand::Update(update) => {
                plain(format!("change the peer addresses of member {:x}", update.id().ok()?))
            }
            MemberCommand::List(_) => None,
        },
        Command::Lock(args) => {
            let name = go::quote(&args.plan(Mode::Kvorum).ok()?.name);
            plain(format!("wait for the lock {name}, and hold it"))
        }
        Command::Elect(args) => {
            let ElectPlan { name, proposal, .. } = args.plan(Mode::Kvorum).ok()?;
            let (name, proposal) = (go::quote(&name), go::quote(&proposal?));
            plain(format!("stand for the election {name} with the proposal {proposal}"))
        }
        Command::MakeMirror(args) => plain(format!(
            "write every key that begins with {}, and each change of one, to {}",
            go::quote(&args.plan(Mode::Kvorum).ok()?.prefix),
            named(&args.operands)
        )),
        Command::Check(_) => plain("write keys as the load says, and delete them".to_owned()),
        Command::User(args) => user(&args.command),
        Command::Role(args) => role(&args.command),
        _ => None,
    }
}

fn user(command: &UserCommand) -> Option<Intent> {
    let plain = |sentence: String| Some(Intent { sentence, asks: false });
    match command {
        UserCommand::Add(add) => plain(format!("add the user {}", add.user().ok()?.name)),
        UserCommand::Delete { operands } => {
            Some(Intent { sentence: format!("delete the user {}", operands.join(" ")), asks: true })
        }
        UserCommand::GrantRole { operands } => {
            let [user, role] = operands.as_slice() else { return None };
            plain(format!("grant the role {role} to the user {user}"))
        }
        UserCommand::RevokeRole { operands } => {
            let [user, role] = operands.as_slice() else { return None };
            plain(format!("take the role {role} from the user {user}"))
        }
        UserCommand::Passwd(passwd) => {
            plain(format!("change the password of the user {}", passwd.name().ok()?))
        }
        UserCommand::Get(_) | UserCommand::List { .. } => None,
    }
}

fn role(command: &RoleCommand) -> Option<Intent> {
    let plain = |sentence: String| Some(Intent { sentence, asks: false });
    match command {
        RoleCommand::Add { operands } => plain(format!("add the role {}", operands.join(" "))),
        RoleCommand::Delete { operands } => {
            Some(Intent { sentence: format!("delete the role {}", operands.join(" ")), asks: true })
        }
        RoleCommand::GrantPermission(args) => {
            plain(format!("grant a permission to the role {}", args.grant().ok()?.role))
        }
        RoleCommand::RevokePermission(args) => {
            plain(format!("take a permission from the role {}", args.revocation().ok()?.role))
        }
        RoleCommand::Get { .. } | RoleCommand::List { .. } => None,
    }
}
