// A history of what clients did and saw, and the checker that judges it, in the manner of
// Jepsen: every publish, acknowledgement, delivery, subscription and connection is written
// down where a client can see it, and what must not be follows from that alone. Nothing
// here knows Fanwire.
//
// A publication is named by its topic and its body, which are never used twice. Times are a
// counter: an entry's place in the history.

import { matches } from './topics.mjs';

/** What clients did and saw, in the order in which they did. */
export class History {
  entries = [];

  #add(kind, entry) {
    this.entries.push({ kind, at: this.entries.length, ...entry });
  }

  /** A subscription to `filter` was acknowledged: from now on everything acknowledged must come. */
  subscribed(client, filter, group) {
    this.#add('subscribed', { client, filter, group });
  }

  /** A client sends a publication, for the first time or again. */
  sent(client, topic, body) {
    this.#add('sent', { client, topic, body });
  }

  /** Its publication was acknowledged. */
  acknowledged(client, topic, body) {
    this.#add('acknowledged', { client, topic, body });
  }

  /** A publication came. */
  delivered(client, topic, body, { dup = false } = {}) {
    this.#add('delivered', { client, topic, body, dup });
  }

  connected(client, node, { resumed = false } = {}) {
    this.#add('connected', { client, node, resumed });
  }

  disconnected(client) {
    this.#add('disconnected', { client });
  }

  /** Something was broken, or mended, on purpose. */
  fault(what) {
    this.#add('fault', { what });
  }

  /** A WebSocket was opened: `$disconnect` owes it one event. */
  opened(connection) {
    this.#add('opened', { connection });
  }

  /** The app was told that a WebSocket has ended. */
  ended(connection) {
    this.#add('ended', { connection });
  }
}

/**
 * Judges a history that has come to rest: every client is connected and nothing is on its
 * way. Each kind of violation is a list of sentences; `counts` says how much was looked at.
 */
export function judge(history) {
  const verdict = { lost: [], wronglyDelivered: [], duplicated: [], reordered: [], disconnects: [] };
  const view = read(history);
  for (const [client, subscriptions] of view.subscriptions) {
    judgeClient(client, subscriptions, view, verdict);
  }
  judgeGroups(view, verdict);
  judgeEnds(view, verdict);
  const deliveries = [...view.deliveries.values()].reduce((sum, list) => sum + list.length, 0);
  verdict.counts = {
    publications: view.publications.size,
    acknowledged: [...view.publications.values()].filter(({ acknowledged }) => acknowledged).length,
    deliveries,
    repeated: view.repeated,
    subscribers: view.subscriptions.size,
    connections: view.opened.size,
    ends: view.ended.size,
  };
  verdict.ok = Object.values(verdict).every((each) => !Array.isArray(each) || each.length === 0);
  return verdict;
}

const key = (topic, body) => `${topic}\n${body}`;

/** The history by publication and by client. */
function read({ entries }) {
  const view = {
    publications: new Map(), subscriptions: new Map(), deliveries: new Map(), breaks: new Map(),
    faults: [], opened: new Map(), ended: new Map(), repeated: 0,
  };
  const of = (map, name, empty) => map.get(name) ?? (map.set(name, empty), empty);
  for (const entry of entries) {
    const { kind, client, topic, body, at } = entry;
    switch (kind) {
      case 'sent': {
        const publication = of(view.publications, key(topic, body), {
          topic, body, by: client, first: at, sends: 0, acknowledged: undefined,
        });
        publication.sends += 1;
        break;
      }
      case 'acknowledged':
        view.publications.get(key(topic, body)).acknowledged ??= at;
        break;
      case 'subscribed':
        of(view.subscriptions, client, []).push(entry);
        break;
      case 'delivered':
        of(view.deliveries, client, []).push(entry);
        break;
      case 'disconnected':
        of(view.breaks, client, []).push(at);
        break;
      case 'fault':
        view.faults.push(at);
        break;
      case 'opened':
        view.opened.set(entry.connection, at);
        break;
      case 'ended':
        of(view.ended, entry.connection, []).push(at);
        break;
      default:
    }
  }
  return view;
}

