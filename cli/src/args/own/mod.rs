//! The verbs that only `kvorum` has. As everywhere in [`args`](crate::args), this is parsing only.

mod backup;
mod config;
mod config_push;
mod config_render;
mod config_run;
mod ctx;
mod doctor;
mod edit;
mod explain;
mod explore;
mod man;
mod seq;
mod service;
mod show;
mod top;
mod transfer;
mod travel;

use clap::Subcommand;

pub use backup::BackupArgs;
pub use config::{ConfigArgs, ConfigCommand};
pub use config_push::ConfigPushArgs;
pub use config_render::ConfigRenderArgs;
pub use config_run::ConfigRunArgs;
pub use ctx::{CtxAddArgs, CtxArgs, CtxCommand, CtxImportArgs};
pub use doctor::DoctorArgs;
pub use edit::EditArgs;
pub use explain::ExplainArgs;
pub use explore::{
    CountArgs, DuArgs, Explore, GrepArgs, LeasesArgs, LocksArgs, LsArgs, RolesForArgs, TreeArgs,
    WaitArgs, Where,
};
pub use man::ManArgs;
pub use seq::{SeqArgs, SeqCommand, SeqListArgs, SeqPut, SeqPutArgs};
pub use service::{
    ServiceArgs, ServiceCommand, ServiceListArgs, ServiceNameArgs, ServiceRegisterArgs,
    ServiceWatchArgs,
};
pub(crate) use show::split_revision;
pub use show::{ShowArgs, ViewAs};
pub use top::TopArgs;
pub use transfer::{
    ApplyArgs, BundleArgs, CasArgs, CopyNames, CpArgs, ExportArgs, ImportArgs, MvArgs, Transfer,
};
pub use travel::{DiffArgs, HistoryArgs, RestoreArgs, RollbackArgs, State, Travel, UndoArgs};

use super::{HashkvArgs, Preferences, UsageError};

/// What etcdctl has no word for, asked of a cluster.
#[derive(Debug, Clone, Subcommand)]
pub enum Own {
    #[command(flatten)]
    Explore(Explore),
    Show(ShowArgs),
    Edit(EditArgs),
    #[command(flatten)]
    Travel(Travel),
    Backup(BackupArgs),
    Service(ServiceArgs),
    Seq(SeqArgs),
    #[command(flatten)]
    Transfer(Transfer),
    Doctor(DoctorArgs),
    Top(TopArgs),
    Config(ConfigArgs),
}

/// What asks no cluster.
#[derive(Debug, Clone, Subcommand)]
pub enum Alone {
    Ctx(CtxArgs),
    Man(ManArgs),
    Explain(ExplainArgs),
    Hashkv(HashkvArgs),
}

impl Alone {
    /// Whether the arguments make sense, without doing anything.
    pub fn check(&self) -> Result<(), UsageError> {
        match self {
            Self::Hashkv(args) => args.file().map(drop),
            Self::Ctx(_) | Self::Man(_) | Self::Explain(_) => Ok(()),
        }
    }

    /// Whether its output is something to be read at leisure.
    pub fn is_paged(&self) -> bool {
        matches!(self, Self::Explain(_))
    }
}

impl Own {
    /// Whether the arguments make sense, without doing anything.
    pub fn check(&self) -> Result<(), UsageError> {
        match self {
            Self::Explore(explore) => explore.check(),
            Self::Show(args) => args.place().map(drop),
            Self::Edit(args) => args.key().map(drop),
            Self::Travel(travel) => travel.check(),
            Self::Service(args) => args.check(),
            Self::Seq(args) => args.check(),
            Self::Backup(_) | Self::Doctor(_) => Ok(()),
            Self::Top(args) => args.check(),
            Self::Transfer(transfer) => transfer.check(),
            Self::Config(args) => args.check(),
        }
    }

    /// Takes those of the global options that mean something else to a verb.
    pub fn take_options(&mut self, preferences: &mut Preferences) {
        if let Self::Config(args) = self {
            args.take_file(preferences);
        }
    }

    /// Whether its output is something to be read at leisure.
    pub fn is_paged(&self) -> bool {
        match self {
            Self::Explore(Explore::Wait(_))
            | Self::Edit(_)
            | Self::Backup(_)
            | Self::Top(_)
            | Self::Transfer(_)
            | Self::Config(_) => false,
            Self::Travel(travel) => travel.is_paged(),
            Self::Service(args) => matches!(args.command, ServiceCommand::List(_)),
            Self::Seq(args) => matches!(args.command, SeqCommand::List(_)),
            Self::Explore(_) | Self::Show(_) | Self::Doctor(_) => true,
        }
    }
}
