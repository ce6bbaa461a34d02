//! From what rustls says and what was seen of a handshake to a cause.

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use super::cause::Cause;
use crate::tls::{Asked, Certificate, Handshake, Moment, Setup};

/// What a failed handshake was about, as far as rustls and the certificates tell.
pub(super) fn handshake(error: &Error, seen: &Handshake, setup: &Setup) -> Cause {
    match error {
        Error::InvalidCertificate(why) => certificate(why, seen.server(), setup),
        Error::AlertReceived(alert) => alerted(*alert, seen.asked(), setup),
        Error::PeerIncompatible(_) => Cause::NothingInCommon,
        other => Cause::Tls { reason: other.to_string() },
    }
}

fn certificate(error: &CertificateError, shown: Option<&Certificate>, setup: &Setup) -> Cause {
    let now = Moment::now();
    let other = || Cause::Tls { reason: Error::InvalidCertificate(error.clone()).to_string() };
    let Some(shown) = shown else { return other() };
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            Cause::UnknownAuthority {
                issuer: shown.issuer.clone(),
                self_signed: shown.is_self_signed(),
                cacert: setup.cacert.clone(),
            }
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. }
            if shown.not_after < now =>
        {
            Cause::Expired { not_after: shown.not_after, now }
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
            if shown.not_before > now =>
        {
            Cause::NotYetValid { not_before: shown.not_before, now }
        }
        CertificateError::NotValidForNameContext { expected, .. } => {
            Cause::WrongName { wanted: expected.to_str().into_owned(), names: shown.names.clone() }
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            Cause::UnknownKind { key: shown.key.clone() }
        }
        _ => other(),
    }
}

/// The server ended it with an alert.
pub(super) fn alerted(alert: AlertDescription, asked: Option<&Asked>, setup: &Setup) -> Cause {
    match alert {
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => {
            Cause::NothingInCommon
        }
        AlertDescription::NoApplicationProtocol => Cause::NoHttp2Offered,
        _ => match asked {
            Some(Asked { answered: false, authorities }) => {
                Cause::WantsCertificate { authorities: authorities.clone() }
            }
            Some(_) => refused(alert_words(alert), setup),
            None => Cause::Tls { reason: format!("it answers: {}", alert_words(alert)) },
        },
    }
}

/// The connection ended after the handshake and before an answer: a server that checks who comes
/// says no only then, as TLS 1.3 has it.
pub(super) fn ended(asked: &Asked, setup: &Setup) -> Cause {
    if asked.answered {
        return refused("it closes the connection".to_owned(), setup);
    }
    Cause::WantsCertificate { authorities: asked.authorities.clone() }
}

fn refused(why: String, setup: &Setup) -> Cause {
    let own = setup.own.as_deref().cloned();
    Cause::RefusesCertificate { own, why, now: Moment::now() }
}

fn alert_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::BadCertificate => "bad certificate".to_owned(),
        AlertDescription::UnknownCA => "unknown authority".to_owned(),
        AlertDescription::CertificateExpired => "certificate expired".to_owned(),
        AlertDescription::CertificateRevoked => "certificate revoked".to_owned(),
        AlertDescription::CertificateUnknown => "certificate unknown".to_owned(),
        AlertDescription::UnsupportedCertificate => "unsupported certificate".to_owned(),
        AlertDescription::CertificateRequired => "certificate required".to_owned(),
        AlertDescription::AccessDenied => "access denied".to_owned(),
        AlertDescription::InternalError => "internal error".to_owned(),
        other => format!("alert {other:?}"),
    }
}
