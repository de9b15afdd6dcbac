// Certificates for servers under test, of an authority that lives as long as the tests.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, rename, symlink, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { temporaryFolder } from './folder.mjs';

const run = promisify(execFile);
const openssl = (args, cwd) => run('openssl', args, { cwd });

/** An authority of its own: `pem` is what clients trust, `issue` makes certificates. */
export class Authority {
  #folder = temporaryFolder('authority');
  #count = 0;

  static async make(name = 'Test CA') {
    const authority = new Authority();
    await openssl([
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
      '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', `/CN=${name}`,
      '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
    ], authority.#folder);
    authority.pem = await readFile(authority.file, 'utf8');
    return authority;
  }

  get file() {
    return path.join(this.#folder, 'ca.pem');
  }

  /** A certificate for `names`, and its key, in PEM. */
  async issue(names, { client = false, days = 30 } = {}) {
    const name = `leaf-${this.#count += 1}`;
    const file = (kind) => `${name}.${kind}`;
    await openssl([
      'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
      '-keyout', file('key'), '-out', file('csr'), '-subj', `/CN=${names[0]}`,
    ], this.#folder);
    await writeFile(path.join(this.#folder, file('ext')), [
      `subjectAltName=${names.map((each) => (/^[\d.]+$|:/.test(each) ? `IP:${each}` : `DNS:${each}`)).join(',')}`,
      `extendedKeyUsage=${client ? 'clientAuth' : 'serverAuth'}`,
    ].join('\n'));
    await openssl([
      'x509', '-req', '-in', file('csr'), '-CA', 'ca.pem', '-CAkey', 'ca.key', '-set_serial', `0x${randomBytes(12).toString('hex').replace(/^./, '4')}`,
      '-days', String(days), '-extfile', file('ext'), '-out', file('pem'),
    ], this.#folder);
    const [cert, key] = await Promise.all(['pem', 'key'].map((kind) => readFile(path.join(this.#folder, file(kind)), 'utf8')));
    return { cert, key };
  }
}

/** Puts a certificate where a server looks for it. */
export async function put(folder, { cert, key }, name = 'tls') {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, `${name}.key`), key);
  await writeFile(path.join(folder, `${name}.crt`), cert);
}

/** Puts a certificate there as Kubernetes updates a Secret that is mounted: by a link that is swapped. */
export async function mount(folder, pair, version) {
  const data = path.join(folder, `..${version}`);
  await put(data, pair);
  await symlink(`..${version}`, path.join(folder, '..data_tmp'));
  await rename(path.join(folder, '..data_tmp'), path.join(folder, '..data'));
  for (const name of ['tls.crt', 'tls.key']) {
    await symlink(path.join('..data', name), path.join(folder, name)).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
