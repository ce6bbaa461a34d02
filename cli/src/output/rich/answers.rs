//! Answers of the cluster in the formats of `-o`.

use std::io::Write;

use kvorum_client::pb;

use super::{Rich, columns, json, json_line, key_line, tree, yaml};
use crate::output::{Answer, PrintError, Printer, Style, draw_table};

pub(crate) struct Answers {
    pub rich: Rich,
    pub style: Style,
}

impl Printer for Answers {
    fn print(&self, answer: Answer<'_>, out: &mut dyn Write) -> Result<(), PrintError> {
        match &self.rich {
            Rich::Json => json(&tree::tree(answer), &self.style, out),
            Rich::Ndjson => tree::rows(answer).iter().try_for_each(|row| {
                json_line(row, &self.style, out)?;
                Ok(writeln!(out)?)
            }),
            Rich::Yaml => {
                // The answers of a watch follow one another.
                writeln!(out, "---")?;
                yaml(&tree::tree(answer), &self.style, out)
            }
            Rich::Raw => raw(answer, out),
            Rich::Keys => {
                keys(answer)?.into_iter().try_for_each(|key| key_line(key, &self.style, out))
            }
            Rich::Table => {
                let (header, rows) = columns::of(answer, self.style.plain);
                Ok(draw_table(&header, &rows, &self.style, out)?)
            }
            Rich::Path(path) => path.print(&tree::tree(answer), &self.style, out),
        }
    }
}

fn keys(answer: Answer<'_>) -> Result<Vec<&[u8]>, PrintError> {
    Ok(match answer {
        Answer::Get(get) => of_kvs(&get.kvs),
        Answer::Delete(delete) => of_kvs(&delete.prev_kvs),
        Answer::Put(put) => of_kvs(put.prev_kv.as_slice()),
        Answer::Gap(_) => Vec::new(),
        Answer::Watch(watch) | Answer::Difference(watch) => {
            watch.events.iter().filter_map(|event| Some(&*event.kv.as_ref()?.key)).collect()
        }
        Answer::TimeToLive(lease, _) => lease.keys.iter().map(Vec::as_slice).collect(),
        _ => return Err(PrintError::Unsupported("keys")),
    })
}

fn of_kvs(kvs: &[pb::KeyValue]) -> Vec<&[u8]> {
    kvs.iter().map(|kv| kv.key.as_slice()).collect()
}

fn raw(answer: Answer<'_>, out: &mut dyn Write) -> Result<(), PrintError> {
    match answer {
        Answer::Get(get) => get.kvs.iter().try_for_each(|kv| out.write_all(&kv.value))?,
        Answer::Gap(_) => {}
        Answer::Watch(watch) | Answer::Difference(watch) => {
            let kvs = watch.events.iter().filter_map(|event| event.kv.as_ref());
            kvs.map(|kv| &kv.value).try_for_each(|value| out.write_all(value))?;
        }
        _ => return Err(PrintError::Unsupported("raw")),
    }
    Ok(())
}
