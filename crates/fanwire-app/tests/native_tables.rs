//! The tables of a `fanwire.toml`: how they are read, how functions learn their names,
//! and what is said about those that DynamoDB would refuse.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use fanwire_app::model::{
    AttributeType, DynamoDb, DynamoDbChoice, IndexKey, Projection, StreamView, Table, TableKey,
};
use fanwire_app::{App, LoadError, LoadOptions, load};

const EVERY_KEY: &str = include_str!("native/every_key.toml");

fn load_with(text: &str, options: &LoadOptions) -> Result<App, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fanwire.toml");
    std::fs::write(&file, text).unwrap();
    Ok(load(&file, options)?.app)
}

fn app(text: &str) -> App {
    load_with(text, &LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn index_key(hash: &[&str], range: &str) -> IndexKey {
    let hash = hash.iter().map(|&attribute| attribute.to_owned()).collect();
    IndexKey { hash, range: vec![range.to_owned()] }
}

fn key(hash: &str, range: Option<&str>) -> TableKey {
    TableKey { hash: hash.to_owned(), range: range.map(str::to_owned) }
}

#[test]
fn a_table_needs_no_more_than_a_hash_key() {
    let app = app("name = \"chat\"\n[tables.connections]\nhash = \"id\"\n");
    assert_eq!(app.dynamodb, DynamoDb::Embedded);
    let expected = Table {
        name: "chat-dev-connections".to_owned(),
        attributes: [("id".to_owned(), AttributeType::S)].into(),
        key: key("id", None),
        global_indexes: Vec::new(),
        local_indexes: Vec::new(),
        ttl_attribute: None,
        stream: None,
    };
    assert_eq!(app.tables["connections"], expected);
}

#[test]
fn everything_about_a_table_can_be_written() {
    let app = app(EVERY_KEY);
    let table = &app.tables["connections"];
    assert_eq!(table.key, key("pk", Some("sk")));
    let attributes: Vec<_> =
        table.attributes.iter().map(|(name, kind)| format!("{name} {}", kind.as_str())).collect();
    assert_eq!(attributes, ["pk B", "sk N", "room N", "user S"]);
    let [by_room] = table.global_indexes.as_slice() else { panic!() };
    assert_eq!(by_room.name, "by-room");
    assert_eq!(by_room.key, index_key(&["room", "user"], "sk"));
    assert_eq!(by_room.projection, Projection::KeysOnly);
    let [by_user] = table.local_indexes.as_slice() else { panic!() };
    assert_eq!(by_user.key, index_key(&["pk"], "user"), "the hash key is the table's");
    assert_eq!(by_user.projection, Projection::Include(vec!["name".into(), "seen".into()]));
    assert_eq!(table.ttl_attribute.as_deref(), Some("expires"));
    assert_eq!(table.stream, Some(StreamView::NewAndOldImages));
}

#[test]
fn functions_learn_a_table_s_name_by_a_variable() {
    let text = "name = \"chat\"\nstage = \"test\"\n[environment]\n\
        ROOMS = \"${self:tables.rooms.name}\"\nUSERS = \"${self:tables.users.name}\"\n\
        STAGE = \"${sls:stage}\"\nREGION = \"${self:region}\"\n\
        [functions.a]\nhandler = \"a.b\"\n\
        [tables.rooms]\nhash = \"id\"\n[tables.users]\nname = \"people\"\nhash = \"id\"\n";
    let app = app(text);
    let environment = &app.functions["a"].environment;
    for (variable, table) in [("ROOMS", "rooms"), ("USERS", "users")] {
        assert_eq!(environment[variable], app.tables[table].name);
    }
    assert_eq!(
        (environment["STAGE"].as_str(), environment["REGION"].as_str()),
        ("test", "us-east-1")
    );
    let options = LoadOptions { stage: Some("prod".to_owned()), ..LoadOptions::default() };
    let app = load_with(text, &options).unwrap();
    assert_eq!(app.functions["a"].environment["ROOMS"], "chat-prod-rooms");
    assert_eq!(app.tables["rooms"].name, "chat-prod-rooms");
    let error = load_with(&text.replace("tables.rooms.name", "tables.room.name"), &options);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the file has no `tables.room.name`"), "{error}");
    assert!(error.contains("did you mean `self:tables.rooms`?"), "{error}");
}

#[test]
fn a_real_dynamodb_is_one_of_the_region_or_an_endpoint() {
    let text = "name = \"chat\"\nregion = \"cn-north-1\"\ndynamodb = \"aws\"\n";
    let elsewhere = |endpoint: &str| DynamoDb::Elsewhere { endpoint: endpoint.to_owned() };
    assert_eq!(app(text).dynamodb, elsewhere("https://dynamodb.cn-north-1.amazonaws.com.cn"));
    let endpoint = text.replace("\"aws\"", "\"http://127.0.0.1:8000\"");
    assert_eq!(app(&endpoint).dynamodb, elsewhere("http://127.0.0.1:8000"));
    let region = LoadOptions { region: Some("eu-west-1".to_owned()), ..LoadOptions::default() };
    let app = load_with(text, &region).unwrap();
    assert_eq!(app.dynamodb, elsewhere("https://dynamodb.eu-west-1.amazonaws.com"));
    let choice = Some(DynamoDbChoice::Embedded);
    let options = LoadOptions { dynamodb: choice, ..LoadOptions::default() };
    assert_eq!(load_with(text, &options).unwrap().dynamodb, DynamoDb::Embedded);
}

#[test]
fn a_wrong_table_is_told_with_place_and_remedy() {
    for (text, place, parts) in [
        ("dynamodb = \"eu-west-1\"\n", (2, 12), &["embedded, aws", "http://localhost:8000"][..]),
        ("[tables.t]\n", (2, 1), &["the key `hash` is missing from a table"]),
        ("[tables.t]\nhsah = \"id\"\nhash = \"id\"\n", (3, 1), &["did you mean `hash`?"]),
        ("[tables.\"a.b\"]\nhash = \"id\"\n", (2, 9), &["`a.b` is not a valid name of a table"]),
        (
            "[tables.t]\nhash = \"id\"\nname = \"a b\"\n",
            (4, 8),
            &["`a b` is not a valid name of a table", "3 to 255 letters"],
        ),
        (
            "[tables.t]\nhash = \"id\"\n[tables.u]\nhash = \"id\"\nname = \"chat-dev-t\"\n",
            (6, 8),
            &["the table `t` has the name `chat-dev-t` too"],
        ),
        ("[tables.t]\nhash = \"id\"\nrange = \"id\"\n", (4, 9), &["`id` is in one key twice"]),
        (
            "[tables.t]\nhash = \"id\"\nattributes = { id = \"number\" }\n",
            (4, 21),
            &["`number` is not a valid value of `id`", "one of S, N, B"],
        ),
        (
            "[tables.t]\nhash = \"id\"\nattributes = { Id = \"N\" }\n",
            (4, 16),
            &["`Id` is not an attribute of a key", "did you mean `id`?"],
        ),
        (
            "[tables.t]\nhash = \"id\"\nstream = \"new\"\n",
            (4, 10),
            &["one of keys-only, new-image"],
        ),
        (
            "[tables.t]\nhash = \"id\"\n[tables.t.indexes.by-x]\nrange = \"x\"\n",
            (4, 19),
            &["the index `by-x` has no hash key", "local = true"],
        ),
        (
            "[tables.t]\nhash = \"id\"\n[tables.t.indexes.by-x]\nhash = [\"a\", \"b\", \"c\", \"d\", \"e\"]\n",
            (5, 29),
            &["the index `by-x` has 5 hash keys", "at most 4"],
        ),
        (
            "[tables.t]\nhash = \"id\"\n[tables.t.indexes.x]\nhash = \"x\"\n",
            (4, 19),
            &["`x` is not a valid name of an index"],
        ),
        (
            "[tables.t]\nhash = \"id\"\n[tables.t.indexes.by-x]\nhash = \"x\"\nprojection = \"key\"\n",
            (6, 14),
            &["one of all, keys, or a list of texts", "did you mean `keys`?"],
        ),
        (
            "[tables.t]\nhash = \"id\"\n[tables.t.indexes.by-x]\nhash = \"x\"\nprojection = []\n",
            (6, 14),
            &["the index `by-x` includes no attributes"],
        ),
        (
            "[tables.t]\nhash = \"id\"\nrange = \"at\"\n[tables.t.indexes.by-x]\nlocal = true\n",
            (5, 19),
            &["the local index `by-x` has no range key"],
        ),
        (
            "[tables.t]\nhash = \"id\"\nrange = \"at\"\n[tables.t.indexes.by-x]\nlocal = true\nhash = \"x\"\nrange = \"y\"\n",
            (7, 8),
            &["`x` is not the hash key of the table", "`id`"],
        ),
        (
            "[tables.t]\nhash = \"id\"\n[tables.t.indexes.by-x]\nlocal = true\nrange = \"x\"\n",
            (4, 19),
            &["a table without a range key cannot have a local index"],
        ),
    ] {
        let text = format!("name = \"chat\"\n{text}");
        let error = load_with(&text, &LoadOptions::default()).unwrap_err();
        assert_eq!(error.diagnostics.len(), 1, "{error}");
        let found = error.diagnostics[0].place.as_ref().unwrap();
        assert_eq!((found.line, found.column), place, "{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "no {part:?} in\n{error}");
        }
    }
}
