//! `get`

use super::{CommandError, Session};
use crate::args::{GetArgs, UsageError};
use crate::exit::finer;
use crate::mode::Mode;
use crate::output::{Answer, Format, Style};

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
    let code = if args.request()?.range.is_single() { finer::NOT_FOUND } else { finer::EMPTY };
    session.finer(answer.count > 0, code)
}
