"""MQTT clients in Python: paho, and AWS's device SDK with a custom authorizer and with SigV4."""

import json
import os
import queue
import ssl
import uuid

import awscrt.auth
import awscrt.mqtt
import awscrt.mqtt5
import paho.mqtt.client as paho
import pytest
from awsiot import mqtt5_client_builder, mqtt_connection_builder
from conftest import PATIENCE_SECONDS, serve
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


class Other:
    """A broker that is not Fanwire: MQTT_BROKER and MQTT_BROKER_CA as the suite for Node has them."""

    def __init__(self):
        self.tcp, self.ws, self.tls, self.wss = (int(port) for port in os.environ["MQTT_BROKER"].split(","))
        self.authority = os.environ["MQTT_BROKER_CA"]


def broker(name):
    """A fixture's body: Fanwire with an app, or another broker."""
    if "MQTT_BROKER" in os.environ:
        yield Other()
        return
    for server in serve(name):
        server.tcp = server.ws = server.tls = server.wss = server.ready["port"]
        server.authority = server.ready["certificateAuthority"]
        yield server


@pytest.fixture(scope="module")
def server():
    """The open profile, and everyone."""
    yield from broker("realtime")


@pytest.fixture(scope="module")
def authorized():
    """An authorizer that lets in whoever has the password."""
    yield from broker("realtime-sdk")


class Heard:
    """What a paho client gets, to wait on."""

    def __init__(self, client):
        self.client = client
        self.connected, self.subscribed, self.messages = queue.Queue(), queue.Queue(), queue.Queue()
        client.on_connect = lambda _, __, flags, reason, properties: self.connected.put(reason)
        client.on_subscribe = lambda _, __, identifier, reasons, properties: self.subscribed.put(reasons)
        client.on_message = lambda _, __, message: self.messages.put(message)

    def next(self, what):
        """The next of a kind, within the usual patience."""
        return getattr(self, what).get(timeout=PATIENCE_SECONDS)


def paho_client(server, version, transport):
    """A client as paho's documentation makes one."""
    kind, _, secure = transport.partition("+")
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, f"paho-{uuid.uuid4().hex[:8]}", protocol=version, transport=kind)
    if kind == "websockets":
        client.ws_set_options(path="/mqtt")
    if secure:
        client.tls_set(ca_certs=server.authority, tls_version=ssl.PROTOCOL_TLS_CLIENT)
    port = {"tcp": server.tcp, "tcp+tls": server.tls, "websockets": server.ws, "websockets+tls": server.wss}[transport]
    heard = Heard(client)
    client.connect("localhost", port)
    client.loop_start()
    return client, heard


@pytest.mark.parametrize("version", [paho.MQTTv31, paho.MQTTv311, paho.MQTTv5], ids=["3.1", "3.1.1", "5"])
@pytest.mark.parametrize("transport", ["tcp", "tcp+tls", "websockets", "websockets+tls"])
def test_paho_publishes_and_hears_itself(server, version, transport):
    client, heard = paho_client(server, version, transport)
    assert not heard.next("connected").is_failure
    topic = f"paho/{uuid.uuid4().hex}"
    client.subscribe(topic, qos=2)
    assert [reason.value for reason in heard.next("subscribed")] == [2]
    for qos in (0, 1, 2):
        client.publish(topic, f"qos {qos}", qos=qos).wait_for_publish(PATIENCE_SECONDS)
        message = heard.next("messages")
        assert (message.topic, message.payload, message.qos) == (topic, f"qos {qos}".encode(), qos)
    client.disconnect()
    client.loop_stop()


