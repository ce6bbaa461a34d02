//! Simple tokens: random text that the members remember by its digest.
//!
//! A token is `letters.number`, as etcd's are: 24 letters of the system's generator, 136 bits,
//! where etcd has 91; the number is the index of the entry that made it known, so that a member
//! which is behind can tell that it has to catch up. The digest is that of the letters alone.
//! A token lives for `ttl` after its last use on this member; each member keeps that for itself.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

use super::{Issued, Secret, TokenError};
use crate::limits::MAX_SIMPLE_TOKENS;

const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const TOKEN_LETTERS: usize = 24;

/// The tokens that are alive on this member.
pub(crate) struct SimpleTokens {
    ttl: Duration,
    random: SystemRandom,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    by_digest: HashMap<String, Token>,
    /// The same tokens, the one used longest ago first.
    by_use: BTreeSet<(Instant, String)>,
}

struct Token {
    user: String,
    used: Instant,
}

impl SimpleTokens {
    pub(super) fn new(ttl: Duration) -> SimpleTokens {
        SimpleTokens { ttl, random: SystemRandom::new(), table: Mutex::default() }
    }

    /// A token nobody knows yet; it stands for somebody once its digest is remembered.
    pub(super) fn issue(&self) -> Result<Issued, TokenError> {
        let letters = self.letters()?;
        let digest = digest_of(&letters);
        Ok(Issued { bearer: Secret::new(format!("{letters}.0")), digest })
    }

    pub(super) fn remember(&self, digest: &str, user: &str, now: Instant) {
        let mut table = self.table.lock();
        table.expire(self.ttl, now);
        if table.by_digest.len() >= MAX_SIMPLE_TOKENS {
            table.drop_oldest();
        }
        table.insert(digest.to_owned(), user.to_owned(), now);
    }

    /// Whose token this is; that counts as a use.
    pub(super) fn identify(&self, bearer: &str, now: Instant) -> Option<String> {
        let (letters, _) = parts(bearer)?;
        let digest = digest_of(letters);
        let mut table = self.table.lock();
        table.expire(self.ttl, now);
        let user = table.by_digest.get(&digest)?.user.clone();
        table.insert(digest, user.clone(), now);
        Some(user)
    }

    pub(super) fn void_user(&self, user: &str) {
        let mut table = self.table.lock();
        let Table { by_digest, by_use } = &mut *table;
        by_digest.retain(|digest, token| {
            let stays = token.user != user;
            if !stays {
                by_use.remove(&(token.used, digest.clone()));
            }
            stays
        });
    }

    pub(super) fn clear(&self) {
        *self.table.lock() = Table::default();
    }

    fn letters(&self) -> Result<String, TokenError> {
        let mut letters = String::with_capacity(TOKEN_LETTERS);
        // What is above a multiple of 52 would make some letters likelier.
        let fair = u8::MAX - u8::MAX % LETTERS.len() as u8;
        while letters.len() < TOKEN_LETTERS {
            let mut bytes = [0; 2 * TOKEN_LETTERS];
            self.random.fill(&mut bytes).map_err(|_| TokenError::Random)?;
            let wanted = TOKEN_LETTERS - letters.len();
            let drawn = bytes.iter().filter(|byte| **byte < fair).take(wanted);
            letters
                .extend(drawn.map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])));
        }
        Ok(letters)
    }
}

impl Table {
    fn insert(&mut self, digest: String, user: String, now: Instant) {
        if let Some(before) = self.by_digest.insert(digest.clone(), Token { user, used: now }) {
            self.by_use.remove(&(before.used, digest.clone()));
        }
        self.by_use.insert((now, digest));
    }

    fn expire(&mut self, ttl: Duration, now: Instant) {
        while self.by_use.first().is_some_and(|(used, _)| now.duration_since(*used) >= ttl) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, digest)) = self.by_use.pop_first() {
            self.by_digest.remove(&digest);
        }
    }
}

/// The letters and the number of a token, if it has the shape of one.
pub(super) fn parts(bearer: &str) -> Option<(&str, u64)> {
    let (letters, number) = bearer.split_once('.')?;
    let shaped =
        letters.len() == TOKEN_LETTERS && letters.bytes().all(|byte| byte.is_ascii_alphabetic());
    let number = Some(number).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    shaped.then_some(letters).zip(number.parse().ok())
}

