//! Passwords: bcrypt, as etcd keeps them, beside the threads that serve.
//!
//! One hash takes tens of milliseconds of a core on purpose. So few are computed at once, few may
//! wait, and the rest is refused: a flood of logins costs the store nothing but its share of the
//! cores. Anybody may try to log in, so what a flood from one place leaves is for others, and who
//! may give out new passwords does not wait among them. An unknown user takes the same time as a
//! wrong password; of one who has none etcd tells so, and clients rely on its texts.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::available_parallelism;

use bcrypt::{BcryptError, HashParts, Version, hash_with_result};
use bytes::Bytes;
use thiserror::Error;

use super::Secret;
use super::turns::{Origin, Turns};
use crate::limits::{
    BCRYPT_COSTS, DEFAULT_BCRYPT_COST, MAX_PASSWORD_BYTES, NEW_PASSWORD_QUEUE, PASSWORD_QUEUE,
};

/// Why a password was neither hashed nor compared. The texts are etcd's.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum PasswordError {
    #[error("etcdserver: too many requests")]
    TooManyRequests,
    /// etcd 3.6 refuses what 3.4 cut off silently.
    #[error("bcrypt: password length exceeds {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    #[error("kvorum: cannot hash the password: {0}")]
    Failed(String),
    #[error("etcdserver: server stopped")]
    Stopped,
}

/// Hashes passwords and compares them. Cheap to clone; clones share the limits.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    cost: u32,
    /// The cost of the last password that was compared with: that of most users, whatever the cost
    /// of new ones is. It is what comparing with nothing costs.
    usual: Arc<AtomicU32>,
    logins: Turns,
    changes: Turns,
}

impl Passwords {
    /// A cost bcrypt does not have is replaced by the default, as in etcd.
    pub(crate) fn new(cost: u32) -> Passwords {
        let cost = if BCRYPT_COSTS.contains(&cost) { cost } else { DEFAULT_BCRYPT_COST };
        // The log, the heart and the edge need the other half.
        let at_once = available_parallelism().map_or(1, |cores| cores.get() / 2).max(1);
        Passwords {
            cost,
            usual: Arc::new(AtomicU32::new(cost)),
            logins: Turns::new(at_once, PASSWORD_QUEUE),
            changes: Turns::new(1, NEW_PASSWORD_QUEUE),
        }
    }

    /// The hash of a password, `$2a$…`, with a salt of its own, for somebody who may set it.
    pub(crate) async fn hash(&self, password: Secret) -> Result<Bytes, PasswordError> {
        if password.expose().len() > MAX_PASSWORD_BYTES {
            return Err(PasswordError::TooLong);
        }
        let cost = self.cost;
        let hashed = self
            .changes
            .take(Origin::default(), move || {
                hash_with_result(password.expose(), cost)
                    .map(|parts| parts.format_for_version(Version::TwoA))
            })
            .await?;
        hashed
            .map(Bytes::from)
            .map_err(|error: BcryptError| PasswordError::Failed(error.to_string()))
    }

    /// Whether this is the password of the hash. Without a hash, or with one that is none, the
    /// answer is no, and takes as long.
    ///
    /// Only the first 72 bytes count, as in etcd, which keeps the passwords of 3.4 valid.
    pub(crate) async fn verify(
        &self,
        origin: Origin,
        password: Secret,
        hash: Option<Bytes>,
    ) -> Result<bool, PasswordError> {
        let usual = Arc::clone(&self.usual);
        let compare = move || {
            let known = hash.as_deref().and_then(|hash| std::str::from_utf8(hash).ok());
            if let Some((hash, cost)) = known.and_then(|hash| Some((hash, cost_of(hash)?))) {
                usual.store(cost, Ordering::Relaxed);
                bcrypt::verify(password.expose(), hash).unwrap_or(false)
            } else {
                let dummy = dummy_hash(usual.load(Ordering::Relaxed));
                let _ = bcrypt::verify(password.expose(), &dummy);
                false
            }
        };
        self.logins.take(origin, compare).await
    }
}

/// None for what is no hash.
fn cost_of(text: &str) -> Option<u32> {
    let cost = HashParts::from_str(text).ok()?.get_cost();
    BCRYPT_COSTS.contains(&cost).then_some(cost)
}

