//! Apps that are written as a `fanwire.toml` and read again: each project of the
//! repository, whatever its file, is the same App afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::{Path, PathBuf};

use fanwire_app::model::{Limits, Profile, RealtimeLimits};
use fanwire_app::{App, LoadOptions, load, to_toml};

/// Folders that are no part of a project's own.
const LEFT_OUT: [&str; 5] = ["node_modules", "target", ".fanwire", ".git", "__pycache__"];

/// Files that make a folder a project.
const PROJECT_FILES: [&str; 7] = [
    "fanwire.toml",
    "serverless.yml",
    "serverless.yaml",
    "sst.config.ts",
    "template.yaml",
    "template.yml",
    "template.json",
];

/// The folders below one that are projects.
fn projects(folder: &Path, found: &mut Vec<PathBuf>) {
    if PROJECT_FILES.iter().any(|name| folder.join(name).is_file()) {
        found.push(folder.to_owned());
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let is_own = !LEFT_OUT.iter().any(|left_out| name == *left_out);
        if is_own && entry.file_type().unwrap().is_dir() {
            projects(&entry.path(), found);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &to.join(name));
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

/// Asserts that an App is the same after it was written to its folder and read again.
#[track_caller]
fn assert_survives(app: &App, what: &str) {
    let text = to_toml(app);
    let file = app.root.join("fanwire.toml");
    std::fs::write(&file, &text).unwrap();
    let again = load(&file, &LoadOptions::default());
    let again = again.unwrap_or_else(|error| panic!("{what}:\n{error}\n{text}")).app;
    let again = App { file: app.file.clone(), not_served: app.not_served.clone(), ..again };
    // Told by name first, which is easier to read.
    assert_eq!(app.changes(&again), [""; 0], "{what}:\n{text}");
    assert_eq!(*app, again, "{what}:\n{text}");
}

/// What projects want that their repository does not say.
fn options() -> LoadOptions {
    let jwks = ("JWKS".to_owned(), "https://example.com/jwks.json".to_owned());
    let selection = ("selection".to_owned(), "$request.body.action".to_owned());
    LoadOptions {
        // An sst.config.ts is run.
        environment: std::env::vars().filter(|(name, _)| name == "PATH").chain([jwks]).collect(),
        params: [selection].into_iter().collect(),
        ..LoadOptions::default()
    }
}

/// A copy of a project, of which nothing outside is missed.
fn copied(project: &Path) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join(project.file_name().unwrap());
    copy(project, &own);
    let key = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";
    std::fs::write(own.join("public.pem"), key).unwrap();
    (folder, own)
}

#[test]
fn every_project_of_the_repository_survives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for part in ["examples", "tests/apps", "crates/fanwire-app/tests"] {
        projects(&root.join(part), &mut found);
    }
    assert!(found.len() > 25, "{found:?}");
    for project in found {
        let (_folder, own) = copied(&project);
        let loaded = load(&own, &options()).unwrap_or_else(|error| panic!("{error}"));
        assert_survives(&loaded.app, &project.display().to_string());
    }
}

#[test]
fn every_file_of_these_tests_survives() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut count = 0;
    for folder in ["native", "serverless", "sam"] {
        let folder = tests.join(folder);
        for entry in std::fs::read_dir(&folder).unwrap() {
            let file = entry.unwrap().path();
            if !file.is_file() {
                continue;
            }
            count += 1;
            let (_folder, own) = copied(&folder);
            let own = own.join(file.file_name().unwrap());
            let loaded = load(&own, &options()).unwrap_or_else(|error| panic!("{error}"));
            assert_survives(&loaded.app, &file.display().to_string());
        }
    }
    assert!(count > 3, "only {count} files");
}

/// Every limit that is other than usual, in both profiles.
#[test]
fn limits_survive_in_both_profiles() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fanwire.toml");
    std::fs::write(&file, "name = \"a\"\n[websocket]\n[realtime]\nallow_anonymous = true\n")
        .unwrap();
    for (own, other) in [(Profile::Aws, Profile::Open), (Profile::Open, Profile::Aws)] {
        let options = LoadOptions { profile: Some(own), ..LoadOptions::default() };
        let mut app = load(&file, &options).unwrap().app;
        app.websocket_apis[0].limits = Limits::of(other);
        app.realtime.as_mut().unwrap().limits = RealtimeLimits::of(other);
        assert_survives(&app, "limits");
        std::fs::write(&file, "name = \"a\"\n[websocket]\n[realtime]\nallow_anonymous = true\n")
            .unwrap();
    }
}

#[test]
fn what_reads_like_a_variable_stays_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fanwire.toml");
    std::fs::write(
        &file,
        "name = \"a\"\n[functions.f]\nhandler = \"a.b\"\n[functions.f.environment]\n\
         SHELL = '\\${env:HOME}'\nSLASHES = 'C:\\\\\\${self:x}'\nLATER = '${server:address}'\n\
         [websocket.stage_variables]\nhost = \"\"\n\
         [websocket.routes]\nx = { http = { url = 'http://${stageVariables.host}/' } }\n",
    )
    .unwrap();
    let app = load(&file, &LoadOptions::default()).unwrap().app;
    let environment = &app.functions["f"].environment;
    assert_eq!(environment["SHELL"], "${env:HOME}");
    assert_eq!(environment["SLASHES"], "C:\\${self:x}");
    assert_survives(&app, "variables");
}
