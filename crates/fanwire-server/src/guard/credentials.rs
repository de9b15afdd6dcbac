//! The keys and tokens that are valid now: those of the settings, those of a file that may
//! change, and one that the App's own functions sign with.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use fanwire_access::{Keyring, sha256};
use fanwire_app::LoadOptions;
use fanwire_app::serve::access::{self, Access, AccessKey, read_keys};
use fanwire_app::serve::permission::Permission;
use fanwire_app::serve::secret::Secret;
use indexmap::IndexMap;
use tokio::sync::watch;

use super::{Guard, GuardEvent};

/// How often the file of keys is looked at. A key that is taken out of it is refused no later
/// than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The variables that AWS's SDKs have their credentials from.
const VARIABLES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The name of the key that the App's functions sign with.
const OF_FUNCTIONS: &str = "the app's functions";

/// What the App's functions may do. On AWS their roles say; here they are trusted with
/// what the App is made of, and with nothing of the server itself.
const MAY_FUNCTIONS: [&str; 4] = ["execute-api:*", "iot:*", "lambda:*", "dynamodb:*"];

/// The keys and tokens that are valid now.
pub(crate) struct Credentials {
    of_functions: Option<AccessKey>,
    now: ArcSwap<Valid>,
    /// Held while the file is read, so that what is older never wins.
    said: Mutex<Said>,
}

/// Keys and tokens that were read, and may be valid from some time on.
#[derive(Debug)]
pub(crate) struct PreparedKeys {
    said: Said,
    listed: Vec<access::Credentials>,
}

/// Where keys and tokens come from.
#[derive(Debug, Clone)]
struct Said {
    settings: access::Credentials,
    file: Option<PathBuf>,
    /// Which version of the file was read last.
    seen: Option<Seen>,
}

/// What is valid, as it is looked up.
pub(crate) struct Valid {
    pub(crate) ring: Keyring,
    /// API keys: the name and the usage plan of each, by the SHA-256 of its value.
    pub(crate) api_keys: HashMap<[u8; 32], ApiKey>,
}

/// An API key, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiKey {
    pub(crate) name: String,
    pub(crate) plan: Option<String>,
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    modified: Option<SystemTime>,
    bytes: u64,
}

// === impl Credentials ===

impl Credentials {
    /// Those of the settings, and of their file of keys once [`Credentials::read`] has read it.
    pub(crate) fn new(access: &Access) -> Self {
        Self {
            of_functions: None,
            now: ArcSwap::from_pointee(Valid::of(std::slice::from_ref(&access.credentials))),
            said: Mutex::new(Said::of(access)),
        }
    }

