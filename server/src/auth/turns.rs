//! Turns at work that costs a core: few run, few wait, and nobody takes more places than are left.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::PasswordError;

/// From where somebody asks, as far as the connection says: an address, or all of a network that
/// one host is usually given. None for whoever comes by the gateway or a socket of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Origin(Option<IpAddr>);

impl Origin {
    pub(crate) fn of(address: Option<IpAddr>) -> Origin {
        Origin(address.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from(network))
            }
            address @ IpAddr::V4(_) => address,
        }))
    }
}

/// A queue before some cores. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    places: Arc<Mutex<Places>>,
    cores: Arc<Semaphore>,
}

/// One for each that runs or waits.
#[derive(Debug)]
struct Places {
    free: usize,
    taken: HashMap<Origin, usize>,
}

/// A place that is taken, until this is dropped.
struct Place {
    places: Arc<Mutex<Places>>,
    origin: Origin,
}

impl Turns {
    pub(super) fn new(at_once: usize, waiting: usize) -> Turns {
        let places = Places { free: at_once + waiting, taken: HashMap::new() };
        Turns { places: Arc::new(Mutex::new(places)), cores: Arc::new(Semaphore::new(at_once)) }
    }

    /// Runs `work` beside the serving threads when it is its turn. Who gives up waiting gives its
    /// place up; what runs keeps its core until it is done.
    pub(super) async fn take<T: Send + 'static>(
        &self,
        origin: Origin,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = self.place(origin).ok_or(PasswordError::TooManyRequests)?;
        let core = self.cores.clone().acquire_owned().await.map_err(|_| PasswordError::Stopped)?;
        let held = (place, core);
        let done = spawn_blocking(move || {
            let done = work();
            drop(held);
            done
        });
        done.await.map_err(|_| PasswordError::Stopped)
    }

    /// From one origin comes at most half of what waits, from two three quarters, and so on: there
    /// is a place for who comes from elsewhere.
    fn place(&self, origin: Origin) -> Option<Place> {
        let mut places = self.places.lock();
        let taken = places.taken.get(&origin).copied().unwrap_or(0);
        if taken >= places.free {
            return None;
        }
        places.free -= 1;
        places.taken.insert(origin, taken + 1);
        Some(Place { places: Arc::clone(&self.places), origin })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        places.free += 1;
        if let Some(taken) = places.taken.get_mut(&self.origin) {
            *taken -= 1;
            if *taken == 0 {
                places.taken.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Origin {
        Origin::of(Some(address.parse().unwrap()))
    }

    #[test]
    fn nobody_takes_more_places_than_are_left() {
        let turns = Turns::new(1, 64);
        let all_of =
            |origin| -> Vec<Place> { std::iter::from_fn(|| turns.place(origin)).collect() };
        let flood = all_of(from("10.0.0.1"));
        assert_eq!(flood.len(), 33);
        let second = all_of(from("10.0.0.2"));
        assert_eq!(second.len(), 16);
        assert_eq!(all_of(Origin::default()).len(), 8);
        assert!(turns.place(from("10.0.0.3")).is_some());
        drop((flood, second));
        let places = turns.places.lock();
        assert_eq!((places.free, places.taken.len()), (65, 0), "all are given back");
    }

    #[test]
    fn the_addresses_of_one_host_are_one_origin() {
        assert_eq!(from("2001:db8::1"), from("2001:db8::ffff:1"));
        assert_ne!(from("2001:db8::1"), from("2001:db8:0:1::1"));
        assert_eq!(from("::ffff:10.0.0.1"), from("10.0.0.1"));
        assert_ne!(from("10.0.0.1"), from("10.0.0.2"));
    }

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_refused_at_once_and_who_gives_up_makes_room() {
        let turns = Turns::new(1, 1);
        let core = turns.cores.clone().acquire_owned().await.unwrap();
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take(from("10.0.0.1"), || ()).await }
        });
        while turns.places.lock().free == 2 {
            tokio::task::yield_now().await;
        }
        let again = turns.take(from("10.0.0.1"), || ()).await;
        assert_eq!(again, Err(PasswordError::TooManyRequests));
        waiting.abort();
        while turns.places.lock().free < 2 {
            tokio::task::yield_now().await;
        }
        drop(core);
        assert_eq!(turns.take(from("10.0.0.1"), || 5).await, Ok(5));
    }
}
