//! Tokens that are signed as they should be, and still count for nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kvorum_tests::differential::side::{SIGNING_KEY, Start};
use kvorum_tests::differential::step::Who;
use ring::hmac;
use serde_json::{Value, json};

use crate::callers::{NO_TOKEN, Needs, OLD_TOKEN};
use crate::matrix::{ask, complain, forms, perform, prepared, refused, state_of, ways};

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_token_that_does_not_count_gets_nothing() {
    let mut side = prepared(Start { jwt: true, ..Start::default() }).await;
    let mut wrong = String::new();
    for form in forms().iter().filter(|form| !matches!(form.needs, Needs::Nothing)) {
        let reads_or_writes = matches!(&form.needs, Needs::Keys { .. });
        if reads_or_writes {
            perform(&mut side, &form.before).await;
        }
        let state = state_of(&mut side).await;
        for (what, token, refusal) in [
            ("an expired one", signed("worker", 1, Some(1)), Some(NO_TOKEN)),
            ("one of the future", signed("worker", 1 << 20, None), Some(NO_TOKEN)),
            ("an old one", signed("worker", 1, None), reads_or_writes.then_some(OLD_TOKEN)),
        ] {
            let Some(refusal) = refusal else { continue };
            for way in ways(form) {
                let wanted = refused(form, *way, refusal);
                let found = ask(&mut side, form, *way, Who::Token(token.clone())).await;
                if !found.contains(&wanted) {
                    complain(&mut wrong, form, &format!("{way:?} with {what}"), &wanted, &found);
                }
            }
        }
        if state != state_of(&mut side).await {
            complain(&mut wrong, form, "what is refused", "without effect", "not");
        }
    }
    assert!(wrong.is_empty(), "wrong decisions:\n{wrong}");
}

/// A token of this user as the member makes them, with the key it was started with.
fn signed(user: &str, revision: u64, expires_unix_s: Option<u64>) -> String {
    let mut claims = json!({"username": user, "revision": revision});
    if let Some(expires) = expires_unix_s {
        claims["exp"] = expires.into();
    }
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let token = format!("{}.{}", encoded(&json!({"alg": "HS256", "typ": "JWT"})), encoded(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SIGNING_KEY);
    let signature = hmac::sign(&key, token.as_bytes());
    format!("{token}.{}", URL_SAFE_NO_PAD.encode(signature))
}
