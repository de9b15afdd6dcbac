'use strict';

/** Lets everyone do everything but what the suites want refused. */
exports.handler = async () => ({
  isAuthenticated: true,
  principalId: 'suite',
  policyDocuments: [{
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: 'iot:*', Resource: '*' },
      { Effect: 'Deny', Action: 'iot:Subscribe', Resource: '*:topicfilter/test/nosubscribe' },
    ],
  }],
});
