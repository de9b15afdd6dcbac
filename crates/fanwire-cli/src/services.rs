//! Programs that run beside the server, as `dev` follows them: the files that they are
//! made of, and the websockets that they open.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fanwire_app::App;
use fanwire_app::model::Service;
use fanwire_server::{ServedSocket, Server};
use serde_json::json;

use crate::console::Console;

/// Extensions of files that a service may be made of.
const EXTENSIONS: [&str; 13] =
    ["ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs", "json", "py", "go", "dart", "sql"];

/// Folders that are no part of a project's own, beside those that begin with a dot.
const LEFT_OUT: [&str; 6] = ["node_modules", "dist", "build", "target", "venv", "__pycache__"];

/// Files that are followed at the most.
const MAX_FILES: usize = 5000;

/// How deep folders are looked into.
const MAX_DEPTH: usize = 16;

/// The files of the folders of services that are to be started anew when they change.
/// Nobody tells which of them a service has loaded.
pub(crate) fn sources(app: &App) -> Vec<PathBuf> {
    let folders: BTreeSet<&Path> = followed(app).map(|(_, service)| &*service.folder).collect();
    let mut found = Vec::new();
    for folder in folders {
        walk(folder, 0, &mut found);
    }
    found
}

/// The services that are to be started anew when files change, by their keys.
pub(crate) fn followed(app: &App) -> impl Iterator<Item = (&str, &Service)> {
    let services = app.nitric.iter().flat_map(|nitric| &nitric.services);
    let services = services.map(|(key, service)| (key.as_str(), service));
    services.filter(|(_, service)| service.restart_on_change)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let is_left_out = name.starts_with('.') || LEFT_OUT.contains(&name);
        if is_left_out || found.len() >= MAX_FILES {
            continue;
        }
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => walk(&path, depth + 1, found),
            Ok(kind) if kind.is_file() && is_source(&path) => found.push(path),
            _ => {}
        }
    }
}

fn is_source(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// Tells of websockets that are opened after those that `told` has, for ever.
pub(crate) async fn tell_of_sockets(
    server: &Server,
    mut told: BTreeSet<String>,
    console: &Console,
    as_json: bool,
) {
    let Some(mut sockets) = server.nitric_sockets() else {
        return std::future::pending().await;
    };
    loop {
        for socket in sockets.borrow_and_update().values() {
            if !told.insert(socket.name.clone()) {
                continue;
            }
            if as_json {
                let mut line = described(socket);
                line["type"] = json!("websocket");
                console.json(&line);
            } else {
                console.news(format!("websocket `{}` is open: {}", socket.name, socket.url()));
            }
        }
        if sockets.changed().await.is_err() {
            // The server has the sender.
            return std::future::pending().await;
        }
    }
}

/// A websocket's own port, for programs.
pub(crate) fn described(socket: &ServedSocket) -> serde_json::Value {
    json!({ "name": socket.name, "url": socket.url(), "port": socket.address.port() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_s_own_sources_are_followed_and_packages_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a.ts", "lib/b.py", "node_modules/c.js", ".fanwire/d.json", "notes.md"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let mut found = Vec::new();
        walk(folder.path(), 0, &mut found);
        found.sort();
        assert_eq!(found, [folder.path().join("a.ts"), folder.path().join("lib/b.py")]);
    }
}
