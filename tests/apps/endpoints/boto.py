"""boto3, and no SDK at all: only the gateway has an endpoint, as it has in every sample."""

import json
import os
import urllib.parse
import urllib.request

import boto3

notes = boto3.resource("dynamodb").Table(os.environ["TABLE"])
functions = boto3.client("lambda")


def endpoint(context, name):
    """An address that handlers hard-code, by the name that tests give it."""
    region = os.environ["AWS_REGION"]
    return {
        "domain": f"https://{context['domainName']}/{context['stage']}",
        "aws": f"https://{os.environ['API_HOST']}/{context['stage']}",
        "aws by the event": f"https://{context['apiId']}.execute-api.{region}.amazonaws.com/{context['stage']}",
    }[name]


def handler(event, _):
    """Writes, reads, invokes and posts."""
    context, name = event["requestContext"], json.loads(event["body"])["as"]
    connection = context["connectionId"]
    notes.put_item(Item={"id": connection, "as": name})
    item = notes.get_item(Key={"id": connection})["Item"]
    greeting = functions.invoke(FunctionName="endpoints-dev-greet", Payload=json.dumps(item))["Payload"].read()
    api = boto3.client("apigatewaymanagementapi", endpoint_url=endpoint(context, name))
    api.post_to_connection(ConnectionId=connection, Data=greeting)
    return {"statusCode": 200}


def by_urllib(event, _):
    """Posts with Python's own library."""
    context, name = event["requestContext"], json.loads(event["body"])["as"]
    url = f"{endpoint(context, name)}/@connections/{urllib.parse.quote(context['connectionId'], safe='')}"
    data = json.dumps({"greeting": f"hello, {name}"}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data, method="POST")) as response:
        return {"statusCode": response.status}