/// A hash of nothing anybody knows, at this cost. It need not be computed: what counts is that
/// comparing with it takes as long as with any other.
fn dummy_hash(cost: u32) -> String {
    format!("$2a${cost:02}$kvorumkvorumkvorumkvoOkvorumkvorumkvorumkvorumkvorumO")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: u32 = 4;

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    #[tokio::test]
    async fn a_password_is_recognised_by_its_hash_and_no_other_is() {
        let passwords = Passwords::new(CHEAP);
        let hash = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(hash.starts_with(b"$2a$04$"), "{hash:?}");
        assert_ne!(hash, passwords.hash(secret("correct horse")).await.unwrap(), "no salt");
        for (password, same) in [
            ("correct horse", true),
            ("correct hors", false),
            ("", false),
            ("correct horse\0", false),
        ] {
            let verified =
                passwords.verify(Origin::default(), secret(password), Some(hash.clone())).await;
            assert_eq!(verified, Ok(same), "{password:?}");
        }
    }

    #[tokio::test]
    async fn a_hash_made_by_go_is_understood() {
        // From the tests of golang.org/x/crypto/bcrypt, the library etcd hashes with.
        let hash = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga";
        let passwords = Passwords::new(CHEAP);
        assert_eq!(
            passwords.verify(Origin::default(), secret("allmine"), Some(hash.into())).await,
            Ok(true)
        );
        assert_eq!(
            passwords.verify(Origin::default(), secret("notmine"), Some(hash.into())).await,
            Ok(false)
        );
    }

    #[tokio::test]
    async fn what_has_no_hash_takes_the_same_way_and_is_refused() {
        let passwords = Passwords::new(5);
        assert_eq!(cost_of(&dummy_hash(5)), Some(5), "comparing with it would take no time");
        let rubbish = [None, Some(""), Some("$2a$99$"), Some("plain"), Some("\u{fffd}$2a$")];
        for hash in rubbish {
            let hash = hash.map(Bytes::from_static_str);
            assert_eq!(passwords.verify(Origin::default(), secret("x"), hash).await, Ok(false));
        }
    }

    trait FromStaticStr {
        fn from_static_str(text: &'static str) -> Bytes;
    }

    impl FromStaticStr for Bytes {
        fn from_static_str(text: &'static str) -> Bytes {
            Bytes::from_static(text.as_bytes())
        }
    }

    #[tokio::test]
    async fn what_bcrypt_would_cut_off_is_refused_as_in_etcd_3_6() {
        let passwords = Passwords::new(CHEAP);
        let longest = "x".repeat(72);
        let hash = passwords.hash(secret(&longest)).await.unwrap();
        assert_eq!(
            passwords.verify(Origin::default(), secret(&longest), Some(hash)).await,
            Ok(true)
        );
        let error = passwords.hash(secret(&"x".repeat(73))).await.unwrap_err();
        assert_eq!(error.to_string(), "bcrypt: password length exceeds 72 bytes");
    }

    #[tokio::test]
    async fn a_flood_of_logins_leaves_room_for_others_and_for_new_passwords() {
        let passwords = Passwords::new(CHEAP);
        let origin = |last: u8| Origin::of(Some([10, 0, 0, last].into()));
        let stuck: Vec<_> = (0..200)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.verify(origin(1), secret("x"), None).await })
            })
            .collect();
        assert_eq!(passwords.verify(origin(2), secret("x"), None).await, Ok(false));
        assert!(passwords.hash(secret("x")).await.is_ok());
        let mut refused = 0;
        for login in stuck {
            refused += usize::from(login.await.unwrap() == Err(PasswordError::TooManyRequests));
        }
        assert!(refused > 0, "there is no limit");
    }

    #[test]
    fn a_cost_bcrypt_does_not_have_becomes_the_default() {
        for (asked, used) in [(3, 10), (4, 4), (12, 12), (31, 31), (32, 10), (0, 10)] {
            assert_eq!(Passwords::new(asked).cost, used);
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert!(!format!("{:?}", secret("hunter2")).contains("hunter2"));
    }
}
