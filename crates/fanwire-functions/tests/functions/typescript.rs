//! TypeScript without anything that compiles it. With a compiler, or with `tsx` and
//! `esbuild`, it is tested with the program.

use fanwire_app::model::Runtime;

use crate::support::handler;

#[tokio::test]
async fn what_nothing_compiles_says_what_to_install() {
    let code = "export const handler = async (n: number): Promise<number> => n + 1;";
    let f = handler(Runtime::Node, "src/index.handler", &[("src/index.ts", code)]);
    let outcome = f.invoke("1").await;
    let text = String::from_utf8_lossy(&outcome.payload).into_owned();
    assert!(text.contains("\"errorType\":\"Runtime.ImportModuleError\""), "{text}");
    assert!(text.contains("npm install --save-dev tsx"), "{text}");
    assert!(text.contains("src/index.ts is TypeScript"), "{text}");
}

#[tokio::test]
async fn javascript_beside_typescript_goes_first() {
    let files =
        [("index.ts", "not even code"), ("index.js", "exports.handler = async () => 'js';")];
    assert_eq!(handler(Runtime::Node, "index.handler", &files).result("1").await, "js");
}
