// Nitric projects: a folder for each version of the SDK, the services that their tests run, and what these tell.

import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';

import { ROOT, printedBy, start } from './fanwire.mjs';
import { temporaryFolder } from './folder.mjs';
import { connect } from './websocket.mjs';

/** The versions of the SDK. */
export const VERSIONS = ['0.15', '1.0', '1.2'];

/** The folder of a project on a version of the SDK. */
export const project = (version, name) => path.join(ROOT, 'tests/nitric', version, name);

/** A copy of a project that a test may change, on a version of the SDK, for `name`. */
export function copied(version, name) {
  const above = temporaryFolder('nitric');
  const folder = path.join(above, version, name);
  mkdirSync(path.dirname(folder), { recursive: true });
  for (const shared of ['probe.js', 'probe-v1.js']) {
    cpSync(path.join(ROOT, 'tests/nitric', shared), path.join(above, shared));
  }
  cpSync(project(version, name), folder, { recursive: true });
  symlinkSync(path.join(ROOT, 'tests/node_modules'), path.join(above, 'node_modules'));
  if (version !== '0.15') {
    symlinkSync(path.join(ROOT, 'tests/nitric', version, 'node_modules'), path.join(above, version, 'node_modules'));
  }
  return folder;
}

/** A running project. */
export class Project {
  /** Starts one, and resolves once its services have said what they have. */
  static async start(target, options) {
    const started = new Project();
    started.server = await start(target, options);
    return started;
  }

  /** The URL of a websocket's own port. */
  url(suffix = '', name) {
    const { sockets } = this.server.ready.nitric;
    const socket = name ? sockets.find((each) => each.name === name) : sockets[0];
    return socket.url + suffix;
  }

  connect(suffix, name) {
    return connect(this.url(suffix, name));
  }

  /** What services have told of events so far, and of those to come. */
  saw(wanted, what) {
    return this.server.printed('saw', wanted, what);
  }

  /** What services have told so far, in their order. */
  seen() {
    return this.server.events.items.map((event) => printedBy(event, 'saw')).filter(Boolean);
  }

  stop() {
    return this.server?.stop();
  }
}

/** Asks the service of the tests something. */
export async function ask(client, asked) {
  return JSON.parse(await client.send(asked).next(`an answer to ${JSON.stringify(asked)}`));
}
