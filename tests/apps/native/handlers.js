'use strict';

const show = (marker, value) => console.log(`${marker} ${JSON.stringify(value)}`);

/** Answers the whole event. */
exports.echo = async (event) => ({ statusCode: 200, body: JSON.stringify(event) });

/** Answers the label of the message, once the test lets it through. */
exports.gate = async ({ body }) => {
  const { url, label } = JSON.parse(body);
  show('GATE', { label });
  if (url) await (await fetch(url)).text();
  return { statusCode: 200, body: label };
};

exports.disconnect = async (event) => {
  show('DISCONNECT', event);
  return { statusCode: 200 };
};

exports.never = async () => new Promise(() => setInterval(() => {}, 1000));

exports.auth = async (event) => {
  show('AUTH', event);
  return {
    principalId: 'someone',
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: event.methodArn }],
    },
    context: { colour: 'green' },
  };
};
