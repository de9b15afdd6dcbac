//! What the certificates say: the authority's own, and those that it signs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType, SerialNumber,
};

use super::TlsError;

/// The names under which, and under whose subdomains, the authority may certify: this
/// machine's own, and those of the services that the server stands in for. It is part of
/// the authority's certificate, so a stolen key opens nothing else.
const NAMES: [&str; 4] = ["localhost", "amazonaws.com", "amazonaws.com.cn", "api.aws"];

/// The authority's name. It must stay as it is: an authority that was made before is
/// continued under this name.
pub(super) const AUTHORITY_NAME: &str = "Fanwire local CA";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an authority is valid. Whoever trusts it has to be told of the next.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3650);

/// How long what it signs is valid: made at every start, and no longer than platforms
/// accept. macOS takes up to 825 days.
const LEAF_LIFE: Duration = DAY.saturating_mul(397);

/// Clocks of containers and virtual machines may be behind.
const CLOCK_SKEW: Duration = DAY;

/// Whether the authority may certify `name`, which is in lower case.
pub(super) fn is_permitted(name: &str) -> bool {
    NAMES.iter().any(|root| {
        name.strip_suffix(root).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// The names for clients that ask for none: by `localhost`, by the loopback addresses,
/// and by the one that the server is bound to, where the authority may certify it.
pub(super) fn default_names(bound: IpAddr) -> Vec<SanType> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if bound.is_loopback() && !addresses.contains(&bound) {
        addresses.push(bound);
    }
    let mut names: Vec<_> = dns_name("localhost").into_iter().collect();
    names.extend(addresses.into_iter().map(SanType::IpAddress));
    names
}

/// `name` as a certificate has it; `None` where it cannot stand in one.
pub(super) fn dns_name(name: &str) -> Option<SanType> {
    Some(SanType::DnsName(name.try_into().ok()?))
}

/// What signs with the authority's key.
pub(super) fn issuer(key: KeyPair) -> Issuer<'static, KeyPair> {
    Issuer::new(authority(), key)
}

/// The certificate of an authority whose key is `key`.
pub(super) fn certify_authority(key: &KeyPair) -> Result<Certificate, TlsError> {
    let mut params = authority();
    (params.not_before, params.not_after) = validity(AUTHORITY_LIFE);
    Ok(params.self_signed(key)?)
}

/// A server's certificate for `names` and `key`, signed by `issuer`.
pub(super) fn certify(
    issuer: &Issuer<'static, KeyPair>,
    key: &KeyPair,
    names: Vec<SanType>,
) -> Result<Certificate, TlsError> {
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = validity(LEAF_LIFE);
    params.serial_number = Some(serial_number()?);
    params.distinguished_name = named("Fanwire development server");
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params.signed_by(key, issuer)?)
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(AUTHORITY_NAME);
    // It signs servers' certificates, and no other authority's.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let names = NAMES.iter().map(|name| GeneralSubtree::DnsName((*name).to_owned()));
    let loopback = [
        CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8),
        CidrSubnet::from_v6_prefix(Ipv6Addr::LOCALHOST.octets(), 128),
    ];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: names.chain(loopback.map(GeneralSubtree::IpAddress)).collect(),
        excluded_subtrees: Vec::new(),
    });
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// The beginning and the end of what is made now and lasts for `life`.
fn validity<T: From<SystemTime>>(life: Duration) -> (T, T) {
    let now = SystemTime::now();
    ((now - CLOCK_SKEW).into(), (now + life).into())
}

/// Firefox refuses two certificates of one authority with the same number; ours have
/// one key, from which it would be made otherwise.
fn serial_number() -> Result<SerialNumber, TlsError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    // Positive and of full length (RFC 5280, section 4.1.2.2).
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_and_of_aws_are_certified() {
        for name in [
            "localhost",
            "app.localhost",
            "a.execute-api.us-east-1.amazonaws.com",
            "dynamodb.cn-north-1.amazonaws.com.cn",
            "lambda.eu-west-1.api.aws",
        ] {
            assert!(is_permitted(name), "{name}");
        }
        for name in ["example.com", "notlocalhost", "evilamazonaws.com", "amazonaws.com.evil", ""] {
            assert!(!is_permitted(name), "{name}");
        }
    }
}
