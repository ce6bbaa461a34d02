//! `service register`: an address that is there for as long as a command runs, or until a signal
//! comes.

use std::process::ExitStatus;
use std::time::Duration;

use kvorum_client::explore::KeyValue;
use kvorum_client::follow::{Begin, Follow, FollowItem};
use kvorum_client::naming::{NotRegistered, Occupant, Registration, register, stored};
use kvorum_client::{Connection, Failure, KeyRange, LeaseSession, pb};
use tokio::time::{Instant, sleep};

use super::shown::{HEADER, Place};
use crate::args::own::ServiceRegisterArgs;
use crate::command::child::{self, Child, Order};
use crate::command::holding::settled;
use crate::command::own::shown;
use crate::command::{CommandError, Session, Unfinished};
use crate::exit;
use crate::output::print_one;
use crate::signals::Relayed;

/// A pause before another try to register, after an outage: at first and at most. What is shorter
/// would be so for every instance of the service at once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) async fn execute(
    args: &ServiceRegisterArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let registration = args.registration()?;
    let (name, address) = (&registration.name, &registration.address);
    let what = shown::line(format!("{address} for {name}").as_bytes());
    if session.manner.dry_run {
        return session
            .say(&format!("would register {what}, for {} s at a time", registration.ttl_s));
    }
    let mut signals = Relayed::new()?;
    let registered = tokio::select! {
        registered = claim(&registration, args.replace, &what, session) => registered,
        signal = signals.next() => return Err(CommandError::Silent { code: child::code_of(signal.as_raw()) }),
    };
    let (lease, revision) = registered.map_err(|error| refused(&what, error))?;
    let past = vec![lease.lease()];
    let mut kept = Kept { registration, what, past, lease: Some((lease, revision)) };
    let outcome = kept.run(args, &mut signals, session).await;
    // Whatever came of it, nobody is to dial this one until its lease expires.
    let (what, ttl_s) = (kept.what.clone(), kept.registration.ttl_s);
    let released = kept.release().await;
    if !args.command.is_empty() {
        return settled(outcome, released, (&what, ttl_s), session);
    }
    outcome?;
    Ok(released?)
}

/// Registers. Who has the address already may be this service before it was killed: its lease is
/// waited for, unless somebody keeps it.
async fn claim(
    registration: &Registration,
    replace: bool,
    what: &str,
    session: &mut Session,
) -> Result<(LeaseSession, i64), NotRegistered> {
    let connection = session.connection.clone();
    let mut wait: Option<(Occupant, Wait)> = None;
    loop {
        let outcome = register(&connection, registration, |_| replace).await;
        let Err(NotRegistered::Taken(occupant)) = outcome else {
            if wait.is_some() && outcome.is_ok() {
                session.remark(&format!("{what} is registered"));
            }
            return outcome;
        };
        let left_s = match occupant.lease {
            0 => return outcome,
            lease => connection.lease_time_to_live(lease, false).await?.ttl,
        };
        let known = wait.take().filter(|(waited_for, _)| *waited_for == occupant);
        let mut waiting = match known {
            Some((_, waiting)) => waiting,
            // Its times to live were those of this one, if it was this service.
            None if left_s > registration.ttl_s => return outcome,
            None => {
                let lease = occupant.lease;
                if left_s >= 0 {
                    session.remark(&format!(
                        "{what} is registered already; lease {lease:016x} ends in {left_s} s \
                         unless somebody keeps it: waiting"
                    ));
                }
                Wait::of(left_s)
            }
        };
        if !waiting.goes_on(&connection, occupant.lease).await? {
            return outcome;
        }
        wait = Some((occupant, waiting));
    }
}

/// Waiting for a lease that nobody keeps.
struct Wait {
    least_s: i64,
    deadline: Instant,
}

/// Between two looks at a lease that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Servers tell whole seconds, and take some time to notice that a lease has ended.
const LEASE_SLACK: Duration = Duration::from_secs(2);

impl Wait {
    fn of(left_s: i64) -> Self {
        let left = Duration::from_secs(u64::try_from(left_s).unwrap_or(0));
        Self { least_s: left_s, deadline: Instant::now() + left + LEASE_SLACK }
    }

    /// Returns when the lease has ended; `false` means that somebody keeps it.
    async fn goes_on(&mut self, connection: &Connection, lease: i64) -> Result<bool, Failure> {
        while Instant::now() < self.deadline {
            sleep(LOOK_EVERY).await;
            let left_s = connection.lease_time_to_live(lease, false).await?.ttl;
            if left_s < 0 {
                return Ok(true);
            }
            if left_s > self.least_s {
                return Ok(false);
            }
            self.least_s = left_s;
        }
        Ok(false)
    }
}

fn start(args: &ServiceRegisterArgs, session: &Session) -> Result<Child, CommandError> {
    let order = Order {
        words: &args.command,
        variables: Vec::new(),
        reads_input: Order::may_read(&session.input),
    };
    Ok(order.start()?)
}

