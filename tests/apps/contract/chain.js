'use strict';

const { InvokeCommand, LambdaClient } = require('@aws-sdk/client-lambda');

// AWS_ENDPOINT_URL_LAMBDA says where functions are called.
const lambda = new LambdaClient({});

/** Calls another function of the app and answers with what it said. */
exports.handler = async ({ name, payload }) => {
  const answer = await lambda.send(
    new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(payload) }),
  );
  return {
    functionError: answer.FunctionError ?? null,
    payload: JSON.parse(Buffer.from(answer.Payload).toString()),
  };
};
