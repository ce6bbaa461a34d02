//! Time as it passes for a cluster, whatever this machine does meanwhile.

use std::pin::pin;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::time::timeout;

/// A moment on the clock that goes on while the machine is suspended, unlike that of
/// [`std::time::Instant`]: a lease runs out meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BootInstant(Duration);

#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// How often the clock is looked at. A timer stands still while the machine is suspended; after that
/// this is how late it is noticed that a time is up.
const LOOKED_EVERY: Duration = Duration::from_millis(200);

impl BootInstant {
    pub(crate) fn now() -> Self {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(CLOCK);
        let seconds = u64::try_from(tv_sec).unwrap_or_default();
        Self(Duration::new(seconds, u32::try_from(tv_nsec).unwrap_or_default()))
    }

    pub(crate) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// How long it is until then; nothing if that is past.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    /// What comes of a future until then; `None` if it is past before.
    pub(crate) async fn limits<T>(self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            let left = self.left();
            if left.is_zero() {
                return None;
            }
            if let Ok(done) = timeout(left.min(LOOKED_EVERY), &mut future).await {
                return Some(done);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::BootInstant;

    #[test]
    fn what_is_past_has_nothing_left() {
        let now = BootInstant::now();
        assert_eq!(now.left(), Duration::ZERO);
        let left = now.after(Duration::from_secs(60)).left();
        assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(60), "{left:?}");
        assert!(BootInstant::now() >= now);
    }

    #[tokio::test]
    async fn a_future_has_until_then() {
        let soon = BootInstant::now().after(Duration::from_millis(1));
        assert_eq!(soon.limits(std::future::pending::<()>()).await, None);
        assert_eq!(soon.limits(async { 1 }).await, None, "it is past");
        assert_eq!(
            BootInstant::now().after(Duration::from_secs(60)).limits(async { 1 }).await,
            Some(1)
        );
    }
}
