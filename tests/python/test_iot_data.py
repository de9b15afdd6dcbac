"""The IoT Data Plane for boto3, which writes user properties its own way."""

import json
import queue
import uuid

import paho.mqtt.client as paho
import pytest
from conftest import PATIENCE_SECONDS, serve


@pytest.fixture(scope="module")
def server():
    """An app whose authorizer lets in whoever has the password."""
    yield from serve("realtime-sdk")


@pytest.fixture
def listener(server):
    """Subscribes to a topic, and gives what comes there."""
    clients = []

    def listen(topic):
        subscribed, messages = queue.Queue(), queue.Queue()
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, f"boto3-{uuid.uuid4().hex[:8]}", protocol=paho.MQTTv5)
        client.username_pw_set("?x-amz-customauthorizer-name=door", "let me in")
        client.on_connect = lambda *_: client.subscribe(topic, qos=1)
        client.on_subscribe = lambda *_: subscribed.put(True)
        client.on_message = lambda _, __, message: messages.put(message)
        client.connect("127.0.0.1", server.ready["port"])
        client.loop_start()
        clients.append(client)
        subscribed.get(timeout=PATIENCE_SECONDS)
        return lambda: messages.get(timeout=PATIENCE_SECONDS)

    yield listen
    for client in clients:
        client.disconnect()
        client.loop_stop()


@pytest.fixture
def data(server):
    """boto3's client of the data plane."""
    return server.client("iot-data", f"http://{server.host}")


def test_boto3_publishes_with_all_that_mqtt_5_knows(data, listener):
    topic = f"boto3/{uuid.uuid4().hex}"
    heard = listener(topic)
    data.publish(
        topic=topic,
        qos=1,
        payload=b"hello",
        contentType="text/plain",
        responseTopic="answers",
        correlationData="MzM0",
        payloadFormatIndicator="UTF8_DATA",
        messageExpiry=600,
        userProperties=json.dumps([{"a": "1"}, {"b": "2"}, {"a": "3"}]),
    )
    message = heard()
    assert (message.topic, message.payload, message.qos) == (topic, b"hello", 1)
    properties = message.properties
    assert properties.UserProperty == [("a", "1"), ("b", "2"), ("a", "3")]
    assert properties.ContentType == "text/plain"
    assert properties.ResponseTopic == "answers"
    assert properties.CorrelationData == b"334"
    assert properties.PayloadFormatIndicator == 1


def test_boto3_retains_and_looks_it_up(data):
    topic = f"boto3/{uuid.uuid4().hex}"
    data.publish(topic=topic, qos=1, retain=True, payload=b"kept")
    found = data.get_retained_message(topic=topic)
    assert (found["topic"], found["payload"], found["qos"]) == (topic, b"kept", 1)
    pages = data.get_paginator("list_retained_messages").paginate()
    listed = [each for page in pages for each in page["retainedTopics"] if each["topic"] == topic]
    assert [(each["payloadSize"], each["qos"]) for each in listed] == [(4, 1)]
    data.publish(topic=topic, retain=True, payload=b"")
    with pytest.raises(data.exceptions.ResourceNotFoundException):
        data.get_retained_message(topic=topic)


def test_boto3_ends_a_connection(server, data):
    over = queue.Queue()
    connected = queue.Queue()
    name = f"boto3-{uuid.uuid4().hex[:8]}"
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5, reconnect_on_failure=False)
    client.username_pw_set("?x-amz-customauthorizer-name=door", "let me in")
    client.on_connect = lambda _, __, ___, reason, ____: connected.put(reason)
    client.on_disconnect = lambda _, __, ___, reason, ____: over.put(reason)
    client.connect("127.0.0.1", server.ready["port"])
    client.loop_start()
    assert not connected.get(timeout=PATIENCE_SECONDS).is_failure
    data.delete_connection(clientId=name)
    assert over.get(timeout=PATIENCE_SECONDS).value == 0x98
    client.loop_stop()
    with pytest.raises(data.exceptions.ResourceNotFoundException):
        data.delete_connection(clientId=f"nobody-{uuid.uuid4().hex}")
