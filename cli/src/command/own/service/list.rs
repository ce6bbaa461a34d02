//! `service list` and `service resolve`

use std::collections::BTreeMap;

use kvorum_client::explore::{Scan, ScanRequest};
use kvorum_client::naming::{ServiceName, service_of};
use kvorum_client::{Connection, Get};

use super::shown::{HEADER, Place};
use crate::args::own::{ServiceListArgs, Where};
use crate::command::own::explore::begin;
use crate::command::own::progress::Progress;
use crate::command::own::shown;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Row, Rows, Style, Tone, Value};

pub(super) async fn execute(
    args: &ServiceListArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    match args.name()? {
        Some(name) => one(&name, session).await,
        None => all(session).await,
    }
}

/// The addresses alone, for whatever dials them.
pub(super) async fn resolve(name: &ServiceName, session: &mut Session) -> Result<(), CommandError> {
    let places = places(&session.connection, name).await?;
    let Session { style, out, .. } = session;
    let mut rows = Rows::new(style, &["address"], out);
    for place in &places {
        rows.row(&Address(place))?;
    }
    rows.end()?;
    if places.is_empty() {
        return Err(CommandError::Other {
            code: exit::ERROR,
            message: format!("{} has no address", shown::line(name.to_string().as_bytes())),
        });
    }
    Ok(())
}

/// Addresses of a service that are held at once; a resolver holds all of them as well.
pub(super) const MOST_ADDRESSES: usize = 100_000;

/// What is registered for a service.
async fn places(connection: &Connection, name: &ServiceName) -> Result<Vec<Place>, CommandError> {
    // A member that is behind would not know of what was just registered.
    let newest = Get { range: name.range(), count_only: true, ..Get::default() };
    let revision = connection.get(newest).await?.header.map_or(0, |header| header.revision);
    let request = ScanRequest { ranges: vec![name.range()], revision, values: true };
    let mut scan = Scan::start(connection, request);
    let mut places = Vec::new();
    while let Some(page) = scan.next().await? {
        if page.anew {
            // The pages before are of a revision that is gone: with this one they make no whole.
            return Box::pin(self::places(connection, name)).await;
        }
        places.extend(page.kvs.iter().filter_map(Place::of));
        if places.len() > MOST_ADDRESSES {
            return Err(too_many("addresses", MOST_ADDRESSES));
        }
    }
    Ok(places)
}

async fn one(name: &ServiceName, session: &mut Session) -> Result<(), CommandError> {
    let places = places(&session.connection, name).await?;
    let Session { style, out, .. } = session;
    let mut rows = Rows::new(style, &HEADER, out);
    for place in &places {
        rows.row(place)?;
    }
    rows.end()?;
    nothing(places.is_empty(), "the service has no address", session)
}

/// Services that are told apart.
const MOST_SERVICES: usize = 100_000;

async fn all(session: &mut Session) -> Result<(), CommandError> {
    let mut progress = Progress::new(&session.manner);
    let everywhere = Where::default();
    let ranges = begin::ranges(&everywhere, session, &mut progress).await?;
    begin::consent(&ranges, true, session, &mut progress).await?;
    let request = ScanRequest { ranges, revision: 0, values: true };
    let mut scan = Scan::start(&session.connection, request);
    let mut found: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    while let Some(page) = progress.until(scan.next()).await? {
        progress.around(&page, || ());
        let places = page.kvs.iter().filter_map(Place::of);
        for name in places.filter_map(|place| Some(service_of(&place.key)?.to_vec())) {
            *found.entry(name).or_default() += 1;
        }
        if found.len() > MOST_SERVICES {
            return Err(too_many("services", MOST_SERVICES));
        }
    }
    drop(progress);
    let Session { style, out, .. } = session;
    let mut rows = Rows::new(style, &["service", "addresses"], out);
    for (name, addresses) in &found {
        rows.row(&Service { name, addresses: *addresses })?;
    }
    rows.end()?;
    nothing(found.is_empty(), "no service is registered", session)
}

pub(super) fn too_many(what: &str, most: usize) -> CommandError {
    CommandError::Other { code: exit::ERROR, message: format!("there are more than {most} {what}") }
}

fn nothing(is_empty: bool, line: &str, session: &mut Session) -> Result<(), CommandError> {
    if is_empty && !session.manner.quiet {
        session.remark(line);
    }
    session.finer(!is_empty, exit::finer::EMPTY)
}

struct Address<'a>(&'a Place);

impl Row for Address<'_> {
    fn simple(&self, _: &Style) -> String {
        self.0.address()
    }

    fn value(&self) -> Value {
        self.0.value()
    }

    fn cells(&self) -> Vec<String> {
        vec![self.0.address()]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.0.key)
    }
}

struct Service<'a> {
    name: &'a [u8],
    addresses: u64,
}

impl Row for Service<'_> {
    fn simple(&self, style: &Style) -> String {
        let name = style.paint.of(Tone::Key, &shown::line(self.name));
        let addresses = shown::number(self.addresses);
        let what = if self.addresses == 1 { "address" } else { "addresses" };
        format!("{name}  {addresses} {what}")
    }

    fn value(&self) -> Value {
        Value::map([
            ("service", Value::bytes(self.name)),
            ("addresses", Value::Uint(self.addresses)),
        ])
    }

    fn cells(&self) -> Vec<String> {
        vec![shown::line(self.name), self.addresses.to_string()]
    }
}
