//! `fanwire.serve.toml`, and the table `[serve]`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::Path;

use fanwire_app::serve::listen::ListenAt;
use fanwire_app::serve::{FILE_NAME, LoadedServe, Serve, load};
use fanwire_app::{LoadError, LoadOptions};

fn load_text(name: &str, text: &str) -> Result<LoadedServe, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    load(None, &folder.path().join("fanwire.toml"), &LoadOptions::default())
}

#[test]
fn a_project_without_settings_has_the_defaults() {
    let loaded = load(None, Path::new("/nowhere/serverless.yml"), &LoadOptions::default()).unwrap();
    assert_eq!(loaded.serve, Serve::default());
    assert_eq!(loaded.files, [Path::new("/nowhere").join(FILE_NAME)]);
}

#[test]
fn the_file_and_the_table_say_the_same() {
    let file = load_text(FILE_NAME, "[[listen]]\naddress = \"[::]:443\"\n").unwrap();
    let table = "name = \"x\"\n[[serve.listen]]\naddress = \"[::]:443\"\n";
    assert_eq!(file.serve, load_text("fanwire.toml", table).unwrap().serve);
    assert_eq!(file.serve.listeners[0].at, ListenAt::Address("[::]:443".parse().unwrap()));
}

#[test]
fn a_mistake_is_told_with_its_place_and_the_nearest_name() {
    let error = load_text(FILE_NAME, "[access]\nallow_anonymous = [\"conections\"]\n").unwrap_err();
    let said = error.to_string();
    assert!(said.contains("fanwire.serve.toml:2:20"), "{said}");
    assert!(said.contains("did you mean `connections`?"), "{said}");
}
