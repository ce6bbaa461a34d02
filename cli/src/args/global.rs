//! Flags that every command takes. None has a default here, so that it can be told whether it was
//! given: its variable may be set as well.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::value::{parse_bool, parse_duration, parse_int};

#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Addresses of members, separated by commas [default: 127.0.0.1:2379]
    #[arg(long, global = true, value_name = "LIST", allow_hyphen_values = true)]
    pub endpoints: Vec<String>,

    /// Output format: simple, json, fields, table, protobuf [default: simple]
    #[arg(short, long, global = true, value_name = "FORMAT", allow_hyphen_values = true)]
    pub write_out: Option<String>,

    /// Print byte strings as hexadecimal
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = parse_bool, hide_possible_values = true)]
    pub hex: Option<bool>,

    /// Say on standard error what each global option came to
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = parse_bool)]
    pub debug: Option<bool>,

    /// Time to connect to one endpoint [default: 2s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = parse_duration,
          allow_hyphen_values = true)]
    pub dial_timeout: Option<Duration>,

    /// Time for one short command [default: 5s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = parse_duration,
          allow_hyphen_values = true)]
    pub command_timeout: Option<Duration>,

    /// Probe an idle connection this often [default: 2s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = parse_duration,
          allow_hyphen_values = true)]
    pub keepalive_time: Option<Duration>,

    /// Give up a connection that does not answer a probe [default: 6s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = parse_duration,
          allow_hyphen_values = true)]
    pub keepalive_timeout: Option<Duration>,

    /// Largest request to send, in bytes; 0 is 2 MiB [default: 0]
    #[arg(long, global = true, value_name = "BYTES", value_parser = parse_int,
          allow_hyphen_values = true)]
    pub max_request_bytes: Option<i64>,

    /// Largest answer to accept, in bytes; 0 is 2 GiB [default: 0]
    #[arg(long, global = true, value_name = "BYTES", value_parser = parse_int,
          allow_hyphen_values = true)]
    pub max_recv_bytes: Option<i64>,

    /// Do without TLS where an endpoint does not say [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = parse_bool)]
    pub insecure_transport: Option<bool>,

    /// Take endpoints without TLS from service records [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = parse_bool)]
    pub insecure_discovery: Option<bool>,

    /// Accept any certificate of the server. For tests only
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = parse_bool)]
    pub insecure_skip_tls_verify: Option<bool>,

    /// This client's certificate
    #[arg(long, global = true, value_name = "FILE", allow_hyphen_values = true,
          value_parser = any_path())]
    pub cert: Option<PathBuf>,

    /// The key of this client's certificate
    #[arg(long, global = true, value_name = "FILE", allow_hyphen_values = true,
          value_parser = any_path())]
    pub key: Option<PathBuf>,

    /// Authorities that may vouch for a server
    #[arg(long, global = true, value_name = "FILE", allow_hyphen_values = true,
          value_parser = any_path())]
    pub cacert: Option<PathBuf>,

    /// User name, or name:password; asks for a password that is not given
    #[arg(long, global = true, value_name = "USER[:PASSWORD]", allow_hyphen_values = true)]
    pub user: Option<String>,

    /// Password; then --user is the name alone
    #[arg(long, global = true, value_name = "PASSWORD", allow_hyphen_values = true)]
    pub password: Option<String>,

    /// A token to show in place of --user and --password
    #[arg(long, global = true, value_name = "TOKEN", allow_hyphen_values = true)]
    pub auth_jwt_token: Option<String>,

    /// Domain whose service records name the endpoints
    #[arg(short, long, global = true, value_name = "DOMAIN", allow_hyphen_values = true)]
    pub discovery_srv: Option<String>,

    /// Service to ask for in those records
    #[arg(long, global = true, value_name = "NAME", allow_hyphen_values = true)]
    pub discovery_srv_name: Option<String>,
}

/// A path that may be empty, which etcdctl complains about in words of its own.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}
