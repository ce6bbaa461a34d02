//! `user add|delete|get|list|passwd|grant-role|revoke-role`

use clap::{Args, Subcommand};

use super::value::parse_bool;
use super::{UsageError, exactly, no_arguments};

/// Users: who may ask
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct UserArgs {
    #[command(subcommand)]
    pub command: UserCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    Add(UserAddArgs),
    /// Delete a user
    #[command(override_usage = "user delete <USER>")]
    Delete {
        #[arg(value_name = "USER")]
        operands: Vec<String>,
    },
    Get(UserGetArgs),
    /// Give a role to a user
    #[command(override_usage = "user grant-role <USER> <ROLE>")]
    GrantRole {
        #[arg(value_name = "USER ROLE")]
        operands: Vec<String>,
    },
    /// List the users
    List {
        #[arg(hide = true)]
        operands: Vec<String>,
    },
    Passwd(UserPasswdArgs),
    /// Take a role from a user
    #[command(override_usage = "user revoke-role <USER> <ROLE>")]
    RevokeRole {
        #[arg(value_name = "USER ROLE")]
        operands: Vec<String>,
    },
}

/// Add a user
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "user add [OPTIONS] <USER[:PASSWORD]>",
    after_help = "Without a password, two lines are asked for: it, and it again.\n\nExamples:\n  \
                  user add alice\n  user add alice --interactive=false < file\n  \
                  user add alice --no-password"
)]
pub struct UserAddArgs {
    #[arg(value_name = "USER[:PASSWORD]")]
    pub operands: Vec<String>,

    /// Ask for the password twice; =false reads one word from standard input
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "true", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub interactive: bool,

    /// The password, for all who can list processes to see
    #[arg(
        long,
        value_name = "PASSWORD",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub new_user_password: String,

    /// Known by the common name of a certificate only
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub no_password: bool,
}

/// Show the roles of a user
#[derive(Debug, Clone, Args)]
#[command(override_usage = "user get [OPTIONS] <USER>")]
pub struct UserGetArgs {
    #[arg(value_name = "USER")]
    pub operands: Vec<String>,

    /// And what the roles allow
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub detail: bool,
}

/// Change the password of a user
#[derive(Debug, Clone, Args)]
#[command(override_usage = "user passwd [OPTIONS] <USER>")]
pub struct UserPasswdArgs {
    #[arg(value_name = "USER")]
    pub operands: Vec<String>,

    /// Ask for the password twice; =false reads one word from standard input
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "true", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub interactive: bool,
}

/// A user to be added, and where the password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    pub name: String,
    pub password: NewPassword,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewPassword {
    /// Known by a certificate only.
    None,
    Given(String),
    /// Ask for it, twice.
    Ask,
    /// The next word of standard input.
    Word,
}

impl NewPassword {
    fn wanted(interactive: bool) -> Self {
        if interactive { Self::Ask } else { Self::Word }
    }
}

impl UserArgs {
    pub(super) fn check(&self) -> Result<(), UsageError> {
        match &self.command {
            UserCommand::Add(args) => args.user().map(drop),
            UserCommand::Delete { operands } => deleted(operands).map(drop),
            UserCommand::Get(args) => args.name().map(drop),
            UserCommand::GrantRole { operands } => granted(operands).map(drop),
            UserCommand::List { operands } => {
                no_arguments(operands, "user list command requires no arguments")
            }
            UserCommand::Passwd(args) => args.name().map(drop),
            UserCommand::RevokeRole { operands } => revoked(operands).map(drop),
        }
    }
}

impl UserAddArgs {
    pub fn user(&self) -> Result<NewUser, UsageError> {
        let [name] =
            exactly(&self.operands, "user add command requires user name as its argument")?;
        if self.no_password {
            return Ok(NewUser { name: name.clone(), password: NewPassword::None });
        }
        if !self.new_user_password.is_empty() {
            let password = NewPassword::Given(self.new_user_password.clone());
            return Ok(NewUser { name: name.clone(), password });
        }
        match name.split_once(':') {
            None => {
                let password = NewPassword::wanted(self.interactive);
                Ok(NewUser { name: name.clone(), password })
            }
            Some(("", _)) => Err(UsageError::arguments("empty user name is not allowed")),
            Some((name, password)) => Ok(NewUser {
                name: name.to_owned(),
                password: NewPassword::Given(password.to_owned()),
            }),
        }
    }
}

impl UserGetArgs {
    pub fn name(&self) -> Result<&str, UsageError> {
        let [name] =
            exactly(&self.operands, "user get command requires user name as its argument")?;
        Ok(name)
    }
}

impl UserPasswdArgs {
    pub fn name(&self) -> Result<&str, UsageError> {
        let [name] =
            exactly(&self.operands, "user passwd command requires user name as its argument")?;
        Ok(name)
    }

    pub fn password(&self) -> NewPassword {
        NewPassword::wanted(self.interactive)
    }
}

/// The user that `user delete` names.
pub(crate) fn deleted(operands: &[String]) -> Result<&[String; 1], UsageError> {
    exactly(operands, "user delete command requires user name as its argument")
}

/// The user and the role that `user grant-role` names.
pub(crate) fn granted(operands: &[String]) -> Result<&[String; 2], UsageError> {
    exactly(operands, "user grant command requires user name and role name as its argument")
}

/// The user and the role that `user revoke-role` names.
pub(crate) fn revoked(operands: &[String]) -> Result<&[String; 2], UsageError> {
    exactly(operands, "user revoke-role requires user name and role name as its argument")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{NewPassword, NewUser, UserCommand};
    use crate::args::{Command, Line};

    fn user(words: &str) -> Result<NewUser, String> {
        let line = Line::try_parse_from(format!("kvorum user add {words}").split(' ')).unwrap();
        let Some(Command::User(args)) = line.command else { panic!("{words}") };
        let UserCommand::Add(args) = args.command else { panic!("{words}") };
        args.user().map_err(|error| error.to_string())
    }

    #[test]
    fn a_password_is_given_asked_for_or_done_without() {
        for (words, name, password) in [
            ("a", "a", NewPassword::Ask),
            ("a --interactive=false", "a", NewPassword::Word),
            ("a:b:c", "a", NewPassword::Given("b:c".into())),
            ("a:", "a", NewPassword::Given(String::new())),
            ("a:b --new-user-password -x", "a:b", NewPassword::Given("-x".into())),
            ("a:b --no-password --new-user-password x", "a:b", NewPassword::None),
        ] {
            assert_eq!(user(words), Ok(NewUser { name: name.into(), password }), "{words}");
        }
        assert_eq!(user(":b").unwrap_err(), "empty user name is not allowed");
        assert!(user("a b").is_err());
    }
}
