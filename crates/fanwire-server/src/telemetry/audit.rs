//! Who called which API, as JSON lines in a file: the calls that are let through, and those that
//! are refused. What is asked for is named; what was sent, and secrets, are never in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::AuditOptions;
use crate::guard::GuardEvent;

/// The most of a name, an action or a resource that is written, in bytes.
const MAX_TEXT: usize = 512;

/// The log cannot be written where it is to be.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the audit log {file}: {source} (telemetry.audit_file)")]
pub struct AuditError {
    /// The file.
    pub file: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

/// The file that calls are written to.
#[derive(Debug)]
pub(super) struct AuditLog {
    options: AuditOptions,
    // A std lock: held to write a line, which the system takes into memory.
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

// === impl AuditLog ===

impl AuditLog {
    /// Goes on with the file, or begins it.
    pub(super) fn open(options: AuditOptions) -> Result<Self, AuditError> {
        let open = Open::at(&options.file)
            .map_err(|source| AuditError { file: options.file.clone(), source })?;
        Ok(Self { options, open: Mutex::new(open) })
    }

    /// Writes an event down, if it is one of a call.
    pub(super) fn write(&self, event: &GuardEvent<'_>) {
        let Some(record) = record(event) else { return };
        let line = format!("{record}\n");
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.bytes > 0 && open.bytes + line.len() as u64 > self.options.max_bytes {
            // Where it cannot be done, the file grows: rather that than calls nobody knows of.
            if let Ok(next) = self.rotate() {
                *open = next;
            }
        }
        // A full disk must not stop the server.
        if open.file.write_all(line.as_bytes()).is_ok() {
            open.bytes += line.len() as u64;
        }
    }

    /// Moves each file one number on, the last away, and begins another.
    fn rotate(&self) -> io::Result<Open> {
        let AuditOptions { file, keep, .. } = &self.options;
        for number in (1..*keep).rev() {
            rename(&numbered(file, number), &numbered(file, number + 1))?;
        }
        if *keep > 0 {
            rename(file, &numbered(file, 1))?;
        } else {
            fs::remove_file(file)?;
        }
        Open::at(file)
    }
}

// === impl Open ===

impl Open {
    fn at(file: &Path) -> io::Result<Self> {
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(file)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn numbered(file: &Path, number: usize) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn record(event: &GuardEvent<'_>) -> Option<Value> {
    let time = jiff::Timestamp::now().to_string();
    match event {
        GuardEvent::Allowed { caller, action, resource, source_ip } => Some(json!({
            "time": time,
            "result": "allowed",
            "caller": cut(caller),
            "action": cut(action),
            "resource": cut(resource),
            "sourceIp": source_ip,
        })),
        GuardEvent::Open { action, resource, source_ip } => Some(json!({
            "time": time,
            "result": "allowed",
            "caller": Value::Null,
            "action": cut(action),
            "resource": cut(resource),
            "sourceIp": source_ip,
        })),
        GuardEvent::Denied { caller, action, resource, source_ip, error, .. } => Some(json!({
            "time": time,
            "result": "denied",
            "error": error,
            "caller": caller.map(cut),
            "action": action.map(cut),
            "resource": resource.map(cut),
            "sourceIp": source_ip,
        })),
        _ => None,
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sub").join("audit.log");
        let log = AuditLog::open(AuditOptions { file: file.clone(), max_bytes: 300, keep: 2 });
        let log = log.unwrap();
        for n in 0..12 {
            let caller = format!("caller-{n}");
            log.write(&GuardEvent::Allowed {
                caller: &caller,
                action: "iot:Publish",
                resource: "arn:aws:iot:eu-west-1:1:topic/a",
                source_ip: [127, 0, 0, 1].into(),
            });
        }
        let mut names: Vec<_> = fs::read_dir(file.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["audit.log", "audit.log.1", "audit.log.2"]);
        let newest = fs::read_to_string(&file).unwrap();
        assert!(newest.contains("caller-11"), "{newest}");
        for name in names {
            let text = fs::read_to_string(file.parent().unwrap().join(name)).unwrap();
            assert!(text.len() <= 300);
            for line in text.lines() {
                let record: Value = serde_json::from_str(line).unwrap();
                assert_eq!(record["action"], "iot:Publish");
            }
        }
    }
}
