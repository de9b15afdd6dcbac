// What is sent, and how many frames come back before the next is. `open`: nothing else may
// come, which a fence shows. `closes`: the server ends the connection.

const BOTH = ['10.45', '11.25'];
const V11 = ['11.25'];

const call = (id, method, path, input, more = {}) => ({ id, method, params: { input, path, ...more } });
const query = (id, path, input) => call(id, 'query', path, input);
const subscribe = (id, path, input, more) => call(id, 'subscription', path, input, more);
const stop = (id) => ({ id, method: 'subscription.stop' });

/** One message and its one answer. */
const asked = (name, send, versions = BOTH) => ({ name, versions, steps: [{ send, receives: 1, open: true }] });
/** A message that nothing comes of. */
const ignored = (name, send, versions = BOTH) => ({ name, versions, steps: [{ send, open: true }] });

export const cases = [
  asked('a query', query(1, 'hello', 'you')),
  asked('a mutation', call(2, 'mutation', 'add', { a: 1, b: 2 })),
  asked('a nested path', query(3, 'nested.deeper')),
  asked('undefined', query(4, 'nothing')),
  asked('a date', query(5, 'epoch')),
  asked('an id that is a string', query('one', 'hello', 'you')),
  asked('jsonrpc', { jsonrpc: '2.0', ...query(6, 'hello', 'you') }),
  asked('jsonrpc in an error', { jsonrpc: '2.0', ...query(6, 'fails') }),
  {
    name: 'a batch',
    versions: BOTH,
    steps: [{ send: [query(1, 'hello', 'a'), query(2, 'hello', 'b')], receives: 2, open: true }],
  },
  ignored('an empty batch', '[]'),
  asked('an error with a code', query(7, 'fails')),
  asked('an error without a code', call(8, 'mutation', 'breaks')),
  asked('a path that is not there', query(9, 'nope')),
  asked('a path of another type', query(10, 'ticks')),
  asked('a mutation that is not there', call(11, 'mutation', 'a"b')),
  {
    name: 'a subscription that ends',
    versions: BOTH,
    steps: [{ send: subscribe(12, 'ticks'), receives: 4, open: true }, { send: stop(12), open: true }],
  },
  {
    name: 'a subscription that is stopped',
    versions: BOTH,
    steps: [{ send: subscribe(13, 'forever'), receives: 2, open: true }, { send: stop(13), receives: 1, open: true }],
  },
  {
    name: 'an id that is used again',
    versions: BOTH,
    steps: [
      { send: subscribe(13, 'forever'), receives: 2 },
      { send: stop(13), receives: 1 },
      { send: subscribe(13, 'forever'), receives: 2, open: true },
    ],
  },
  {
    name: 'a subscription that fails',
    versions: V11,
    steps: [{ send: subscribe(14, 'conflict'), receives: 4, open: true }],
  },
  asked('a subscription that is refused', subscribe(15, 'refused')),
  asked('a subscription that is not there', subscribe(16, 'nope')),
  ignored('the stop of a subscription that never was', stop(17)),
  {
    name: 'an id that is taken',
    versions: V11,
    steps: [
      { send: subscribe(18, 'forever'), receives: 2 },
      { send: subscribe(18, 'forever'), receives: 1, open: true },
    ],
  },
  {
    name: 'tracked events',
    versions: V11,
    steps: [{ send: subscribe(19, 'tracked'), receives: 3, open: true }],
  },
  {
    name: 'tracked events after the last one',
    versions: V11,
    steps: [{ send: subscribe(20, 'tracked', undefined, { lastEventId: '5' }), receives: 3, open: true }],
  },
  { name: 'PING', versions: V11, steps: [{ send: 'PING', receives: 1, open: true }] },
  ignored('PONG', 'PONG', V11),
  { name: 'reconnect', versions: BOTH, steps: [{ reconnect: true, receives: 1, open: true }] },
  {
    name: 'connection parameters',
    versions: V11,
    query: '?connectionParams=1',
    steps: [
      { send: '{"method":"connectionParams","data":{"token":"T"}}' },
      { send: query(1, 'whoami'), receives: 1, open: true },
    ],
  },
  {
    name: 'connection parameters that are null',
    versions: V11,
    query: '?a=b&connectionParams=1',
    steps: [
      { send: '{"method":"connectionParams","data":null}' },
      { send: query(1, 'whoami'), receives: 1, open: true },
    ],
  },
  {
    name: 'connection parameters that are refused',
    versions: V11,
    query: '?connectionParams=1',
    steps: [{ send: '{"method":"connectionParams","data":{"token":"bad"}}', closes: true }],
  },
  {
    name: 'connection parameters that are no object',
    versions: V11,
    query: '?connectionParams=1',
    steps: [{ send: '[]', closes: true }],
  },
  {
    name: 'connection parameters that are no strings',
    versions: V11,
    query: '?connectionParams=1',
    steps: [{ send: '{"method":"connectionParams","data":{"token":1}}', closes: true }],
  },
  asked('no JSON', 'hello'),
  asked('a number', '1'),
  asked('null', 'null'),
  asked('a batch of something else', '[[]]'),
  asked('no id', '{"method":"query","params":{"path":"hello"}}', V11),
  asked('an id that is null', '{"id":null,"method":"subscription.stop"}'),
  asked('an id that is an object', '{"id":{},"method":"subscription.stop"}', V11),
  asked('another version of jsonrpc', '{"id":1,"jsonrpc":"1.0","method":"subscription.stop"}'),
  asked('an unknown method', '{"id":1,"method":"subscribe","params":{"path":"ticks"}}'),
  asked('no params', '{"id":1,"method":"query"}'),
  asked('no path', '{"id":1,"method":"query","params":{}}'),
  asked('a lastEventId that is no string', '{"id":1,"method":"subscription","params":{"path":"forever","lastEventId":7}}', V11),
  {
    name: 'a batch with a fault in it',
    versions: BOTH,
    steps: [{ send: '[{"id":1,"method":"query","params":{"path":"hello","input":"you"}},{"id":2,"method":"nope"}]', receives: 1, open: true }],
  },
];
