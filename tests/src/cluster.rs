//! A cluster of real processes on loopback, in temporary folders: ours or etcd's, started with
//! the same flags.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tempfile::TempDir;

use crate::ports;
use crate::process::{Process, tail};
use crate::program::Program;
use crate::wait::until;

/// How long a cluster may take until every member serves. Two busy cores are slow.
const SERVES_WITHIN: Duration = Duration::from_secs(30);

/// How often a cluster is given other ports because somebody was faster.
const ATTEMPTS: usize = 5;

/// How clients and peers speak to members.
#[derive(Clone, Copy)]
pub struct Schemes {
    pub client: &'static str,
    pub peer: &'static str,
}

impl Default for Schemes {
    fn default() -> Schemes {
        Schemes { client: "http", peer: "http" }
    }
}

/// One member: its process, when it runs, and what a restart needs.
pub struct Member {
    pub name: String,
    client_port: u16,
    peer_port: u16,
    /// What stands in its flags for `{port}`, in order.
    pub other_ports: Vec<u16>,
    schemes: Schemes,
    folder: PathBuf,
    program: Program,
    /// What is added to every start; the last of two contradicting flags counts.
    pub flags: Vec<String>,
    process: Option<Process>,
    /// Bytes of the log that earlier runs have written.
    logged: usize,
}

/// Members that know each other. Dropping it kills them all and removes their data.
pub struct Cluster {
    pub members: Vec<Member>,
    _folder: TempDir,
}

impl Cluster {
    /// Starts `size` members with default timeouts and waits until all of them serve.
    pub fn start(program: &Program, size: usize) -> Cluster {
        Self::start_with(program, size, &[])
    }

    /// Starts `size` members with more flags and waits until all of them serve. `{port}` in a flag
    /// stands for a port that nobody else uses.
    pub fn start_with(program: &Program, size: usize, flags: &[&str]) -> Cluster {
        Self::start_over(program, size, Schemes::default(), flags)
    }

    /// As [`Cluster::start_with`], over TLS where the schemes say so.
    pub fn start_over(program: &Program, size: usize, schemes: Schemes, flags: &[&str]) -> Cluster {
        for _ in 0..ATTEMPTS {
            let mut cluster = Self::planned(program, size, schemes, flags);
            for member in &mut cluster.members {
                member.start();
            }
            let clash = |member: &Member| member.log().to_lowercase().contains("in use");
            match cluster.serving() {
                Ok(()) => return cluster,
                Err(_) if cluster.members.iter().any(clash) => {}
                Err(complaint) => panic!("the cluster does not start: {complaint}"),
            }
        }
        panic!("after {ATTEMPTS} attempts the ports are still in use");
    }

    /// The clients' addresses, separated by commas.
    pub fn endpoints(&self) -> String {
        let all: Vec<String> = self.members.iter().map(Member::endpoint).collect();
        all.join(",")
    }

    /// Waits until every member serves linearizable reads.
    pub fn await_serving(&mut self) {
        if let Err(complaint) = self.serving() {
            panic!("the cluster does not serve: {complaint}");
        }
    }

    /// `kill -9` of all at once, then waits until they are gone.
    pub fn kill_all(&mut self) {
        for member in &mut self.members {
            member.running().kill();
        }
        for member in &mut self.members {
            member.gone();
        }
    }

    /// Starts whoever does not run.
    pub fn start_all(&mut self) {
        for member in self.members.iter_mut().filter(|member| member.process.is_none()) {
            member.start();
        }
    }

    fn planned(program: &Program, size: usize, schemes: Schemes, flags: &[&str]) -> Cluster {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let others: usize = flags.iter().map(|flag| flag.matches("{port}").count()).sum();
        let ports = ports::free((2 + others) * size);
        let (ports, other_ports) = ports.split_at(2 * size);
        let name = |index: usize| format!("m{}", index + 1);
        let peers: Vec<String> = (0..size)
            .map(|index| {
                format!("{}={}://127.0.0.1:{}", name(index), schemes.peer, ports[2 * index + 1])
            })
            .collect();
        let mut flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        flags.push(format!("--initial-cluster={}", peers.join(",")));
        // Its own token, so that members of two tests that met on a port would not mix.
        flags.push(format!("--initial-cluster-token=test-{}", ports[0]));
        let members = (0..size).map(|index| {
            let mut member = Member {
                name: name(index),
                client_port: ports[2 * index],
                peer_port: ports[2 * index + 1],
                schemes,
                folder: folder.path().to_owned(),
                program: program.clone(),
                other_ports: other_ports[index * others..][..others].to_vec(),
                flags: flags.clone(),
                process: None,
                logged: 0,
            };
            member.fill_in_ports();
            member
        });
        Cluster { members: members.collect(), _folder: folder }
    }

