//! A running member.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kvorum_core::node::{Input, Role};
use tokio::runtime::{Builder, Handle as Context, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

use super::apply_thread::ApplyThread;
use super::listeners::{Listeners, bound};
use super::node_thread::NodeThread;
use super::queue::Queue;
use super::start::{self, Parts, StartError};
use super::stop::Reason;
use super::watches::WatchThread;
use super::{
    Handle, auto_compaction, backend_thread, divergence, leases, log_thread, publish, quota,
};
use crate::config::{Config, KeepAlive, Url};
use crate::edge::{self, Manners, Room, Site};
use crate::identity::Identity;
use crate::limits::{
    BLOCKING_THREADS, DEFAULT_MAX_CONCURRENT_STREAMS, EDGE_THREADS, GRPC_OVERHEAD_BYTES,
    PEER_THREADS, STOP_GRACE,
};
use crate::peer;
use crate::stage::{ApplyStage, LogStage, StoreStage};
use crate::storage::StorageError;
use crate::storage::dir::DataDir;
use crate::storage::disk::FileDisk;
use crate::tls::{Kind, Role as Tls};

/// A member that runs in this process until it is stopped or dropped. It has threads and runtimes
/// of its own; starting, waiting for and stopping it block the caller.
pub struct Member {
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
    runtimes: Option<Runtimes>,
    serving: Vec<tokio::task::JoinHandle<io::Result<()>>>,
    ready: watch::Receiver<bool>,
    /// What a [`Stopper`] said.
    asked: watch::Sender<bool>,
    client_urls: Vec<String>,
    peer_urls: Vec<String>,
    /// Ours until everything is written; given up last.
    _dir: DataDir,
}

/// Clients and peers are served apart, so that neither makes the other wait.
struct Runtimes {
    clients: Runtime,
    peers: Runtime,
}

/// One for all listeners of a kind.
struct BothTls {
    clients: Arc<Tls>,
    peers: Arc<Tls>,
}

impl Member {
    /// Binds the sockets of the configuration and starts. Everything that can be wrong with
    /// either, or with the data directory, is found here.
    pub fn start(config: &Config) -> Result<Member, StartError> {
        let listeners = Listeners::bind(config)?;
        Member::start_on(config, listeners)
    }

    /// Starts on sockets that are bound already.
    pub fn start_on(config: &Config, listeners: Listeners) -> Result<Member, StartError> {
        let client_urls = texts(&bound(&listeners.client));
        let peer_urls = texts(&bound(&listeners.peer));
        // Certificates that are made go into the data directory.
        DataDir::refuse_etcds(&FileDisk, &config.data_dir).map_err(StorageError::from)?;
        let tls = BothTls {
            clients: Arc::new(Tls::load(config, Kind::Client)?),
            peers: Arc::new(Tls::load(config, Kind::Peer)?),
        };
        let runtimes = Runtimes {
            clients: runtime("kvorum-edge", EDGE_THREADS)?,
            peers: runtime("kvorum-peer", PEER_THREADS)?,
        };
        let assembled = {
            let _context = runtimes.peers.enter();
            start::assemble(config, &tls.peers)
        };
        let (parts, dir) = match assembled {
            Ok(assembled) => assembled,
            Err(error) => {
                runtimes.shut_down();
                return Err(error);
            }
        };
        let handle = parts.handle.clone();
        let (ready, is_ready) = watch::channel(false);
        let mut member = Member {
            handle,
            threads: Vec::new(),
            runtimes: None,
            serving: Vec::new(),
            ready: is_ready,
            asked: watch::Sender::new(false),
            client_urls,
            peer_urls,
            _dir: dir,
        };
        member.start_threads(config, parts)?;
        let serving = Announced::of(&listeners);
        member.serve(&runtimes, listeners, &tls, config.grpc_keep_alive);
        let advertised = texts(&config.advertise_client_urls);
        runtimes.peers.spawn(publish::attributes(member.handle.clone(), advertised, ready));
        runtimes.peers.spawn(publish::cluster_version(member.handle.clone()));
        runtimes.peers.spawn(divergence::exchange(member.handle.clone()));
        runtimes.peers.spawn(quota::guard(member.handle.clone()));
        let wanted = config.auto_compaction;
        runtimes.peers.spawn(auto_compaction::run(member.handle.clone(), wanted));
        runtimes.peers.spawn(announce(member.ready.clone(), serving));
        for role in [tls.clients, tls.peers] {
            runtimes.peers.spawn(role.keep_current(member.handle.stop.clone()));
        }
        member.runtimes = Some(runtimes);
        Ok(member)
    }

    /// Where clients reach this member: the addresses really bound.
    pub fn client_urls(&self) -> &[String] {
        &self.client_urls
    }

    pub fn peer_urls(&self) -> &[String] {
        &self.peer_urls
    }

    pub fn identity(&self) -> Identity {
        self.handle.identity
    }

    /// What peers said that made no sense, and was refused: messages, and streams as a whole.
    pub fn refused_of_peers(&self) -> u64 {
        let progress = &self.handle.progress;
        progress.rejected.load(Ordering::Relaxed) + progress.turned_away.load(Ordering::Relaxed)
    }

    /// Whether the log was damaged and this member does not vote, because it has not yet got back
    /// what was lost.
    pub fn is_incomplete(&self) -> bool {
        self.handle.progress.incomplete.load(Ordering::Relaxed)
    }

    /// How often this member's state was compared with another's at the same entry.
    pub fn states_compared(&self) -> u64 {
        self.handle.states.compared()
    }

    /// Waits until the member has found a quorum and applied what it agrees on; says whether it
    /// did in time.
    pub fn wait_ready(&self, patience: Duration) -> bool {
        let Some(runtimes) = &self.runtimes else { return false };
        let mut ready = self.ready.clone();
        let stop = self.handle.stop.clone();
        runtimes.block_on(async move {
            let is_ready = async { ready.wait_for(|ready| *ready).await.is_ok() };
            tokio::select! {
                is_ready = timeout(patience, is_ready) => is_ready.unwrap_or(false),
                _ = stop.wait() => false,
            }
        })
    }

    /// Waits until the member stops by itself, or a [`Stopper`] asks that it be stopped; then it
    /// still serves, until [`Member::stop`].
    pub fn wait(&self) -> Reason {
        let Some(runtimes) = &self.runtimes else {
            return self.handle.stop.reason().unwrap_or(Reason::Asked);
        };
        let mut asked = self.asked.subscribe();
        let stop = self.handle.stop.clone();
        runtimes.block_on(async move {
            tokio::select! {
                reason = stop.wait() => reason,
                _ = asked.wait_for(|asked| *asked) => Reason::Asked,
            }
        })
    }

    /// A way to end [`Member::wait`] from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.asked.clone())
    }

    /// Stops the member: it hands leadership on, lets open requests end and writes everything
    /// down. Says why it stopped, if not because of this.
    pub fn stop(mut self) -> Reason {
        self.shut_down();
        self.handle.stop.reason().unwrap_or(Reason::Asked)
    }

    fn start_threads(&mut self, config: &Config, parts: Parts) -> Result<(), StartError> {
        let Parts { handle, node, store, log, backend } = parts;
        let (logged, applied) = (Arc::new(Queue::new()), Arc::new(Queue::new()));
        let stored = Arc::clone(&handle.storing);
        let tick = Duration::from_millis(config.heartbeat_interval_ms);
        let interval = config.watch_progress_notify_interval;
        let node = NodeThread {
            handle: handle.clone(),
            node,
            log: Arc::clone(&logged),
            apply: Arc::clone(&applied),
            heard: None,
        };
        let apply = ApplyThread {
            handle: handle.clone(),
            stage: ApplyStage::new(store),
            work: Arc::clone(&applied),
            backend: Arc::clone(&stored),
        };
        let watches =
            WatchThread::new(handle.clone(), config.max_request_bytes + GRPC_OVERHEAD_BYTES);
        self.spawn("kvorum-node", move |_| node.run(tick))?;
        self.spawn("kvorum-log", move |handle| {
            log_thread::run(handle, LogStage::new(log), &logged);
        })?;
        self.spawn("kvorum-apply", move |_| apply.run())?;
        self.spawn("kvorum-store", move |handle| {
            backend_thread::run(handle, StoreStage::new(backend), &stored, &applied);
        })?;
        self.spawn("kvorum-watch", move |_| watches.run(interval))?;
        self.spawn("kvorum-lease", leases::run)
    }

    /// Starts a thread whose panic stops the member.
    fn spawn(
        &mut self,
        name: &'static str,
        body: impl FnOnce(&Handle) + Send + 'static,
    ) -> Result<(), StartError> {
        let handle = self.handle.clone();
        let guarded = move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(&handle))) {
                handle.stop.fault(format!("{name} panicked: {}", panic_text(&*panic)));
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(guarded);
        self.threads.push(thread.map_err(StartError::Runtime)?);
        Ok(())
    }

    fn serve(
        &mut self,
        runtimes: &Runtimes,
        listeners: Listeners,
        tls: &BothTls,
        keep_alive: KeepAlive,
    ) {
        let handle = self.handle.clone();
        let streams = handle.limits.max_concurrent_streams;
        {
            let _context = runtimes.peers.enter();
            handle.peers.start(&handle);
        }
        let peers = Site {
            listeners: listeners.peer,
            router: peer::router(&handle),
            tls: Arc::clone(&tls.peers),
            room: Room::of_half_the_files(),
            grpc_only: false,
        };
        // Members ping each other as often as they like.
        let free = KeepAlive { min_time: Duration::ZERO, ..KeepAlive::default() };
        // What the flag says is for clients.
        let manners = Manners::new(DEFAULT_MAX_CONCURRENT_STREAMS, free);
        self.spawn_site(&runtimes.peers, peers, manners);
        let manners = Manners::new(streams, keep_alive);
        let room = Room::of_half_the_files();
        let site = |listeners, router, room| {
            let tls = Arc::clone(&tls.clients);
            Site { listeners, router, tls, room, grpc_only: false }
        };
        let split = !listeners.client_http.is_empty();
        let clients = site(listeners.client, edge::router(&handle), room.clone());
        let clients = Site { grpc_only: split, ..clients };
        let http = site(listeners.client_http, edge::http_router(&handle), room);
        let metrics = site(listeners.metrics, edge::metrics_router(&handle), Room::for_metrics());
        for site in [clients, http, metrics] {
            if !site.listeners.is_empty() {
                self.spawn_site(&runtimes.clients, site, manners.clone());
            }
        }
        // After a fault nothing goes on: nobody is answered any more.
        runtimes.peers.spawn(async move {
            if let Reason::Fault(_) = handle.stop.wait().await {
                handle.close();
            }
        });
    }

    fn spawn_site(&mut self, runtime: &Runtime, site: Site, manners: Manners) {
        let stop = self.handle.stop.clone();
        self.serving.push(runtime.spawn(edge::serve(site, manners, stop)));
    }

    fn shut_down(&mut self) {
        if let Some(runtimes) = self.runtimes.take() {
            if !self.handle.stop.is_set() {
                runtimes.block_on(hand_on(&self.handle));
            }
            self.handle.stop.ask();
            for serving in self.serving.drain(..) {
                let served = async { timeout(4 * STOP_GRACE, serving).await };
                let _ = runtimes.block_on(served);
            }
            self.close_and_join();
            runtimes.shut_down();
        }
        self.handle.stop.ask();
        self.close_and_join();
    }

    /// The node thread closes the queues of those behind it, so everything committed is applied
    /// and everything applied is stored.
    fn close_and_join(&mut self) {
        self.handle.close();
        for thread in self.threads.drain(..) {
            // Its panic was caught and reported.
            let _ = thread.join();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Asks whoever waits for a member to stop it.
#[derive(Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Runtimes {
    /// Waits for something of ours, also where the caller is part of a runtime of its own, which
    /// must not wait itself.
    fn block_on<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        if Context::try_current().is_err() {
            return self.peers.block_on(future);
        }
        let waited = thread::scope(|scope| scope.spawn(|| self.peers.block_on(future)).join());
        waited.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// What still runs may hold the store, and is gone when this returns: whoever opens the store
    /// next must not read it while it is being closed.
    fn shut_down(self) {
        let gone = move || {
            self.clients.shutdown_timeout(STOP_GRACE);
            self.peers.shutdown_timeout(STOP_GRACE);
        };
        if Context::try_current().is_err() {
            return gone();
        }
        let _ = thread::scope(|scope| scope.spawn(gone).join());
    }
}

impl Handle {
    /// Whoever waits hears that the member stops, and nothing new comes in.
    fn close(&self) {
        self.writes.stop();
        self.reads.stop();
        self.leases.close();
        self.watches.close();
        self.inbox.close();
    }
}

/// Gives leadership to a peer that is there, so that the cluster need not miss its leader first.
async fn hand_on(handle: &Handle) {
    let to = handle.progress.active.lock().first().copied();
    let (Some(to), true) = (to, handle.leadership().role == Role::Leader) else { return };
    let mut news = handle.leadership.subscribe();
    handle.inbox.push(Input::TransferLeader { to });
    let moved = news.wait_for(|leadership| leadership.role != Role::Leader);
    let _ = timeout(STOP_GRACE, moved).await;
}

/// What a member says of its listeners once it is ready.
struct Announced {
    client: Vec<Url>,
    client_http: Vec<Url>,
    metrics: Vec<Url>,
    peer: Vec<Url>,
}

impl Announced {
    fn of(listeners: &Listeners) -> Announced {
        Announced {
            client: bound(&listeners.client),
            client_http: bound(&listeners.client_http),
            metrics: bound(&listeners.metrics),
            peer: bound(&listeners.peer),
        }
    }
}

/// Says what people's scripts wait for.
async fn announce(mut ready: watch::Receiver<bool>, serving: Announced) {
    for url in &serving.peer {
        tracing::info!(address = url.to_string(), "serving peer traffic");
    }
    for url in &serving.metrics {
        tracing::info!(address = url.to_string(), "serving metrics");
    }
    if ready.wait_for(|ready| *ready).await.is_err() {
        return;
    }
    tracing::info!("ready to serve client requests");
    let grpc = if serving.client_http.is_empty() { "grpc+http" } else { "grpc" };
    let of_clients = serving.client.iter().map(|url| (url, grpc));
    for (url, traffic) in of_clients.chain(serving.client_http.iter().map(|url| (url, "http"))) {
        let address = url.to_string();
        if url.is_secure() {
            tracing::info!(traffic, address, "serving client traffic securely");
        } else {
            tracing::info!(
                traffic,
                address,
                "serving client traffic insecurely; this is strongly discouraged!"
            );
        }
    }
}

fn runtime(name: &str, threads: usize) -> Result<Runtime, StartError> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(StartError::Runtime)
}

fn texts(urls: &[Url]) -> Vec<String> {
    urls.iter().map(ToString::to_string).collect()
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}
