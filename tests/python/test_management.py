"""The @connections API for boto3."""

import datetime

import pytest
from botocore.exceptions import ClientError

UNKNOWN = "AAAAAAAAAAAAAAA="


@pytest.mark.parametrize("suffix", ["/dev", "/dev/", ""])
def test_boto3_posts_gets_and_deletes(contract, suffix):
    api = contract.management(f"http://{contract.host}{suffix}")
    socket, connection = contract.connect()
    posted = api.post_to_connection(ConnectionId=connection, Data=b"from boto3")
    assert posted["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert posted["ResponseMetadata"]["RequestId"]
    assert socket.recv() == "from boto3"
    found = api.get_connection(ConnectionId=connection)
    assert isinstance(found["ConnectedAt"], datetime.datetime)
    assert isinstance(found["LastActiveAt"], datetime.datetime)
    assert found["Identity"]["SourceIp"] == "127.0.0.1"
    deleted = api.delete_connection(ConnectionId=connection)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    opcode, payload = socket.recv_data()
    assert (opcode, payload) == (8, b"\x03\xe8Connection Closed Normally")


def test_boto3_sees_gone_exception(contract):
    api = contract.management()
    with pytest.raises(api.exceptions.GoneException) as error:
        api.post_to_connection(ConnectionId=UNKNOWN, Data=b"x")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 410


def test_boto3_sees_payload_too_large(contract):
    api = contract.management()
    with pytest.raises(api.exceptions.PayloadTooLargeException):
        api.post_to_connection(ConnectionId=UNKNOWN, Data=b"x" * 131_073)


def test_boto3_sees_bad_request(contract):
    with pytest.raises(ClientError, match="Invalid connectionId: xyz") as error:
        contract.management().post_to_connection(ConnectionId="xyz", Data=b"x")
    assert error.value.response["Error"]["Code"] == "BadRequestException"


def test_boto3_sees_forbidden_for_another_stage(contract):
    api = contract.management(f"http://{contract.host}/nowhere")
    with pytest.raises(api.exceptions.ForbiddenException):
        api.post_to_connection(ConnectionId=UNKNOWN, Data=b"x")
