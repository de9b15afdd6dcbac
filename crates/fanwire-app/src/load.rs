//! Finding and reading a project file.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, LoadError};
use crate::model::App;
use crate::node::{json, toml, yaml};
use crate::reading::{LoadOptions, Loaded, Reading};
use crate::{native, nitric, sam, serverless, sst};

/// The largest project file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// The files that are looked for in a folder, in this order.
const FILE_NAMES: [&str; 9] = [
    "fanwire.toml",
    "serverless.yml",
    "serverless.yaml",
    "sst.config.ts",
    "nitric.yaml",
    "nitric.yml",
    "template.yaml",
    "template.yml",
    "template.json",
];

/// Project files that exist in the wild and are not read, and what to do.
const UNREAD_FILES: [(&str, &str); 5] = [
    ("serverless.ts", "programs are not evaluated yet"),
    ("serverless.js", "programs are not evaluated yet"),
    ("serverless.cjs", "programs are not evaluated yet"),
    ("serverless.mjs", "programs are not evaluated yet"),
    ("serverless.json", "only serverless.yml is read so far"),
];

/// Loads an App from a project file, or from the project file of a folder:
/// `fanwire.toml`, else `serverless.yml`, else `serverless.yaml`, else `sst.config.ts`, else
/// `nitric.yaml` or `.yml`, else a SAM or CloudFormation template: `template.yaml`, `.yml` or
/// `.json`. Only reads files, but for `sst.config.ts`, which is a program: it is run in
/// Node.js, for a limited time and without a network. Nothing is fetched.
///
/// # Errors
///
/// Where there is no such file or it cannot be used, with as many faults as can be
/// told at once.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, LoadError> {
    let path = if path.is_dir() { find(path)? } else { path.to_owned() };
    if !path.exists() {
        return Err(Diagnostic::about_file(path, "there is no such file or folder").into());
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some((_, reason)) = UNREAD_FILES.iter().find(|(unread, _)| *unread == name) {
        return Err(not_read(&path, reason));
    }
    let format: Importer = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => read_toml,
        Some("yml" | "yaml") => read_yaml,
        Some("json" | "template") => read_template,
        _ if name == "sst.config.ts" => sst::import,
        _ => {
            let fault = "this is not a project file that Fanwire reads";
            let expected =
                "a file whose name ends in .toml, .yml, .yaml or .json, or sst.config.ts";
            let diagnostic = Diagnostic::about_file(path, fault);
            return Err(Diagnostic { expected: Some(expected.to_owned()), ..diagnostic }.into());
        }
    };
    let text = read(&path)?;
    let mut reading = Reading::new(&path, text.clone(), options);
    let app = format(&mut reading, &text);
    reading.finish(app)
}

/// Turns a text into an App; `None` where a fault that was reported prevents it.
type Importer = fn(&mut Reading<'_>, &str) -> Option<App>;

fn read_toml(reading: &mut Reading<'_>, text: &str) -> Option<App> {
    let root = toml::parse(reading.file_id, text, &mut reading.issues);
    (!reading.issues.has_errors()).then(|| native::import(reading, &root))?
}

fn read_yaml(reading: &mut Reading<'_>, text: &str) -> Option<App> {
    match yaml::parse(reading.file_id, text, &mut reading.issues) {
        Ok(root) if is_named(reading, &nitric::FILE_NAMES) => nitric::import(reading, &root),
        Ok(root) if sam::is_template(&root) || is_named_template(&reading.file) => {
            read_template(reading, text)
        }
        Ok(root) => serverless::import(reading, &root),
        Err(issue) => {
            reading.issues.push(issue);
            None
        }
    }
}

/// Whether the file that is read has one of these names.
fn is_named(reading: &Reading<'_>, names: &[&str]) -> bool {
    names.iter().any(|name| reading.file.file_name().is_some_and(|own| own == *name))
}

/// Whether a file has the name of a template.
fn is_named_template(file: &Path) -> bool {
    file.file_stem().is_some_and(|stem| stem == "template")
}

/// A template, in YAML or JSON: the latter is nearly always the former, too, and as such
/// has places.
fn read_template(reading: &mut Reading<'_>, text: &str) -> Option<App> {
    let root = yaml::parse_1_1(reading.file_id, text, &mut reading.issues);
    let is_json =
        reading.file.extension().is_some_and(|extension| extension != "yaml" && extension != "yml");
    let root = if is_json { root.or_else(|_| json::parse(reading.file_id, text)) } else { root };
    match root {
        Ok(root) => sam::import(reading, &root),
        Err(issue) => {
            reading.issues.push(issue);
            None
        }
    }
}

/// The project file of a folder.
fn find(folder: &Path) -> Result<PathBuf, LoadError> {
    if let Some(found) = FILE_NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
    {
        return Ok(found);
    }
    if let Some((name, reason)) = UNREAD_FILES.iter().find(|(name, _)| folder.join(name).is_file())
    {
        return Err(not_read(&folder.join(name), reason));
    }
    let diagnostic = Diagnostic::about_file(folder.to_owned(), "there is no project file here");
    let expected = format!("one of {}", FILE_NAMES.join(", "));
    Err(Diagnostic { expected: Some(expected), ..diagnostic }.into())
}

fn not_read(path: &Path, reason: &str) -> LoadError {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let message = format!("{name} cannot be read: {reason}");
    let help = if name.starts_with("serverless") {
        "`serverless print` writes the resolved configuration as YAML: \
         `serverless print > serverless.yml`"
    } else {
        "describe the app in a fanwire.toml"
    };
    let diagnostic = Diagnostic::about_file(path.to_owned(), message);
    Diagnostic { help: Some(help.to_owned()), ..diagnostic }.into()
}

fn read(path: &Path) -> Result<String, LoadError> {
    let failed = |message: String| Diagnostic::about_file(path.to_owned(), message);
    let size =
        std::fs::metadata(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    if size.len() > MAX_FILE_BYTES {
        return Err(failed(format!("is larger than {MAX_FILE_BYTES} bytes")).into());
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| failed(format!("cannot be read: {error}")))?;
    match text.strip_prefix('\u{feff}') {
        Some(after_mark) => Ok(after_mark.to_owned()),
        None => Ok(text),
    }
}
