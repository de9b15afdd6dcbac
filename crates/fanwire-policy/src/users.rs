//! Static users: names and password hashes.

use std::collections::HashMap;
use std::fmt;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Argon2, Params, PasswordHash, PasswordVerifier as _};

/// Users with the hashes of their passwords.
///
/// Checking a password takes tens of milliseconds of CPU and, for the time, the memory
/// that its hash asks for (19 MiB by default): that is what makes guessing dear. So
/// callers do it off the threads that serve connections (`spawn_blocking`), and bound
/// how many do it at once.
pub struct Users {
    hashes: HashMap<Box<str>, Box<PasswordHash>, foldhash::fast::RandomState>,
    /// The dearest hash of all. A name that nobody has is checked against this, so that
    /// it is refused no sooner than a wrong password.
    decoy: Option<Box<PasswordHash>>,
}

/// A user that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("user {user:?}: the password {what}; expected a hash, as `fanwire password` prints it")]
pub struct UserError {
    /// The user's name.
    pub user: String,
    /// What is wrong with the hash.
    pub what: &'static str,
}

/// The dearest hash that is accepted: beyond it a login would be a denial of service.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_ITERATIONS: u32 = 64;
const MOST_LANES: u32 = 16;

/// Hashes a password for [`Users`]: Argon2id in PHC form, at the default cost of 19 MiB
/// and two iterations. The salt is 16 random bytes, new for each password.
pub fn hash_password(password: &[u8], salt: &[u8; 16]) -> String {
    // The default parameters and a salt of 16 bytes are within every limit.
    Argon2::default()
        .hash_password_with_salt(password, salt)
        .map(|hash| hash.to_string())
        .unwrap_or_default()
}

// === impl Users ===

impl Users {
    /// Takes users by name, each with an Argon2 hash in PHC form (`$argon2id$v=19$…`).
    ///
    /// # Errors
    ///
    /// With the first whose hash is none, or too dear to check.
    pub fn new<'a>(users: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, UserError> {
        let mut hashes = HashMap::default();
        let mut decoy: Option<(u64, Box<PasswordHash>)> = None;
        for (user, hash) in users {
            let error = |what| UserError { user: user.to_owned(), what };
            let (hash, cost) = parse(hash).map_err(error)?;
            if decoy.as_ref().is_none_or(|(dearest, _)| *dearest < cost) {
                decoy = Some((cost, hash.clone()));
            }
            hashes.insert(user.into(), hash);
        }
        Ok(Self { hashes, decoy: decoy.map(|(_, hash)| hash) })
    }

    /// Whether a user has this password. Compares in constant time.
    pub fn verify(&self, user: &str, password: &[u8]) -> bool {
        let hash = self.hashes.get(user);
        let matches = hash
            .or(self.decoy.as_ref())
            .is_some_and(|hash| Argon2::default().verify_password(password, &**hash).is_ok());
        // Only now: whatever the decoy said, there is no such user.
        matches && hash.is_some()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.hashes.len())
    }
}

/// The hash, and what checking it costs.
fn parse(text: &str) -> Result<(Box<PasswordHash>, u64), &'static str> {
    if !text.starts_with("$argon2") {
        return Err("is not an Argon2 hash");
    }
    let hash = PasswordHash::new(text).map_err(|_| "is a malformed Argon2 hash")?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err("is an Argon2 hash without its salt or its end");
    }
    if !["argon2id", "argon2i", "argon2d"].contains(&hash.algorithm.as_str()) {
        return Err("is not an Argon2 hash");
    }
    let params = Params::try_from(&hash).map_err(|_| "has parameters that Argon2 does not have")?;
    if params.m_cost() > MOST_MEMORY_KIB
        || params.t_cost() > MOST_ITERATIONS
        || params.p_cost() > MOST_LANES
    {
        return Err("takes more than 256 MiB, 64 iterations or 16 lanes to check");
    }
    Ok((Box::new(hash), u64::from(params.m_cost()) * u64::from(params.t_cost())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash that takes no time.
    fn cheap(password: &str, salt: &[u8; 16]) -> String {
        let cheap = Argon2::from(Params::new(8, 1, 1, None).unwrap());
        cheap.hash_password_with_salt(password.as_bytes(), salt).unwrap().to_string()
    }

    fn error(hash: &str) -> &'static str {
        Users::new([("ann", hash)]).unwrap_err().what
    }

    #[test]
    fn a_user_has_one_password() {
        let (ann, bob) = (cheap("one", &[1; 16]), cheap("two", &[2; 16]));
        let users = Users::new([("ann", ann.as_str()), ("bob", bob.as_str())]).unwrap();
        assert!(users.verify("ann", b"one"));
        assert!(users.verify("bob", b"two"));
        for (user, password) in [("ann", "two"), ("ann", ""), ("Ann", "one"), ("", "one")] {
            assert!(!users.verify(user, password.as_bytes()), "{user} {password}");
        }
        assert!(!Users::new([]).unwrap().verify("ann", b"one"));
    }

    /// A name that nobody has is checked against somebody's hash, whose right password
    /// must let nobody in.
    #[test]
    fn the_password_of_another_lets_no_stranger_in() {
        let ann = cheap("one", &[1; 16]);
        let users = Users::new([("ann", ann.as_str())]).unwrap();
        assert!(!users.verify("stranger", b"one"));
    }

    #[test]
    fn the_decoy_is_the_dearest() {
        let dear = Argon2::from(Params::new(16, 2, 1, None).unwrap());
        let dear = dear.hash_password_with_salt(b"x", &[3; 16]).unwrap().to_string();
        let cheap = cheap("one", &[1; 16]);
        let users = Users::new([("ann", cheap.as_str()), ("bob", &dear), ("cy", &cheap)]).unwrap();
        assert_eq!(users.decoy.unwrap().to_string(), dear);
    }

    #[test]
    fn a_made_hash_is_one() {
        let hash = hash_password(b"secret", &[7; 16]);
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(Users::new([("ann", hash.as_str())]).unwrap().verify("ann", b"secret"));
    }

    /// The reference's own hash of `password`.
    #[test]
    fn a_hash_of_another_program_is_one() {
        let hash =
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(Users::new([("ann", hash)]).unwrap().verify("ann", b"password"));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        assert_eq!(error("secret"), "is not an Argon2 hash");
        assert_eq!(error("$2b$12$abcdefghijklmnopqrstuv"), "is not an Argon2 hash");
        assert_eq!(
            error("$argon2id$v=19$m=19456,t=2,p=1"),
            "is an Argon2 hash without its salt or its end"
        );
        assert_eq!(error("$argon2id$%%%"), "is a malformed Argon2 hash");
        let dear = "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(error(dear).starts_with("takes more than 256 MiB"));
    }
}
