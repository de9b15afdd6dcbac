"""Adds numbers, and posts each running total to whoever asked."""

import json

import boto3

# No endpoint: boto3 takes it from AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI.
api = boto3.client("apigatewaymanagementapi")


def connect(event, context):
    """Lets everybody in."""
    return {"statusCode": 200}


def add(event, context):
    """Handles `{"action": "add", "numbers": [1, 2, 3]}`."""
    connection = event["requestContext"]["connectionId"]
    total = 0
    for number in json.loads(event["body"])["numbers"]:
        total += number
        try:
            api.post_to_connection(ConnectionId=connection, Data=json.dumps({"so far": total}))
        except api.exceptions.GoneException:
            print("nobody is waiting for this sum any more")
            return {"statusCode": 410}
    return {"statusCode": 200, "body": json.dumps({"sum": total})}


def unknown(event, context):
    """Tells what there is."""
    return {"statusCode": 200, "body": json.dumps({"try": {"action": "add", "numbers": [1, 2, 3]}})}
