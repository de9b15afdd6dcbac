"""The Lambda Invoke API for boto3, and functions on the foreign Python runtime."""

import base64
import json

import pytest


def invoke(server, name, payload, **options):
    """Invokes a function and decodes its answer."""
    answer = server.functions().invoke(FunctionName=name, Payload=json.dumps(payload), **options)
    text = answer["Payload"].read()
    return answer, json.loads(text) if text else None


def test_boto3_invokes(contract):
    answer, value = invoke(contract, "contract-dev-count", {})
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in answer
    assert value["calls"] >= 1


def test_boto3_sees_a_function_error_with_status_200(contract):
    answer, value = invoke(contract, "contract-dev-failure", {"how": "throw"}, LogType="Tail")
    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled"
    assert value["errorType"] == "OrderError"
    assert "about to fail: throw" in base64.b64decode(answer["LogResult"]).decode()


@pytest.mark.parametrize(("kind", "status"), [("Event", 202), ("DryRun", 204)])
def test_boto3_invokes_without_an_answer(contract, kind, status):
    answer, value = invoke(contract, "contract-dev-count", {}, InvocationType=kind)
    assert answer["StatusCode"] == status
    assert value is None


def test_boto3_sees_resource_not_found(contract):
    api = contract.functions()
    with pytest.raises(api.exceptions.ResourceNotFoundException, match="Function not found: arn:aws:lambda:"):
        api.invoke(FunctionName="nobody", Payload="{}")


def test_boto3_sees_invalid_request_content(contract):
    api = contract.functions()
    with pytest.raises(api.exceptions.InvalidRequestContentException):
        api.invoke(FunctionName="contract-dev-count", Payload="{not json")
