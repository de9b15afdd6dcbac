//! One order for one name, from the account to the certificate (RFC 8555, section 7).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fanwire_app::serve::tls::{Acme, ExternalAccount};
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::super::pair::{self, Pair};
use super::AcmeError;
use super::challenge::Challenges;
use super::client::Http;
use super::store::Store;

/// What an authority says of an account that it does not know (RFC 8555, section 6.7).
const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// How often an authority is asked whether it is done: every quarter of a second at first,
/// then less often, as long as it has not said how often.
const POLLS: RetryPolicy = RetryPolicy::new().timeout(std::time::Duration::from_secs(120));

/// Gets a certificate for `name`, and keeps it.
pub(super) async fn order(
    acme: &Acme,
    store: &Store,
    challenges: &Challenges,
    name: &str,
) -> Result<Pair, AcmeError> {
    // What is issued and cannot be kept is issued again and again, which authorities only do for
    // so long.
    store.try_to_keep()?;
    let account = account(acme, store).await?;
    let identifiers = [Identifier::Dns(name.to_owned())];
    let ordered = account.new_order(&NewOrder::new(&identifiers)).await;
    if is_unknown(&ordered) {
        // It may have been an authority of before at this URL. The next attempt registers.
        store.forget_account()?;
    }
    let mut order = ordered?;
    prove(&mut order, challenges, name).await?;
    let made = |error: rcgen::Error| AcmeError::Crypto(error.into());
    let key = KeyPair::generate().map_err(made)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(made)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(made)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&POLLS).await?;
    let key = key.serialize_pem();
    let pair = Pair::from_pem(chain.as_bytes(), key.as_bytes()).map_err(AcmeError::Issued)?;
    store.keep_certificate(name, &key, &chain)?;
    Ok(pair)
}

/// The account that is kept, or a new one.
async fn account(acme: &Acme, store: &Store) -> Result<Account, AcmeError> {
    let http = Box::new(Http::new(acme.directory_ca.as_deref())?);
    let builder = Account::builder_with_http(http);
    if let Some(kept) = store.account()? {
        return Ok(builder.from_credentials(kept).await?);
    }
    let external = acme.account.as_ref().map(external_key).transpose()?;
    let contact: Vec<&str> = acme.contact.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        // The settings are refused where it is not.
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let (account, credentials) =
        builder.create(&new, acme.directory.clone(), external.as_ref()).await?;
    store.keep_account(&credentials)?;
    Ok(account)
}

fn external_key(account: &ExternalAccount) -> Result<ExternalAccountKey, AcmeError> {
    let path = &account.key_file;
    let contents =
        pair::read(path).map_err(|source| AcmeError::Setting { path: path.clone(), source })?;
    let text = contents.trim_ascii();
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let key = BASE64_URL_SAFE_NO_PAD.decode(text);
    let key = key.map_err(|_| AcmeError::ExternalKey { path: path.clone() })?;
    Ok(ExternalAccountKey::new(account.id.clone(), &key))
}

/// Shows the authority that the name is ours, unless it knows.
async fn prove(order: &mut Order, challenges: &Challenges, name: &str) -> Result<(), AcmeError> {
    let mut shown = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
        let mut challenge = challenge.ok_or(AcmeError::NoChallenge)?;
        let digest = challenge.key_authorization().digest();
        // It is one of SHA-256.
        let hash = digest.as_ref().try_into().map_err(|_| AcmeError::NoChallenge)?;
        shown.push(challenges.show(name, hash)?);
        challenge.set_ready().await?;
    }
    match order.poll_ready(&POLLS).await {
        Ok(OrderStatus::Invalid) => Err(AcmeError::NotOurs(refusal(order).await)),
        Ok(_) => Ok(()),
        Err(Error::Api(problem)) => Err(AcmeError::NotOurs(said(&problem))),
        Err(error) => Err(error.into()),
    }
}

/// What the authority says of a challenge that was not met.
async fn refusal(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return said(problem);
        }
    }
    "it does not say why".to_owned()
}

/// A problem as people read it, bounded: it is somebody else's text.
fn said(problem: &Problem) -> String {
    const MAX_CHARS: usize = 300;
    problem.to_string().chars().take(MAX_CHARS).collect()
}

fn is_unknown(ordered: &Result<Order, Error>) -> bool {
    let Err(Error::Api(problem)) = ordered else { return false };
    problem.r#type.as_deref() == Some(UNKNOWN_ACCOUNT)
}
