// Who somebody is to NATS by keys alone: NKeys, which are Ed25519 keys written in base32, and the tokens (JWTs) that
// operators sign for accounts, and accounts for users.

import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** What an NKey begins with: five bits that are a letter in base32, and three that are nothing. */
const prefix = (letter) => ALPHABET.indexOf(letter) << 3;
const LETTERS = { operator: 'O', account: 'A', user: 'U' };

/** Base32, without what would fill it up. */
function base32(bytes) {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return bits.match(/.{1,5}/g).map((five) => ALPHABET[parseInt(five.padEnd(5, '0'), 2)]).join('');
}

/** CRC-16, as XMODEM has it. */
function crc16(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}

/** A key, between what says its kind and a sum of both. */
function written(kind, key) {
  const bytes = Buffer.from([...kind, ...Buffer.from(key, 'base64url')]);
  const sum = crc16(bytes);
  return base32([...bytes, sum & 0xff, sum >> 8]);
}

/** A new key, for an `operator`, an `account` or a `user`. */
export class NKey {
  #key = generateKeyPairSync('ed25519').privateKey;

  constructor(type) {
    this.type = type;
    const { d, x } = this.#key.export({ format: 'jwk' });
    const kind = prefix(LETTERS[type]);
    this.public = written([kind], x);
    // The kind of a seed's key is in the bits that its own leaves, and on.
    this.seed = written([prefix('S') | (kind >> 5), (kind << 3) & 0xff], d);
  }

  /** A token, signed with this key, that says what `subject` may do; until `exp`, if there is one. */
  token(subject, nats = {}, exp = undefined) {
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = {
      jti: randomUUID(), iat: Math.floor(Date.now() / 1000), exp, iss: this.public, sub: subject.public, name: subject.type,
      nats: { version: 2, type: subject.type, ...nats },
    };
    const text = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(claims)}`;
    return `${text}.${sign(null, Buffer.from(text), this.#key).toString('base64url')}`;
  }
}

const unlimited = (...names) => Object.fromEntries(names.map((name) => [name, -1]));
const USER = unlimited('subs', 'data', 'payload');
const ACCOUNT = { ...USER, ...unlimited('imports', 'exports', 'conn', 'leaf'), wildcards: true };
const JETSTREAM = unlimited('mem_storage', 'disk_storage', 'streams', 'consumer');

/** An operator with an account for nodes. */
export class Operator {
  #account = new NKey('account');

  constructor({ jetstream = true } = {}) {
    const operator = new NKey('operator');
    // JetStream does not start without one for the servers themselves.
    const system = new NKey('account');
    const token = (account, limits) => `${account.public}: ${operator.token(account, { limits })}`;
    /** The lines of a NATS server's configuration that have it believe this operator. */
    this.lines = [
      `operator: ${operator.token(operator)}`,
      `system_account: ${system.public}`,
      'resolver: MEMORY',
      `resolver_preload: { ${token(this.#account, { ...ACCOUNT, ...jetstream && JETSTREAM })}, ${token(system, ACCOUNT)} }`,
    ];
  }

  /** A `.creds` file of a new user of the account, who may use `subjects` alone, if they are said. */
  credentials({ seed, exp, subjects } = {}) {
    const user = new NKey('user');
    const may = subjects ? { allow: subjects } : {};
    return [
      '-----BEGIN NATS USER JWT-----', this.#account.token(user, { ...USER, pub: may, sub: may }, exp), '------END NATS USER JWT------',
      '', '-----BEGIN USER NKEY SEED-----', seed ?? user.seed, '------END USER NKEY SEED------', '',
    ].join('\n');
  }
}
