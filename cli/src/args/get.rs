//! `get <key> [range_end]`

use std::ffi::OsString;

use clap::Args;
use kvorum_client::{Get, KeyRange, SortOrder, SortTarget};

use super::value::{bytes_of, parse_bool, parse_int};
use super::{UsageError, is_serializable};

/// Read a key or a range of keys
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "get [OPTIONS] <KEY> [RANGE_END]",
    after_help = "Examples:\n  get /config/app\n  get --prefix /config/ --keys-only\n  \
                  get /a /b --rev 42 -w json"
)]
pub struct GetArgs {
    /// The key, and if a range is meant the first key after it
    #[arg(value_name = "KEY")]
    pub keys: Vec<OsString>,

    /// Linearizable (l) or serializable (s)
    #[arg(long, value_name = "l|s", default_value = "l", allow_hyphen_values = true)]
    pub consistency: String,

    /// Order of the results: ASCEND or DESCEND
    #[arg(
        long,
        value_name = "ORDER",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub order: String,

    /// What to order by: CREATE, KEY, MODIFY, VALUE or VERSION
    #[arg(
        long,
        value_name = "FIELD",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub sort_by: String,

    /// At most so many results; 0 is all
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_int,
          allow_hyphen_values = true)]
    pub limit: i64,

    /// Every key that begins with KEY
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub prefix: bool,

    /// Every key from KEY on
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub from_key: bool,

    /// As it was at this revision
    #[arg(long, value_name = "REV", default_value = "0", value_parser = parse_int,
          hide_default_value = true, allow_hyphen_values = true)]
    pub rev: i64,

    /// Keys without values
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub keys_only: bool,

    /// Only the number of keys (with -w fields or json)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub count_only: bool,

    /// Values without keys (with -w simple)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub print_value_only: bool,

    /// Have the answer sent in parts; servers before 3.7 cannot
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub stream: bool,

    /// Only keys created at this revision or later
    #[arg(long, value_name = "REV", default_value = "0", value_parser = parse_int,
          hide_default_value = true, allow_hyphen_values = true)]
    pub min_create_rev: i64,

    /// Only keys created at this revision or earlier
    #[arg(long, value_name = "REV", default_value = "0", value_parser = parse_int,
          hide_default_value = true, allow_hyphen_values = true)]
    pub max_create_rev: i64,

    /// Only keys changed at this revision or later
    #[arg(long, value_name = "REV", default_value = "0", value_parser = parse_int,
          hide_default_value = true, allow_hyphen_values = true)]
    pub min_mod_rev: i64,

    /// Only keys changed at this revision or earlier
    #[arg(long, value_name = "REV", default_value = "0", value_parser = parse_int,
          hide_default_value = true, allow_hyphen_values = true)]
    pub max_mod_rev: i64,
}

pub(super) const CHOOSE_ONE: &str =
    "`--prefix` and `--from-key` cannot be set at the same time, choose one";

impl GetArgs {
    pub fn request(&self) -> Result<Get, UsageError> {
        if self.keys.is_empty() {
            return Err(UsageError::arguments(
                "get command needs one argument as key and an optional argument as range_end",
            ));
        }
        if self.prefix && self.from_key {
            return Err(UsageError::arguments(CHOOSE_ONE));
        }
        if self.keys_only && self.count_only {
            return Err(UsageError::arguments(
                "`--keys-only` and `--count-only` cannot be set at the same time, choose one",
            ));
        }
        let serializable = is_serializable(&self.consistency)?;
        let range = key_range(&self.keys, self.prefix, self.from_key)?;
        let sort = self.sort()?;
        bounds("CreateRev", self.min_create_rev, self.max_create_rev)?;
        bounds("ModRev", self.min_mod_rev, self.max_mod_rev)?;
        Ok(Get {
            range,
            limit: self.limit,
            revision: self.rev.max(0),
            sort,
            serializable,
            keys_only: self.keys_only,
            count_only: self.count_only,
            min_create_revision: self.min_create_rev.max(0),
            max_create_revision: self.max_create_rev.max(0),
            min_mod_revision: self.min_mod_rev.max(0),
            max_mod_revision: self.max_mod_rev.max(0),
        })
    }

    fn sort(&self) -> Result<Option<(SortTarget, SortOrder)>, UsageError> {
        let order = match self.order.to_uppercase().as_str() {
            "ASCEND" => SortOrder::Ascend,
            "DESCEND" => SortOrder::Descend,
            "" => SortOrder::None,
            _ => return Err(UsageError::feature(format!("bad sort order {}", self.order))),
        };
        let target = match self.sort_by.to_uppercase().as_str() {
            "CREATE" => SortTarget::Create,
            "KEY" | "" => SortTarget::Key,
            "MODIFY" => SortTarget::Mod,
            "VALUE" => SortTarget::Value,
            "VERSION" => SortTarget::Version,
            _ => return Err(UsageError::feature(format!("bad sort target {}", self.sort_by))),
        };
        Ok((target != SortTarget::Key || order != SortOrder::None).then_some((target, order)))
    }
}

/// The range that `<key> [range_end]`, `--prefix` and `--from-key` describe together.
pub(super) fn key_range(
    keys: &[OsString],
    prefix: bool,
    from_key: bool,
) -> Result<KeyRange, UsageError> {
    let key = bytes_of(&keys[0]);
    let Some(end) = keys.get(1) else {
        return Ok(match (prefix, from_key) {
            (true, _) => KeyRange::prefix(key),
            (false, true) => KeyRange::from_key(key),
            (false, false) => KeyRange::single(key),
        });
    };
    if prefix || from_key {
        return Err(UsageError::arguments(
            "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
        ));
    }
    Ok(KeyRange::between(key, bytes_of(end)))
}

fn bounds(name: &str, min: i64, max: i64) -> Result<(), UsageError> {
    if max > 0 && min > max {
        return Err(UsageError::feature(format!("getMin{name}(={min}) > getMax{name}(={max})")));
    }
    Ok(())
}
