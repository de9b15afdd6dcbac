'use strict';

// An authorizer whose answers are a client's password: a list as JSON, one for each time that it is asked.

const asked = new Map();

exports.handler = async ({ connectionMetadata: { id }, protocolData: { mqtt } }) => {
  const answers = JSON.parse(Buffer.from(mqtt.password, 'base64').toString());
  const times = asked.get(id) ?? 0;
  asked.set(id, times + 1);
  console.log('ASKED', JSON.stringify({ clientId: mqtt.clientId, times }));
  const answer = answers[Math.min(times, answers.length - 1)];
  if (answer.throw) throw new Error(answer.throw);
  // As SST's authorizer does for a client that gives no user name.
  if (answer.principalId === 'now') answer.principalId = Date.now().toString();
  return {
    isAuthenticated: true,
    principalId: 'tester',
    disconnectAfterInSeconds: 86400,
    refreshAfterInSeconds: 300,
    policyDocuments: [{ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }] }],
    ...answer,
  };
};
