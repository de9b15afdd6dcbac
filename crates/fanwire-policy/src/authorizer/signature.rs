//! Signed tokens: RSASSA-PKCS1-v1_5 with SHA-256 over the token's text.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{PublicEncryptingKey, PublicKey};
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use percent_encoding::percent_decode_str;

/// The public keys of an authorizer, any of which may have signed: two while one takes
/// over from the other.
#[derive(Clone)]
pub struct SigningKeys(Vec<ParsedPublicKey>);

/// A public key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "public key {number}: {what}; expected an RSA public key of 2048 to 8192 bits in PEM, as \
     `openssl rsa -in private.pem -pubout` prints it"
)]
pub struct PublicKeyError {
    /// Which key, from one.
    pub number: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Standard base64, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

// === impl SigningKeys ===

impl SigningKeys {
    /// Reads keys in PEM (`PUBLIC KEY` or `RSA PUBLIC KEY`).
    ///
    /// # Errors
    ///
    /// With the first that cannot be used.
    pub fn parse(pems: &[String]) -> Result<Self, PublicKeyError> {
        let parse = |(index, pem): (usize, &String)| {
            public_key(pem).map_err(|what| PublicKeyError { number: index + 1, what })
        };
        pems.iter().enumerate().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of the keys signed the token. The signature is base64, as it came: if
    /// it is percent-encoded, or its `+` have become spaces on the way, that is undone.
    pub fn verify(&self, token: &str, signature: &str) -> bool {
        let signature = percent_decode_str(signature).decode_utf8_lossy();
        let signature: Cow<'_, str> = match signature.contains([' ', '-', '_']) {
            true => signature.replace([' ', '-'], "+").replace('_', "/").into(),
            false => signature,
        };
        BASE64.decode(signature.trim_end()).is_ok_and(|signature| {
            self.0.iter().any(|key| key.verify_sig(token.as_bytes(), &signature).is_ok())
        })
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({})", self.0.len())
    }
}

fn public_key(pem: &str) -> Result<ParsedPublicKey, &'static str> {
    let der = der(pem).ok_or("is no PEM of a public key")?;
    let key = PublicKey::from_der(&der).map_err(|_| "is no RSA key")?;
    let x509: PublicKeyX509Der<'_> = key.as_der().map_err(|_| "is no RSA key")?;
    // This one knows its size, and refuses what is too small or too large.
    let sized = PublicEncryptingKey::from_der(x509.as_ref());
    if !sized.is_ok_and(|key| (2048..=8192).contains(&key.key_size_bits())) {
        return Err("is too short or too long");
    }
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).map_err(|_| "is no RSA key")
}

/// The bytes between the lines of a PEM.
fn der(pem: &str) -> Option<Vec<u8>> {
    let inner = |label: &str| {
        let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        Some(body)
    };
    let body = inner("PUBLIC KEY").or_else(|| inner("RSA PUBLIC KEY"))?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};

    struct Signer(KeyPair);

    impl Signer {
        fn new() -> Self {
            Self(KeyPair::generate(KeySize::Rsa2048).unwrap())
        }

        fn pem(&self) -> String {
            let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
            pem("PUBLIC KEY", der.as_ref())
        }

        fn sign(&self, token: &str) -> String {
            let mut signature = vec![0; self.0.public_modulus_len()];
            let random = SystemRandom::new();
            self.0.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature).unwrap();
            STANDARD.encode(signature)
        }
    }

    fn pem(label: &str, der: &[u8]) -> String {
        let body = STANDARD.encode(der);
        let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    #[test]
    fn a_token_that_one_of_the_keys_signed_is_good() {
        let (old, new) = (Signer::new(), Signer::new());
        let keys = SigningKeys::parse(&[old.pem(), new.pem()]).unwrap();
        for signer in [&old, &new] {
            let signature = signer.sign("token");
            assert!(keys.verify("token", &signature));
            assert!(!keys.verify("other", &signature));
        }
        assert!(!keys.verify("token", &Signer::new().sign("token")));
        assert!(!SigningKeys::parse(&[]).unwrap().verify("token", &old.sign("token")));
    }

    #[test]
    fn what_the_way_does_to_a_signature_is_undone() {
        let signer = Signer::new();
        let keys = SigningKeys::parse(&[signer.pem()]).unwrap();
        // One that has every character which the way may change.
        let (token, signature) = (0..)
            .map(|number| format!("token{number}"))
            .map(|token| (token.clone(), signer.sign(&token)))
            .find(|(_, signature)| signature.contains('+') && signature.contains('/'))
            .unwrap();
        for changed in [
            signature.replace('+', " "),
            signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"),
            signature.replace('+', "-").replace('/', "_").replace('=', ""),
        ] {
            assert!(keys.verify(&token, &changed), "{changed}");
        }
        for broken in ["", "=", "not base64!", &signature[4..]] {
            assert!(!keys.verify(&token, broken), "{broken}");
        }
    }

    #[test]
    fn a_pkcs1_key_is_one_too() {
        let signer = Signer::new();
        let pem = pem("RSA PUBLIC KEY", signer.0.public_key().as_ref());
        assert!(SigningKeys::parse(&[pem]).unwrap().verify("t", &signer.sign("t")));
    }

    #[test]
    fn a_key_that_cannot_be_used_is_named() {
        let good = Signer::new().pem();
        let short = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDKzoMlrf5cAOcvfmWp9xU9kW/s
-----END PUBLIC KEY-----";
        for broken in ["", "not a key", short, &good.replace("PUBLIC", "PRIVATE")] {
            let error = SigningKeys::parse(&[good.clone(), broken.to_owned()]).unwrap_err();
            assert_eq!(error.number, 2, "{broken}");
        }
    }
}
