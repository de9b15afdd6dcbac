//! The stores of certificates that programs on this machine believe.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use fanwire_server::Authority;

use super::program::{Ran, by_sudo, quoted, run};

/// The name that the authority has in stores.
const NAME: &str = Authority::NAME;

/// The name of its file among the system's.
const FILE: &str = "fanwire-local-ca.crt";

/// Folders of the system's own store, and what makes their change known. The first that
/// is there is this system's.
const SYSTEM: [(&str, &[&str]); 4] = [
    // Fedora, RHEL and their kin.
    ("etc/pki/ca-trust/source/anchors", &["update-ca-trust", "extract"]),
    // Debian, Ubuntu, Alpine.
    ("usr/local/share/ca-certificates", &["update-ca-certificates"]),
    // Arch.
    ("etc/ca-certificates/trust-source/anchors", &["trust", "extract-compat"]),
    // openSUSE.
    ("usr/share/pki/trust/anchors", &["update-ca-certificates"]),
];

/// Databases in a user's home that Chromium, Chrome and Edge read, the old place first.
const BROWSERS: [&str; 3] =
    [".pki/nssdb", ".local/share/pki/nssdb", "snap/chromium/current/.pki/nssdb"];

/// Folders in a user's home that hold the profiles of Firefox.
const FIREFOX: [&str; 4] = [
    ".mozilla/firefox",
    ".config/mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    "Library/Application Support/Firefox/Profiles",
];

/// Certificates of one name that a store is cleared of at the most.
const MAX_OF_ONE_NAME: usize = 16;

/// The authority as stores see it.
pub(super) struct Authorized {
    pub(super) file: PathBuf,
    /// Empty where any of its name is meant.
    pub(super) pem: String,
    pub(super) expires: Option<String>,
}

/// A place that programs take their trust from.
pub(super) enum Store {
    /// The system's own.
    System(SystemStore),
    /// A database of Chromium or Firefox.
    Nss { kind: &'static str, folder: PathBuf },
    /// The login keychain of macOS, which Safari and Chrome read.
    Keychain { path: PathBuf },
}

/// The store that belongs to the system.
pub(super) struct SystemStore {
    /// Our file among the system's.
    file: PathBuf,
    /// The program that makes a change known to those who read the store.
    update: &'static [&'static str],
    /// The folder of that program where it is not the system's own: in tests.
    programs: Option<PathBuf>,
}

/// Why a store is not as it was asked to be, and what a person can do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) why: String,
    /// Commands, or a sentence.
    pub(super) remedy: Vec<String>,
}

/// The stores of this machine and user. Those of the system are looked for below `root`.
pub(super) fn find(root: Option<&Path>) -> Vec<Store> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut stores = Vec::new();
    if cfg!(target_os = "macos") {
        stores.extend(home.iter().map(|home| Store::Keychain {
            path: home.join("Library/Keychains/login.keychain-db"),
        }));
    } else {
        stores.extend(SystemStore::find(root).map(Store::System));
    }
    let Some(home) = home else { return stores };
    let browsers = BROWSERS.iter().map(|path| home.join(path));
    let mut databases: Vec<_> = browsers
        .filter(|folder| is_database(folder))
        .map(|folder| Store::Nss { kind: "Chromium", folder })
        .collect();
    if databases.is_empty() && cfg!(target_os = "linux") {
        // Chromium makes it when it first needs it; made before, it is taken as it is.
        databases.push(Store::Nss { kind: "Chromium", folder: home.join(BROWSERS[0]) });
    }
    stores.extend(databases);
    for profiles in FIREFOX {
        let Ok(entries) = fs::read_dir(home.join(profiles)) else { continue };
        let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        found.sort();
        let found = found.into_iter().filter(|folder| is_database(folder));
        stores.extend(found.map(|folder| Store::Nss { kind: "Firefox", folder }));
    }
    stores
}

fn is_database(folder: &Path) -> bool {
    folder.join("cert9.db").is_file()
}

// === impl Store ===

impl Store {
    /// Who takes their trust from it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::System(_) => "system",
            Self::Nss { kind, .. } => kind,
            Self::Keychain { .. } => "keychain",
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::System(store) => &store.file,
            Self::Nss { folder: path, .. } | Self::Keychain { path } => path,
        }
    }

    /// Whether it has the authority.
    pub(super) fn trusts(&self, authority: &Authorized) -> Result<bool, Problem> {
        match self {
            Self::System(store) => store.trusts(authority),
            Self::Nss { folder, .. } if !is_database(folder) => Ok(false),
            Self::Nss { folder, .. } => {
                match run("certutil", ["-L", "-d", &sql(folder), "-n", NAME, "-a"]) {
                    Ran::Done(there) => Ok(authority.is_among(&there)),
                    // Its way to say that there is none.
                    Ran::Failed(_) => Ok(false),
                    Ran::Missing => Err(no_certutil()),
                }
            }
            Self::Keychain { path } => {
                let path = path.to_string_lossy();
                match run("security", ["find-certificate", "-a", "-c", NAME, "-p", &path]) {
                    Ran::Done(there) => Ok(authority.is_among(&there)),
                    Ran::Failed(_) => Ok(false),
                    Ran::Missing => Err(Problem::only("there is no program `security`".to_owned())),
                }
            }
        }
    }

    /// Adds the authority, in the place of older ones of its name.
    pub(super) fn add(&self, authority: &Authorized) -> Result<(), Problem> {
        match self {
            Self::System(store) => store.add(authority),
            Self::Nss { folder, .. } => {
                let database = sql(folder);
                if !is_database(folder) {
                    let made = fs::create_dir_all(folder);
                    made.map_err(|error| Problem::only(error.to_string()))?;
                    certutil(&["-N", "-d", &database, "--empty-password"])?;
                }
                remove_by_name(&database);
                let file = authority.file.to_string_lossy();
                // `C`: it may vouch for servers, and for nobody else.
                certutil(&["-A", "-d", &database, "-n", NAME, "-t", "C,,", "-i", &file])
            }
            Self::Keychain { path } => {
                let (path, file) = (path.to_string_lossy(), authority.file.to_string_lossy());
                security(&["add-trusted-cert", "-r", "trustRoot", "-p", "ssl", "-k", &path, &file])
            }
        }
    }

    /// Removes every authority of its name.
    pub(super) fn remove(&self, authority: &Authorized) -> Result<(), Problem> {
        match self {
            Self::System(store) => store.remove(),
            Self::Nss { folder, .. } => {
                remove_by_name(&sql(folder));
                Ok(())
            }
            Self::Keychain { path } => {
                let file = authority.file.to_string_lossy();
                // Trust stands beside the certificate, and goes first.
                let _ = run("security", ["remove-trusted-cert", &file]);
                security(&["delete-certificate", "-c", NAME, &path.to_string_lossy()])
            }
        }
    }
}

