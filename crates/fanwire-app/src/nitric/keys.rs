//! The keys of `nitric.yaml`, of both generations, and of `local.nitric.yaml`.

use crate::decode::{Key, Kind, Others, Table};

pub(super) const PROJECT: Table = Table {
    name: "a Nitric project",
    doc: "nitric.yaml",
    keys: &[
        Key::required("name", Kind::Text, "the project's name"),
        Key::new(
            "services",
            Kind::ListOf(&SERVICE),
            "which files are services, and how they are started; since Nitric 1.0",
        ),
        Key::new("handlers", Kind::Any, "which files are services; before Nitric 1.0"),
        Key::new("batch-services", Kind::Any, "which files are batch services"),
        Key::new("websites", Kind::ListOf(&WEBSITE), "the project's sites"),
        Key::ignored("preview"),
        Key::ignored("preview-features"),
        Key::ignored("runtimes"),
    ],
    others: Others::Warned,
};

const SERVICE: Table = Table {
    name: "an entry of `services`",
    doc: "files that are services",
    keys: &[
        Key::required("match", Kind::Text, "a pattern of file names, such as services/*.ts"),
        Key::new("start", Kind::Text, "the command that runs $SERVICE_PATH"),
        Key::new("basedir", Kind::Text, "the folder that `match` and `start` are relative to"),
        Key::ignored("runtime"),
        Key::ignored("type"),
    ],
    others: Others::Warned,
};

const WEBSITE: Table = Table {
    name: "an entry of `websites`",
    doc: "a site",
    keys: &[
        Key::required("basedir", Kind::Text, "the site's folder"),
        Key::new("dev", Kind::Table(&DEV), "how it is served while one works on it"),
        Key::ignored("build"),
        Key::ignored("path"),
        Key::ignored("index"),
        Key::ignored("error"),
    ],
    others: Others::Warned,
};

const DEV: Table = Table {
    name: "`dev`",
    doc: "how a site is served while one works on it",
    keys: &[Key::new("command", Kind::Text, "the command that serves it"), Key::ignored("url")],
    others: Others::Warned,
};

pub(super) const LOCAL: Table = Table {
    name: "local.nitric.yaml",
    doc: "local.nitric.yaml",
    keys: &[
        Key::new("websockets", Kind::Tables(&SOCKET), "websockets by name"),
        Key::ignored("apis"),
    ],
    others: Others::Ignored,
};

const SOCKET: Table = Table {
    name: "a websocket",
    doc: "a websocket",
    keys: &[Key::new("port", Kind::Integer(1, 65535), "the port that it has")],
    others: Others::Warned,
};
