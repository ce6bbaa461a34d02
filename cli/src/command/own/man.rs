//! `man`: pages made from what lines are parsed with.

use std::fs;

use crate::args::own::ManArgs;
use crate::command::CommandError;
use crate::kvorum::grammar;
use crate::run::Streams;
use crate::terminal;

pub(super) fn execute(args: &ManArgs, streams: &mut Streams) -> Result<(), CommandError> {
    let Some(dir) = &args.dir else {
        clap_mangen::Man::new(grammar()).render(&mut streams.out)?;
        streams.out.flush()?;
        if terminal::stdout_is_terminal() {
            writeln!(streams.err, "hint: kvorum man | man -l - shows it as a page")?;
        }
        return Ok(());
    };
    fs::create_dir_all(dir)?;
    clap_mangen::generate_to(grammar(), dir)?;
    writeln!(streams.out, "the manual is in {}", dir.display())?;
    Ok(())
}
