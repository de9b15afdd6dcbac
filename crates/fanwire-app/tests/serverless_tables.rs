//! The tables of a `serverless.yml`: how they are read, and what is said about those
//! that DynamoDB would refuse.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::Path;

use fanwire_app::model::{AttributeType, DynamoDb, DynamoDbChoice, Projection, StreamView};
use fanwire_app::{App, LoadError, LoadOptions, Loaded, load};

/// The App of `tests/serverless/notes`.
fn notes(options: &LoadOptions) -> App {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serverless/notes");
    load(&path, options).unwrap_or_else(|error| panic!("{error}")).app
}

fn stage(stage: &str) -> LoadOptions {
    LoadOptions { stage: Some(stage.to_owned()), ..LoadOptions::default() }
}

fn load_text(text: &str) -> Result<Loaded, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serverless.yml");
    std::fs::write(&file, text).unwrap();
    load(&file, &LoadOptions::default())
}

/// The one fault of a file, as it is printed.
#[track_caller]
fn fault(text: &str) -> String {
    let error = load_text(text).map(|loaded| loaded.app).unwrap_err();
    assert_eq!(error.diagnostics.len(), 1, "{error}");
    error.to_string()
}

#[test]
fn tables_are_read_as_cloudformation_describes_them() {
    let app = notes(&LoadOptions::default());
    assert_eq!(app.dynamodb, DynamoDb::Embedded);
    let keys: Vec<_> = app.tables.keys().collect();
    assert_eq!(keys, ["NotesTable", "AuditTable", "WorldTable"]);
    let notes = &app.tables["NotesTable"];
    assert_eq!(notes.name, "notes-dev-notes");
    let attributes: Vec<_> =
        notes.attributes.iter().map(|(name, kind)| format!("{name} {}", kind.as_str())).collect();
    assert_eq!(attributes, ["owner S", "id S", "written N", "notes-dev S"]);
    let key: Vec<_> = notes.key.attributes().collect();
    assert_eq!(key, ["owner", "id"]);
    let [by_id, by_stage] = notes.global_indexes.as_slice() else { panic!() };
    assert_eq!((by_id.name.as_str(), by_id.key.range.is_empty()), ("by-id", true));
    let key: Vec<_> = by_stage.key.attributes().collect();
    assert_eq!(key, ["notes-dev", "id", "written"], "a global index may have several");
    assert_eq!((by_stage.key.hash.len(), by_stage.key.range.len()), (2, 1));
    assert_eq!(by_id.projection, Projection::Include(vec!["title".to_owned(), "dev".to_owned()]));
    assert_eq!(by_stage.projection, Projection::All);
    let [by_time] = notes.local_indexes.as_slice() else { panic!() };
    assert_eq!(by_time.key.range, ["written"]);
    assert_eq!(by_time.projection, Projection::KeysOnly);
    assert_eq!(notes.ttl_attribute.as_deref(), Some("expires"), "Enabled may be text");
    assert_eq!(notes.stream, Some(StreamView::NewAndOldImages));
    let audit = &app.tables["AuditTable"];
    assert_eq!((audit.attributes["at"], audit.ttl_attribute.as_ref()), (AttributeType::N, None));
    assert_eq!(app.tables["WorldTable"].name, "notes-dev-000000000000");
}

#[test]
fn references_to_a_table_are_its_name() {
    let app = notes(&stage("prod"));
    let environment = &app.functions["connect"].environment;
    for (variable, table) in [("NOTES_TABLE", "NotesTable"), ("AUDIT_TABLE", "AuditTable")] {
        assert_eq!(environment[variable], app.tables[table].name);
    }
    let arn = "arn:aws:dynamodb:us-west-2:000000000000:table/notes-prod-notes";
    assert_eq!(environment["NOTES_ARN"], arn);
    let stream = format!("{arn}/stream/1970-01-01T00:00:00.000");
    assert_eq!(environment["NOTES_STREAM"], stream);
}

#[test]
fn a_real_dynamodb_is_used_where_the_command_line_says_so() {
    let elsewhere = |choice: DynamoDbChoice| {
        let options = LoadOptions { dynamodb: Some(choice), ..stage("prod") };
        match notes(&options).dynamodb {
            DynamoDb::Elsewhere { endpoint } => endpoint,
            DynamoDb::Embedded => panic!(),
        }
    };
    assert_eq!(elsewhere(DynamoDbChoice::Aws), "https://dynamodb.us-west-2.amazonaws.com");
    let local = "http://localhost:8000";
    assert_eq!(elsewhere(DynamoDbChoice::Endpoint(local.to_owned())), local);
}

/// The least that a table has.
const ID: &str = "AttributeDefinitions: [{AttributeName: id, AttributeType: S}]";
const HASH: &str = "KeySchema: [{AttributeName: id, KeyType: HASH}]";

/// A file with a table `Users` of some properties, each on a line of its own from line
/// 8, at column 9.
fn with_table(properties: &[&str]) -> String {
    let properties = properties.join("\n        ");
    format!(
        "service: chat\nprovider: {{name: aws}}\nresources:\n  Resources:\n    Users:\n      \
         Type: AWS::DynamoDB::Table\n      Properties:\n        {properties}\n"
    )
}