/** What one subscriber, none of whose subscriptions is shared, should have seen. */
function judgeClient(client, subscriptions, view, verdict) {
  const own = subscriptions.filter(({ group }) => !group);
  const deliveries = view.deliveries.get(client) ?? [];
  const seen = new Map();
  for (const delivery of deliveries) {
    const name = key(delivery.topic, delivery.body);
    const publication = view.publications.get(name);
    const wanted = subscriptions.some(({ filter, at }) => at < delivery.at && matches(filter, delivery.topic));
    if (!publication) {
      verdict.wronglyDelivered.push(`${client} got what nobody sent: ${delivery.topic} ${delivery.body}`);
    } else if (!wanted) {
      verdict.wronglyDelivered.push(`${client} got what it had not subscribed to: ${delivery.topic} ${delivery.body}`);
    } else if (publication.first > delivery.at) {
      verdict.wronglyDelivered.push(`${client} got ${delivery.topic} ${delivery.body} before it was sent`);
    }
    const before = seen.get(name);
    if (before === undefined) {
      seen.set(name, delivery.at);
    } else {
      view.repeated += 1;
      if (!mayRepeat(client, publication, before, delivery, view)) {
        verdict.duplicated.push(`${client} got ${delivery.topic} ${delivery.body} twice, with no reason for it`);
      }
    }
  }
  for (const [name, publication] of view.publications) {
    const due = own.some(({ filter, at }) => at < publication.first && matches(filter, publication.topic));
    if (due && publication.acknowledged !== undefined && !seen.has(name)) {
      verdict.lost.push(`${client} never got ${publication.topic} ${publication.body}, which was acknowledged`);
    }
  }
  // A message that a member of a group did not acknowledge goes to another one, whenever that is
  // found out: a group has no order (MQTT 5, 4.8.2).
  const ordered = new Map([...seen].filter(([name]) => own.some(({ filter }) => matches(filter, name.split('\n')[0]))));
  judgeOrder(client, ordered, view, verdict);
}

/**
 * A message may come again where its subscriber's connection ended in between (it may not
 * have acknowledged it), where its publisher sent it again, or where something was broken
 * between its sending and its coming again: at least once is what QoS 1 says (MQTT 5, 4.3.2).
 */
function mayRepeat(client, publication, before, delivery, view) {
  const between = (list, from, to) => list.some((at) => at > from && at < to);
  return publication?.sends > 1
    || between(view.breaks.get(client) ?? [], before, delivery.at)
    || between(view.faults, publication?.first ?? before, delivery.at);
}

/**
 * What one publisher sent to one topic comes, for the first time, in the order in which it
 * was first sent (MQTT 5, 4.6).
 */
function judgeOrder(client, seen, view, verdict) {
  const last = new Map();
  for (const name of seen.keys()) {
    const publication = view.publications.get(name);
    if (!publication) continue;
    const stream = key(publication.by, publication.topic);
    const previous = last.get(stream);
    if (previous && previous.first > publication.first) {
      verdict.reordered.push(
        `${client} got ${publication.topic} ${publication.body} of ${publication.by} after ${previous.body}, which was sent later`,
      );
    } else {
      last.set(stream, publication);
    }
  }
}

/** What a group of sharing subscribers should have seen: each publication, somebody of them. */
function judgeGroups(view, verdict) {
  const groups = new Map();
  for (const [client, subscriptions] of view.subscriptions) {
    for (const { group, filter, at } of subscriptions) {
      if (!group) continue;
      const name = `$share/${group}/${filter}`;
      const known = groups.get(name) ?? { filter, members: new Set(), from: at };
      groups.set(name, known);
      known.members.add(client);
    }
  }
  for (const [name, { filter, members, from }] of groups) {
    const got = new Map();
    for (const member of members) {
      for (const { topic, body, at } of view.deliveries.get(member) ?? []) {
        if (!matches(filter, topic)) continue;
        const receivers = got.get(key(topic, body)) ?? [];
        receivers.push({ member, at });
        got.set(key(topic, body), receivers);
      }
    }
    for (const [id, publication] of view.publications) {
      if (publication.first < from || !matches(filter, publication.topic)) continue;
      const receivers = got.get(id) ?? [];
      if (publication.acknowledged !== undefined && receivers.length === 0) {
        verdict.lost.push(`nobody of ${name} got ${publication.topic} ${publication.body}, which was acknowledged`);
      }
      const [first, ...others] = receivers.sort((one, other) => one.at - other.at);
      for (const { member, at } of others.filter((other) => other.member !== first.member)) {
        if (!mayRepeat(first.member, publication, first.at, { at }, view)) {
          verdict.duplicated.push(`both ${first.member} and ${member} of ${name} got ${publication.topic} ${publication.body}`);
        }
      }
    }
  }
}

/** Every WebSocket ends once, and no other does. */
function judgeEnds({ opened, ended }, verdict) {
  for (const connection of opened.keys()) {
    const times = ended.get(connection)?.length ?? 0;
    if (times !== 1) verdict.disconnects.push(`the app was told ${times} times that ${connection} has ended`);
  }
}
