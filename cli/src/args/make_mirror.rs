//! `make-mirror <destination>`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use kvorum_client::{Config, Credentials, Endpoint, MirrorPlan, Tls};

use super::UsageError;
use super::value::{bytes_of, parse_bool, parse_int};
use crate::mode::Mode;

/// Copy all keys to another cluster, and from then on every change
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "make-mirror [OPTIONS] <DESTINATION>",
    after_help = "Prints every 30 seconds how many keys were copied.\n\nExamples:\n  \
                  make-mirror backup:2379\n  \
                  make-mirror --prefix /config/ --dest-prefix /staging/ https://backup:2379"
)]
pub struct MakeMirrorArgs {
    /// Endpoint of the cluster to copy to
    #[arg(value_name = "DESTINATION")]
    pub operands: Vec<String>,

    /// Only keys that begin with it
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub prefix: OsString,

    /// Not all keys, but the changes from this revision on
    #[arg(long, value_name = "REV", default_value = "0", value_parser = parse_int,
          hide_default_value = true, allow_hyphen_values = true)]
    pub rev: i64,

    /// At most so many changes in one transaction
    #[arg(long, value_name = "N", default_value = "128", value_parser = parse_unsigned,
          allow_hyphen_values = true)]
    pub max_txn_ops: u64,

    /// Put this in the place of the prefix
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub dest_prefix: OsString,

    /// Leave the prefix out
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub no_dest_prefix: bool,

    /// Certificate to show to the destination
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub dest_cert: OsString,

    /// Key of that certificate
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub dest_key: OsString,

    /// Authorities that may vouch for the destination
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub dest_cacert: OsString,

    /// Do without TLS where the destination does not say
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "true", default_missing_value = "true", value_parser = parse_bool)]
    pub dest_insecure_transport: bool,

    /// User at the destination, name[:password]; the password is asked for if it is missing
    #[arg(
        long,
        value_name = "USER",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub dest_user: String,

    /// Password at the destination
    #[arg(
        long,
        value_name = "PASSWORD",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub dest_password: String,
}

/// Who to be at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestUser {
    Nobody,
    Known(Credentials),
    /// This user, whose password is to be asked for.
    Ask(String),
}

impl MakeMirrorArgs {
    /// What is mirrored, once the destination is known.
    pub fn plan(&self, mode: Mode) -> Result<MirrorPlan, UsageError> {
        self.destination()?;
        let (prefix, mut dest_prefix) = (bytes_of(&self.prefix), bytes_of(&self.dest_prefix));
        if self.no_dest_prefix && !dest_prefix.is_empty() {
            return Err(UsageError::arguments(
                "`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one",
            ));
        }
        let after_revision = (self.rev - 1).max(0);
        // With a revision, etcdctl leaves the prefix out although nobody has asked for that.
        let stays = mode == Mode::Kvorum || after_revision == 0;
        if stays && !self.no_dest_prefix && dest_prefix.is_empty() {
            dest_prefix.clone_from(&prefix);
        }
        let max_txn_ops = usize::try_from(self.max_txn_ops).unwrap_or(usize::MAX);
        Ok(MirrorPlan { prefix, dest_prefix, after_revision, max_txn_ops })
    }

    /// How to reach the destination; what the flags do not say is as for the source.
    pub fn connection(&self, source: &Config) -> Result<Config, UsageError> {
        let file = |path: &OsString| (!path.is_empty()).then(|| PathBuf::from(path));
        Ok(Config {
            endpoints: vec![self.destination()?],
            credentials: None,
            tls: Tls {
                required: !self.dest_insecure_transport,
                cacert: file(&self.dest_cacert),
                cert: file(&self.dest_cert),
                key: file(&self.dest_key),
                insecure_skip_verify: false,
            },
            ..source.clone()
        })
    }

    pub fn user(&self) -> DestUser {
        let credentials = |user: &str, password: &str| {
            let (user, password) = (user.to_owned(), password.to_owned());
            DestUser::Known(Credentials { user, password })
        };
        match (self.dest_user.as_str(), self.dest_password.as_str()) {
            ("", _) => DestUser::Nobody,
            (user, "") => match user.split_once(':') {
                Some((user, password)) => credentials(user, password),
                None => DestUser::Ask(user.to_owned()),
            },
            (user, password) => credentials(user, password),
        }
    }

    fn destination(&self) -> Result<Endpoint, UsageError> {
        let [destination] = self.operands.as_slice() else {
            return Err(UsageError::arguments("make-mirror takes one destination argument"));
        };
        Endpoint::parse(destination).map_err(|error| UsageError::arguments(error.to_string()))
    }
}

fn parse_unsigned(text: &str) -> Result<u64, String> {
    let bad = |reason: &str| format!("strconv.ParseUint: parsing {text:?}: {reason}");
    match parse_int(text) {
        Ok(number) => u64::try_from(number).map_err(|_| bad("invalid syntax")),
        Err(error) => Err(error.replace("ParseInt", "ParseUint")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{DestUser, MakeMirrorArgs};
    use crate::args::{Command, Line};
    use crate::mode::Mode;

    fn args(words: &[&str]) -> MakeMirrorArgs {
        let line = [&["etcdctl", "make-mirror", "there:1"], words].concat();
        match Line::try_parse_from(line).unwrap().command {
            Some(Command::MakeMirror(args)) => *args,
            _ => panic!("it is make-mirror"),
        }
    }

    #[test]
    fn the_prefix_stays_unless_it_is_replaced_or_left_out() {
        for (words, dest_prefix) in [
            (&["--prefix=/a/"][..], "/a/"),
            (&["--prefix=/a/", "--dest-prefix=/b/"], "/b/"),
            (&["--prefix=/a/", "--no-dest-prefix"], ""),
            (&["--prefix=/a/", "--rev=1"], "/a/"),
            // As etcdctl 3.6.
            (&["--prefix=/a/", "--rev=2"], ""),
        ] {
            let plan = args(words).plan(Mode::Etcdctl).unwrap();
            assert_eq!(plan.dest_prefix, dest_prefix.as_bytes(), "{words:?}");
        }
        let plan = args(&["--prefix=/a/", "--rev=2"]).plan(Mode::Kvorum).unwrap();
        assert_eq!((plan.dest_prefix.as_slice(), plan.after_revision), (b"/a/".as_slice(), 1));
        assert!(args(&["--no-dest-prefix", "--dest-prefix=b"]).plan(Mode::Kvorum).is_err());
    }

    #[test]
    fn a_password_that_is_not_given_is_asked_for() {
        assert_eq!(args(&[]).user(), DestUser::Nobody);
        assert_eq!(args(&["--dest-user=u"]).user(), DestUser::Ask("u".to_owned()));
        let known = args(&["--dest-user=u:p"]).user();
        assert_eq!(known, args(&["--dest-user=u", "--dest-password=p"]).user());
    }
}
