'use strict';

// An authorizer that says what it is told: the password, or a signed token, is the answer as JSON.

/** Answers with the JSON that is the MQTT password. */
exports.handler = async (event) => {
  console.log('AUTHORIZE', JSON.stringify(event));
  return answer(Buffer.from(event.protocolData.mqtt.password ?? '', 'base64').toString());
};

/** Lets in whoever has a token, of which Fanwire has checked the signature; one of JSON is the answer. */
exports.signed = async (event) => {
  console.log('SIGNED', JSON.stringify(event));
  return answer(event.token.startsWith('{') ? event.token : JSON.stringify({ principalId: event.token }));
};

function answer(text) {
  const told = JSON.parse(text);
  if (told.throw) throw new Error(told.throw);
  return {
    isAuthenticated: true,
    principalId: 'tester',
    disconnectAfterInSeconds: 3600,
    refreshAfterInSeconds: 300,
    policyDocuments: [{ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }] }],
    ...told,
  };
}
