//! The algorithms of `sign-method`, by their names in RFC 7518 and RFC 8037.

use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaParameters,
};

use crate::auth::tokens::TokenConfigError;

pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) family: Family,
}

/// What an algorithm needs of a key, and how it is used.
pub(super) enum Family {
    Hmac(hmac::Algorithm),
    Rsa {
        sign: &'static dyn RsaEncoding,
        verify: &'static RsaParameters,
    },
    /// Signatures are the two numbers side by side, not in DER.
    Ecdsa {
        sign: &'static EcdsaSigningAlgorithm,
        verify: &'static EcdsaVerificationAlgorithm,
    },
    Ed25519,
}

impl Method {
    pub(super) fn find(name: &str) -> Result<&'static Method, TokenConfigError> {
        METHODS.iter().find(|method| method.name == name).ok_or_else(|| {
            let names: Vec<&str> = METHODS.iter().map(|method| method.name).collect();
            TokenConfigError::InvalidOptions(match name {
                "" => format!("sign-method is needed; it is one of {}", names.join(", ")),
                _ => format!("sign-method={name} is not known; it is one of {}", names.join(", ")),
            })
        })
    }
}

const fn rsa(
    name: &'static str,
    sign: &'static dyn RsaEncoding,
    verify: &'static RsaParameters,
) -> Method {
    Method { name, family: Family::Rsa { sign, verify } }
}

static METHODS: [Method; 12] = [
    rsa("RS256", &RSA_PKCS1_SHA256, &RSA_PKCS1_2048_8192_SHA256),
    rsa("RS384", &RSA_PKCS1_SHA384, &RSA_PKCS1_2048_8192_SHA384),
    rsa("RS512", &RSA_PKCS1_SHA512, &RSA_PKCS1_2048_8192_SHA512),
    rsa("PS256", &RSA_PSS_SHA256, &RSA_PSS_2048_8192_SHA256),
    rsa("PS384", &RSA_PSS_SHA384, &RSA_PSS_2048_8192_SHA384),
    rsa("PS512", &RSA_PSS_SHA512, &RSA_PSS_2048_8192_SHA512),
    Method {
        name: "ES256",
        family: Family::Ecdsa {
            sign: &ECDSA_P256_SHA256_FIXED_SIGNING,
            verify: &ECDSA_P256_SHA256_FIXED,
        },
    },
    Method {
        name: "ES384",
        family: Family::Ecdsa {
            sign: &ECDSA_P384_SHA384_FIXED_SIGNING,
            verify: &ECDSA_P384_SHA384_FIXED,
        },
    },
    Method { name: "EdDSA", family: Family::Ed25519 },
    Method { name: "HS256", family: Family::Hmac(hmac::HMAC_SHA256) },
    Method { name: "HS384", family: Family::Hmac(hmac::HMAC_SHA384) },
    Method { name: "HS512", family: Family::Hmac(hmac::HMAC_SHA512) },
];
