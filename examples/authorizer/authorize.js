// Decides who may connect. Called once a handshake, before $connect, and only when
// the handshake has both the Auth header and a room.

import { timingSafeEqual } from 'node:crypto';

import { sign } from './token.js';

/** The user that a token was made for, or undefined where its signature is wrong. */
function userOf(token) {
  const user = token.slice(0, token.lastIndexOf('.'));
  const given = Buffer.from(token);
  const right = Buffer.from(sign(user));
  return given.length === right.length && timingSafeEqual(given, right) ? user : undefined;
}

export async function handler({ headers, queryStringParameters: { room }, methodArn }) {
  const user = userOf(headers.Auth);
  // This text, to the letter, is what makes the gateway answer 401.
  if (user === undefined) throw new Error('Unauthorized');
  const banned = room === 'staff' && user !== 'ada';
  return {
    principalId: user,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: banned ? 'Deny' : 'Allow', Resource: methodArn }],
    },
    // Strings, numbers and booleans; functions see all of them as text.
    context: { room, since: Date.now(), staff: user === 'ada' },
  };
}