/// Asserts that a table of these properties has one fault, and what is said about it.
#[track_caller]
fn assert_table_fault(properties: &[&str], place: &str, parts: &[&str]) {
    let shown = fault(&with_table(properties));
    for part in parts.iter().chain([&place]) {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
}

#[test]
fn a_table_that_dynamodb_would_refuse_is_refused_at_its_place() {
    for (properties, place, parts) in [
        (&[ID][..], ":8:9", &["the key `KeySchema` is missing from a table's properties"][..]),
        (&[HASH], ":8:9", &["the key `AttributeDefinitions` is missing"]),
        (&[ID, HASH, "KeySchem: []"], ":10:9", &["unknown key", "did you mean `KeySchema`?"]),
        (&[ID, "KeySchema: []"], ":7:7", &["the key schema is empty", "HASH, or HASH and then"]),
        (&[ID, "KeySchema: {}"], ":9:20", &["a list, each item of it a part of a key"]),
        (
            &[ID, "KeySchema: [{AttributeName: id, KeyType: RANGE}]"],
            ":9:21",
            &["the key schema is RANGE"],
        ),
        (
            &[ID, "KeySchema: [{AttributeName: id, KeyType: HSAH}]"],
            ":9:50",
            &["`HSAH` is not a valid value of `KeyType`", "did you mean `HASH`?"],
        ),
        (
            &["AttributeDefinitions: [{AttributeName: id, AttributeType: String}]", HASH],
            ":8:67",
            &["`String` is not a valid value of `AttributeType`", "one of S, N, B"],
        ),
        (
            &["AttributeDefinitions: [{AttributeName: ID, AttributeType: S}]", HASH],
            ":9:37",
            &["the key attribute `id` of the table `Users` has no type", "did you mean `ID`?"],
        ),
        (
            &[
                "AttributeDefinitions: [{AttributeName: id, AttributeType: S}, {AttributeName: age, AttributeType: N}]",
                HASH,
            ],
            ":8:87",
            &["`age` is not an attribute of a key", "others need none"],
        ),
        (
            &[
                "AttributeDefinitions: [{AttributeName: id, AttributeType: S}, {AttributeName: id, AttributeType: N}]",
                HASH,
            ],
            ":8:87",
            &["the attribute `id` is defined twice"],
        ),
        (
            &[
                ID,
                "KeySchema: [{AttributeName: id, KeyType: HASH}, {AttributeName: id, KeyType: RANGE}]",
            ],
            ":9:73",
            &["`id` is in one key twice", "each attribute once"],
        ),
        (&["TableName: a b", ID, HASH], ":8:20", &["`a b` is not a valid name of a table"]),
        (
            &[ID, HASH, "TimeToLiveSpecification: {Enabled: true}"],
            ":10:34",
            &["the TimeToLiveSpecification has no attribute"],
        ),
        (
            &[ID, HASH, "StreamSpecification: {StreamViewType: NEW_IMAGES}"],
            ":10:47",
            &["did you mean `NEW_IMAGE`?"],
        ),
        (&[ID, "KeySchema: !If [A, [], []]"], ":9:25", &["there is no condition `A`"]),
    ] {
        assert_table_fault(properties, place, parts);
    }
    let shown = fault(&with_table(&[]).replace("      Properties:\n", ""));
    assert!(shown.contains(":5:5") && shown.contains("`Users` has no Properties"), "{shown}");
}

#[test]
fn an_index_that_dynamodb_would_refuse_is_refused_at_its_place() {
    const TABLE: [&str; 2] = [
        "AttributeDefinitions: [{AttributeName: id, AttributeType: S}, {AttributeName: at, AttributeType: N}]",
        "KeySchema: [{AttributeName: id, KeyType: HASH}, {AttributeName: at, KeyType: RANGE}]",
    ];
    const BY_AT: &str = "KeySchema: [{AttributeName: at, KeyType: HASH}]";
    const BOTH: &str =
        "KeySchema: [{AttributeName: id, KeyType: HASH}, {AttributeName: at, KeyType: RANGE}]";
    const ALL: &str = "Projection: {ProjectionType: ALL}";
    for (kind, index, parts) in [
        (
            "Global",
            format!("IndexName: by, {BY_AT}, {ALL}"),
            &["`by` is not a valid name of an index", "3 to 255"][..],
        ),
        (
            "Global",
            format!("IndexName: by-at, {ALL}"),
            &["the key `KeySchema` is missing from an index"],
        ),
        ("Global", format!("IndexName: by-at, {BY_AT}"), &["the key `Projection` is missing"]),
        (
            "Global",
            format!("IndexName: by-at, {BY_AT}, Projection: {{ProjectionType: INCLUDE}}"),
            &["the index `by-at` includes no attributes"],
        ),
        (
            "Global",
            format!(
                "IndexName: by-at, {BY_AT}, Projection: {{ProjectionType: ALL, NonKeyAttributes: [a]}}"
            ),
            &["NonKeyAttributes have no meaning beside ALL"],
        ),
        (
            "Global",
            format!("IndexName: by-at, {BY_AT}, {ALL}}}, {{IndexName: by-at, {BY_AT}, {ALL}"),
            &["the table `Users` has two indexes with the name `by-at`"],
        ),
        (
            "Local",
            format!(
                "IndexName: by-at, {ALL}, KeySchema: [{{AttributeName: at, KeyType: HASH}}, {{AttributeName: id, KeyType: RANGE}}]"
            ),
            &["`at` is not the hash key of the table", "`id`, which a local index shares"],
        ),
        (
            "Global",
            format!(
                "IndexName: by-at, {ALL}, KeySchema: [{{AttributeName: id, KeyType: RANGE}}, {{AttributeName: at, KeyType: HASH}}]"
            ),
            &["the key schema is RANGE, then HASH"],
        ),
        (
            "Local",
            format!(
                "IndexName: by-at, {ALL}, KeySchema: [{{AttributeName: id, KeyType: HASH}}, {{AttributeName: at, KeyType: HASH}}]"
            ),
            &["the key schema is HASH, then HASH"],
        ),
        (
            "Local",
            format!("IndexName: by-at, {ALL}, KeySchema: [{{AttributeName: id, KeyType: HASH}}]"),
            &["the local index `by-at` has no range key"],
        ),
        (
            "Local",
            (1..7)
                .map(|at| format!("IndexName: by-{at}, {BOTH}, {ALL}"))
                .collect::<Vec<_>>()
                .join("}, {"),
            &["the table `Users` has 6 local indexes", "at most 5"],
        ),
    ] {
        let indexes = format!("{kind}SecondaryIndexes: [{{{index}}}]");
        assert_table_fault(&[TABLE[0], TABLE[1], &indexes], ":10:", parts);
    }
    let index = format!("LocalSecondaryIndexes: [{{IndexName: by-at, {BOTH}, {ALL}}}]");
    assert_table_fault(
        &[TABLE[0], HASH, &index],
        ":10:",
        &["a table without a range key cannot have a local index"],
    );
}

#[test]
fn two_tables_with_one_name_are_refused() {
    let users = with_table(&["TableName: chat-dev-Other", ID, HASH]);
    let other = format!("Type: AWS::DynamoDB::Table, Properties: {{{ID}, {HASH}}}");
    let shown = fault(&format!("{users}    Other: {{{other}}}\n"));
    assert!(shown.contains("the table `Users` has the name `chat-dev-Other` too"), "{shown}");
    assert!(shown.contains(":11:5"), "{shown}");
}

#[test]
fn a_name_that_cannot_be_evaluated_is_made_up_and_told() {
    for (name, part) in [
        ("!Cidr [10.0.0.0/16, 2, 8]", "the CloudFormation function Fn::Cidr is not evaluated"),
        ("'${ssm:/users}'", "its value is in AWS"),
    ] {
        let name = format!("TableName: {name}");
        let loaded = load_text(&with_table(&[ID, HASH, &name])).unwrap();
        assert_eq!(loaded.app.tables["Users"].name, "chat-dev-Users");
        assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
        let shown = loaded.warnings[0].to_string();
        assert!(shown.contains(part) && shown.contains(":10:20"), "{shown}");
        assert!(shown.contains("; the table is called `chat-dev-Users` here"), "{shown}");
    }
}

#[test]
fn a_table_whose_condition_does_not_hold_does_not_exist() {
    let table = |id: &str, condition: &str| {
        format!(
            "    {id}: {{Type: 'AWS::DynamoDB::Table', Condition: {condition}, Properties: {{TableName: !If [IsProd, users, people], {ID}, {HASH}}}}}\n"
        )
    };
    let text = format!(
        "service: chat\nprovider: {{name: aws}}\nresources:\n  Conditions:\n    IsProd: !Equals ['${{sls:stage}}', prod]\n    \
         IsDev: !Not [!Condition IsProd]\n  Resources:\n{}{}",
        table("Users", "IsProd"),
        table("People", "IsDev")
    );
    let tables = load_text(&text).unwrap().app.tables;
    let named: Vec<_> =
        tables.iter().map(|(id, table)| (id.as_str(), table.name.as_str())).collect();
    assert_eq!(named, [("People", "people")]);
}

#[test]
fn resources_that_cannot_be_read_are_told_and_do_not_keep_the_app_from_running() {
    let head = "service: chat\nprovider: {name: aws}\n";
    for resources in [
        "resources: ['${file(tables.js)}']\n",
        "resources:\n  Resources: '${file(tables.js)}'\n",
        "resources:\n  Resources:\n    Table: '${file(tables.js)}'\n",
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tables.js"), "").unwrap();
        std::fs::write(folder.path().join("serverless.yml"), format!("{head}{resources}")).unwrap();
        let loaded = load(folder.path(), &LoadOptions::default()).unwrap();
        assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
        let shown = loaded.warnings[0].to_string();
        assert!(shown.contains("tables.js is a program"), "{shown}");
        assert!(shown.contains("; what it declares does not exist here"), "{shown}");
    }
}
