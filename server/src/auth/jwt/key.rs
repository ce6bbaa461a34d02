//! Keys: from PEM files to what signs and verifies.
//!
//! Private keys are PKCS#8, PKCS#1 (RSA) or SEC1 (EC); public ones are SPKI, a certificate, or
//! PKCS#1 (RSA). The secret of HS256 and its kin is the private file's bytes as they are. The
//! first block of a file that is a key of the right kind counts.

use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    KeyPair, RsaEncoding, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::asn1_rs::{Any, Class, FromDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::method::{Family, Method};
use crate::auth::TokenError;

/// What was in the files.
pub(super) struct KeyFiles<'a> {
    pub(super) public: Option<&'a [u8]>,
    pub(super) private: Option<&'a [u8]>,
}

#[derive(Debug)]
pub(super) enum KeyError {
    Missing(&'static str),
    Mismatch,
    Public(String),
    Private(String),
}

/// What verifies, and what signs if there is a private key.
pub(super) struct Keys {
    verifier: Verifier,
    signer: Option<Signer>,
    random: SystemRandom,
}

enum Verifier {
    Secret(hmac::Key),
    Public(UnparsedPublicKey<Vec<u8>>),
}

enum Signer {
    Secret(hmac::Key),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Keys {
    pub(super) fn read(method: &Method, files: &KeyFiles<'_>) -> Result<Keys, KeyError> {
        let random = SystemRandom::new();
        if let Family::Hmac(algorithm) = method.family {
            let secret = files
                .private
                .filter(|secret| !secret.is_empty())
                .ok_or(KeyError::Missing("priv-key names the file with the shared secret"))?;
            let key = hmac::Key::new(algorithm, secret);
            let (verifier, signer) = (Verifier::Secret(key.clone()), Some(Signer::Secret(key)));
            return Ok(Keys { verifier, signer, random });
        }
        let public = files.public.map(|file| public_key(method, file)).transpose()?;
        let signer = files
            .private
            .map(|file| key_pair(&method.family, file, public.as_deref(), &random))
            .transpose()
            .map_err(|reason| KeyError::Private(format!("{reason} for {}", method.name)))?;
        let of_pair = signer.as_ref().and_then(Signer::public_key);
        let bytes = match (public, of_pair) {
            (Some(public), Some(of_pair)) if public != of_pair => return Err(KeyError::Mismatch),
            (_, Some(key)) | (Some(key), None) => key,
            (None, None) => {
                return Err(KeyError::Missing("priv-key, pub-key or both name files with keys"));
            }
        };
        let algorithm: &'static dyn VerificationAlgorithm = match method.family {
            Family::Rsa { verify, .. } => verify,
            Family::Ecdsa { verify, .. } => verify,
            Family::Ed25519 | Family::Hmac(_) => &ED25519,
        };
        let verifier = Verifier::Public(UnparsedPublicKey::new(algorithm, bytes));
        Ok(Keys { verifier, signer, random })
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        match self.signer.as_ref().ok_or(TokenError::VerifyOnly)? {
            Signer::Secret(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Signer::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &self.random, message, &mut signature)
                    .map_err(|_| TokenError::Signing)?;
                Ok(signature)
            }
            Signer::Ecdsa(pair) => {
                let signature =
                    pair.sign(&self.random, message).map_err(|_| TokenError::Signing)?;
                Ok(signature.as_ref().to_vec())
            }
            Signer::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.verifier {
            Verifier::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Verifier::Public(key) => key.verify(message, signature).is_ok(),
        }
    }
}

impl Signer {
    fn public_key(&self) -> Option<Vec<u8>> {
        match self {
            Signer::Secret(_) => None,
            Signer::Rsa(pair, _) => Some(pair.public_key().as_ref().to_vec()),
            Signer::Ecdsa(pair) => Some(pair.public_key().as_ref().to_vec()),
            Signer::Ed25519(pair) => Some(pair.public_key().as_ref().to_vec()),
        }
    }
}

/// The blocks of a PEM file.
fn blocks(file: &[u8]) -> Vec<Vec<u8>> {
    Pem::iter_from_buffer(file).map_while(Result::ok).map(|block| block.contents).collect()
}

/// A public key as `ring` takes it: an RSAPublicKey, a point, or 32 bytes.
fn public_key(method: &Method, file: &[u8]) -> Result<Vec<u8>, KeyError> {
    let bits = blocks(file)
        .iter()
        .find_map(|der| {
            let info = SubjectPublicKeyInfo::from_der(der).map(|(_, info)| info);
            let info = info.or_else(|_| {
                X509Certificate::from_der(der)
                    .map(|(_, certificate)| certificate.tbs_certificate.subject_pki)
            });
            match info {
                Ok(info) => Some(info.subject_public_key.data.to_vec()),
                Err(_) => is_rsa(der).then(|| der.clone()),
            }
        })
        .ok_or_else(|| KeyError::Public("it is no PEM file with a public key".to_owned()))?;
    let fits = match &method.family {
        Family::Rsa { .. } => is_rsa(&bits),
        // The uncompressed point of the curve.
        Family::Ecdsa { sign, .. } => bits.len() == 1 + 2 * coordinate_bytes(sign) && bits[0] == 4,
        Family::Ed25519 => bits.len() == 32,
        Family::Hmac(_) => false,
    };
    if fits {
        Ok(bits)
    } else {
        Err(KeyError::Public(format!("its key is not one for {}", method.name)))
    }
}

/// Whether this is the two numbers of an RSA public key, of a size that can still be relied on.
fn is_rsa(der: &[u8]) -> bool {
    let Some(numbers) = children(der) else { return false };
    let sized = |number: &Any<'_>| (2048 / 8..=8192 / 8 + 1).contains(&number.data.len());
    numbers.len() == 2 && sized(&numbers[0])
}

fn coordinate_bytes(algorithm: &'static EcdsaSigningAlgorithm) -> usize {
    if *algorithm == ECDSA_P256_SHA256_FIXED_SIGNING { 32 } else { 48 }
}

/// The first private key of a file that the algorithm can use, or why there is none.
fn key_pair(
    family: &Family,
    file: &[u8],
    public: Option<&[u8]>,
    random: &SystemRandom,
) -> Result<Signer, String> {
    let mut reason = "it is no PEM file with a private key".to_owned();
    for der in blocks(file) {
        let pair = match family {
            Family::Rsa { sign, .. } => RsaKeyPair::from_pkcs8(&der)
                .or_else(|of_pkcs8| {
                    RsaKeyPair::from_der(&der).map_err(|of_der| {
                        // Each says little of what is in the other's form.
                        if children(&der).is_some_and(|parts| parts.len() > 4) {
                            of_der
                        } else {
                            of_pkcs8
                        }
                    })
                })
                .map(|pair| Signer::Rsa(pair, *sign))
                .map_err(|error| error.to_string()),
            Family::Ecdsa { sign, .. } => ec_pair(sign, &der, public, random).map(Signer::Ecdsa),
            Family::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
                .map(Signer::Ed25519)
                .map_err(|error| error.to_string()),
            Family::Hmac(_) => Err("a secret is no key pair".to_owned()),
        };
        match pair {
            Ok(pair) => return Ok(pair),
            Err(why) => reason = format!("its key is not usable ({why})"),
        }
    }
    Err(reason)
}

/// An EC key of SEC1, as it is or within PKCS#8. `ring` wants the public half too, which SEC1
/// may leave out.
fn ec_pair(
    algorithm: &'static EcdsaSigningAlgorithm,
    der: &[u8],
    public: Option<&[u8]>,
    random: &SystemRandom,
) -> Result<EcdsaKeyPair, String> {
    let unreadable = || "neither PKCS#8 nor SEC1".to_owned();
    let outer = children(der).ok_or_else(unreadable)?;
    let inner = match outer.as_slice() {
        // PKCS#8: version, algorithm, the key.
        [_, algorithm, key, ..] if algorithm.tag().0 == 16 => {
            children(key.data).ok_or_else(unreadable)?
        }
        _ => outer,
    };
    let [_, scalar, more @ ..] = inner.as_slice() else { return Err(unreadable()) };
    let own = more
        .iter()
        .find(|part| part.class() == Class::ContextSpecific && part.tag().0 == 1)
        .and_then(|part| Any::from_der(part.data).ok())
        // A bit string begins with the number of bits that do not count.
        .and_then(|(_, bits)| bits.data.get(1..));
    let public = own
        .or(public)
        .ok_or_else(|| "it lacks its public half; give pub-key as well".to_owned())?;
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar.data, public, random)
        .map_err(|error| error.to_string())
}

/// What is in a sequence.
fn children(der: &[u8]) -> Option<Vec<Any<'_>>> {
    let (_, sequence) = Any::from_der(der).ok()?;
    if sequence.tag().0 != 16 {
        return None;
    }
    let mut rest = sequence.data;
    let mut children = Vec::new();
    while !rest.is_empty() {
        let (after, child) = Any::from_der(rest).ok()?;
        children.push(child);
        rest = after;
    }
    Some(children)
}
