'use strict';

const show = (marker, value) => console.log(`${marker} ${JSON.stringify(value)}`);

/** A policy of one statement, as most authorizers return it. */
const policy = (Effect, Resource, Action = 'execute-api:Invoke') => ({
  Version: '2012-10-17',
  Statement: [{ Action, Effect, Resource }],
});

/** Decides what the query string's `how` says. */
exports.auth = async (event) => {
  show('AUTH', event);
  const arn = event.methodArn;
  const [, region, account, api, stage] = arn.match(/^arn:aws:execute-api:([^:]*):([^:]*):([^/]*)\/([^/]*)\//) ?? [];
  const allow = { principalId: 'user-1', policyDocument: policy('Allow', arn) };
  switch (event.queryStringParameters.how) {
    case 'allow':
      return allow;
    case 'allow-star':
      return { principalId: 'user-1', policyDocument: policy('Allow', '*') };
    case 'allow-api-star':
      return { principalId: 'user-1', policyDocument: policy('Allow', `arn:aws:execute-api:${region}:${account}:${api}/*`) };
    case 'allow-any-action':
      return { principalId: 'user-1', policyDocument: policy('Allow', arn, '*') };
    case 'allow-action-pattern':
      return { principalId: 'user-1', policyDocument: policy('Allow', arn, 'execute-api:*') };
    case 'allow-plain-statement':
      return {
        principalId: 'user-1',
        policyDocument: { Version: '2012-10-17 ', Statement: { Action: ['execute-api:Invoke'], Effect: 'Allow', Resource: [arn] } },
      };
    case 'rest-resource':
      return { principalId: 'user-1', policyDocument: policy('Allow', `arn:aws:execute-api:${region}:${account}:${api}/${stage}/*/*`) };
    case 'other-action':
      return { principalId: 'user-1', policyDocument: policy('Allow', '*', 's3:GetObject') };
    case 'deny':
      return { principalId: 'user-1', policyDocument: policy('Deny', arn) };
    case 'deny-wins':
      return {
        principalId: 'user-1',
        policyDocument: {
          Version: '2012-10-17',
          Statement: [...policy('Allow', '*').Statement, ...policy('Deny', arn).Statement],
        },
      };
    case 'empty-policy':
      return { principalId: 'user-1', policyDocument: { Version: '2012-10-17', Statement: [] } };
    case 'unauthorized':
      throw new Error('Unauthorized');
    case 'unauthorized-text':
      throw 'Unauthorized';
    case 'other-error':
      throw new Error('unauthorized, nearly');
    case 'no-principal':
      return { policyDocument: policy('Allow', arn) };
    case 'no-policy':
      return { principalId: 'user-1' };
    case 'status':
      return { statusCode: 401 };
    case 'null':
      return null;
    case 'never':
      return new Promise(() => setInterval(() => {}, 1000));
    case 'exit':
      return process.exit(1);
    case 'context':
      return { ...allow, context: { text: 'value', number: 123, half: 0.5, yes: true } };
    case 'nested-context':
      return { ...allow, context: { nested: { no: 'good' } } };
    case 'array-context':
      return { ...allow, context: { list: [1] } };
    case 'large':
      return { ...allow, context: { text: 'x'.repeat(9000) } };
    default:
      throw new Error(`unknown: ${event.queryStringParameters.how}`);
  }
};

exports.connect = async (event) => {
  show('CONNECT', event);
  return { statusCode: 200 };
};

exports.disconnect = async (event) => {
  show('DISCONNECT', event);
};

exports.event = async (event) => ({ statusCode: 200, body: JSON.stringify(event) });
