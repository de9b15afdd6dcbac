//! What is said about an `sst.config.ts` that cannot be used: the place in the user's own
//! file, and what to do.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on may panic")]

use fanwire_app::{Diagnostic, LoadOptions, load};

/// A configuration whose run() is given.
fn with_run(body: &str) -> String {
    format!(
        "export default $config({{\n  app: () => ({{ name: \"faulty\", home: \"aws\" }}),\n  async run() {{\n{body}\n  }},\n}});\n"
    )
}

/// What is wrong with a folder of files, of which the first is the project file.
fn faults(files: &[(&str, &str)]) -> Vec<Diagnostic> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    let environment = [("PATH".to_owned(), path)].into();
    let options = LoadOptions { environment, ..LoadOptions::default() };
    match load(folder.path(), &options) {
        Ok(loaded) => panic!("{} loads", loaded.app.service),
        Err(error) => {
            let project = error.files.iter().any(|file| file.ends_with("sst.config.ts"));
            assert!(project, "a change of it may mend it");
            error.diagnostics
        }
    }
}

/// Requires one fault, in a file, at a line and column, that says all of these.
fn assert_fault(files: &[(&str, &str)], file: &str, at: (usize, usize), parts: &[&str]) {
    let found = faults(files);
    let [fault] = found.as_slice() else { panic!("{found:#?}") };
    let shown = fault.to_string();
    for part in parts {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    let place = fault.place.as_ref().unwrap_or_else(|| panic!("no place in\n{shown}"));
    assert!(fault.file.ends_with(file), "{shown}");
    assert_eq!((place.line, place.column), at, "{shown}");
}

fn assert_run_fault(body: &str, at: (usize, usize), parts: &[&str]) {
    assert_fault(&[("sst.config.ts", &with_run(body))], "sst.config.ts", at, parts);
}

#[test]
fn errors_of_the_user_s_own_are_shown_where_they_are_thrown() {
    assert_run_fault(
        "    const stage = $app.stage;\n    if (stage !== \"prod\") throw new Error(`not for ${stage}`);",
        (5, 33),
        &["sst.config.ts cannot be evaluated: not for dev"],
    );
    assert_run_fault("    const a = {};\n    a.b.c();", (5, 9), &["TypeError", "undefined"]);
    assert_run_fault("    throw \"just a text\";", (1, 1), &["it threw \"just a text\""]);
    assert_run_fault(
        "    $output(1).apply(() => {\n      throw new RangeError(\"in apply\");\n    });",
        (5, 13),
        &["RangeError: in apply"],
    );
    assert_run_fault(
        "    (async () => {\n      await null;\n      throw new Error(\"nobody waits\");\n    })();\n    await new Promise((resolve) => setTimeout(resolve, 50));",
        (6, 13),
        &["nobody waits"],
    );
}

#[test]
fn errors_in_what_it_imports_are_shown_there() {
    let config = with_run("    await import(\"./infra/api\");");
    let files = |infra| [("sst.config.ts", config.as_str()), ("infra/api.ts", infra)];
    assert_fault(
        &files("\nmissing.call();\n"),
        "infra/api.ts",
        (2, 1),
        &["missing is not defined"],
    );
    assert_fault(&files("\nconst a = (;\n"), "infra/api.ts", (2, 12), &["expected"]);
    let mut two = files(
        "import { nope } from \"./other\";
",
    )
    .to_vec();
    two.push((
        "infra/other.ts",
        "export {};
",
    ));
    assert_fault(
        &two,
        "infra/api.ts",
        (1, 23),
        &["'./other' does not provide an export named 'nope'"],
    );
    assert_fault(
        &files("import { a } from \"./b\";\n"),
        "infra/api.ts",
        (1, 20),
        &["there is no file `./b` that api.ts imports"],
    );
    assert_fault(
        &files("import { a } from \"not-installed\";\n"),
        "infra/api.ts",
        (1, 20),
        &["cannot find the package `not-installed`", "help: npm install"],
    );
}

#[test]
fn syntax_errors_have_their_place() {
    assert_fault(
        &[("sst.config.ts", "export default $config({\n  app() { return {} ]\n});\n")],
        "sst.config.ts",
        (2, 21),
        &["]"],
    );
}

#[test]
fn the_network_is_not_reached() {
    for (body, asked) in [
        ("    await fetch(\"https://example.com/ip\");", "https://example.com/ip"),
        (
            "    const { get } = await import(\"node:http\");\n    await new Promise((_, no) => get(\"http://127.0.0.1:9/\").on(\"error\", no));",
            "127.0.0.1:9",
        ),
        ("    await (await import(\"node:dns/promises\")).lookup(\"example.com\");", "example.com"),
    ] {
        let found = faults(&[("sst.config.ts", &with_run(body))]);
        let shown = found[0].to_string();
        assert!(shown.contains(&format!("without a network, and it asks for {asked}")), "{shown}");
        assert!(shown.contains("an environment variable"), "{shown}");
    }
}

#[test]
fn programs_and_threads_are_not_started() {
    assert_run_fault(
        "    const { execSync } = await import(\"child_process\");\n    execSync(\"git rev-parse HEAD\");",
        (5, 5),
        &["it starts `git rev-parse HEAD`", "an environment variable"],
    );
    assert_run_fault(
        "    const { Worker } = await import(\"node:worker_threads\");\n    new Worker(\"x\", { eval: true });",
        (5, 5),
        &["without further threads"],
    );
    assert_run_fault("    process.exit(0);", (4, 13), &["it ends the program that reads it"]);
}

#[test]
fn what_never_ends_by_itself_is_told() {
    assert_run_fault(
        "    await new Promise(() => {});",
        (1, 1),
        &["it waits for something that never happens"],
    );
}

#[test]
fn a_file_that_is_no_configuration_says_what_one_is() {
    for (text, parts) in [
        ("export const a = 1;\n", ["there is no app() and run() here", "$config({ app(input)"]),
        ("export default { config() {}, stacks() {} };\n", ["version 2 of SST", "fanwire.toml"]),
        (
            "export default $config({ app: () => ({}), run() {} });\n",
            ["app() gives no name", "a letter, then"],
        ),
        (
            "export default $config({ app: () => ({ name: \"a b\" }), run() {} });\n",
            ["\"a b\" is not a valid name", "a letter, then"],
        ),
    ] {
        let found = faults(&[("sst.config.ts", text)]);
        let shown = found[0].to_string();
        for part in parts {
            assert!(shown.contains(part), "no {part:?} in\n{shown}");
        }
    }
}

#[test]
fn components_that_cannot_be_are_told_at_their_place() {
    for (body, at, parts) in [
        (
            "    new sst.aws.Bucket(\"Chat\");\n    new sst.aws.Queue(\"chat\");",
            (5, 5),
            ["two components have the name `chat`", "another name"],
        ),
        (
            "    new sst.aws.Bucket(\"App\");",
            (4, 5),
            ["`App` is taken by SST itself", "another name"],
        ),
        (
            "    new sst.aws.Bucket(\"my bucket\");",
            (4, 5),
            ["`my bucket` is not a valid name", "a letter, then"],
        ),
        (
            "    new sst.aws.Function(\"Fn\", {});",
            (4, 5),
            ["the function `Fn` has no handler", "path/to/file.function"],
        ),
        (
            "    new sst.aws.Function(\"Fn\", { handler: \"src/fn\" });",
            (4, 5),
            ["`src/fn` is not a handler", "path/to/file.function"],
        ),
        (
            "    new sst.aws.Function(\"Fn\", { handler: \"a.b\", timeout: \"30 secs\" });",
            (4, 5),
            ["\"30 secs\" is not a length of time", "\"30 seconds\""],
        ),
        (
            "    new sst.aws.Function(\"Fn\", { handler: \"a.b\", runtime: \"nodjs22.x\" });",
            (4, 5),
            ["the runtime `nodjs22.x`", "did you mean `nodejs22.x`?"],
        ),
        (
            "    new sst.aws.Function(\"Fn\", { handler: \"a.b\", link: [undefined] });",
            (4, 5),
            ["something undefined is in a `link`", "exported"],
        ),
        (
            "    new sst.aws.Dynamo(\"Table\", { fields: { id: \"text\" }, primaryIndex: { hashKey: \"id\" } });",
            (4, 5),
            ["`text` is not a type of the field `id`", "string, number, binary"],
        ),
        (
            "    const realtime = new sst.aws.Realtime(\"Live\", { authorizer: \"a.b\" });\n    realtime.subscribe(\"c.d\", { filter: \"a/#/b\" });",
            (5, 14),
            ["a/#/b", "expected"],
        ),
        (
            "    const api = new sst.aws.ApiGatewayWebSocket(\"Api\");\n    api.route(\"$conect\", \"c.d\");",
            (5, 9),
            ["`$conect` is not a valid route key", "did you mean `$connect`?"],
        ),
        (
            "    const api = new sst.aws.ApiGatewayWebSocket(\"Api\");\n    api.addAuthorizer(\"gate\", {});",
            (5, 9),
            ["needs one of lambda and jwt", "lambda: {"],
        ),
    ] {
        assert_run_fault(body, at, &parts);
    }
}

#[test]
fn a_machine_without_node_is_told_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sst.config.ts"), with_run("")).unwrap();
    let error = load(folder.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("no `node` on the PATH") && error.contains("Node.js 18"), "{error}");
}
