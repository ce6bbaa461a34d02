//! `get`

use super::{CommandError, Session};
use crate::args::own::split_revision;
use crate::args::{GetArgs, UsageError};
use crate::exit::finer;
use crate::mode::Mode;
use crate::output::{Answer, Format, Style, shell_word};

pub(super) async fn execute(args: &GetArgs, session: &mut Session) -> Result<(), CommandError> {
    let request = args.request()?;
    let answer = if args.stream {
        session.connection.get_in_parts(request).await?
    } else {
        session.connection.get(request).await?
    };
    let format = &session.style.format;
    if args.count_only && *format != Format::Fields {
        if session.mode == Mode::Etcdctl {
            return Err(
                UsageError::arguments("--count-only is only for `--write-out=fields`").into()
            );
        }
        if *format == Format::Simple {
            return session.say(&answer.count.to_string());
        }
    }
    if args.print_value_only && *format != Format::Simple {
        return Err(
            UsageError::arguments("print-value-only is only for `--write-out=simple`").into()
        );
    }
    let style = Style { value_only: args.print_value_only, ..session.style.clone() };
    style.printer().print(Answer::Get(&answer), &mut session.out)?;
    session.out.flush()?;
    let range = args.request()?.range;
    let is_hinted = answer.count == 0 && range.is_single() && suggest_revision(&range.key, session);
    if answer.count == 0
        && !is_hinted
        && session.style.escaped
        && session.style.format == Format::Simple
        && !session.manner.quiet
    {
        session.remark(match args.keys.len() {
            0 | 1 => "nothing is there: kvorum ls shows what is",
            _ => "nothing is there: two keys are a range, from the first up to the second",
        });
    }
    if args.keys.len() > 2 && session.mode == Mode::Kvorum && !session.manner.quiet {
        session.remark("warning: a key or a range of two is asked for, the other keys were not");
    }
    let code = if range.is_single() { finer::NOT_FOUND } else { finer::EMPTY };
    session.finer(answer.count > 0, code)
}

/// `KEY@REV` is how `show` is asked; here it is the name of a key that is not there. Whether it is
/// said.
fn suggest_revision(key: &[u8], session: &mut Session) -> bool {
    if session.mode == Mode::Etcdctl || session.manner.quiet {
        return false;
    }
    let Some((key, revision)) = split_revision(key) else { return false };
    let key = shell_word(&key);
    session.remark(&format!(
        "hint: there is no key of this name; as {key} was at revision {revision}: kvorum get {key} \
         --rev {revision}"
    ));
    true
}
