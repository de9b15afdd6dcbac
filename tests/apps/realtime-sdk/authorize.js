'use strict';

/** Lets in whoever has the password. */
exports.handler = async ({ protocolData: { mqtt } }) => ({
  isAuthenticated: Buffer.from(mqtt.password ?? '', 'base64').toString() === 'let me in',
  principalId: 'device',
  disconnectAfterInSeconds: 3600,
  refreshAfterInSeconds: 300,
  policyDocuments: [{ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }] }],
});
