// Tokens: a user's name and its signature. `node token.js ada` prints one.

import { createHmac } from 'node:crypto';
import { fileURLToPath } from 'node:url';

export function sign(user) {
  const key = process.env.TOKEN_KEY ?? 'not a secret';
  return `${user}.${createHmac('sha256', key).update(user).digest('base64url')}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(sign(process.argv[2]));