// === impl SystemStore ===

impl SystemStore {
    fn find(root: Option<&Path>) -> Option<Self> {
        let base = root.unwrap_or(Path::new("/"));
        let (folder, update) = SYSTEM.iter().find(|(folder, _)| base.join(folder).is_dir())?;
        let programs = root.map(|root| root.join("usr/sbin"));
        Some(Self { file: base.join(folder).join(FILE), update, programs })
    }

    fn trusts(&self, authority: &Authorized) -> Result<bool, Problem> {
        match fs::read_to_string(&self.file) {
            Ok(there) => Ok(authority.is_among(&there)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Problem::only(self.said(&error))),
        }
    }

    fn add(&self, authority: &Authorized) -> Result<(), Problem> {
        fs::write(&self.file, &authority.pem).map_err(|error| {
            let copy = ["install", "-m", "644"].map(OsStr::new);
            let copy = [&copy[..], &[authority.file.as_os_str(), self.file.as_os_str()]].concat();
            Problem { why: self.said(&error), remedy: vec![by_sudo(&copy), self.update_by_hand()] }
        })?;
        self.update().inspect_err(|_| {
            // Half done would look like done the next time.
            let _ = fs::remove_file(&self.file);
        })
    }

    fn remove(&self) -> Result<(), Problem> {
        fs::remove_file(&self.file).map_err(|error| Problem {
            why: self.said(&error),
            remedy: vec![
                by_sudo(&[OsStr::new("rm"), self.file.as_os_str()]),
                self.update_by_hand(),
            ],
        })?;
        self.update()
    }

    /// Makes a change known to the programs that read the store.
    fn update(&self) -> Result<(), Problem> {
        let Some((name, args)) = self.update.split_first() else { return Ok(()) };
        let program = self.programs.as_ref().map_or(PathBuf::from(name), |path| path.join(name));
        let why = match run(&program, args) {
            Ran::Done(_) => return Ok(()),
            Ran::Failed(why) => format!("{name}: {why}"),
            Ran::Missing => format!("{name} is not installed"),
        };
        Err(Problem { why, remedy: vec![self.update_by_hand()] })
    }

    fn update_by_hand(&self) -> String {
        by_sudo(&self.update.iter().map(OsStr::new).collect::<Vec<_>>())
    }

    fn said(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.file.display())
    }
}

// === impl Authorized ===

impl Authorized {
    /// Whether it is one of the certificates in `pem`.
    fn is_among(&self, pem: &str) -> bool {
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        bare(pem).contains(&bare(&self.pem))
    }
}

// === impl Problem ===

impl Problem {
    fn only(why: String) -> Self {
        Self { why, remedy: Vec::new() }
    }
}

fn sql(folder: &Path) -> String {
    format!("sql:{}", folder.display())
}

fn certutil(args: &[&str]) -> Result<(), Problem> {
    match run("certutil", args) {
        Ran::Done(_) => Ok(()),
        Ran::Failed(why) => Err(Problem {
            why: format!("certutil: {why}"),
            remedy: vec![by_hand("certutil", args)],
        }),
        Ran::Missing => Err(no_certutil()),
    }
}

fn security(args: &[&str]) -> Result<(), Problem> {
    match run("security", args) {
        Ran::Done(_) => Ok(()),
        Ran::Failed(why) => Err(Problem {
            why: format!("security: {why}"),
            remedy: vec![by_hand("security", args)],
        }),
        Ran::Missing => Err(Problem::only("there is no program `security`".to_owned())),
    }
}

fn by_hand(program: &str, args: &[&str]) -> String {
    args.iter().fold(program.to_owned(), |line, arg| format!("{line} {}", quoted(arg)))
}

/// An authority that was renewed, or made anew, has the name of the one before it.
fn remove_by_name(database: &str) {
    for _ in 0..MAX_OF_ONE_NAME {
        if !matches!(run("certutil", ["-D", "-d", database, "-n", NAME]), Ran::Done(_)) {
            return;
        }
    }
}

fn no_certutil() -> Problem {
    Problem {
        why: "certutil, which keeps the certificates of Chromium and Firefox, is not installed"
            .to_owned(),
        remedy: vec![
            "install it (Debian and Ubuntu: libnss3-tools, Fedora: nss-tools, Arch: nss, \
             macOS: brew install nss), then run this again"
                .to_owned(),
        ],
    }
}
