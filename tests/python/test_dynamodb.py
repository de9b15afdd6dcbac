"""DynamoDB for handlers that use boto3 with nothing configured: its client, and its table resource."""

import json

import pytest
from conftest import serve

TABLE = "dynamodb-dev-orders"


@pytest.fixture(scope="module")
def app():
    """The app that has a function for each SDK."""
    yield from serve("dynamodb")


def call(app, function, operation, **arguments):
    """Has a function do one operation."""
    event = {"operation": operation, "input": arguments}
    answer = app.functions().invoke(FunctionName=f"dynamodb-dev-{function}", Payload=json.dumps(event))
    value = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, value
    return value


def done(app, function, operation, **arguments):
    """The output of an operation; its error fails the test."""
    answer = call(app, function, operation, **arguments)
    assert "error" not in answer, answer
    return answer["output"]


def test_a_table_puts_gets_updates_and_deletes(app):
    key = {"pk": "table", "sk": "a"}
    item = {**key, "price": 1.5, "tags": ["x", {"deep": None}], "no": False}
    assert done(app, "boto3Table", "put_item", Item=item) == {}
    assert done(app, "boto3Table", "get_item", Key=key, ConsistentRead=True) == {"Item": item}
    updated = done(
        app,
        "boto3Table",
        "update_item",
        Key=key,
        UpdateExpression="ADD price :more REMOVE tags, #no",
        ExpressionAttributeNames={"#no": "no"},
        ExpressionAttributeValues={":more": 3},
        ReturnValues="ALL_NEW",
    )
    assert updated == {"Attributes": {**key, "price": 4.5}}
    deleted = done(app, "boto3Table", "delete_item", Key=key, ReturnValues="ALL_OLD")
    assert deleted == {"Attributes": {**key, "price": 4.5}}


def test_a_table_is_queried_by_prefix_and_by_index(app):
    for sk, price in [("b#2", 9), ("a#1", 7), ("b#1", 100)]:
        item = {"pk": "queried", "sk": sk, "customer": "boto3", "price": price}
        done(app, "boto3Table", "put_item", Item=item)
    found = done(
        app,
        "boto3Table",
        "query",
        KeyConditionExpression="pk = :pk AND begins_with(sk, :start)",
        ExpressionAttributeValues={":pk": "queried", ":start": "b#"},
    )
    assert [item["sk"] for item in found["Items"]] == ["b#1", "b#2"]
    found = done(
        app,
        "boto3Table",
        "query",
        IndexName="byCustomer",
        KeyConditionExpression="customer = :customer",
        ExpressionAttributeValues={":customer": "boto3"},
        ScanIndexForward=False,
    )
    assert [item["price"] for item in found["Items"]] == [100, 9, 7]


@pytest.mark.parametrize("function", ["boto3Client", "boto3Table"])
def test_a_condition_that_does_not_hold_has_its_class(app, function):
    item = {"pk": "condition", "sk": function}
    arguments = {"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
    if function == "boto3Client":
        arguments |= {"Item": {name: {"S": value} for name, value in item.items()}, "TableName": TABLE}
    done(app, function, "put_item", **arguments)
    error = call(app, function, "put_item", **arguments)["error"]
    assert error["name"] == "ConditionalCheckFailedException"


def test_a_transaction_tells_why_it_is_cancelled(app):
    item = {"pk": {"S": "transaction"}, "sk": {"S": "a"}}
    put = {"Put": {"TableName": TABLE, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}
    other = {"Put": {"TableName": TABLE, "Item": {**item, "sk": {"S": "b"}}}}
    done(app, "boto3Client", "transact_write_items", TransactItems=[put])
    error = call(app, "boto3Client", "transact_write_items", TransactItems=[other, put])["error"]
    assert error["name"] == "TransactionCanceledException"
    assert error["reasons"] == ["None", "ConditionalCheckFailed"]
    assert done(app, "boto3Client", "get_item", TableName=TABLE, Key=other["Put"]["Item"]) == {}


def test_a_batch_has_25_items_and_no_more(app):
    def batch(count):
        items = [{"pk": {"S": "batch"}, "sk": {"S": str(number)}} for number in range(count)]
        return {TABLE: [{"PutRequest": {"Item": item}} for item in items]}

    assert done(app, "boto3Client", "batch_write_item", RequestItems=batch(25)) == {"UnprocessedItems": {}}
    assert "error" in call(app, "boto3Client", "batch_write_item", RequestItems=batch(26))


def test_a_table_that_is_not_there_has_its_class(app):
    error = call(app, "boto3Client", "describe_table", TableName="nothing")["error"]
    assert error["name"] == "ResourceNotFoundException"
