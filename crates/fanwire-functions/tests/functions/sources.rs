//! Which files a function is known to be made of.

use std::path::{Path, PathBuf};

use fanwire_app::model::{Code, Runtime};
use fanwire_functions::HostOptions;

use crate::support::{Fixture, folder, function, handler_with, host};

fn reporting(runtime: Runtime, handler: &str, files: &[(&str, &str)]) -> Fixture {
    let options = HostOptions { report_sources: true, ..HostOptions::default() };
    handler_with(runtime, handler, files, options, |_| {})
}

impl Fixture {
    /// What is known, relative to the function's folder.
    fn sources(&self) -> Vec<String> {
        let root = self.folder.path().canonicalize().unwrap();
        let relative = |file: PathBuf| file.strip_prefix(&root).unwrap().display().to_string();
        let mut all = self.host.sources();
        assert_eq!(all.len(), 1);
        let (key, files) = all.remove(0);
        assert_eq!(key, "f");
        files.into_iter().map(relative).collect()
    }

    /// What processes told, in order.
    fn loaded(&self) -> Vec<String> {
        let root = format!("{}/", self.folder.path().canonicalize().unwrap().display());
        let lines = self.log.lines().into_iter();
        lines
            .filter_map(|(_, text)| {
                text.strip_prefix("f: loaded ").map(|text| text.replace(&root, ""))
            })
            .collect()
    }
}

#[tokio::test]
async fn what_a_commonjs_handler_requires_is_known_also_when_it_comes_late() {
    let f = reporting(
        Runtime::Node,
        "src/index.handler",
        &[
            (
                "src/index.js",
                "require('./a'); require('pkg'); require('linked'); exports.handler = async (late) => { if (late) { require('./late'); await import('../esm/x.mjs'); } };",
            ),
            ("src/a.js", "require('./data.json')"),
            ("src/data.json", "{}"),
            ("src/late.js", ""),
            ("esm/x.mjs", "import './y.mjs'"),
            ("esm/y.mjs", ""),
            ("node_modules/pkg/index.js", ""),
            ("packages/linked/index.js", ""),
        ],
    );
    std::os::unix::fs::symlink("../packages/linked", f.folder.path().join("node_modules/linked"))
        .unwrap();
    f.result("false").await;
    f.result("false").await;
    let first = "src/index.js src/a.js src/data.json packages/linked/index.js";
    assert_eq!(f.loaded(), [first]);
    f.result("true").await;
    f.result("true").await;
    assert_eq!(f.loaded(), [first, "src/late.js esm/x.mjs esm/y.mjs"]);
    let sources = f.sources();
    for file in first.split(' ').chain(["src/late.js", "esm/y.mjs", "src/index.ts"]) {
        assert!(sources.iter().any(|found| found == file), "{file} in {sources:?}");
    }
}

#[tokio::test]
async fn what_an_es_module_imports_is_known() {
    let f = reporting(
        Runtime::Node,
        "index.handler",
        &[
            (
                "index.mjs",
                "import './a.mjs'; import './b.cjs'; import 'fs'; export const handler = () => import('./late.mjs?x=1').then(() => 1);",
            ),
            ("a.mjs", ""),
            ("b.cjs", "require('./c.cjs')"),
            ("c.cjs", ""),
            ("late.mjs", ""),
        ],
    );
    f.result("1").await;
    let mut told = f.loaded();
    assert_eq!(told.pop().unwrap(), "late.mjs");
    let mut first: Vec<&str> = told[0].split(' ').collect();
    first.sort_unstable();
    assert_eq!(first, ["a.mjs", "b.cjs", "c.cjs", "index.mjs"]);
}

#[tokio::test]
async fn a_file_that_fails_to_load_is_known() {
    for (runtime, files, bad) in [
        (Runtime::Node, [("index.js", "require('./bad')"), ("bad.js", "let let")], "bad.js"),
        (Runtime::Node, [("index.js", "require('./bad')"), ("bad.js", "throw 1")], "bad.js"),
        (Runtime::Node, [("index.mjs", "import './bad.mjs'"), ("bad.mjs", "let let")], "bad.mjs"),
        (Runtime::Python, [("index.py", "import bad"), ("bad.py", "def")], "bad.py"),
        (Runtime::Python, [("index.py", "import bad"), ("bad.py", "1 / 0")], "bad.py"),
    ] {
        let f = reporting(runtime, "index.handler", &files);
        f.failure("1").await;
        let told = f.loaded().join(" ");
        assert!(told.contains(bad), "{told}");
        assert!(told.contains("index."), "{told}");
    }
}

#[tokio::test]
async fn what_a_python_handler_imports_is_known_also_when_it_comes_late() {
    let f = reporting(
        Runtime::Python,
        "app/index.handler",
        &[
            ("app/__init__.py", ""),
            (
                "app/index.py",
                "import json\nfrom . import a\nimport pkg\ndef handler(event, context):\n    import app.late\n",
            ),
            ("app/a.py", "from lib import b"),
            ("app/late.py", ""),
            ("lib/b.py", ""),
            (".venv/lib/python3/site-packages/pkg.py", ""),
            ("sitecustomize.py", ""),
        ],
    );
    std::fs::write(
        f.folder.path().join("lib/b.py"),
        "import sys\nsys.path.append(sys.path[0] + '/.venv/lib/python3/site-packages')\n",
    )
    .unwrap();
    f.result("1").await;
    f.result("1").await;
    let first = "app/__init__.py app/a.py app/index.py lib/b.py";
    assert_eq!(f.loaded(), [first, "app/late.py"]);
}

#[tokio::test]
async fn the_places_of_a_handler_are_known_before_it_runs() {
    let f = reporting(Runtime::Node, "src/index.handler", &[]);
    assert_eq!(
        f.sources(),
        ["js", "mjs", "cjs", "ts", "mts", "cts", "tsx"].map(|ext| format!("src/index.{ext}"))
    );
    let f = reporting(Runtime::Python, "pkg.module.handler", &[]);
    assert_eq!(f.sources(), ["pkg/module.py", "pkg/module/__init__.py"]);
}

#[tokio::test]
async fn an_executable_is_known_or_what_it_is_built_from() {
    let command = |root: &Path, build: Option<&str>| {
        function(Code::Command {
            command: vec!["./target/chat".to_owned()],
            root: root.to_owned(),
            handler: "chat".to_owned(),
            build: build.map(|program| vec![program.to_owned()]),
        })
    };
    let files = [("target/chat", ""), ("Cargo.toml", ""), ("src/main.rs", ""), ("src/a/b.rs", "")];
    let made = folder(&files);
    let plain = command(made.path(), None);
    let f = host(made, plain, HostOptions::default());
    assert_eq!(f.sources(), ["target/chat"]);
    let made = folder(&files);
    let built = command(made.path(), Some("cargo"));
    let f = host(made, built, HostOptions::default());
    let mut sources = f.sources();
    sources.sort_unstable();
    assert_eq!(sources, ["Cargo.toml", "src/a/b.rs", "src/main.rs"]);
}
