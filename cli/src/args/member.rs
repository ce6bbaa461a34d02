//! `member add|list|promote|remove|update`

use clap::{Args, Subcommand};

use super::value::{parse_bool, parse_id};
use super::{UsageError, is_serializable};
use crate::exit;

/// The members of the cluster
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct MemberArgs {
    #[command(subcommand)]
    pub command: MemberCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum MemberCommand {
    Add(MemberAddArgs),
    List(MemberListArgs),
    /// Give a learner its vote
    #[command(override_usage = "member promote <ID>")]
    Promote {
        /// The member, in hexadecimal
        #[arg(value_name = "ID")]
        operands: Vec<String>,
    },
    /// Remove a member
    #[command(override_usage = "member remove <ID>")]
    Remove {
        /// The member, in hexadecimal
        #[arg(value_name = "ID")]
        operands: Vec<String>,
    },
    Update(MemberUpdateArgs),
}

/// Announce a member, to be started after that
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "member add [OPTIONS] <NAME>",
    after_help = "Example:\n  member add m4 --learner --peer-urls=http://10.0.0.4:2380"
)]
pub struct MemberAddArgs {
    #[arg(value_name = "NAME")]
    pub operands: Vec<String>,

    /// Where the other members are to reach it, separated by commas
    #[arg(
        long,
        value_name = "URLS",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub peer_urls: String,

    /// Without a vote until it is promoted
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub learner: bool,
}

/// List the members: ID, status, name, peer addresses, client addresses, whether a learner
#[derive(Debug, Clone, Args)]
pub struct MemberListArgs {
    /// Linearizable (l) or serializable (s)
    #[arg(long, value_name = "l|s", default_value = "l", allow_hyphen_values = true)]
    pub consistency: String,

    #[arg(hide = true)]
    pub ignored: Vec<String>,
}

/// Change where the other members reach one
#[derive(Debug, Clone, Args)]
#[command(override_usage = "member update [OPTIONS] <ID>")]
pub struct MemberUpdateArgs {
    /// The member, in hexadecimal
    #[arg(value_name = "ID")]
    pub operands: Vec<String>,

    /// Where the other members are to reach it, separated by commas
    #[arg(
        long,
        value_name = "URLS",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub peer_urls: String,
}

impl MemberArgs {
    pub(super) fn check(&self) -> Result<(), UsageError> {
        match &self.command {
            MemberCommand::Add(args) => args.name().and_then(|_| args.urls()).map(drop),
            MemberCommand::List(args) => args.serializable().map(drop),
            MemberCommand::Promote { operands } | MemberCommand::Remove { operands } => {
                member_id(operands).map(drop)
            }
            MemberCommand::Update(args) => args.id().and_then(|_| args.urls()).map(drop),
        }
    }
}

impl MemberAddArgs {
    pub fn name(&self) -> Result<&str, UsageError> {
        match self.operands.as_slice() {
            [] => Err(UsageError::arguments("member name not provided")),
            [name] => Ok(name),
            all => {
                let urls = all.iter().filter(|word| word.to_lowercase().starts_with("http"));
                let meant = urls.map(|url| format!(", did you mean --peer-urls={url}"));
                let meant: String = meant.collect();
                Err(UsageError::arguments(format!("too many arguments{meant}")))
            }
        }
    }

    pub fn urls(&self) -> Result<Vec<String>, UsageError> {
        peer_urls(&self.peer_urls)
    }
}

impl MemberListArgs {
    pub fn serializable(&self) -> Result<bool, UsageError> {
        is_serializable(&self.consistency)
    }
}

impl MemberUpdateArgs {
    pub fn id(&self) -> Result<u64, UsageError> {
        member_id(&self.operands)
    }

    pub fn urls(&self) -> Result<Vec<String>, UsageError> {
        peer_urls(&self.peer_urls)
    }
}

/// The member that `member promote|remove|update` name.
pub(crate) fn member_id(operands: &[String]) -> Result<u64, UsageError> {
    let [id] = super::exactly(operands, "member ID is not provided")?;
    parse_id(id).map_err(|error| {
        UsageError::arguments(format!("bad member ID arg ({error}), expecting ID in Hex"))
    })
}

/// Refuses what etcd's client refuses before it asks anybody: a server would take some of it.
fn peer_urls(list: &str) -> Result<Vec<String>, UsageError> {
    if list.is_empty() {
        return Err(UsageError::arguments("member peer urls not provided"));
    }
    for url in list.split(',').map(str::trim) {
        check_url(url).map_err(|message| UsageError { code: exit::ERROR, message })?;
    }
    Ok(list.split(',').map(str::to_owned).collect())
}

fn check_url(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match scheme.to_ascii_lowercase().as_str() {
        "unix" | "unixs" => return Ok(()),
        "http" | "https" => {}
        _ => return Err(format!("URL scheme must be http, https, unix, or unixs: {url}")),
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (address, path) = rest.split_at(end);
    let host = address.rsplit_once(':').map(|(host, _)| host);
    let bracketed = |host: &str| host.starts_with('[') && host.ends_with(']');
    if !host.is_some_and(|host| !host.contains(':') || bracketed(host)) {
        return Err(format!("URL address does not have the form \"host:port\": {url}"));
    }
    if path.starts_with('/') {
        return Err(format!("URL must not contain a path: {url}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::peer_urls;

    #[test]
    fn a_peer_is_reached_by_scheme_host_and_port() {
        for list in ["http://a:1", "https://[::1]:2380, http://b:2", "unix://s:1/path"] {
            assert!(peer_urls(list).is_ok(), "{list}");
        }
        for (list, complaint) in [
            ("a:1", "URL scheme must be"),
            ("http://a:1,ftp://b:2", "URL scheme must be"),
            ("http://a", "URL address does not have the form"),
            ("http://::1", "URL address does not have the form"),
            ("http://a:1/", "URL must not contain a path"),
        ] {
            let error = peer_urls(list).unwrap_err();
            assert!(error.message.starts_with(complaint), "{list}: {error}");
            assert_eq!(error.code, 1);
        }
    }
}
