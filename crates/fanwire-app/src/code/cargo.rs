//! What cargo would build in a folder, read from its `Cargo.toml` without running
//! cargo.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// The binaries of the package in a folder, and of its members where it is a
/// workspace.
pub(crate) fn binaries(folder: &Path) -> Vec<String> {
    let Some(manifest) = manifest(folder) else { return Vec::new() };
    let mut names = of_package(folder, &manifest);
    for member in strings(&manifest, "workspace", "members") {
        // A pattern stands for every folder at its place: `crates/*`.
        let folders = match member.strip_suffix("/*") {
            Some(parent) => subfolders(&folder.join(parent)),
            None => vec![folder.join(&member)],
        };
        for member in folders {
            if let Some(manifest) = self::manifest(&member) {
                names.extend(of_package(&member, &manifest));
            }
        }
    }
    names
}

/// Where cargo puts what it builds in a folder, unless the environment says
/// otherwise: beside the workspace's `Cargo.toml`, else the folder's own.
pub(crate) fn target_folder(folder: &Path) -> PathBuf {
    let own = PathBuf::from("target");
    let Ok(full) = folder.canonicalize() else { return own };
    for ancestor in full.ancestors() {
        let Some(manifest) = manifest(ancestor).filter(|found| found.contains_key("workspace"))
        else {
            continue;
        };
        let excluded = strings(&manifest, "workspace", "exclude");
        let excluded = excluded.iter().any(|path| full.starts_with(ancestor.join(path)));
        return if ancestor == full || excluded { own } else { ancestor.join("target") };
    }
    own
}

fn manifest(folder: &Path) -> Option<Table> {
    std::fs::read_to_string(folder.join("Cargo.toml")).ok()?.parse().ok()
}

/// The package's own name, its `[[bin]]`s, and the files of `src/bin`.
fn of_package(folder: &Path, manifest: &Table) -> Vec<String> {
    let name_of = |value: &Value| value.get("name")?.as_str().map(str::to_owned);
    let mut names: Vec<String> = manifest.get("package").and_then(name_of).into_iter().collect();
    let declared = manifest.get("bin").and_then(Value::as_array).into_iter().flatten();
    names.extend(declared.filter_map(name_of));
    let discovered = std::fs::read_dir(folder.join("src/bin")).into_iter().flatten().flatten();
    for entry in discovered {
        let path = entry.path();
        let is_binary = match path.extension() {
            Some(extension) => extension == "rs",
            None => path.join("main.rs").is_file(),
        };
        if is_binary {
            names.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    names
}

fn strings(manifest: &Table, table: &str, key: &str) -> Vec<String> {
    let values = manifest.get(table).and_then(|table| table.get(key)).and_then(Value::as_array);
    values.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_of_a_workspace_are_found_and_built_into_its_target() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "Cargo.toml",
            "[workspace]\nmembers = [\"one\", \"crates/*\"]\nexclude = [\"out\"]\n",
        );
        write("one/Cargo.toml", "[package]\nname = \"one\"\n[[bin]]\nname = \"extra\"\n");
        write("one/src/bin/found.rs", "");
        write("one/src/bin/folder/main.rs", "");
        write("crates/two/Cargo.toml", "[package]\nname = \"two\"\n");
        write("out/Cargo.toml", "[package]\nname = \"out\"\n");
        let mut names = binaries(root.path());
        names.sort();
        assert_eq!(names, ["extra", "folder", "found", "one", "two"]);
        let own = PathBuf::from("target");
        assert_eq!(target_folder(root.path()), own);
        let shared = root.path().canonicalize().unwrap().join("target");
        assert_eq!(target_folder(&root.path().join("one")), shared);
        assert_eq!(target_folder(&root.path().join("out")), own);
        assert_eq!(target_folder(Path::new("/nonexistent")), own);
    }
}