    fn serving(&mut self) -> Result<(), String> {
        for member in &mut self.members {
            member.serving()?;
        }
        Ok(())
    }
}

impl Member {
    /// The client's address without its scheme.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    pub fn client_port(&self) -> u16 {
        self.client_port
    }

    pub fn peer_port(&self) -> u16 {
        self.peer_port
    }

    pub fn client_url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.schemes.client, self.client_port)
    }

    pub fn peer_url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.schemes.peer, self.peer_port)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.join(format!("{}.etcd", self.name))
    }

    /// What it has printed since it was first started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let mut command = self.program.command();
        command
            .arg(format!("--name={}", self.name))
            .arg(format!("--data-dir={}", self.data_dir().display()))
            .arg(format!("--listen-client-urls={}", self.client_url()))
            .arg(format!("--advertise-client-urls={}", self.client_url()))
            .arg(format!("--listen-peer-urls={}", self.peer_url()))
            .arg(format!("--initial-advertise-peer-urls={}", self.peer_url()))
            .args(&self.flags)
            .current_dir(&self.folder);
        self.logged = self.log().len();
        let process = Process::start(command, &self.log_path());
        self.process = Some(process.expect("the server can be run"));
    }

    /// `kill -9`, then waits until it is gone.
    pub fn kill(&mut self) {
        self.running().kill();
        self.gone();
    }

    /// Ends it as a service manager would, and says how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        self.running().terminate();
        self.gone()
    }

    /// Waits until it serves linearizable reads.
    pub fn await_serving(&mut self) {
        if let Err(complaint) = self.serving() {
            panic!("the member does not serve: {complaint}");
        }
    }

    /// Its process, to suspend or resume it.
    pub fn running(&mut self) -> &mut Process {
        self.process.as_mut().unwrap_or_else(|| panic!("{} does not run", self.name))
    }

    /// What it logs once it has a leader, for whoever has no certificate to ask with.
    fn says_ready(&self) -> bool {
        self.log()
            .get(self.logged..)
            .is_some_and(|log| log.contains("serving client traffic securely"))
    }

    fn fill_in_ports(&mut self) {
        for port in &self.other_ports {
            if let Some(flag) = self.flags.iter_mut().find(|flag| flag.contains("{port}")) {
                *flag = flag.replacen("{port}", &port.to_string(), 1);
            }
        }
    }

    fn gone(&mut self) -> ExitStatus {
        self.process.take().unwrap_or_else(|| panic!("{} does not run", self.name)).ended()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn serving(&mut self) -> Result<(), String> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.client_port));
        let found = until(SERVES_WITHIN, || match self.running().has_ended() {
            Some(status) => Some(Err(format!("it ended: {status}"))),
            None if self.schemes.client == "http" => healthy(address).then_some(Ok(())),
            None => self.says_ready().then_some(Ok(())),
        });
        let outcome = found.unwrap_or_else(|| Err(format!("not within {SERVES_WITHIN:?}")));
        outcome.map_err(|why| format!("{}: {why}\n{}", self.name, tail(&self.log())))
    }
}

/// Whether `/health` says so: then the member has a leader and its reads are linearizable.
fn healthy(address: SocketAddr) -> bool {
    ask(address).is_ok_and(|answer| answer.contains(r#""health":"true""#))
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Files with their bytes, and folders without.
pub type Files = Vec<(PathBuf, Vec<u8>)>;

/// All that lies under a folder, to see whether anything changed on disk.
pub fn contents_of(folder: &Path) -> Files {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        found.push((folder.clone(), vec![]));
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), std::fs::read(&path).expect("a file can be read")));
            }
        }
    }
    found.sort();
    found
}
