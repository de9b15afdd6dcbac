//! `fanwire trust`: have browsers, and other programs, believe the certificates that
//! `fanwire dev` presents.

mod program;
mod store;

use std::process::ExitCode;

use anstyle::{Effects, Style};
use fanwire_server::{Authority, TlsError};

use self::store::{Authorized, Problem, Store};
use crate::args::TrustArgs;
use crate::table::Table;

const BOLD: Style = Style::new().effects(Effects::BOLD);

/// What was found in one store, or done to it.
struct Finding {
    store: Store,
    /// Whether the store has the authority now; `None` where it does not say.
    trusted: Option<bool>,
    /// Whether this run has changed that.
    changed: bool,
    problem: Option<Problem>,
}

/// Tells how things stand, or changes them. Succeeds where every store is as asked for.
pub(crate) fn run(args: &TrustArgs) -> ExitCode {
    let authority = match open(args) {
        Ok(authority) => authority,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if args.print {
        anstream::print!("{}", authority.pem);
        return ExitCode::SUCCESS;
    }
    let stores = store::find(args.system_root.as_deref());
    let findings: Vec<_> = stores.into_iter().map(|store| visit(store, args, &authority)).collect();
    if args.json {
        print_json(&authority, &findings);
    } else {
        print_text(args, &authority, &findings);
    }
    let failed = findings.iter().any(|finding| finding.problem.is_some());
    if failed && (args.install || args.uninstall) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The authority; one is made only for those who want to trust it.
fn open(args: &TrustArgs) -> Result<Authorized, TlsError> {
    if args.uninstall {
        // One that was there before this one goes as well: they are found by name.
        let file = Authority::certificate_in(&Authority::folder()?);
        return Ok(Authorized { file, pem: String::new(), expires: None });
    }
    let authority = Authority::open()?;
    Ok(Authorized {
        file: authority.certificate(),
        pem: authority.pem().to_owned(),
        expires: Some(authority.expires()),
    })
}

fn visit(store: Store, args: &TrustArgs, authority: &Authorized) -> Finding {
    let before = store.trusts(authority);
    let wanted = args.install || args.uninstall;
    if !wanted || before == Ok(args.install) {
        let (trusted, problem) = match before {
            Ok(trusted) => (Some(trusted), None),
            Err(problem) => (None, Some(problem)),
        };
        return Finding { store, trusted, changed: false, problem };
    }
    let done = if args.install { store.add(authority) } else { store.remove(authority) };
    let problem = done.err();
    let trusted = store.trusts(authority).ok();
    Finding { store, trusted, changed: problem.is_none(), problem }
}

fn print_json(authority: &Authorized, findings: &[Finding]) {
    let stores = findings.iter().map(|finding| {
        serde_json::json!({
            "store": finding.store.kind(),
            "path": finding.store.path(),
            "trusted": finding.trusted,
            "changed": finding.changed,
            "problem": finding.problem.as_ref().map(|problem| &problem.why),
            "remedy": finding.problem.as_ref().map(|problem| &problem.remedy),
        })
    });
    let report = serde_json::json!({
        "certificate": authority.file,
        "name": Authority::NAME,
        "expires": authority.expires,
        "stores": stores.collect::<Vec<_>>(),
    });
    anstream::println!("{report:#}");
}

fn print_text(args: &TrustArgs, authority: &Authorized, findings: &[Finding]) {
    if !args.uninstall {
        let expires = authority.expires.as_deref().and_then(|at| at.split('T').next());
        anstream::println!("\n  {BOLD}{}{BOLD:#}", Authority::NAME);
        anstream::println!("  Certificate  {}", authority.file.display());
        anstream::println!("  Valid until  {}\n", expires.unwrap_or("unknown"));
    }
    let mut table = Table::new(&["TRUSTED", "BY", "WHERE"]);
    for finding in findings {
        let trusted = match (finding.trusted, finding.changed) {
            (Some(true), true) => "yes, now",
            (Some(true), false) => "yes",
            (Some(false), true) => "no longer",
            (Some(false), false) => "no",
            (None, _) => "unknown",
        };
        let place = finding.store.path().display().to_string();
        table.row([trusted.to_owned(), finding.store.kind().to_owned(), place]);
    }
    if table.is_empty() {
        anstream::println!("  No store of certificates was found on this machine.");
    } else {
        anstream::print!("{table}");
    }
    let mut told: Vec<&Problem> = Vec::new();
    for problem in findings.iter().filter_map(|finding| finding.problem.as_ref()) {
        // What all stores of a kind suffer from is said once.
        if !told.contains(&problem) {
            anstream::println!("\n  {}", problem.why);
            problem.remedy.iter().for_each(|line| anstream::println!("    {line}"));
            told.push(problem);
        }
    }
    if let Some(hint) = hint(args, findings) {
        anstream::println!("\n{hint}");
    }
}

/// What to do next, if anything.
fn hint(args: &TrustArgs, findings: &[Finding]) -> Option<&'static str> {
    let changed = findings.iter().any(|finding| finding.changed);
    if changed {
        return Some("  Browsers that run have to be started again.");
    }
    let all = findings.iter().all(|finding| finding.trusted == Some(true));
    let settled = args.install || args.uninstall || all;
    (!settled).then_some(
        "  fanwire trust --install adds it where it is missing, and --uninstall takes it away.\n  \
         Functions that Fanwire runs trust it already. For other programs:\n    \
         export NODE_EXTRA_CA_CERTS=\"$(fanwire trust --json | jq -r .certificate)\"",
    )
}