/// Says that it is registered, where the output is not the command's.
fn tell(
    registration: &Registration,
    lease: &LeaseSession,
    revision: i64,
    is_alone: bool,
    session: &mut Session,
) -> Result<(), CommandError> {
    let kv = KeyValue {
        key: registration.name.key(&registration.address).into(),
        value: stored(&registration.address, registration.metadata.as_ref()).into(),
        lease: lease.lease(),
        create_revision: revision,
        mod_revision: revision,
        ..KeyValue::default()
    };
    let Some(place) = Place::of(&kv).filter(|_| is_alone) else { return Ok(()) };
    Ok(print_one(&place, &HEADER, &session.style, &mut session.out)?)
}

fn refused(what: &str, error: NotRegistered) -> CommandError {
    match error {
        NotRegistered::Failure(failure) => failure.into(),
        NotRegistered::Taken(_) => CommandError::Hinted {
            code: exit::ERROR,
            message: format!("{what} is not registered: {error}"),
            hint: "--replace takes it over from whoever keeps it".to_owned(),
        },
    }
}

/// A registration, through outages.
struct Kept {
    registration: Registration,
    what: String,
    /// With the revision it was registered at; `None` while it is being registered again.
    lease: Option<(LeaseSession, i64)>,
    /// Leases it was registered under: what hangs on one of them is its own.
    past: Vec<i64>,
}

/// Leases that are remembered. Those before have expired long since.
const MOST_PAST: usize = 16;

/// Why the keeping is over.
enum End {
    Signal,
    Child(ExitStatus),
}

impl Kept {
    async fn run(
        &mut self,
        args: &ServiceRegisterArgs,
        signals: &mut Relayed,
        session: &mut Session,
    ) -> Result<(), CommandError> {
        if let Some((lease, revision)) = &self.lease {
            tell(&self.registration, lease, *revision, args.command.is_empty(), session)?;
        }
        if args.command.is_empty() {
            return self.keep(None, signals, session).await;
        }
        let child = start(args, session)?;
        let _unfinished = Unfinished::begin(session);
        self.keep(Some(child), signals, session).await
    }

    async fn keep(
        &mut self,
        mut child: Option<Child>,
        signals: &mut Relayed,
        session: &mut Session,
    ) -> Result<(), CommandError> {
        let end = loop {
            tokio::select! {
                biased;
                status = ended(&mut child) => break End::Child(status?),
                signal = signals.next() => match &child {
                    Some(child) => child.pass_on(signal),
                    None => break End::Signal,
                },
                () = self.tend(session) => {}
            }
        };
        match end {
            End::Signal => Ok(()),
            End::Child(status) => child::outcome(status),
        }
    }

    /// Waits until the lease is lost, or registers again. Dropping the future on the way leaves the
    /// one or the other to be done.
    async fn tend(&mut self, session: &mut Session) {
        if let Some((lease, revision)) = &self.lease {
            let why = tokio::select! {
                () = lease.ended() => "its lease is gone",
                () = self.is_taken_away(lease.lease(), *revision, &session.connection) => {
                    "somebody deleted or took its key"
                }
            };
            // What may be left of the lease goes in the background.
            self.lease = None;
            let what = &self.what;
            session.remark(&format!("warning: {what} is not registered, {why}: registering again"));
        }
        let (lease, revision) = self.again(session).await;
        session.remark(&format!("{} is registered again", self.what));
        self.past.push(lease.lease());
        if self.past.len() > MOST_PAST {
            self.past.remove(0);
        }
        self.lease = Some((lease, revision));
    }

    /// Returns when the key is no longer under the lease. Who may not watch it hears of the lease
    /// alone.
    async fn is_taken_away(&self, lease: i64, revision: i64, connection: &Connection) {
        let Registration { name, address, .. } = &self.registration;
        let range = KeyRange::single(name.key(address));
        let begin = Begin::Revision(revision.saturating_add(1));
        if let Ok(mut following) =
            connection.follow(Follow { range, begin, ..Follow::default() }).await
        {
            while let Some(item) = following.next().await {
                let (FollowItem::Changes(response) | FollowItem::Difference(response)) = item
                else {
                    continue;
                };
                let is_own = |kv: &pb::KeyValue| kv.lease == lease;
                let stays = |event: &pb::Event| {
                    event.r#type != pb::EVENT_DELETE && event.kv.as_ref().is_some_and(is_own)
                };
                if response.events.last().is_some_and(|event| !stays(event)) {
                    return;
                }
            }
        }
        std::future::pending::<()>().await;
    }

    /// Tries until it is registered, and says why it is not, each reason once. Somebody else who has
    /// it meanwhile is waited for: this instance serves at the address, so the other does not.
    async fn again(&self, session: &mut Session) -> (LeaseSession, i64) {
        let is_own = |occupant: Occupant| self.past.contains(&occupant.lease);
        let mut pause = FIRST_PAUSE;
        let mut said = String::new();
        loop {
            let error = match register(&session.connection, &self.registration, is_own).await {
                Ok(registered) => return registered,
                Err(error) => error.to_string(),
            };
            if said != error {
                session.remark(&format!("{} is not registered yet: {error}", self.what));
                said = error;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn release(self) -> Result<(), Failure> {
        match self.lease {
            Some((lease, _)) => lease.close().await,
            None => Ok(()),
        }
    }
}

async fn ended(child: &mut Option<Child>) -> std::io::Result<ExitStatus> {
    match child {
        Some(child) => child.ended().await,
        None => std::future::pending().await,
    }
}
