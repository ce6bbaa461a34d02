//! `service register|list|resolve|watch`

use std::ffi::OsString;

use clap::{Args, Subcommand};
use kvorum_client::naming::{BadService, Metadata, Registration, ServiceAddress, ServiceName};

use crate::args::UsageError;

/// Service discovery, as gRPC clients have it that dial etcd:///NAME
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct ServiceArgs {
    #[command(subcommand)]
    pub command: ServiceCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum ServiceCommand {
    Register(ServiceRegisterArgs),
    List(ServiceListArgs),
    Resolve(ServiceNameArgs),
    Watch(ServiceWatchArgs),
}

/// Register an address of a service, for as long as a command runs or until this is interrupted
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "service register [OPTIONS] <NAME> <ADDR> [-- COMMAND...]",
    after_help = "The key is NAME/ADDR, and the value is the JSON of etcd's naming resolver. It goes \
                  when this ends, and at most the TTL after this was killed, which this waits for \
                  when it is started again; after an outage it is registered again. Killed by KILL, \
                  this cannot end the command, which goes on without a registration: let a service \
                  manager end both.\nEnds with the command's own exit code, 128 and the number of a \
                  signal that ended it.\n\nExamples:\n  kvorum service register web 10.0.0.1:8080 -- \
                  ./web --port 8080\n  kvorum service register web 10.0.0.1:8080 --ttl 5 --meta \
                  '{\"zone\":\"a\"}'"
)]
pub struct ServiceRegisterArgs {
    #[arg(value_name = "NAME")]
    name: String,

    /// Where the service is reached, host:port
    #[arg(value_name = "ADDR")]
    addr: String,

    /// Run this while the address is registered
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,

    /// Seconds after which the address is gone if this is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(i64).range(1..=86_400))]
    ttl: i64,

    /// JSON that clients find with the address
    #[arg(long, value_name = "JSON")]
    meta: Option<String>,

    /// Take the address over from whoever has it registered
    #[arg(long)]
    pub replace: bool,
}

/// List the addresses of a service, or all services
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Without a name, this reads every key.\n\nExamples:\n  kvorum service list\n  kvorum \
                  service list web -o table"
)]
pub struct ServiceListArgs {
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Print the addresses of a service, one a line
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Ends with 1 if there is none.\n\nExamples:\n  curl http://$(kvorum service resolve \
                        web | shuf -n 1)/"
)]
pub struct ServiceNameArgs {
    #[arg(value_name = "NAME")]
    name: String,
}

/// Print the addresses of a service, and each that comes or goes
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "What was there before comes first. With -o ndjson, each line has all addresses that \
                  are there then.\n\nExamples:\n  \
                        kvorum service watch web\n  kvorum service watch web -o ndjson"
)]
pub struct ServiceWatchArgs {
    #[arg(value_name = "NAME")]
    name: String,
}

impl ServiceArgs {
    /// Whether the arguments make sense, without doing anything.
    pub fn check(&self) -> Result<(), UsageError> {
        match &self.command {
            ServiceCommand::Register(args) => args.registration().map(drop),
            ServiceCommand::List(args) => args.name().map(drop),
            ServiceCommand::Resolve(args) => args.name().map(drop),
            ServiceCommand::Watch(args) => args.name().map(drop),
        }
    }
}

impl ServiceRegisterArgs {
    pub fn registration(&self) -> Result<Registration, UsageError> {
        Ok(Registration {
            name: name(&self.name)?,
            address: ServiceAddress::parse(&self.addr).map_err(|error| bad(&error))?,
            metadata: self
                .meta
                .as_deref()
                .map(Metadata::parse)
                .transpose()
                .map_err(|error| bad(&error))?,
            ttl_s: self.ttl,
        })
    }
}

impl ServiceListArgs {
    /// `None`: all of them.
    pub fn name(&self) -> Result<Option<ServiceName>, UsageError> {
        self.name.as_deref().map(name).transpose()
    }
}

impl ServiceNameArgs {
    pub fn name(&self) -> Result<ServiceName, UsageError> {
        name(&self.name)
    }
}

impl ServiceWatchArgs {
    pub fn name(&self) -> Result<ServiceName, UsageError> {
        name(&self.name)
    }
}

fn name(text: &str) -> Result<ServiceName, UsageError> {
    ServiceName::parse(text).map_err(|error| bad(&error))
}

fn bad(error: &BadService) -> UsageError {
    UsageError::arguments(error.to_string())
}