    /// Those that functions sign with: what this process's own variables say, so that what a
    /// handler calls on AWS still works, or else made for this start. They are valid from now
    /// on. What is returned is for the functions' environment.
    ///
    /// # Errors
    ///
    /// Where the system gives no random bytes.
    pub(crate) fn of_functions(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<IndexMap<String, String>, getrandom::Error> {
        let [id, secret, token] = VARIABLES.map(variable);
        let (id, secret, token) = match (id, secret) {
            (Some(id), Some(secret)) => (id, secret, token),
            _ => {
                // 20 letters and digits, as ids of temporary credentials have.
                let id = format!("ASIA{}", &random_text()?.to_uppercase()[..16]);
                (id, random_text()?, Some(random_text()?))
            }
        };
        let key = AccessKey {
            name: OF_FUNCTIONS.to_owned(),
            id: id.clone(),
            secret: Secret::new(secret.clone()),
            session_token: token.clone().map(Secret::new),
            expires_at: None,
            allow: MAY_FUNCTIONS.iter().filter_map(|text| Permission::parse(text).ok()).collect(),
        };
        self.of_functions = Some(key);
        let values = [Some(id), Some(secret), token];
        let given = VARIABLES.into_iter().zip(values);
        Ok(given.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }

    /// What is valid now.
    pub(crate) fn now(&self) -> Arc<Valid> {
        self.now.load_full()
    }

    /// Reads the file of keys, if there is one and it is another one than before; says how many
    /// keys and tokens are valid then.
    ///
    /// # Errors
    ///
    /// Where it cannot be used: why, in words. What was valid stays valid.
    pub(crate) fn read(&self) -> Result<Option<usize>, String> {
        self.read_said(&mut self.said())
    }

    /// As [`Credentials::read`], where there is a file that may have changed.
    fn look(&self) -> Result<Option<usize>, String> {
        let mut said = self.said();
        if said.file.is_none() { Ok(None) } else { self.read_said(&mut said) }
    }

    /// Reads the file that other settings name.
    ///
    /// # Errors
    ///
    /// Where that cannot be used: why, in words.
    pub(crate) fn prepare(&self, access: &Access) -> Result<PreparedKeys, String> {
        let mut said = Said::of(access);
        let listed = self.list(&mut said)?.unwrap_or_default();
        Ok(PreparedKeys { said, listed })
    }

    /// Has other settings hold.
    pub(crate) fn replace(&self, PreparedKeys { said, listed }: PreparedKeys) {
        let mut old = self.said();
        self.now.store(Arc::new(Valid::of(&listed)));
        *old = said;
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_said(&self, said: &mut Said) -> Result<Option<usize>, String> {
        let Some(listed) = self.list(said)? else { return Ok(None) };
        let count = listed.iter().map(|one| one.keys.len() + one.tokens.len()).sum();
        self.now.store(Arc::new(Valid::of(&listed)));
        Ok(Some(count))
    }

    /// All that is valid by what is said; `None` where the file is as it was.
    fn list(&self, said: &mut Said) -> Result<Option<Vec<access::Credentials>>, String> {
        let mut listed = vec![said.settings.clone()];
        if let Some(path) = &said.file {
            let found = std::fs::metadata(path).ok();
            let found =
                found.map(|data| Seen { modified: data.modified().ok(), bytes: data.len() });
            if found.is_some() && said.seen == found {
                return Ok(None);
            }
            // Also where it cannot be used: it is told once, and tried again when it changes.
            said.seen = found;
            let options =
                LoadOptions { environment: std::env::vars().collect(), ..LoadOptions::default() };
            listed.push(read_keys(path, &options).map_err(|error| error.to_string())?);
        }
        let keys = self.of_functions.iter().cloned().collect();
        listed.push(access::Credentials { keys, ..access::Credentials::default() });
        Ok(Some(listed))
    }
}

// === impl Said ===

impl Said {
    fn of(access: &Access) -> Self {
        Self { settings: access.credentials.clone(), file: access.keys_file.clone(), seen: None }
    }
}

// === impl Valid ===

impl Valid {
    fn of(listed: &[access::Credentials]) -> Self {
        let each = listed.iter().flat_map(|credentials| &credentials.api_keys);
        let api_key = |key: &access::ApiKey| {
            let known = ApiKey { name: key.name.clone(), plan: key.plan.clone() };
            (sha256(key.value.reveal().as_bytes()), known)
        };
        Self { ring: Keyring::of(listed), api_keys: each.map(api_key).collect() }
    }
}

/// Reads the file of keys again whenever it changes, until `stopped`.
pub(super) async fn follow(guard: Arc<Guard>, mut stopped: watch::Receiver<bool>) {
    let mut told = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        let reading = Arc::clone(&guard);
        let read = move || reading.credentials.as_ref().map_or(Ok(None), Credentials::look);
        // It fails only where it panics, which would be a defect of ours.
        let read = tokio::task::spawn_blocking(read).await;
        match read.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(Some(count)) => {
                guard.tell(&GuardEvent::KeysRead { count });
                told = None;
            }
            Ok(None) => {}
            // A file that is missing is looked for again and again.
            Err(why) if told.as_ref() == Some(&why) => {}
            Err(why) => {
                guard.tell(&GuardEvent::KeysFailed { why: &why });
                told = Some(why);
            }
        }
    }
}

/// 40 characters of 4 bits each.
fn random_text() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(file: Option<PathBuf>) -> Access {
        Access { keys_file: file, ..Access::default() }
    }

    #[test]
    fn a_file_of_keys_is_read_again_when_it_changes_and_a_bad_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.toml");
        let key = |name: &str| {
            format!("[tokens.{name}]\ntoken = \"{name} of some length\"\nallow = [\"*\"]\n")
        };
        let credentials = Credentials::new(&access(Some(file.clone())));
        let is_valid = |name: &str| {
            credentials.now().ring.token(&format!("{name} of some length"), 0).is_some()
        };
        assert!(credentials.read().unwrap_err().contains("cannot be read"));
        std::fs::write(&file, key("old")).unwrap();
        assert_eq!(credentials.read(), Ok(Some(1)));
        assert_eq!(credentials.read(), Ok(None));
        assert!(is_valid("old"));
        std::fs::write(&file, key("old") + &key("newer")).unwrap();
        assert_eq!(credentials.read(), Ok(Some(2)));
        assert!(is_valid("old") && is_valid("newer"));
        std::fs::write(&file, "[tokens.x]\nallow = 1\n").unwrap();
        credentials.read().unwrap_err();
        assert!(is_valid("newer"));
        std::fs::write(&file, key("newest")).unwrap();
        assert_eq!(credentials.read(), Ok(Some(1)));
        assert!(is_valid("newest") && !is_valid("old"));
    }

    #[test]
    fn functions_sign_with_what_this_process_has_or_with_something_new() {
        let mut credentials = Credentials::new(&access(None));
        let made = credentials.of_functions(|_| None).unwrap();
        assert_eq!(made.len(), 3);
        assert_eq!(made["AWS_ACCESS_KEY_ID"].len(), 20);
        let again = credentials.of_functions(|_| None).unwrap();
        assert_ne!(made["AWS_SECRET_ACCESS_KEY"], again["AWS_SECRET_ACCESS_KEY"]);
        let own = credentials
            .of_functions(|name| (name != "AWS_SESSION_TOKEN").then(|| format!("own {name}")));
        assert_eq!(own.unwrap().len(), 2);
        assert_eq!(credentials.read(), Ok(Some(1)));
    }
}
