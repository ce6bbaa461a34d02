//! A line between a client and a member on which everything takes its time.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How much may be on its way; more waits at the sender, as it would on a real line.
const MAX_CHUNKS: usize = 1024;

const CHUNK_BYTES: usize = 16 * 1024;

/// Passes connections on to `port` of this machine, every byte `delay` after it was sent, and says
/// where it listens. It goes on as long as the process.
pub fn line_to(port: u16, delay: Duration) -> io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let endpoint = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(member) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            // A line that cannot be had is a connection that ends.
            let _ = carry(&client, &member, delay).and_then(|()| carry(&member, &client, delay));
        }
    });
    Ok(endpoint)
}

/// One direction, in two threads.
fn carry(from: &TcpStream, to: &TcpStream, delay: Duration) -> io::Result<()> {
    let (mut from, to) = (from.try_clone()?, to.try_clone()?);
    // The delay is all that is added.
    to.set_nodelay(true)?;
    let (sender, chunks) = sync_channel(MAX_CHUNKS);
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || deliver(&chunks, to));
    Ok(())
}

fn deliver(chunks: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    for (due, chunk) in chunks {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&chunk).is_err() {
            break;
        }
    }
    // The other side may have done it before.
    let _ = to.shutdown(Shutdown::Write);
}
