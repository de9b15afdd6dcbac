// A server that runs the app `realtime-iot`, whose authorizer answers what a client's password says.

import { generateKeyPairSync, sign } from 'node:crypto';
import { cpSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import { app, start } from './fanwire.mjs';
import { temporaryFolder } from './folder.mjs';
import { Wire, addresses, join, unique } from './mqtt.mjs';

/** What the ARNs of the app begin with. */
export const ARN = 'arn:aws:iot:eu-west-1:123456789012';

/** A statement of a policy, with resources such as `topic/a`. */
export const allow = (action, ...resources) => statement('Allow', action, resources);
export const deny = (action, ...resources) => statement('Deny', action, resources);

const statement = (Effect, action, resources) => ({
  Effect,
  Action: [action].flat().map((each) => `iot:${each}`),
  Resource: resources.map((each) => (each === '*' ? each : `${ARN}:${each}`)),
});

/** Starts the app with a key for signed tokens. */
export async function startIot(options) {
  const folder = temporaryFolder('iot');
  cpSync(app('realtime-iot'), folder, { recursive: true });
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(`${folder}/public.pem`, publicKey.export({ type: 'spki', format: 'pem' }));
  const server = await start(folder, options);
  const at = addresses(server.port);
  return Object.assign(server, at, {
    ca: await readFile(server.ready.certificateAuthority),
    told: `${at.ws}?x-amz-customauthorizer-name=told`,
    signature: (token) => sign('sha256', Buffer.from(token), privateKey).toString('base64'),
  });
}

/** The password that has the authorizer answer so; given statements, they are the policy, with the right to connect. */
export function saying(...told) {
  const statements = told.filter(({ Effect }) => Effect);
  const rest = Object.assign({}, ...told.filter(({ Effect }) => !Effect));
  const answer = statements.length
    ? { policyDocuments: [{ Version: '2012-10-17', Statement: [allow('Connect', 'client/*'), ...statements] }], ...rest }
    : rest;
  return Buffer.from(JSON.stringify(answer));
}

/** mqtt.js, let in with the policy of `statements` and whatever else the authorizer is to say. */
export const enter = (server, statements = [], options = {}) => join(server.told, {
  username: '', password: saying(...statements), ...options,
});

/** A connection by hand, let in likewise. */
export async function enterRaw(server, version, statements = [], options = {}) {
  const wire = await Wire.tcp(server.tcpPort, version);
  wire.id = options.clientId ?? unique('client');
  const connack = await wire.connect({
    clientId: wire.id,
    username: '?x-amz-customauthorizer-name=told',
    password: saying(...statements),
    ...options,
  });
  const code = connack.reasonCode ?? connack.returnCode;
  if (code) throw Object.assign(new Error(`refused with ${code}`), { code });
  wire.connack = connack;
  return wire;
}
