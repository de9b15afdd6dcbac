//! `nitric.yaml` of both generations, read from folders.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::Path;

use fanwire_app::model::Nitric;
use fanwire_app::{App, LoadOptions, Loaded, load, to_toml};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn read(folder: &Path) -> Loaded {
    load(folder, &LoadOptions::default()).unwrap()
}

fn nitric(app: &App) -> &Nitric {
    app.nitric.as_ref().unwrap()
}

const V1: &str = "\
name: chat
services:
  - match: services/*.js
    start: npm run dev $SERVICE_PATH
  - match: '*.py'
    basedir: workers
    start: python3 $SERVICE_PATH
  - match: batch/*.js
batch-services:
  - match: jobs/*.js
    start: node $SERVICE_PATH
websites:
  - basedir: ./site
    dev:
      command: npm run dev
      url: http://localhost:3000
preview: [batch-services]
";

#[test]
fn services_have_their_commands_folders_and_variables() {
    let folder = folder(&[
        ("nitric.yaml", V1),
        ("services/b.js", ""),
        ("services/a.js", ""),
        ("workers/w.py", ""),
        ("package.json", r#"{"scripts":{"dev":"nodemon"}}"#),
        ("node_modules/x", ""),
        (".env", "COLOR=red\n"),
        ("local.nitric.yaml", "websockets:\n  chat:\n    port: 4010\napis:\n  a:\n    port: 1\n"),
    ]);
    let loaded = read(folder.path());
    let app = &loaded.app;
    assert_eq!(app.service, "chat");
    let services = &nitric(app).services;
    assert_eq!(services.keys().collect::<Vec<_>>(), ["services/a", "services/b", "workers/w"]);
    let service = &services["services/b"];
    assert_eq!(service.command, "npm run dev $SERVICE_PATH");
    assert_eq!(service.folder, app.root);
    assert_eq!(service.environment["COLOR"], "red");
    assert_eq!(service.environment["SERVICE_PATH"], "services/b.js");
    assert!(!service.restart_on_change, "nodemon watches");
    let worker = &services["workers/w"];
    assert_eq!(worker.folder, app.root.join("workers"));
    assert_eq!(worker.environment["SERVICE_PATH"], "w.py");
    assert!(worker.restart_on_change);
    assert_eq!(nitric(app).ports["chat"], 4010);
    assert_eq!(app.not_served[0].used_by, ["jobs/*.js"]);
    assert_eq!(app.sites["site"].command.as_deref(), Some("npm run dev"));
    let warnings: Vec<_> = loaded.warnings.iter().map(|warning| &*warning.message).collect();
    assert_eq!(warnings, ["no file is like `batch/*.js`"]);
    for name in [".env", "local.nitric.yaml"] {
        assert!(loaded.files.iter().any(|file| file.ends_with(name)), "{name} is followed");
    }
}

#[test]
fn handlers_are_run_by_what_their_language_suggests() {
    let text = "name: old\nhandlers:\n  - functions/*.js\n  - match: functions/*.py\n    type: x\n";
    let files = [("nitric.yml", text), ("functions/a.js", ""), ("functions/b.py", "")];
    let folder = folder(&files);
    let app = read(folder.path()).app;
    let commands: Vec<_> =
        nitric(&app).services.values().map(|service| &*service.command).collect();
    assert_eq!(commands, [r#"exec node "$SERVICE_PATH""#, r#"exec python3 -u "$SERVICE_PATH""#]);
}

#[test]
fn what_cannot_be_run_is_told_with_its_place() {
    for (text, expected) in [
        ("name: a\nhandlers:\n  - a.rb\n", "nothing is known to run `a.rb`"),
        ("name: a\nhandlers:\n  - a.ts\n", "neither tsx nor ts-node"),
        ("name: a\nhandlers: a.js\n", "`handlers` is not a list"),
        ("name: a\nhandlers:\n  - [a.js]\n", "a list is no entry of `handlers`"),
        ("services: []\n", "the key `name` is missing"),
        ("name: a\nservices:\n  - start: x\n", "the key `match` is missing"),
    ] {
        let folder = folder(&[("nitric.yaml", text), ("a.rb", ""), ("a.ts", ""), ("a.js", "")]);
        let error = load(folder.path(), &LoadOptions::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected} in {error}");
        assert!(error.contains("nitric.yaml:"), "{error}");
    }
}

#[test]
fn a_command_without_the_file_or_without_packages_is_warned_of() {
    let text = "name: a\nservices:\n  - match: a.js\n    start: npm start\n";
    let folder = folder(&[("nitric.yaml", text), ("a.js", ""), ("package.json", "{}")]);
    let loaded = read(folder.path());
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|warning| warning.contains("does not say $SERVICE_PATH")));
    assert!(warnings.iter().any(|warning| warning.contains("`npm install` in ")), "{warnings:?}");
}

#[test]
fn a_project_is_the_same_as_a_fanwire_toml() {
    let folder = folder(&[
        ("nitric.yaml", V1),
        ("services/a.js", ""),
        ("workers/w.py", ""),
        ("local.nitric.yaml", "websockets:\n  chat:\n    port: 4010\n"),
        (".env", "COLOR=red\n"),
    ]);
    let app = read(folder.path()).app;
    std::fs::write(folder.path().join("fanwire.toml"), to_toml(&app)).unwrap();
    let again = read(folder.path()).app;
    let again = App { file: app.file.clone(), not_served: app.not_served.clone(), ..again };
    assert_eq!(app.changes(&again), [""; 0], "{}", to_toml(&app));
    assert_eq!(app, again);
}

#[test]
fn a_socket_is_an_api_whose_id_stays() {
    let folder = folder(&[("nitric.yaml", "name: a\nservices: []\n")]);
    let app = read(folder.path()).app;
    let (api, again) = (app.nitric_socket("chat"), app.nitric_socket("chat"));
    assert_eq!(api, again);
    assert_ne!(api.id, app.nitric_socket("other").id);
    assert!(api.limits.ordered && api.limits.binary);
    assert_eq!(api.routes.len(), 3);
}