/// SHA-256, in hexadecimal. Enough for what has 136 bits of its own; a password would need more.
fn digest_of(letters: &str) -> String {
    let digest = digest(&SHA256, letters.as_bytes());
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is a digit"));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TTL: Duration = Duration::from_secs(300);

    fn token_of(tokens: &SimpleTokens, user: &str, now: Instant) -> Issued {
        let issued = tokens.issue().unwrap();
        tokens.remember(&issued.digest, user, now);
        issued
    }

    fn who(tokens: &SimpleTokens, issued: &Issued, now: Instant) -> Option<String> {
        tokens.identify(issued.bearer.expose(), now)
    }

    #[test]
    fn a_token_stands_for_its_user_once_it_is_remembered() {
        let (tokens, now) = (SimpleTokens::new(TTL), Instant::now());
        let issued = tokens.issue().unwrap();
        assert_eq!(who(&tokens, &issued, now), None);
        tokens.remember(&issued.digest, "alice", now);
        assert_eq!(who(&tokens, &issued, now).as_deref(), Some("alice"));
        let at_index = issued.at_index(1234);
        assert!(at_index.expose().ends_with(".1234"));
        assert_eq!(tokens.identify(at_index.expose(), now).as_deref(), Some("alice"));
    }

    #[test]
    fn tokens_look_like_etcds_and_are_all_different() {
        let tokens = SimpleTokens::new(TTL);
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let issued = tokens.issue().unwrap();
            let bearer = issued.bearer.expose().to_owned();
            let (letters, number) = bearer.split_once('.').unwrap();
            assert!(letters.len() == 24 && letters.bytes().all(|b| b.is_ascii_alphabetic()));
            assert_eq!(number, "0");
            assert!(!issued.digest.contains(letters) && issued.digest.len() == 64);
            assert!(seen.insert(letters.to_owned()), "the same token twice");
        }
        let letters: HashSet<char> = seen.iter().flat_map(|token| token.chars()).collect();
        assert_eq!(letters.len(), 52, "some letters are never drawn");
    }

    #[test]
    fn a_digest_is_sha_256_in_hexadecimal() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest_of("abc"), known);
    }

    #[test]
    fn what_is_no_token_is_nobodys() {
        let (tokens, now) = (SimpleTokens::new(TTL), Instant::now());
        let issued = token_of(&tokens, "alice", now);
        let bearer = issued.bearer.expose();
        let (letters, _) = bearer.split_once('.').unwrap();
        for bad in [
            "",
            ".",
            "x.1",
            letters,
            &issued.digest,
            &format!("{letters}.x"),
            &format!("{letters}.1.1"),
            &format!("{letters}.-1"),
            &format!("{letters}.+1"),
            &format!("{letters}."),
            &format!("{letters}.99999999999999999999"),
            &format!("Bearer {bearer}"),
            &letters.to_uppercase(),
            &format!("{}.0", "é".repeat(12)),
        ] {
            assert_eq!(tokens.identify(bad, now), None, "{bad:?}");
        }
        assert_eq!(who(&tokens, &issued, now).as_deref(), Some("alice"));
    }

    #[test]
    fn a_token_lives_for_its_ttl_after_its_last_use() {
        let (tokens, start) = (SimpleTokens::new(TTL), Instant::now());
        let issued = token_of(&tokens, "alice", start);
        let idle = token_of(&tokens, "bob", start);
        let almost = TTL.saturating_sub(Duration::from_secs(1));
        let used = start + almost;
        assert!(who(&tokens, &issued, used).is_some());
        assert!(who(&tokens, &issued, used + almost).is_some());
        assert_eq!(who(&tokens, &idle, start + TTL), None);
        assert_eq!(who(&tokens, &issued, used + almost + TTL), None);
        assert_eq!(tokens.table.lock().by_digest.len(), 0, "what has expired is not kept");
        assert_eq!(tokens.table.lock().by_use.len(), 0);
    }

    #[test]
    fn a_users_tokens_end_together_and_nobody_elses_do() {
        let (tokens, now) = (SimpleTokens::new(TTL), Instant::now());
        let first = token_of(&tokens, "alice", now);
        let second = token_of(&tokens, "alice", now);
        let other = token_of(&tokens, "bob", now);
        tokens.void_user("alice");
        assert_eq!(who(&tokens, &first, now), None);
        assert_eq!(who(&tokens, &second, now), None);
        assert_eq!(who(&tokens, &other, now).as_deref(), Some("bob"));
        assert_eq!(tokens.table.lock().by_use.len(), 1);
        tokens.clear();
        assert_eq!(who(&tokens, &other, now), None);
    }

    #[test]
    fn when_there_are_too_many_the_one_used_longest_ago_goes() {
        let (tokens, start) = (SimpleTokens::new(TTL), Instant::now());
        let tick = |n: u64| start + Duration::from_millis(n);
        let oldest = token_of(&tokens, "oldest", tick(0));
        let used = token_of(&tokens, "used", tick(1));
        for n in 2..MAX_SIMPLE_TOKENS as u64 {
            tokens.remember(&n.to_string(), "many", tick(2));
        }
        assert!(who(&tokens, &used, tick(3)).is_some());
        token_of(&tokens, "newest", tick(4));
        assert_eq!(who(&tokens, &oldest, tick(5)), None);
        assert!(who(&tokens, &used, tick(5)).is_some());
        assert_eq!(tokens.table.lock().by_digest.len(), MAX_SIMPLE_TOKENS);
    }
}