def test_paho_sends_and_gets_properties(server):
    client, heard = paho_client(server, paho.MQTTv5, "tcp")
    assert not heard.next("connected").is_failure
    topic = f"paho/{uuid.uuid4().hex}"
    client.subscribe(topic, qos=1)
    heard.next("subscribed")
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("a", "1"), ("a", "2")]
    properties.ContentType = "text/plain"
    client.publish(topic, "x", qos=1, properties=properties)
    got = heard.next("messages").properties
    assert got.UserProperty == [("a", "1"), ("a", "2")]
    assert got.ContentType == "text/plain"
    client.disconnect()
    client.loop_stop()


def sdk_options(server):
    """What every client of the SDK is made with."""
    return {
        "endpoint": "localhost",
        "port": server.wss,
        "ca_filepath": server.authority,
        "client_id": f"sdk-{uuid.uuid4().hex[:8]}",
    }


def converse(connection):
    """A connection of MQTT 3.1.1 hears itself."""
    connection.connect().result(PATIENCE_SECONDS)
    topic = f"sdk/{uuid.uuid4().hex}"
    heard = queue.Queue()
    subscribed, _ = connection.subscribe(
        topic, awscrt.mqtt.QoS.AT_LEAST_ONCE, lambda topic, payload, **_: heard.put((topic, payload))
    )
    assert subscribed.result(PATIENCE_SECONDS)["qos"] == awscrt.mqtt.QoS.AT_LEAST_ONCE
    published, _ = connection.publish(topic, json.dumps({"a": 1}), awscrt.mqtt.QoS.AT_LEAST_ONCE)
    published.result(PATIENCE_SECONDS)
    assert heard.get(timeout=PATIENCE_SECONDS) == (topic, b'{"a": 1}')
    connection.disconnect().result(PATIENCE_SECONDS)


def credentials():
    """Made-up credentials to sign with."""
    return awscrt.auth.AwsCredentialsProvider.new_static("any", "any")


def test_the_sdk_speaks_311_with_a_custom_authorizer(authorized):
    converse(mqtt_connection_builder.websockets_with_custom_authorizer(
        auth_username="", auth_authorizer_name="door", auth_authorizer_signature="", auth_password="let me in",
        **sdk_options(authorized),
    ))


def test_the_sdk_speaks_311_with_sigv4(authorized):
    converse(mqtt_connection_builder.websockets_with_default_aws_signing(
        "eu-west-1", credentials(), **sdk_options(authorized)
    ))


@pytest.mark.parametrize("how", ["custom authorizer", "sigv4"])
def test_the_sdk_speaks_5(authorized, how):
    connected, heard = queue.Queue(), queue.Queue()
    options = {
        **sdk_options(authorized),
        "on_lifecycle_connection_success": lambda data: connected.put(data.connack_packet.reason_code),
        "on_lifecycle_connection_failure": lambda data: connected.put(data.exception),
        "on_publish_received": lambda data: heard.put(data.publish_packet),
    }
    if how == "sigv4":
        client = mqtt5_client_builder.websockets_with_default_aws_signing("eu-west-1", credentials(), **options)
    else:
        client = mqtt5_client_builder.websockets_with_custom_authorizer(
            auth_username="", auth_authorizer_name="door", auth_password=b"let me in", **options
        )
    client.start()
    assert connected.get(timeout=PATIENCE_SECONDS) == awscrt.mqtt5.ConnectReasonCode.SUCCESS
    topic, at_least_once = f"sdk/{uuid.uuid4().hex}", awscrt.mqtt5.QoS.AT_LEAST_ONCE
    subscription = awscrt.mqtt5.Subscription(topic_filter=topic, qos=at_least_once)
    suback = client.subscribe(awscrt.mqtt5.SubscribePacket(subscriptions=[subscription])).result(PATIENCE_SECONDS)
    assert suback.reason_codes == [awscrt.mqtt5.SubackReasonCode.GRANTED_QOS_1]
    client.publish(awscrt.mqtt5.PublishPacket(topic=topic, payload="hello", qos=at_least_once)).result(PATIENCE_SECONDS)
    assert heard.get(timeout=PATIENCE_SECONDS).payload == b"hello"
    client.stop()
