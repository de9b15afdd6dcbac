//! Where imports lead, and what `tsconfig.json` says of a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oxc_resolver::{ResolveOptions, Resolver, TsConfig, TsconfigDiscovery};

/// What may be left out at the end of a path, as esbuild has it for Node.js.
const EXTENSIONS: [&str; 9] =
    [".tsx", ".ts", ".mts", ".cts", ".jsx", ".js", ".mjs", ".cjs", ".json"];

/// What a path may mean whose file is yet to be compiled.
const ALIASES: [(&str, &[&str]); 4] = [
    (".js", &[".js", ".ts", ".tsx"]),
    (".jsx", &[".jsx", ".tsx"]),
    (".mjs", &[".mjs", ".mts"]),
    (".cjs", &[".cjs", ".cts"]),
];

/// The rules of resolution for Node.js.
pub(crate) struct Project(Resolver);

/// What `tsconfig.json` says of a file; nothing where there is none.
pub(crate) struct Config(Option<Arc<TsConfig>>);

// === impl Project ===

impl Project {
    pub(crate) fn new() -> Self {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let aliases = ALIASES.iter().map(|(written, meant)| ((*written).to_owned(), list(meant)));
        Self(Resolver::new(ResolveOptions {
            tsconfig: Some(TsconfigDiscovery::Auto),
            extensions: list(&EXTENSIONS),
            extension_alias: aliases.collect(),
            condition_names: list(&["node", "import", "module", "default"]),
            main_fields: list(&["main", "module"]),
            ..ResolveOptions::default()
        }))
    }

    /// The file that a specifier leads to from another file. `None` for what Node.js has
    /// itself, and for what is not there: an import that leads nowhere fails where it is
    /// run, with the words of Node.js.
    pub(crate) fn resolve(&self, from: &Path, specifier: &str) -> Option<PathBuf> {
        let found = self.0.resolve_file(from, specifier).ok()?;
        Some(found.path().to_owned())
    }

    /// What `tsconfig.json` says of a file. One that cannot be read says nothing: Node.js
    /// would not look at it either.
    pub(crate) fn config(&self, file: &Path) -> Config {
        Config(self.0.find_tsconfig(file).ok().flatten())
    }
}

// === impl Config ===

impl Config {
    pub(crate) fn path(&self) -> Option<&PathBuf> {
        self.0.as_ref().map(|config| &config.path)
    }

    /// The options of the compiler.
    pub(crate) fn options(&self) -> Option<&oxc_resolver::CompilerOptions> {
        self.0.as_ref().map(|config| &config.compiler_options)
    }
}

/// Whether a file is to be compiled: those of packages are ready to run, unless they are
/// TypeScript.
pub(crate) fn is_ours(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    match extension {
        "ts" | "mts" | "cts" | "tsx" => true,
        "js" | "mjs" | "cjs" | "jsx" | "json" => {
            !path.components().any(|part| part.as_os_str() == "node_modules")
        }
        _ => false,
    }
}
