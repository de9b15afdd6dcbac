// The checker of histories that the fault tests rely on: that it sees each kind of fault,
// and sees none where there is none.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { History, judge } from '../faults/history.mjs';
import { matches } from '../faults/topics.mjs';

/** A publication that is acknowledged and comes to `receivers`. */
function publication(history, topic, body, receivers = ['sub']) {
  history.sent('pub', topic, body);
  history.acknowledged('pub', topic, body);
  for (const receiver of receivers) history.delivered(receiver, topic, body);
}

function subscribed(...clients) {
  const history = new History();
  for (const client of clients) history.subscribed(client, 'a/#');
  return history;
}

const faults = ({ counts, ok, ...lists }) => Object.entries(lists).filter(([, list]) => list.length > 0).map(([name]) => name);

describe('the checker of histories', () => {
  test('finds nothing where everything is as it should be', () => {
    const history = subscribed('sub', 'other');
    for (let n = 0; n < 10; n += 1) publication(history, `a/${n % 3}`, `${n}`, ['sub', 'other']);
    history.opened('c1');
    history.ended('c1');
    const verdict = judge(history);
    assert.deepEqual(faults(verdict), []);
    assert.equal(verdict.ok, true);
    assert.equal(verdict.counts.deliveries, 20);
  });

  test('sees what was acknowledged and never came', () => {
    const history = subscribed('sub', 'other');
    publication(history, 'a/b', '1', ['other']);
    assert.deepEqual(faults(judge(history)), ['lost']);
  });

  test('lets what was not acknowledged come or not', () => {
    const history = subscribed('sub', 'other');
    history.sent('pub', 'a/b', '1');
    history.delivered('sub', 'a/b', '1');
    assert.deepEqual(faults(judge(history)), []);
  });

  test('sees what came to somebody who had not asked for it', () => {
    const history = subscribed('sub');
    history.subscribed('stranger', 'b/#');
    publication(history, 'a/b', '1', ['sub', 'stranger']);
    assert.deepEqual(faults(judge(history)), ['wronglyDelivered']);
  });

  test('sees what nobody sent', () => {
    const history = subscribed('sub');
    history.delivered('sub', 'a/b', 'made up');
    assert.deepEqual(faults(judge(history)), ['wronglyDelivered']);
  });

  test('sees what came twice for no reason', () => {
    const history = subscribed('sub');
    publication(history, 'a/b', '1', ['sub', 'sub']);
    assert.deepEqual(faults(judge(history)), ['duplicated']);
  });

  test('lets a message come again over another connection, after a fault, or where it was sent again', () => {
    const again = (between) => {
      const history = subscribed('sub');
      publication(history, 'a/b', '1');
      between(history);
      history.delivered('sub', 'a/b', '1');
      const verdict = judge(history);
      assert.equal(verdict.counts.repeated, 1);
      return faults(verdict);
    };
    assert.deepEqual(again((history) => history.disconnected('sub')), []);
    assert.deepEqual(again((history) => history.fault('kill -9')), []);
    assert.deepEqual(again((history) => history.sent('pub', 'a/b', '1')), []);
    assert.deepEqual(again((history) => history.disconnected('pub')), ['duplicated']);
  });

  test('sees what came out of order, by publisher and topic', () => {
    const history = subscribed('sub');
    history.sent('pub', 'a/b', '1');
    history.sent('pub', 'a/b', '2');
    history.sent('pub', 'a/c', '3');
    history.delivered('sub', 'a/c', '3');
    history.delivered('sub', 'a/b', '2');
    assert.deepEqual(faults(judge(history)), []);
    history.delivered('sub', 'a/b', '1');
    assert.deepEqual(faults(judge(history)), ['reordered']);
  });

  test('asks for no order of what a group shares', () => {
    const history = new History();
    history.subscribed('one', 'a/#', 'g');
    for (const body of ['1', '2']) history.sent('pub', 'a/b', body);
    for (const body of ['2', '1']) history.delivered('one', 'a/b', body);
    assert.deepEqual(faults(judge(history)), []);
  });

  test('sees a message that two of a group got, and one that nobody of it got', () => {
    const group = () => {
      const history = new History();
      for (const member of ['one', 'two']) history.subscribed(member, 'a/#', 'g');
      return history;
    };
    const shared = group();
    publication(shared, 'a/b', '1', ['one']);
    publication(shared, 'a/b', '2', ['two']);
    assert.deepEqual(faults(judge(shared)), []);
    publication(shared, 'a/b', '3', ['one', 'two']);
    assert.deepEqual(faults(judge(shared)), ['duplicated']);
    for (const [first, then] of [['one', 'two'], ['two', 'one']]) {
      const left = group();
      publication(left, 'a/b', '1', [first]);
      left.disconnected(first);
      left.delivered(then, 'a/b', '1');
      assert.deepEqual(faults(judge(left)), [], `${then} got what ${first} may not have acknowledged`);
    }
    const silent = group();
    publication(silent, 'a/b', '1', []);
    assert.deepEqual(faults(judge(silent)), ['lost']);
  });

  test('sees a WebSocket whose end was told twice, or never', () => {
    const history = new History();
    history.opened('once');
    history.ended('once');
    history.opened('twice');
    history.ended('twice');
    history.ended('twice');
    history.opened('never');
    assert.equal(judge(history).disconnects.length, 2);
  });

  test('knows which topics a filter matches', () => {
    for (const [filter, topic, expected] of [
      ['a/#', 'a', true], ['a/#', 'a/b/c', true], ['a/+', 'a/b', true], ['a/+', 'a', false], ['a/+', 'a/b/c', false],
      ['#', '$SYS/x', false], ['+/x', '$SYS/x', false], ['$SYS/#', '$SYS/x', true], ['a//b', 'a//b', true], ['+/+', '/x', true],
    ]) assert.equal(matches(filter, topic), expected, `${filter} ${topic}`);
  });
});
