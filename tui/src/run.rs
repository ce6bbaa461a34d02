//! The loop: drain everything that is ready, update, perform, draw.
//!
//! Nothing is awaited here but the next thing to happen. A key press is drawn at once; everything
//! else at most so often, and only when it changed something.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures::StreamExt;
use jiff::Zoned;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::cmd::Cmd;
use crate::exec::{Config, Executor};
use crate::model::Model;
use crate::msg::{Answer, Moment, Msg, Size};
use crate::terminal::Screen;
use crate::update::update;
use crate::view::{self, Look};

/// Frames that no key press asked for are at least this far apart.
const FRAME: Duration = Duration::from_millis(33);
/// Seconds are counted and polls are started to this accuracy.
const TICK: Duration = Duration::from_millis(500);
/// Messages handled before the screen gets its turn.
const BATCH_MAX: usize = 256;

/// How the dashboard looks and reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub color: bool,
    /// Draws with plain ASCII only.
    pub ascii: bool,
    /// What separates the segments of a key.
    pub separator: u8,
}

#[derive(Debug, thiserror::Error)]
pub enum UiError {
    #[error("the dashboard needs a terminal: {0}")]
    Terminal(#[from] std::io::Error),
    #[error("{0}")]
    Connection(String),
    #[error("the dashboard stopped because of the fault above; please report it")]
    Panicked,
}

impl Default for Options {
    fn default() -> Self {
        Self { color: true, ascii: false, separator: b'/' }
    }
}

impl Options {
    /// As the environment asks: `NO_COLOR`, `KVORUM_ASCII`.
    pub fn from_env() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self { color: !is_set("NO_COLOR"), ascii: is_set("KVORUM_ASCII"), ..Self::default() }
    }
}

/// Shows the dashboard until the user leaves it.
///
/// Needs a tokio runtime with time and I/O. Dials nobody before it is on the screen: a cluster that
/// cannot be reached is something to show, not an error. The terminal is as it was when this
/// returns, whatever the outcome.
pub async fn run(config: Config, options: Options) -> Result<(), UiError> {
    let given = config.endpoints.iter().map(|endpoint| endpoint.as_str().to_owned()).collect();
    let (executor, answers) =
        Executor::new(config).map_err(|failure| UiError::Connection(failure.text))?;
    let started = Instant::now();
    let model = Model::new(given, options.separator, moment(started));
    let look = Look { color: options.color, ascii: options.ascii };
    // crossterm looks at NO_COLOR itself, which a flag may have overruled.
    crossterm::style::force_color_output(options.color);
    let ended = Ended::new()?;
    let mut dashboard = Dashboard {
        screen: Screen::take()?,
        events: EventStream::new(),
        answers,
        executor,
        model,
        look,
        started,
        ended,
        wanted: Wanted::Now,
        drawn: None,
        left: false,
    };
    let size = dashboard.screen.size()?;
    dashboard.handle(Msg::Resize(size))?;
    dashboard.run().await
}

struct Dashboard {
    screen: Screen,
    events: EventStream,
    answers: Receiver<Answer>,
    executor: Executor,
    model: Model,
    look: Look,
    started: Instant,
    ended: Ended,
    wanted: Wanted,
    drawn: Option<Instant>,
    left: bool,
}

/// Whether there is something to draw.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Nothing,
    Soon,
    Now,
}

impl Dashboard {
    async fn run(&mut self) -> Result<(), UiError> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let draw_at = self.drawn.map_or_else(Instant::now, |drawn| drawn + FRAME);
            let first = tokio::select! {
                event = self.events.next() => Some(read(event)?),
                answer = self.answers.recv() => answer.map(Msg::Answer).map(Some),
                _ = ticks.tick() => None,
                () = sleep_until(draw_at), if self.wanted == Wanted::Soon => None,
                () = self.ended.wait() => return Ok(()),
            };
            self.handle(Msg::Tick { now: moment(self.started) })?;
            if let Some(msg) = first.flatten() {
                self.handle(msg)?;
            }
            self.drain().await?;
            if Screen::is_lost() {
                return Err(UiError::Panicked);
            }
            if self.left {
                return Ok(());
            }
            let due = self.wanted == Wanted::Soon && draw_at <= Instant::now();
            if self.wanted == Wanted::Now || due {
                self.draw()?;
            }
        }
    }

    /// Everything that is ready, so that one frame shows it all.
    async fn drain(&mut self) -> Result<(), UiError> {
        for _ in 0..BATCH_MAX {
            // Looked at with this task's own waker: the stream remembers only one, and must not
            // wake somebody else.
            let event = poll_fn(|task| Poll::Ready(self.events.poll_next_unpin(task))).await;
            if let Poll::Ready(event) = event {
                if let Some(msg) = read(event)? {
                    self.handle(msg)?;
                }
            } else if let Ok(answer) = self.answers.try_recv() {
                self.handle(Msg::Answer(answer))?;
            } else {
                break;
            }
        }
        Ok(())
    }

    fn handle(&mut self, msg: Msg) -> Result<(), UiError> {
        let by_hand = matches!(msg, Msg::Key(_) | Msg::Paste(_) | Msg::Resize(_));
        for cmd in update(&mut self.model, msg) {
            match cmd {
                Cmd::Draw => {
                    self.wanted = self.wanted.max(if by_hand { Wanted::Now } else { Wanted::Soon });
                }
                Cmd::Repaint => {
                    self.screen.forget()?;
                    self.wanted = Wanted::Now;
                }
                Cmd::Quit => self.left = true,
                Cmd::Ask { ticket, request } => self.executor.ask(ticket, request),
                Cmd::Cancel(slot) => self.executor.cancel(&slot),
                Cmd::Reach(addresses) => self.executor.reach(&addresses),
            }
        }
        Ok(())
    }

    fn draw(&mut self) -> Result<(), UiError> {
        self.screen.draw(|frame| view::draw(&self.model, self.look, frame))?;
        self.wanted = Wanted::Nothing;
        self.drawn = Some(Instant::now());
        Ok(())
    }
}

/// Somebody outside wants the dashboard to end.
struct Ended {
    signals: [Signal; 3],
}

impl Ended {
    fn new() -> std::io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn read(event: Option<std::io::Result<Event>>) -> Result<Option<Msg>, UiError> {
    let event = event.unwrap_or_else(|| Err(std::io::ErrorKind::UnexpectedEof.into()))?;
    Ok(match event {
        Event::Key(key) => Some(Msg::Key(key)),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Resize(width, height) => Some(Msg::Resize(Size { width, height })),
        Event::FocusGained | Event::FocusLost | Event::Mouse(_) => None,
    })
}

fn moment(started: Instant) -> Moment {
    Moment { mono_ms: started.elapsed().as_millis() as u64, wall: Zoned::now().datetime() }
}
