'use strict';

// Posting without any SDK, and what the other handlers share.

const https = require('node:https');

/** The addresses that handlers hard-code, by the name that tests give them. */
const endpoints = ({ domainName, stage, apiId }) => ({
  domain: `https://${domainName}/${stage}`,
  'domain without a scheme': `${domainName}/${stage}`,
  aws: `https://${process.env.API_HOST}/${stage}`,
  'aws by the event': `https://${apiId}.execute-api.${process.env.AWS_REGION}.amazonaws.com/${stage}`,
});
exports.endpoints = endpoints;

const target = ({ requestContext, body }) => {
  const { as } = JSON.parse(body);
  const { connectionId } = requestContext;
  return { as, url: `${endpoints(requestContext)[as]}/@connections/${encodeURIComponent(connectionId)}` };
};

const text = ({ as }) => JSON.stringify({ greeting: `hello, ${as}` });

exports.byFetch = async (event) => {
  const { as, url } = target(event);
  const { status } = await fetch(url, { method: 'POST', body: text({ as }) });
  return { statusCode: status };
};

exports.byHttps = async (event) => {
  const { as, url } = target(event);
  const statusCode = await new Promise((resolve, reject) => {
    const request = https.request(url, { method: 'POST' }, (response) => resolve(response.resume().statusCode));
    request.on('error', reject).end(text({ as }));
  });
  return { statusCode };
};

/** What the SDKs invoke. */
exports.greet = async ({ as }) => ({ greeting: `hello, ${as}` });

exports.connect = async () => ({ statusCode: 200 });

exports.whoami = async ({ requestContext }) => ({ statusCode: 200, body: JSON.stringify(requestContext) });
