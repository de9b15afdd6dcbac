"""boto3, as a handler deploys it: no region, endpoint or credentials."""

import json
import os
from decimal import Decimal

import boto3
from botocore.exceptions import ClientError

dynamodb = boto3.client("dynamodb")
orders = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def outcome(call, event):
    """What a call came to: its output, or its error."""
    # A table takes decimals, not floats.
    arguments = json.loads(json.dumps(event["input"]), parse_float=Decimal)
    try:
        output = call(**arguments)
    except ClientError as error:
        reasons = [each["Code"] for each in error.response.get("CancellationReasons", [])]
        return {"error": {"name": type(error).__name__, "item": error.response.get("Item"), "reasons": reasons}}
    del output["ResponseMetadata"]
    return {"output": json.loads(json.dumps(output, default=plain))}


def plain(value):
    """A value that JSON does not have, in one that it has."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return bytes(value).decode()


def client(event, context):
    """Calls the client."""
    return outcome(getattr(dynamodb, event["operation"]), event)


def table(event, context):
    """Calls the table of the resource interface."""
    return outcome(getattr(orders, event["operation"]), event)
