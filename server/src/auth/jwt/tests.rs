//! The tokens in `testdata` were made by OpenSSL 3 (HS512: by Python's hmac): alice, auth revision
//! 7, until the year 2100.

use super::*;

const NOW: u64 = 1_800_000_000;

fn path(file: &str) -> String {
    format!("{}/src/auth/jwt/testdata/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn jwt(method: &str, private: &str, public: &str) -> Result<Jwt, String> {
    let (private_path, public_path) = (path(private), path(public));
    let mut options = vec![("sign-method", method)];
    if !private.is_empty() {
        options.push(("priv-key", &private_path));
    }
    if !public.is_empty() {
        options.push(("pub-key", &public_path));
    }
    Jwt::new(&options).map_err(|error| error.to_string())
}

fn made_by_openssl(method: &str) -> String {
    let text = fs::read_to_string(path(&format!("{method}.jwt"))).expect("there is one of each");
    text.trim().to_owned()
}

fn alice() -> Identified {
    Identified { user: "alice".to_owned(), auth_revision: 7 }
}

/// Every algorithm with each form its keys come in.
const PAIRS: [(&str, &str, &str); 16] = [
    ("RS256", "rsa-pkcs1.pem", "rsa-public.pem"),
    ("RS256", "rsa-pkcs8.pem", "rsa-certificate.pem"),
    ("RS384", "rsa-pkcs1.pem", "rsa-public-pkcs1.pem"),
    ("RS512", "rsa-pkcs8.pem", ""),
    ("PS256", "rsa-pkcs1.pem", "rsa-public.pem"),
    ("PS384", "rsa-pkcs8.pem", "rsa-public.pem"),
    ("PS512", "rsa-pkcs1.pem", ""),
    ("ES256", "p256-sec1.pem", ""),
    ("ES256", "p256-pkcs8.pem", "p256-public.pem"),
    ("ES256", "p256-no-public.pem", "p256-public.pem"),
    ("ES384", "p384-pkcs8.pem", ""),
    ("EdDSA", "ed25519.pem", "ed25519-public.pem"),
    ("EdDSA", "ed25519.pem", ""),
    ("HS256", "secret", ""),
    ("HS384", "secret", ""),
    ("HS512", "secret", ""),
];

#[test]
fn what_is_issued_is_recognised_and_expires() {
    for (method, private, public) in &PAIRS {
        let jwt =
            jwt(method, private, public).unwrap_or_else(|e| panic!("{method} {private}: {e}"));
        let token = jwt.issue("alice", 7, NOW).expect("there is a private key");
        let last = NOW + 5 * 60 - 1;
        assert_eq!(jwt.identify(token.expose(), NOW), Some(alice()), "{method} {private}");
        assert_eq!(jwt.identify(token.expose(), last), Some(alice()), "{method}");
        assert_eq!(jwt.identify(token.expose(), last + 1), None, "{method}: it expires");
    }
}

#[test]
fn tokens_made_elsewhere_are_recognised_with_the_public_key_alone() {
    for (method, private, public) in [
        ("RS256", "", "rsa-public.pem"),
        ("RS256", "", "rsa-certificate.pem"),
        ("PS384", "", "rsa-public-pkcs1.pem"),
        ("ES256", "", "p256-public.pem"),
        ("ES384", "p384-pkcs8.pem", ""),
        ("EdDSA", "", "ed25519-public.pem"),
        ("HS512", "secret", ""),
    ] {
        let jwt = jwt(method, private, public).unwrap_or_else(|e| panic!("{method}: {e}"));
        assert_eq!(jwt.identify(&made_by_openssl(method), NOW), Some(alice()), "{method}");
        if private.is_empty() {
            let error = jwt.issue("alice", 7, NOW).unwrap_err();
            assert_eq!(error.to_string(), "auth: token signing attempted with verify-only key");
        }
    }
}

#[test]
fn a_token_that_was_touched_is_nobodys() {
    for method in ["RS256", "PS384", "ES256", "ES384", "EdDSA", "HS512"] {
        let (private, public) = match method {
            "RS256" | "PS384" => ("", "rsa-public.pem"),
            "ES256" => ("", "p256-public.pem"),
            "ES384" => ("p384-pkcs8.pem", ""),
            "EdDSA" => ("", "ed25519-public.pem"),
            _ => ("secret", ""),
        };
        let jwt = jwt(method, private, public).unwrap();
        let token = made_by_openssl(method);
        for at in 0..token.len() {
            let mut touched = token.clone().into_bytes();
            touched[at] = if touched[at] == b'A' { b'B' } else { b'A' };
            let touched = String::from_utf8(touched).unwrap();
            assert_eq!(jwt.identify(&touched, NOW), None, "{method}: byte {at}");
        }
        for cut in [0, 1, token.len() / 2, token.len() - 1] {
            assert_eq!(jwt.identify(&token[..cut], NOW), None, "{method}: cut at {cut}");
        }
        assert_eq!(jwt.identify(&format!("{token}."), NOW), None);
        assert_eq!(jwt.identify(&format!("Bearer {token}"), NOW), None);
    }
}

/// A token by a header and claims of one's own, signed with the key.
fn signed(jwt: &Jwt, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = jwt.keys.sign(signed.as_bytes()).expect("there is a private key");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

const CLAIMS: &str = r#"{"username":"alice","revision":7,"exp":4102444800}"#;

#[test]
fn the_configured_algorithm_is_the_only_one() {
    let rsa = jwt("RS256", "rsa-pkcs1.pem", "").unwrap();
    let good = signed(&rsa, r#"{"alg":"RS256","typ":"JWT"}"#, CLAIMS);
    assert_eq!(rsa.identify(&good, NOW), Some(alice()));
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"RS512"}"#,
        r#"{"alg":"rs256"}"#,
        r#"{"typ":"JWT"}"#,
        "{}",
        "",
        r#"{"alg":"RS256","crit":["exp"]}"#,
    ] {
        assert_eq!(rsa.identify(&signed(&rsa, header, CLAIMS), NOW), None, "{header}");
    }
    // Unsigned, and signed with the public key as if it were a secret.
    let none = signed(&rsa, r#"{"alg":"none"}"#, CLAIMS);
    let unsigned = &none[..=none.rfind('.').unwrap()];
    assert_eq!(rsa.identify(unsigned, NOW), None);
    let confused = jwt("HS256", "rsa-public.pem", "").unwrap();
    let token = signed(&confused, r#"{"alg":"HS256"}"#, CLAIMS);
    assert_eq!(confused.identify(&token, NOW), Some(alice()), "the token itself is sound");
    assert_eq!(rsa.identify(&token, NOW), None);
}

#[test]
fn claims_are_taken_as_etcd_takes_them() {
    let jwt = jwt("HS256", "secret", "").unwrap();
    let who = |claims: &str| jwt.identify(&signed(&jwt, r#"{"alg":"HS256"}"#, claims), NOW);
    for good in [
        r#"{"username":"alice","revision":7}"#,
        r#"{"username":"alice","revision":7.0,"exp":1800000001,"iat":9e9,"other":[1]}"#,
        r#"{"username":"alice","revision":7,"nbf":1800000000}"#,
        r#"{"username":"alice","revision":7,"exp":4102444800.5}"#,
    ] {
        assert_eq!(who(good), Some(alice()), "{good}");
    }
    for bad in [
        r#"{"revision":7}"#,
        r#"{"username":"alice"}"#,
        r#"{"username":7,"revision":7}"#,
        r#"{"username":"alice","revision":"7"}"#,
        r#"{"username":"alice","revision":7,"exp":"4102444800"}"#,
        r#"{"username":"alice","revision":7,"exp":1800000000}"#,
        r#"{"username":"alice","revision":7,"exp":null}"#,
        r#"{"username":"alice","revision":7,"nbf":null}"#,
        r#"{"username":"alice","revision":7,"nbf":1800000001}"#,
        "[]",
        "",
    ] {
        assert_eq!(who(bad), None, "{bad}");
    }
    assert_eq!(who(r#"{"username":"alice","revision":-7}"#).unwrap().auth_revision, 0);
}

#[test]
fn keys_that_do_not_fit_are_refused_when_the_member_starts() {
    for (method, private, public, message) in [
        ("RS256", "rsa-pkcs1.pem", "p256-public.pem", "its key is not one for RS256"),
        ("ES256", "p256-sec1.pem", "rsa-public.pem", "its key is not one for ES256"),
        ("ES384", "p256-sec1.pem", "", "its key is not usable"),
        ("ES256", "", "ed25519-public.pem", "its key is not one for ES256"),
        ("ES256", "p384-pkcs8.pem", "", "its key is not usable"),
        ("ES256", "p256-no-public.pem", "", "give pub-key as well"),
        ("RS256", "rsa-1024.pem", "", "its key is not usable"),
        ("RS256", "ed25519.pem", "", "its key is not usable"),
        ("EdDSA", "rsa-pkcs8.pem", "", "its key is not usable"),
        ("RS256", "rsa-public.pem", "", "its key is not usable"),
        ("RS256", "secret", "", "it is no PEM file with a private key"),
        ("RS256", "", "secret", "it is no PEM file with a public key"),
        ("EdDSA", "", "", "auth: missing key data"),
        ("HS256", "", "rsa-public.pem", "auth: missing key data"),
        ("ES512", "p256-sec1.pem", "", "sign-method=ES512 is not known"),
        ("", "secret", "", "sign-method is needed"),
    ] {
        let error = jwt(method, private, public).err();
        let error = error.unwrap_or_else(|| panic!("{method} {private} {public} is accepted"));
        assert!(error.contains(message), "{method} {private} {public}: {error}");
        assert!(error.starts_with("auth: "), "{error}");
    }
}

#[test]
fn a_public_key_of_another_pair_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.pem");
    let text = fs::read_to_string(path("ed25519-public.pem")).unwrap();
    // The last letters before the padding belong to the key.
    let at = text.rfind('=').unwrap() - 8;
    let letter = if &text[at..=at] == "x" { "y" } else { "x" };
    fs::write(&other, format!("{}{letter}{}", &text[..at], &text[at + 1..])).unwrap();
    let (private, public) = (path("ed25519.pem"), other.display().to_string());
    let options = [("sign-method", "EdDSA"), ("priv-key", &*private), ("pub-key", &*public)];
    let error = Jwt::new(&options).err().expect("the keys are no pair").to_string();
    assert_eq!(error, "auth: public and private keys don't match");
}
