//! Where a command reads from: standard input, or what a shell gives it.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Stdin, stdin};
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

pub enum Input {
    Standard(Option<BufReader<Stdin>>),
    /// Somebody who is asked for each line; one without an answer is the end of input.
    Asked(Sender<oneshot::Sender<Vec<u8>>>),
    Nothing,
}

/// Of one value or one line. No server takes so much in a request unless it
/// is set to ten times what is advised; an input that never ends does here.
const MOST_BYTES: u64 = 64 << 20;

impl Input {
    /// Standard input, not touched before it is read.
    pub fn standard() -> Self {
        Self::Standard(None)
    }

    /// The next line without its end; `None` at the end of input. A last line that was not ended
    /// does not count, as in etcdctl.
    ///
    /// Dropping the future may lose part of a line of standard input.
    pub async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Standard(reader) => {
                let reader = reader.get_or_insert_with(buffered);
                let mut line = read_line(reader).await?;
                Ok((line.pop() == Some(b'\n')).then_some(line))
            }
            Self::Asked(asked) => {
                let (answer, line) = oneshot::channel();
                let asking = asked.send(answer).await;
                Ok(if asking.is_ok() { line.await.ok() } else { None })
            }
            Self::Nothing => Ok(None),
        }
    }

    /// The next line without its end, whether it is ended or not; `None` at the end of input.
    pub async fn text_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Self::Standard(reader) = self else { return Ok(None) };
        let reader = reader.get_or_insert_with(buffered);
        let mut line = read_line(reader).await?;
        if line.is_empty() {
            return Ok(None);
        }
        line.pop_if(|last| *last == b'\n');
        Ok(Some(line))
    }

    /// Whether the next line has come already.
    pub fn has_line(&self) -> bool {
        matches!(self, Self::Standard(Some(reader)) if reader.buffer().contains(&b'\n'))
    }

    /// Everything up to the end of input; an error if that is more than 64 MiB.
    pub async fn rest(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Standard(reader) => {
                let reader = reader.get_or_insert_with(buffered);
                let mut rest = Vec::new();
                (&mut *reader).take(MOST_BYTES + 1).read_to_end(&mut rest).await?;
                bounded(&rest)?;
                Ok(rest)
            }
            Self::Asked(_) | Self::Nothing => Ok(Vec::new()),
        }
    }
}

/// As much as a pipe holds.
const READ_BYTES: usize = 64 << 10;

fn buffered() -> BufReader<Stdin> {
    BufReader::with_capacity(READ_BYTES, stdin())
}

/// With its end; empty at the end of input.
async fn read_line(reader: &mut BufReader<Stdin>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.take(MOST_BYTES + 1).read_until(b'\n', &mut line).await?;
    bounded(&line)?;
    Ok(line)
}

fn bounded(read: &[u8]) -> io::Result<()> {
    if read.len() as u64 <= MOST_BYTES {
        return Ok(());
    }
    let text = format!("standard input has more than {} MiB", MOST_BYTES >> 20);
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}
